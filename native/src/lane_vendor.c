#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lane_slot.h"

#include <sys/random.h>
#include <time.h>

uint64_t vendor_message_limit(const lane *l)
{
    return l->message_limit > LANE_VENDOR_MESSAGE ? l->message_limit : LANE_VENDOR_MESSAGE;
}

int64_t lane_dial(lane *l, int fd, const uint8_t *data, size_t bytes)
{
    const int64_t slot = lane_add(l, fd);
    if (slot < 0)
        return slot;
    lane_slot *s = &l->slot[slot];
    frame_reader_init(&s->reader, vendor_message_limit(l));
    s->reader.from_server = 1;
    s->dialled = 1;
    l->links++;
    if (buffer_append(&s->held, data, bytes))
        return slot;
    lane_remove(l, (uint32_t)slot);
    return -2;
}

void lane_pump_open(lane *l, lane_pump *p, uint32_t slot)
{
    p->slot = slot;
    p->generation = l->slot[slot].generation;
    p->ring->pump = p;
}

void lane_pump_close(lane_pump *p)
{
    if (p->ring->pump == p)
        p->ring->pump = NULL;
}

uint64_t lane_pump_chunk(const lane_pump *p, uint64_t load)
{
    const uint64_t above = load <= LANE_IDLE ? 0 : load >= LANE_BUSY ? LANE_BUSY - LANE_IDLE : load - LANE_IDLE;
    return p->least + (p->most - p->least) * above / (LANE_BUSY - LANE_IDLE);
}

uint64_t vendor_target(const lane *l, const lane_pump *p)
{
    return p->held || p->stopped != PUMP_RUNS ? UINT64_MAX : p->position + lane_pump_chunk(p, l->counts.load);
}

/* So many samples go now: when the next may, at the vendor's pace. */
static void keep_pace(lane_pump *p, uint64_t samples, uint64_t now)
{
    const uint64_t earliest = now > p->burst_ns ? now - p->burst_ns : 0;
    p->free_ns = (p->free_ns > earliest ? p->free_ns : earliest) + samples * p->sample_ns;
}

static void hear(lane_pump *p, const int16_t *pcm, uint64_t samples, uint64_t now)
{
    p->speaking = gate_process(p->gate, pcm, (size_t)samples);
    if (!p->speaking)
        return;
    p->speech_until = p->position + samples;
    if (p->speech_ns == 0)
        p->speech_ns = now;
}

/* One message. Returns why no other may follow. */
static int send_one(lane *l, lane_slot *s, lane_pump *p, uint64_t samples, uint64_t now)
{
    const int16_t *pcm = p->ring->samples + p->position % p->ring->capacity;
    if (s->generation != p->generation || s->broken || s->close_sent || s->closed)
        return PUMP_GONE;
    if (p->position < p->cursor->position)
        return PUMP_PASSED;
    if (s->out.end > s->out.at)
        return PUMP_BLOCKED;
    if (p->credit == 0)
        return PUMP_CREDIT;
    const int sent = output_frame(l, s, FRAME_BINARY, (const uint8_t *)pcm, (size_t)samples * sizeof(*pcm));
    if (sent < 0)
        return PUMP_GONE;
    keep_pace(p, samples, now);
    hear(p, pcm, samples, now);
    p->position += samples;
    p->credit--;
    p->log[p->messages % PUMP_LOG] = (lane_sent){.end = p->position, .ns = now};
    p->messages++;
    p->sent_ns = now;
    l->counts.vendor_frames++;
    l->counts.vendor_samples += samples;
    return sent == LANE_QUEUED ? PUMP_BLOCKED : PUMP_RUNS;
}

uint64_t lane_pump_sent_at(const lane_pump *p, uint64_t position)
{
    uint64_t low = p->messages > PUMP_LOG ? p->messages - PUMP_LOG : 0;
    uint64_t high = p->messages;
    if (low == high || position > p->position)
        return 0;
    const lane_sent *oldest = &p->log[low % PUMP_LOG];
    while (low < high) { /* the first message that ends at `position` or behind it */
        const uint64_t middle = (low + high) / 2;
        if (p->log[middle % PUMP_LOG].end < position)
            low = middle + 1;
        else
            high = middle;
    }
    const lane_sent *found = &p->log[low % PUMP_LOG];
    return found == oldest ? (position == found->end ? found->ns : 0) : found->ns;
}

void lane_pump_run(lane *l, lane_pump *p)
{
    const uint64_t chunk = lane_pump_chunk(p, l->counts.load);
    const uint64_t now = lane_nanoseconds();
    while (!p->held && p->stopped == PUMP_RUNS && p->free_ns <= now && p->ring->written - p->position >= chunk) {
        const uint64_t there = p->ring->written - p->position;
        p->stopped = send_one(l, &l->slot[p->slot], p, there < p->most ? there : p->most, now);
    }
}

void vendor_pump(lane *l, lane_pump *p)
{
    if (p->held || p->stopped != PUMP_RUNS)
        return;
    lane_pump_run(l, p);
    if (p->stopped == PUMP_RUNS && p->position < p->tell)
        return;
    p->tell = UINT64_MAX;
    if (l->slot[p->slot].generation == p->generation)
        lane_report_add(l, &l->slot[p->slot], LANE_PUMPED, p->stopped, NULL, 0);
}

const uint8_t *vendor_key(lane *l)
{
    if (l->key_at == sizeof(l->keys)) {
        size_t have = 0;
        while (have < sizeof(l->keys)) { /* as few as 256 bytes are never cut short, but for a signal */
            const ssize_t got = getrandom(l->keys + have, sizeof(l->keys) - have, 0);
            have += got > 0 ? (size_t)got : 0;
        }
        l->key_at = 0;
    }
    l->key_at += FRAME_KEY;
    return l->keys + l->key_at - FRAME_KEY;
}

void vendor_weigh(lane *l, uint64_t now)
{
    struct timespec t;
    if (now - l->weighed_ns < LANE_WEIGH_NANOSECONDS)
        return;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    const uint64_t used = (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
    if (l->weighed_ns != 0 && used >= l->used_ns)
        l->counts.load = (l->counts.load + (used - l->used_ns) * 1000 / (now - l->weighed_ns)) / 2;
    l->used_ns = used;
    l->weighed_ns = now;
}
