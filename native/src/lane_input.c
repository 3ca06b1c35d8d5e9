#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lane_slot.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Whether more of the client may be read. */
int input_wanted(const lane_slot *s)
{
    return !s->ended && s->how != LANE_HOLD && !s->no_room && !s->sits_out;
}

/* A whole message of which a part is not decoded yet. */
static int half_heard(const lane_slot *s)
{
    return s->message.end > s->message.at && !s->reader.begun;
}

/* Whether there are bytes that were received and not read. */
int input_left(const lane_slot *s)
{
    return s->held.end > s->held.at || half_heard(s);
}

int lane_unread(const lane *l, uint32_t slot)
{
    const lane_slot *s = &l->slot[slot];
    int bytes = 0;
    return input_left(s) || (!s->ended && ioctl(s->fd, FIONREAD, &bytes) == 0 && bytes > 0);
}

/* Whether this socket's part of the call is over. */
static int spent(const lane *l, const lane_slot *s)
{
    return lane_nanoseconds() - l->now > slot_part(s);
}

static void report_once(lane *l, lane_slot *s, int kind, int code, const uint8_t *reason, uint64_t bytes)
{
    if (!s->closed) {
        s->closed = 1;
        lane_report_add(l, s, kind, code, reason, bytes);
    }
}

/* End of file or an error: the last thing that can come. */
static void end(lane *l, lane_slot *s)
{
    s->ended = 1;
    gather_stop(l, s);
    report_once(l, s, LANE_CLOSED, 1006, NULL, 0);
    lane_report_add(l, s, LANE_ENDED, 0, NULL, 0);
}

/* The client broke the protocol, or there is no memory for it: say so, and only wait for it to go. */
static void expel(lane *l, lane_slot *s, int code)
{
    s->deaf = 1;
    s->no_room = 0;
    s->how = LANE_ALL;
    output_close(l, s, code, NULL, 0);
    report_once(l, s, LANE_EXPELLED, code, NULL, 0);
}

static void count(lane *l, lane_intake *in, const codec_result *result)
{
    in->packets += (uint64_t)result->packets;
    in->bad_packets += (uint64_t)result->bad_packets;
    in->samples += (uint64_t)result->samples;
    in->concealed += (uint64_t)result->concealed;
    in->heard_ns = l->now;
    if (result->bad_packets == 0) {
        in->bad_run = 0;
        return;
    }
    const uint64_t before = in->bad_run;
    in->bad_run += (uint64_t)result->bad_packets;
    if (before < in->alarm && in->bad_run >= in->alarm)
        in->alarmed = in->bad_run;
}

/* Looking at the clock costs more than it tells for each packet. */
static int is_timed(const lane_intake *in)
{
    return in->packets % LANE_TIMED == 0;
}

static void count_time(const lane *l, lane_intake *in, uint64_t began)
{
    in->timed++;
    in->receive_ns += began - l->now;
    in->decode_ns += lane_nanoseconds() - began;
}

/* Decode as much of a whole message as there is room and time for. Returns the bytes decoded. */
static size_t decode(lane *l, lane_slot *s, const uint8_t *data, size_t bytes)
{
    lane_intake *in = s->intake;
    size_t done = 0;
    do {
        const size_t rest = bytes - done;
        const size_t piece = in->piece_bytes && rest > in->piece_bytes ? (size_t)in->piece_bytes : rest;
        const uint64_t most = codec_bound(in->codec, data + done, piece);
        const uint64_t spare = s->granted ? 0 : in->margin;
        const uint64_t began = is_timed(in) ? lane_nanoseconds() : 0;
        codec_result result;
        if (most + spare > ring_headroom(in->ring)
            || codec_decode_ring(in->codec, data + done, piece, in->ring, &result) == CODEC_NO_ROOM) {
            s->no_room = 1;
            lane_report_add(l, s, LANE_ROOM, 0, NULL, most);
            return done;
        }
        s->granted = 0;
        done += piece;
        if (began != 0)
            count_time(l, in, began);
        count(l, in, &result);
    } while (done < bytes && !spent(l, s));
    return done;
}

/* A whole message, at `data`, which may be in `message`. */
static void deliver(lane *l, lane_slot *s, int opcode, const uint8_t *data, size_t bytes)
{
    l->counts.messages++;
    l->counts.vendor_messages += s->dialled;
    if (s->how == LANE_ONE)
        s->how = LANE_HOLD;
    if (s->intake == NULL || opcode == FRAME_TEXT || bytes <= s->intake->keepalive) {
        lane_report_add(l, s, opcode == FRAME_TEXT ? LANE_TEXT : LANE_BINARY, 0, data, bytes);
        buffer_clear(&s->message);
        return;
    }
    l->counts.decoded++;
    const uint64_t before = s->intake->ring->written;
    const size_t done = decode(l, s, data, bytes);
    gather_heard(s, bytes, s->intake->ring->written - before);
    if (done == bytes)
        buffer_clear(&s->message);
    else if (s->message.end > 0)
        s->message.at += done;
    else if (!buffer_append(&s->message, data + done, bytes - done))
        expel(l, s, 1011);
    else
        l->counts.bytes_copied += bytes - done;
}

static void take_part(lane *l, lane_slot *s, const frame_event *event)
{
    if (s->dropping)
        return;
    if (event->first && event->last) {
        deliver(l, s, event->opcode, event->data, (size_t)event->bytes);
        return;
    }
    if (!buffer_append(&s->message, event->data, (size_t)event->bytes)) {
        expel(l, s, 1011);
        return;
    }
    l->counts.bytes_copied += event->bytes;
    if (event->last)
        deliver(l, s, event->opcode, s->message.bytes, s->message.end);
}

static void take(lane *l, lane_slot *s, const frame_event *event)
{
    switch (event->kind) {
    case FRAME_PART:
        take_part(l, s, event);
        break;
    case FRAME_PING:
        output_pong(l, s, event->data, (size_t)event->bytes);
        break;
    case FRAME_PONG:
        if (s->dialled)
            lane_report_add(l, s, LANE_PONG, 0, event->data, event->bytes);
        break;
    case FRAME_CLOSE:
        s->deaf = 1;
        s->how = LANE_HOLD; /* RFC 6455 section 7.1.1: now it is on us to end the connection */
        output_close(l, s, event->code, event->data, (size_t)event->bytes);
        report_once(l, s, LANE_CLOSED, event->code, s->dialled ? event->data : NULL, s->dialled ? event->bytes : 0);
        break;
    case FRAME_FAIL:
        expel(l, s, event->code);
        break;
    default:
        break;
    }
}

static void tell_of_audio(lane *l, lane_slot *s)
{
    lane_intake *in = s->intake;
    if (in == NULL || in->heard_ns != l->now) /* nothing came in this event */
        return;
    if (in->ring->pump != NULL)
        vendor_pump(l, in->ring->pump);
    if (in->ring->written >= in->ring->wanted || in->alarmed != 0) {
        in->ring->wanted = UINT64_MAX;
        lane_report_add(l, s, LANE_AUDIO, 0, NULL, 0);
    }
}

/* Read frames until the bytes are used up or no more may be read. Returns the bytes used. */
static size_t consume(lane *l, lane_slot *s, uint8_t *data, size_t bytes)
{
    size_t used = 0;
    frame_event event;
    while (used < bytes && input_wanted(s) && !s->deaf && !half_heard(s)) {
        used += frame_read(&s->reader, data + used, bytes - used, &event);
        take(l, s, &event);
        if (spent(l, s))
            break;
    }
    return s->deaf ? bytes : used;
}

/* What is left is looked at in the next call, after the other sockets; what was too much for its part later. */
static void end_part(lane *l, lane_slot *s, int filled)
{
    const int more = input_wanted(s) && input_left(s);
    if (!s->dialled && ((filled && input_wanted(s)) || (more && spent(l, s))))
        gather_sit_out(l, s);
    else if (more)
        lane_list(l, s);
    tell_of_audio(l, s);
    if (!s->sits_out)
        gather_on(l, s);
}

void input_receive(lane *l, lane_slot *s)
{
    l->counts.receives++;
    const ssize_t got = recv(s->fd, l->chunk, LANE_CHUNK, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        s->floods = 0;
        gather_stop(l, s);
        return;
    }
    if (got <= 0) {
        end(l, s);
        return;
    }
    l->counts.bytes_in += (uint64_t)got;
    const size_t used = consume(l, s, l->chunk, (size_t)got);
    if (used < (size_t)got) {
        if (!buffer_append(&s->held, l->chunk + used, (size_t)got - used))
            expel(l, s, 1011);
        l->counts.bytes_copied += (size_t)got - used;
    } else if (got < LANE_CHUNK) {
        s->floods = 0; /* that was all it had to say */
    }
    end_part(l, s, got == LANE_CHUNK);
}

/* What was left: the rest of a message that had no room, then bytes that were not read. */
void input_go_on(lane *l, lane_slot *s)
{
    if (!input_wanted(s))
        return;
    if (s->dropping)
        buffer_clear(&s->message);
    else if (s->intake != NULL && half_heard(s)) {
        s->message.at += decode(l, s, s->message.bytes + s->message.at, s->message.end - s->message.at);
        if (s->message.at == s->message.end)
            buffer_clear(&s->message);
    }
    if (input_wanted(s) && s->held.end > s->held.at && !half_heard(s)) {
        s->held.at += consume(l, s, s->held.bytes + s->held.at, s->held.end - s->held.at);
        if (s->held.at == s->held.end)
            buffer_clear(&s->held);
    }
    end_part(l, s, 0);
}
