#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lane_slot.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int waits(const lane_slot *s)
{
    return s->out.end > s->out.at;
}

static void broke(lane_slot *s)
{
    s->broken = 1;
    s->pong_waits = 0;
    buffer_clear(&s->out);
}

/* What the socket takes now; -1 when nobody is there. */
static int64_t write_now(lane *l, lane_slot *s, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    l->counts.sends++;
    for (;;) {
        const ssize_t wrote = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (wrote >= 0)
            return wrote;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR) {
            broke(s);
            return -1;
        }
    }
}

/* One frame: written as far as the socket takes it and nothing is before it, the rest kept. */
int output_frame(lane *l, lane_slot *s, int opcode, const uint8_t *data, size_t bytes)
{
    uint8_t head[FRAME_MASKED_HEAD];
    size_t head_bytes;
    size_t wrote = 0;
    if (s->broken)
        return LANE_GONE;
    if (s->dialled) {
        const uint8_t *key = vendor_key(l);
        if (!buffer_grow(&l->masked, bytes + 1)) /* never nothing: there is memory to point to then */
            return LANE_NO_MEMORY;
        frame_mask(l->masked.bytes, data, bytes, key);
        data = l->masked.bytes;
        l->counts.bytes_copied += bytes;
        head_bytes = frame_head_masked(head, opcode, bytes, key);
    } else {
        head_bytes = frame_head(head, opcode, bytes);
    }
    if (!waits(s)) {
        struct iovec parts[2] = {{head, head_bytes}, {(void *)(uintptr_t)data, bytes}};
        const int64_t taken = write_now(l, s, parts, 2);
        if (taken < 0)
            return LANE_GONE;
        wrote = (size_t)taken;
        if (wrote == head_bytes + bytes)
            return LANE_WROTE;
    }
    if (!buffer_grow(&s->out, head_bytes + bytes - wrote)) {
        broke(s); /* half a frame may be out: nothing can follow it */
        return LANE_NO_MEMORY;
    }
    if (wrote < head_bytes) {
        buffer_append(&s->out, head + wrote, head_bytes - wrote);
        wrote = head_bytes;
    }
    buffer_append(&s->out, data + (wrote - head_bytes), bytes - (wrote - head_bytes));
    l->counts.bytes_copied += bytes;
    lane_watch(l, s);
    return LANE_QUEUED;
}

void output_flush(lane *l, lane_slot *s)
{
    if (!waits(s))
        return;
    struct iovec rest = {s->out.bytes + s->out.at, s->out.end - s->out.at};
    const int64_t wrote = write_now(l, s, &rest, 1);
    if (wrote > 0)
        s->out.at += (size_t)wrote;
    if (!waits(s)) {
        buffer_clear(&s->out);
        if (s->pong_waits) {
            s->pong_waits = 0;
            output_frame(l, s, FRAME_OP_PONG, s->pong, s->pong_bytes);
        }
        lane_report_add(l, s, LANE_SENT, s->broken ? -1 : 0, NULL, 0);
    }
}

/* Of several pings that come while something waits only the last is answered (RFC 6455 section 5.5.3). */
void output_pong(lane *l, lane_slot *s, const uint8_t *data, size_t bytes)
{
    if (s->close_sent || s->broken)
        return;
    if (!waits(s)) {
        output_frame(l, s, FRAME_OP_PONG, data, bytes);
        return;
    }
    s->pong_waits = 1;
    s->pong_bytes = (uint8_t)bytes;
    for (size_t i = 0; i < bytes; i++)
        s->pong[i] = data[i];
}

int output_close(lane *l, lane_slot *s, int code, const uint8_t *reason, size_t bytes)
{
    uint8_t payload[FRAME_CONTROL];
    size_t used = 0;
    if (s->close_sent)
        return LANE_GONE;
    s->close_sent = 1;
    s->pong_waits = 0;
    if (code != FRAME_NO_CODE) {
        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)code;
        used = 2;
        for (size_t i = 0; i < bytes && used < FRAME_CONTROL; i++)
            payload[used++] = reason[i];
    }
    return output_frame(l, s, FRAME_OP_CLOSE, payload, used);
}

int lane_send(lane *l, uint32_t slot, int opcode, const uint8_t *data, size_t bytes)
{
    lane_slot *s = &l->slot[slot];
    if (s->broken || s->close_sent)
        return LANE_GONE;
    return waits(s) ? LANE_FULL : output_frame(l, s, opcode, data, bytes);
}

size_t lane_waiting(const lane *l, uint32_t slot)
{
    return l->slot[slot].out.end - l->slot[slot].out.at;
}

int lane_shut(lane *l, uint32_t slot, int code, const uint8_t *reason, size_t bytes)
{
    lane_slot *s = &l->slot[slot];
    const int done = output_close(l, s, code, reason, bytes);
    s->dropping = 1;
    s->intake = NULL;
    s->no_room = 0;
    s->how = LANE_ALL;
    gather_stop(l, s);
    if (!s->ended) {
        lane_list(l, s);
        lane_watch(l, s);
    }
    return done;
}
