/*
 * Inside the lane: one connection, and what its input (lane_input.c), output (lane_output.c),
 * vendors (lane_vendor.c) and what gathers in the kernel (lane_gather.c) need of the set.
 */

#ifndef LISTEN_LANE_SLOT_H
#define LISTEN_LANE_SLOT_H

#include "frame.h"
#include "lane.h"
#include "lane_vendor.h"

#define LANE_TICK_BITS 20 /* of nanoseconds: a tick is 1.05 ms */
#define LANE_TICKS 256

/* Bytes [at, end) of memory that grows. */
typedef struct {
    uint8_t *bytes;
    size_t at;
    size_t end;
    size_t room;
} buffer;

typedef struct {
    int fd;              /* -1: free */
    uint32_t generation; /* of who has the slot */
    uint32_t interest;   /* what epoll watches; 0: not in the set */
    uint32_t next;       /* in the list of free slots, or of those to be looked at without an event */
    uint8_t listed;      /* it is in the latter */
    uint8_t dialled;     /* the other side is a vendor: it is we who mask */
    uint8_t how;         /* LANE_HOLD, LANE_ONE, LANE_ALL */
    uint8_t no_room;     /* waits for lane_granted */
    uint8_t granted;     /* the next piece needs no margin */
    uint8_t dropping;    /* we have closed: messages mean nothing any more */
    uint8_t deaf;        /* nothing the client sends is read as frames any more */
    uint8_t close_sent;
    uint8_t closed;      /* LANE_CLOSED or LANE_EXPELLED was reported */
    uint8_t ended;       /* end of file, or an error */
    uint8_t broken;      /* cannot be written to */
    uint8_t pong_waits;
    uint8_t pong_bytes;
    uint8_t pong[FRAME_CONTROL];
    uint8_t may_gather;  /* a TCP socket: epoll heeds SO_RCVLOWAT */
    uint8_t gathers;     /* it is in `gathering`, under `tick` */
    uint8_t sits_out;    /* ... until when it is left alone */
    uint8_t floods;      /* times that it sat out since its socket was empty, LANE_FLOODS at most */
    uint32_t before;     /* its neighbours there */
    uint32_t after;
    uint64_t tick;
    uint32_t lowat;      /* bytes below which the socket is not reported; 0 and 1: at once */
    uint32_t packet_bytes;   /* of its messages of audio on the wire, about */
    uint32_t packet_samples; /* of the last one */
    frame_reader reader;
    lane_intake *intake;
    buffer held;         /* received, not read: there was no room, or one message was asked for */
    buffer message;      /* a message that came in parts, or waits for room */
    buffer out;          /* frames that the socket did not take */
} lane_slot;

/* How long it may be read in a call, in ns. */
static inline uint64_t slot_part(const lane_slot *s)
{
    return s->floods < LANE_FLOODS ? LANE_SOCKET_NANOSECONDS : LANE_FLOOD_NANOSECONDS;
}

struct lane {
    int epoll;
    int vendors;         /* epoll in the set: the sockets of vendors */
    int rest;            /* timerfd, not in the set: the caller's pauses */
    int doze;            /* epoll, not in the set: `rest` and `vendors` */
    int bell;            /* eventfd in the set: there are listed slots */
    uint32_t slots;
    uint32_t links;      /* vendors' connections, of these */
    uint32_t free;       /* first free slot, LANE_NONE without */
    uint32_t listed;     /* first slot to be looked at, LANE_NONE without */
    uint64_t message_limit;
    uint64_t now;        /* CLOCK_MONOTONIC, ns, at the beginning of the event */
    uint64_t began_ns;   /* ... and at the beginning of the last lane_run */
    uint64_t weighed_ns; /* when the load was looked at, ... */
    uint64_t used_ns;    /* ... and what the thread had used then */
    size_t key_at;       /* bytes used of `keys` */
    uint8_t keys[256];   /* for masking, unforeseeable */
    buffer masked;       /* the payload that is being sent to a vendor */
    lane_counts counts;
    int reported;
    lane_report *reports;
    size_t copied;       /* bytes used of `copies` */
    uint8_t *copies;     /* what reports point to */
    uint8_t *chunk;      /* what recv fills */
    int timer;           /* timerfd in the set, for `gathering` */
    uint64_t rings_at;   /* when it expires, CLOCK_MONOTONIC, ns; 0: never */
    uint64_t ticked;     /* ticks before this one are over: nothing gathers under them */
    uint32_t gathering[LANE_TICKS]; /* by tick: first of the slots to be looked at then, LANE_NONE without */
    uint32_t gatherers;
    lane_slot *slot;
};

#define LANE_NONE UINT32_MAX
#define LANE_BELL UINT64_MAX /* in events: not a slot, but something else that wakes */

/* One event of one socket makes at most this many reports: a frame has 6 bytes at least. */
#define LANE_BURST (LANE_CHUNK / 6 + 8)
/* A call stops looking at more sockets beyond these. */
#define LANE_ENOUGH_REPORTS 4096
#define LANE_ENOUGH_BYTES (256 * 1024)

/* Room for `more` bytes behind `end`. 0: no memory. */
int buffer_grow(buffer *b, size_t more);
int buffer_append(buffer *b, const uint8_t *data, size_t bytes);
/* Empty; memory is kept unless it is much. */
void buffer_clear(buffer *b);

void lane_report_add(lane *l, const lane_slot *s, int kind, int code, const uint8_t *data, uint64_t bytes);
/* Watch for what is wanted of the socket now. */
void lane_watch(lane *l, lane_slot *s);
/* Look at the slot in the next lane_run, whatever epoll says. */
void lane_list(lane *l, lane_slot *s);
uint32_t lane_index(const lane *l, const lane_slot *s);
/* Whether a call has made so many reports that no other socket is looked at. */
int lane_enough(const lane *l);
/* CLOCK_MONOTONIC */
uint64_t lane_nanoseconds(void);

/* lane_input.c */
int input_wanted(const lane_slot *s);
int input_left(const lane_slot *s);
void input_receive(lane *l, lane_slot *s);
void input_go_on(lane *l, lane_slot *s);

/* lane_output.c */
int output_frame(lane *l, lane_slot *s, int opcode, const uint8_t *data, size_t bytes);
void output_flush(lane *l, lane_slot *s);
void output_pong(lane *l, lane_slot *s, const uint8_t *data, size_t bytes);
int output_close(lane *l, lane_slot *s, int code, const uint8_t *reason, size_t bytes);

/* lane_gather.c */
int gather_set_up(lane *l);
int gather_can(int fd);
void gather_heard(lane_slot *s, size_t bytes, uint64_t samples);
void gather_on(lane *l, lane_slot *s);
void gather_stop(lane *l, lane_slot *s);
void gather_sit_out(lane *l, lane_slot *s);
void gather_forget(lane *l, lane_slot *s);
void gather_begin(lane *l, uint64_t now);
int gather_look(lane *l, uint64_t until);
void gather_set_timer(lane *l);

/* lane_vendor.c */
/* Where the pump will send its next message; UINT64_MAX: nowhere for now. */
uint64_t vendor_target(const lane *l, const lane_pump *p);
uint64_t vendor_message_limit(const lane *l);
void vendor_pump(lane *l, lane_pump *p);
const uint8_t *vendor_key(lane *l);
void vendor_weigh(lane *l, uint64_t now);

#endif
