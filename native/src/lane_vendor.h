/*
 * The vendors' side of the lane: connections that we opened, and audio that goes out on them without Python.
 *
 * Operations
 *   lane_dial                        a connection to a vendor whose handshake is done
 *   lane_pump_open, lane_pump_close  what comes into a ring goes to a vendor, in binary messages of bare samples
 *   lane_pump_run                    send what there is, where the ring was not written by the lane
 *
 * A pump sends when its ring has a message's worth: right after a client's packet was decoded, in the same call. How
 * much that is grows with the share of a core that the calling thread uses: `least` up to LANE_IDLE, `most` from
 * LANE_BUSY on, in proportion between. Samples are masked on their way from the ring to one sendmsg.
 *
 * A pump knows nothing but to send on. Whatever else is the matter stops it, and what stopped it is for the caller:
 * it is not run again, `position` is the next sample to be sent, and everything before has been handed to the
 * socket or waits in front of anything else that is sent.
 *
 * Invariants
 *   messages leave in the order of their samples, each sample once; none leaves while `held`
 *   no sample is sent that the ring may have written over: the cursor's position is never passed by the writer
 *   a socket that takes no more stops the pump; at most one message waits for it
 *   everything a vendor says is handed up in order, control frames apart: pings are answered, pongs are reported
 *
 * Bounded: a message of a vendor by LANE_VENDOR_MESSAGE, or the clients' limit where that is larger, one run by the
 * burst that the pace allows.
 *
 * Known doubts: what the vendor's pace does not let go yet goes when more audio comes, not by a clock: the last of what
 * was behind waits for whoever flushes it. The share of a core is the thread's own: a machine that is busy otherwise
 * does not make messages longer.
 */

#ifndef LISTEN_LANE_VENDOR_H
#define LISTEN_LANE_VENDOR_H

#include "gate.h"
#include "lane.h"

/* cffi: begin */

#define LANE_VENDOR_MESSAGE 4194304

/* Shares of a core in thousandths, and how often they are looked at. */
#define LANE_IDLE 50
#define LANE_BUSY 250
#define LANE_WEIGH_NANOSECONDS 100000000

/* What a report says of a vendor's connection, beside those of lane.h. LANE_CLOSED comes with the reason. */
#define LANE_PUMPED 16 /* the pump has got to `tell`, or has stopped */
#define LANE_PONG 17   /* data, bytes */

/* Why a pump stopped. */
#define PUMP_RUNS 0
#define PUMP_BLOCKED 1 /* the socket took not all: the rest goes out by itself, LANE_SENT follows */
#define PUMP_CREDIT 2  /* as many messages as may be are unacknowledged */
#define PUMP_PASSED 3  /* the ring's cursor has passed it: the samples are elsewhere now */
#define PUMP_GONE 4    /* nobody is there */

/* Messages of which it is known when they went: 25 s of audio when busy, 5 s when idle. */
#define PUMP_LOG 256

typedef struct {
    uint64_t end; /* position behind the message */
    uint64_t ns;  /* CLOCK_MONOTONIC */
} lane_sent;

/* The caller keeps it, and all it points to, until lane_pump_close. */
typedef struct {
    ring *ring;
    ring_cursor *cursor;   /* a lossless one: samples before it may be gone */
    gate *gate;            /* hears what is sent */
    uint64_t position;     /* the next sample to be sent */
    uint64_t least;        /* samples in a message: when idle, ... */
    uint64_t most;         /* ... when busy, and when there are more */
    uint64_t credit;       /* messages that may still go */
    uint64_t tell;         /* LANE_PUMPED when `position` gets here, then UINT64_MAX */
    uint64_t sample_ns;    /* time that a sample takes at the vendor's pace */
    uint64_t burst_ns;     /* audio may be so late and still go at once */
    uint64_t free_ns;      /* CLOCK_MONOTONIC when the next sample may go at that pace */
    uint32_t slot;         /* the vendor's connection */
    uint32_t generation;
    int32_t held;          /* nothing is sent for now */
    int32_t stopped;       /* PUMP_RUNS, or why */
    /* counted here */
    uint64_t messages;
    uint64_t sent_ns;      /* CLOCK_MONOTONIC of the last message */
    uint64_t speech_until; /* end of the last message in which the gate heard speech; 0: none */
    uint64_t speech_ns;    /* CLOCK_MONOTONIC of the first such message since this was set to 0 */
    int32_t speaking;      /* whether the last message was one */
    int32_t reserved;
    lane_sent log[PUMP_LOG];
} lane_pump;

/*
 * Take a connection that we opened, after its handshake; it is read from lane_read on
 * data, bytes     What came behind the handshake's answer
 * return          Its slot; -1 when all are taken, -2 without memory
 */
int64_t lane_dial(lane *l, int fd, const uint8_t *data, size_t bytes);

/* Send what comes into the pump's ring to `slot`, from the pump's position on. One pump a ring. */
void lane_pump_open(lane *l, lane_pump *p, uint32_t slot);
void lane_pump_close(lane_pump *p);

/* Send what there is. Makes no report: look at `stopped` and `position`. */
void lane_pump_run(lane *l, lane_pump *p);

/* Samples that make a message at `load` thousandths of a core. */
uint64_t lane_pump_chunk(const lane_pump *p, uint64_t load);

/* When the sample before `position` was sent, CLOCK_MONOTONIC; 0 when that is not known, or it was not. */
uint64_t lane_pump_sent_at(const lane_pump *p, uint64_t position);

/* cffi: end */

#endif
