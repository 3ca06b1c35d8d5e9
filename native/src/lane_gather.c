#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lane_slot.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define SAMPLE_NANOSECONDS 62500U
#define MEAN_OF 8 /* packets, about */

int gather_set_up(lane *l)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LANE_BELL};
    for (int i = 0; i < LANE_TICKS; i++)
        l->gathering[i] = LANE_NONE;
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return l->timer < 0 ? -1 : epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &event);
}

int gather_can(int fd)
{
    int protocol = 0;
    socklen_t size = sizeof(protocol);
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_TCP;
}

/* A message of audio: what the next ones will be like. */
void gather_heard(lane_slot *s, size_t bytes, uint64_t samples)
{
    const size_t wire = bytes + (bytes < 126 ? 6 : bytes < 65536 ? 8 : 14);
    const uint32_t before = s->packet_samples == 0 ? (uint32_t)wire : s->packet_bytes;
    s->packet_bytes = (uint32_t)((before * (MEAN_OF - 1) + wire + MEAN_OF - 1) / MEAN_OF);
    s->packet_samples = (uint32_t)samples;
}

static void unlink_slot(lane *l, lane_slot *s)
{
    if (!s->gathers)
        return;
    if (s->before == LANE_NONE)
        l->gathering[s->tick % LANE_TICKS] = s->after;
    else
        l->slot[s->before].after = s->after;
    if (s->after != LANE_NONE)
        l->slot[s->after].before = s->before;
    s->gathers = 0;
    s->sits_out = 0;
    l->gatherers--;
}

static void link_slot(lane *l, lane_slot *s, uint64_t due)
{
    const uint64_t tick = due >> LANE_TICK_BITS;
    const uint32_t index = lane_index(l, s);
    if (s->gathers && s->tick == tick)
        return;
    unlink_slot(l, s);
    uint32_t *first = &l->gathering[tick % LANE_TICKS];
    s->tick = tick;
    s->before = LANE_NONE;
    s->after = *first;
    if (s->after != LANE_NONE)
        l->slot[s->after].before = index;
    *first = index;
    s->gathers = 1;
    l->gatherers++;
}

static void set_lowat(lane *l, lane_slot *s, uint32_t bytes)
{
    const int value = (int)bytes;
    const uint32_t slack = bytes == 1 ? 0 : s->packet_bytes / 4; /* not for every packet that is a little larger */
    if ((s->lowat <= bytes && s->lowat + slack >= bytes) || (bytes == 1 && s->lowat == 0))
        return;
    l->counts.settings++;
    setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
    s->lowat = bytes;
}

/* The connection is no more. */
void gather_forget(lane *l, lane_slot *s)
{
    unlink_slot(l, s);
}

/* It has had more than its part: it is not looked at for a while. */
void gather_sit_out(lane *l, lane_slot *s)
{
    const uint64_t used = lane_nanoseconds() - l->now, most = slot_part(s);
    const uint64_t part = used < most ? used : most;
    gather_stop(l, s);
    s->floods += s->floods < LANE_FLOODS;
    l->counts.sat_out++;
    link_slot(l, s, l->now + used + LANE_SITS_OUT * part);
    s->sits_out = 1;
}

/* What comes next is received at once, or when the client has sat out. */
void gather_stop(lane *l, lane_slot *s)
{
    if (s->sits_out)
        return;
    unlink_slot(l, s);
    if (s->fd >= 0)
        set_lowat(l, s, 1);
}

/* Messages until a reader of the ring has what it waits for, if that is all there is to wait for. */
static uint64_t awaited(const lane *l, const lane_slot *s)
{
    const lane_intake *in = s->intake;
    if (!s->may_gather || in == NULL || s->packet_samples == 0 || l->counts.load <= LANE_IDLE)
        return 1;
    if (!input_wanted(s) || s->deaf || input_left(s) || s->reader.begun)
        return 1;
    const uint64_t pump = in->ring->pump == NULL ? UINT64_MAX : vendor_target(l, in->ring->pump);
    const uint64_t target = pump < in->ring->wanted ? pump : in->ring->wanted;
    if (target == UINT64_MAX || target <= in->ring->written)
        return 1;
    const uint64_t samples = target - in->ring->written;
    const uint64_t most = samples < LANE_GATHERED ? samples : LANE_GATHERED;
    return (most + s->packet_samples - 1) / s->packet_samples;
}

/* After what came was read: let as many packets gather as somebody waits for. */
void gather_on(lane *l, lane_slot *s)
{
    const uint64_t packets = s->ended ? 1 : awaited(l, s);
    if (packets < 2) {
        gather_stop(l, s);
        return;
    }
    /* More than one packet less: packets differ, and it is better to look too early than too late. */
    set_lowat(l, s, (uint32_t)(packets - 1) * s->packet_bytes + 1);
    link_slot(l, s, l->now + packets * s->packet_samples * SAMPLE_NANOSECONDS + LANE_PATIENCE_NANOSECONDS);
}

/* A call begins: ticks in which nobody gathered are over, else who gathers from now on would be taken for theirs. */
void gather_begin(lane *l, uint64_t now)
{
    if (l->gatherers == 0)
        l->ticked = now >> LANE_TICK_BITS;
}

/* The time of its tick is over. */
static void look_at_gatherer(lane *l, lane_slot *s)
{
    const int sat_out = s->sits_out;
    unlink_slot(l, s);
    l->counts.overdue += !sat_out;
    if (sat_out && input_left(s))
        input_go_on(l, s);
    else if (input_wanted(s))
        input_receive(l, s);
    lane_watch(l, s);
}

/* Look at those whose time has come. 0: there was no time for all. */
int gather_look(lane *l, uint64_t until)
{
    const uint64_t tick = lane_nanoseconds() >> LANE_TICK_BITS;
    if (tick - l->ticked > LANE_TICKS)
        l->ticked = tick - LANE_TICKS;
    for (; l->ticked < tick; l->ticked++) {
        const uint32_t *first = &l->gathering[l->ticked % LANE_TICKS];
        while (*first != LANE_NONE) {
            lane_slot *s = &l->slot[*first];
            l->now = lane_nanoseconds();
            if (lane_enough(l) || l->now > until)
                return 0;
            look_at_gatherer(l, s);
        }
    }
    return 1;
}

/* Be woken for the first that is due. */
void gather_set_timer(lane *l)
{
    uint64_t due = 0;
    for (uint64_t i = 0; i < LANE_TICKS && l->gatherers > 0 && due == 0; i++)
        if (l->gathering[(l->ticked + i) % LANE_TICKS] != LANE_NONE)
            due = (l->ticked + i + 1) << LANE_TICK_BITS;
    if (due == l->rings_at)
        return;
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(due / 1000000000U), .tv_nsec = (long)(due % 1000000000U)}};
    l->counts.settings++;
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL); /* 0: never; what has expired is forgotten */
    l->rings_at = due;
}
