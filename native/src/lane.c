#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lane_slot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_ROOM 512
#define KEPT_ROOM (64 * 1024)

int buffer_grow(buffer *b, size_t more)
{
    if (b->room - b->end >= more)
        return 1;
    size_t room = b->room ? b->room : FIRST_ROOM;
    while (room - b->end < more)
        room *= 2;
    uint8_t *bytes = realloc(b->bytes, room);
    if (bytes == NULL)
        return 0;
    b->bytes = bytes;
    b->room = room;
    return 1;
}

int buffer_append(buffer *b, const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 1;
    if (!buffer_grow(b, bytes))
        return 0;
    memcpy(b->bytes + b->end, data, bytes);
    b->end += bytes;
    return 1;
}

static void buffer_free(buffer *b)
{
    free(b->bytes);
    *b = (buffer){0};
}

void buffer_clear(buffer *b)
{
    if (b->room > KEPT_ROOM)
        buffer_free(b);
    b->at = 0;
    b->end = 0;
}

uint64_t lane_nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint32_t lane_index(const lane *l, const lane_slot *s)
{
    return (uint32_t)(s - l->slot);
}

void lane_report_add(lane *l, const lane_slot *s, int kind, int code, const uint8_t *data, uint64_t bytes)
{
    lane_report *report = &l->reports[l->reported++];
    *report = (lane_report){
        .slot = lane_index(l, s), .generation = s->generation, .kind = kind, .code = code, .bytes = bytes};
    if (data != NULL) {
        report->data = l->copies + l->copied;
        memcpy(l->copies + l->copied, data, bytes);
        l->copied += bytes;
        l->counts.bytes_copied += bytes;
    }
}

void lane_watch(lane *l, lane_slot *s)
{
    const int writes = s->out.end > s->out.at;
    const uint32_t wanted = (input_wanted(s) ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0);
    if (wanted == s->interest)
        return;
    struct epoll_event event = {.events = wanted, .data.u64 = (uint64_t)s->generation << 32 | lane_index(l, s)};
    const int how = wanted == 0 ? EPOLL_CTL_DEL : s->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    l->counts.controls++;
    epoll_ctl(s->dialled ? l->vendors : l->epoll, how, s->fd, &event);
    s->interest = wanted;
}

void lane_list(lane *l, lane_slot *s)
{
    const uint64_t one = 1;
    if (s->listed)
        return;
    if (l->listed == LANE_NONE && write(l->bell, &one, sizeof(one)) < 0)
        return; /* cannot be: the counter is far from full */
    s->listed = 1;
    s->next = l->listed;
    l->listed = lane_index(l, s);
}

static int set_up(lane *l, uint32_t slots)
{
    struct epoll_event bell = {.events = EPOLLIN, .data.u64 = LANE_BELL};
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->doze = epoll_create1(EPOLL_CLOEXEC);
    l->vendors = epoll_create1(EPOLL_CLOEXEC);
    l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->rest = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    l->reports = malloc((LANE_ENOUGH_REPORTS + LANE_BURST) * sizeof(*l->reports));
    l->copies = malloc(LANE_ENOUGH_BYTES + LANE_CHUNK + FRAME_CONTROL + vendor_message_limit(l));
    l->chunk = malloc(LANE_CHUNK);
    l->slot = calloc(slots, sizeof(*l->slot));
    if (l->epoll < 0 || l->doze < 0 || l->vendors < 0 || l->bell < 0 || l->rest < 0)
        return errno;
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->bell, &bell) < 0
        || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->vendors, &bell) < 0
        || epoll_ctl(l->doze, EPOLL_CTL_ADD, l->vendors, &bell) < 0
        || epoll_ctl(l->doze, EPOLL_CTL_ADD, l->rest, &bell) < 0)
        return errno;
    if (gather_set_up(l) < 0)
        return errno;
    return l->reports && l->copies && l->chunk && l->slot ? 0 : ENOMEM;
}

lane *lane_open(uint32_t slots, uint64_t message_limit, int *error)
{
    lane *l = slots == 0 || slots == LANE_NONE ? NULL : calloc(1, sizeof(*l));
    if (l == NULL) {
        *error = slots == 0 || slots == LANE_NONE ? EINVAL : ENOMEM;
        return NULL;
    }
    l->message_limit = message_limit;
    l->listed = LANE_NONE;
    l->timer = -1;
    l->key_at = sizeof(l->keys);
    *error = set_up(l, slots);
    if (*error != 0) {
        lane_close(l);
        return NULL;
    }
    l->slots = slots;
    for (uint32_t i = 0; i < slots; i++) {
        l->slot[i].fd = -1;
        l->slot[i].next = i + 1 < slots ? i + 1 : LANE_NONE;
    }
    return l;
}

void lane_close(lane *l)
{
    if (l == NULL)
        return;
    for (uint32_t i = 0; i < l->slots; i++)
        if (l->slot[i].fd >= 0)
            lane_remove(l, i);
    if (l->timer >= 0)
        close(l->timer);
    if (l->doze >= 0)
        close(l->doze);
    if (l->rest >= 0)
        close(l->rest);
    if (l->bell >= 0)
        close(l->bell);
    if (l->vendors >= 0)
        close(l->vendors);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l->reports);
    free(l->copies);
    free(l->chunk);
    buffer_free(&l->masked);
    free(l->slot);
    free(l);
}

int lane_fd(const lane *l)
{
    return l->epoll;
}

const lane_counts *lane_counted(const lane *l)
{
    return &l->counts;
}

const lane_report *lane_reports(const lane *l)
{
    return l->reports;
}

int lane_rest(lane *l, uint64_t nanoseconds, int vendors)
{
    const uint64_t at = l->began_ns + nanoseconds;
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at / 1000000000U), .tv_nsec = (long)(at % 1000000000U)}};
    l->counts.settings++;
    timerfd_settime(l->rest, TFD_TIMER_ABSTIME, &when, NULL); /* a time that is over expires at once */
    return vendors ? l->doze : l->rest;
}

int64_t lane_add(lane *l, int fd)
{
    const uint32_t index = l->free;
    if (index == LANE_NONE)
        return -1;
    lane_slot *s = &l->slot[index];
    const uint32_t generation = s->generation + 1;
    l->free = s->next;
    *s = (lane_slot){.fd = fd, .generation = generation, .may_gather = (uint8_t)gather_can(fd)};
    frame_reader_init(&s->reader, l->message_limit);
    return index;
}

uint32_t lane_generation(const lane *l, uint32_t slot)
{
    return l->slot[slot].generation;
}

static void unlist(lane *l, const lane_slot *s)
{
    uint32_t *link = &l->listed;
    while (*link != lane_index(l, s))
        link = &l->slot[*link].next;
    *link = s->next;
}

void lane_remove(lane *l, uint32_t slot)
{
    lane_slot *s = &l->slot[slot];
    if (s->listed)
        unlist(l, s);
    gather_forget(l, s);
    s->how = LANE_HOLD;
    buffer_free(&s->out);
    lane_watch(l, s);
    buffer_free(&s->held);
    buffer_free(&s->message);
    l->links -= s->dialled;
    *s = (lane_slot){.fd = -1, .generation = s->generation + 1, .next = l->free};
    l->free = slot;
}

void lane_read(lane *l, uint32_t slot, int how)
{
    lane_slot *s = &l->slot[slot];
    if (s->ended)
        return;
    s->how = (uint8_t)how;
    gather_stop(l, s);
    if (how != LANE_HOLD && input_left(s))
        lane_list(l, s);
    lane_watch(l, s);
}

void lane_decode(lane *l, uint32_t slot, lane_intake *intake)
{
    lane_slot *s = &l->slot[slot];
    s->intake = intake;
    s->packet_samples = 0;
    gather_stop(l, s);
    s->no_room = 0;
    s->granted = 0;
    if (intake == NULL) {
        s->dropping = 1;
        s->how = LANE_HOLD;
    }
    lane_watch(l, s);
}

void lane_granted(lane *l, uint32_t slot)
{
    lane_slot *s = &l->slot[slot];
    s->no_room = 0;
    s->granted = 1;
    lane_list(l, s);
    lane_watch(l, s);
}

int lane_enough(const lane *l)
{
    return l->reported > LANE_ENOUGH_REPORTS || l->copied > LANE_ENOUGH_BYTES;
}

static void look_at_listed(lane *l, uint64_t until)
{
    uint64_t rung;
    uint32_t next = l->listed;
    if (read(l->bell, &rung, sizeof(rung)) < 0)
        return; /* cannot be: it rings while there is a list */
    l->listed = LANE_NONE;
    while (next != LANE_NONE) {
        lane_slot *s = &l->slot[next];
        next = s->next;
        s->listed = 0;
        l->now = lane_nanoseconds();
        if (lane_enough(l) || l->now > until)
            lane_list(l, s);
        else
            input_go_on(l, s);
        lane_watch(l, s);
    }
}

static void look_at(lane *l, const struct epoll_event *event)
{
    const uint32_t index = (uint32_t)event->data.u64;
    const uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    lane_slot *s = &l->slot[index];
    if (s->fd < 0 || s->generation != generation)
        return;
    if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        output_flush(l, s);
    const int had_its_turn = s->listed; /* in this call already, or it comes first in the next */
    if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP) && input_wanted(s) && !had_its_turn) {
        if (input_left(s))
            input_go_on(l, s);
        else
            input_receive(l, s);
    }
    lane_watch(l, s);
}

/* The sockets of these events, while there is time; how many were looked at. */
static int look_at_ready(lane *l, const struct epoll_event *events, int ready, uint64_t until)
{
    int i = 0;
    l->now = lane_nanoseconds();
    /* The first is looked at however late it is: a thread that was made to wait here still gets on. */
    for (; i < ready && !lane_enough(l) && (i == 0 || l->now < until); i++) {
        if (events[i].data.u64 != LANE_BELL)
            look_at(l, &events[i]);
        l->now = lane_nanoseconds();
    }
    return i;
}

static int wait_for(lane *l, int epoll, struct epoll_event *events)
{
    const int ready = epoll_wait(epoll, events, LANE_EVENTS, 0);
    l->counts.waits++;
    return ready > 0 ? ready : 0;
}

int lane_run(lane *l)
{
    struct epoll_event events[LANE_EVENTS];
    const uint64_t began = lane_nanoseconds();
    const uint64_t until = began + LANE_NANOSECONDS;
    const int goes_on = l->counts.vendors_only != 0; /* with the turn that the last call began */
    l->counts.runs++;
    l->counts.vendors_only = 0;
    l->reported = 0;
    l->copied = 0;
    if (!goes_on)
        l->began_ns = began;
    vendor_weigh(l, began);
    gather_begin(l, began);
    if (l->links > 0) {
        look_at_ready(l, events, wait_for(l, l->vendors, events), until);
        if (l->reported > 0 && !goes_on) {
            l->counts.vendors_only = 1;
            l->counts.ready = LANE_EVENTS;
            return l->reported;
        }
    }
    const int ready = wait_for(l, l->epoll, events);
    l->counts.ready = (uint64_t)ready;
    if (l->listed != LANE_NONE)
        look_at_listed(l, until);
    const int looked_at = look_at_ready(l, events, ready, until);
    const int looked = gather_look(l, until);
    gather_set_timer(l);
    if (looked_at < ready || !looked || l->listed != LANE_NONE)
        l->counts.ready = LANE_EVENTS;
    return l->reported;
}
