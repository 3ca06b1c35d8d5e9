/*
 * The lane: many clients' WebSockets behind one epoll descriptor, received, read and decoded without Python.
 * The other side of it, connections to vendors, is in lane_vendor.h.
 *
 * Operations
 *   lane_open, lane_close    the set; `lane_fd` is readable when there is something to do
 *   lane_add, lane_remove    a connection whose handshake is done; the caller owns the descriptor
 *   lane_read, lane_decode   what to do with what the client says
 *   lane_send, lane_shut     frames to the client, without waiting
 *   lane_run                 do all there is to do, in a bounded time; what Python should know are `reports`
 *
 * A socket's bytes are received into one buffer shared by all, unmasked there, and decoded from there into the
 * session's ring: one copy from the kernel to the samples. Other messages are handed up as copies.
 *
 * Under load packets gather: where a ring's readers wait for several, the socket is reported only when so many should
 * be there (SO_RCVLOWAT), and they are received and decoded together. That costs no time, for nobody reads a part of
 * them. How many bytes that is follows from the packets before, so it may be wrong: LANE_PATIENCE_NANOSECONDS after the
 * last of them should have come the socket is looked at in any case. While it gathers, a ping is answered and a short
 * text heard up to LANE_GATHERED samples' time later than they could be.
 *
 * Who floods us sits out: a client that filled the buffer, or for whose bytes its part of a call was too short, is not
 * looked at for LANE_SITS_OUT times as long as that took. So it has a small share of a core at most, also of one that is
 * idle: the others' chunks would come later for it. TCP slows the client down meanwhile. When that was so LANE_FLOODS
 * times and its socket was never empty, its part is LANE_FLOOD_NANOSECONDS, and comes as much more often: what others
 * said in the same call waits for it. Who had fallen behind has caught up by then.
 *
 * Vendors come first: a call in which one of them had something to say ends there, so that a result does not wait until
 * all that came from clients is decoded. The call after it looks at everybody.
 *
 * Invariants
 *   level-triggered; a socket is in the set only while something is wanted of it, and never after its end
 *   events carry slot and generation: what was fetched for a connection that has been removed is dropped
 *   of one socket reports come in the order in which the client spoke, but for LANE_AUDIO, which has no place in it
 *   no sample overwrites what a lossless cursor has not read: the socket is left alone until `lane_granted`
 *
 * Bounded: a call by LANE_EVENTS sockets and LANE_NANOSECONDS; one socket's part of it by one receive and
 * LANE_SOCKET_NANOSECONDS, and one packet more; what is held of one socket by LANE_CHUNK and one message; what
 * waits to be sent to it by one message, one pong and the close frame. In the steady state nothing is allocated.
 *
 * Threads: one at a time, any.
 */

#ifndef LISTEN_LANE_H
#define LISTEN_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "codec.h"
#include "ring.h"

/* cffi: begin */

#define LANE_EVENTS 64
#define LANE_NANOSECONDS 2000000
#define LANE_SOCKET_NANOSECONDS 400000
#define LANE_CHUNK 65536
#define LANE_SITS_OUT 48
#define LANE_FLOODS 16
#define LANE_FLOOD_NANOSECONDS 100000
#define LANE_TIMED 16
#define LANE_GATHERED 1600
#define LANE_PATIENCE_NANOSECONDS 1000000

/* What a report says. */
#define LANE_AUDIO 1   /* the ring has what was wanted, or `alarm` packets in a row were bad */
#define LANE_ROOM 2    /* `bytes` samples do not fit into the ring: nothing is read until lane_granted */
#define LANE_TEXT 3    /* a message: data, bytes */
#define LANE_BINARY 4
#define LANE_SENT 5    /* nothing waits to be sent any more; code -1: because nobody is there to read it */
#define LANE_CLOSED 6  /* the client says no more; code: its own, 1006 when it went without one */
#define LANE_EXPELLED 7 /* it broke the protocol, and was sent a close frame; code: that one's */
#define LANE_ENDED 8   /* the connection is over, after either of these */

/* How a socket is read. */
#define LANE_HOLD 0    /* not at all */
#define LANE_ONE 1     /* to the end of one message, then not */
#define LANE_ALL 2

/* What lane_send gives. */
#define LANE_WROTE 0
#define LANE_QUEUED 1  /* LANE_SENT will follow */
#define LANE_GONE -1
#define LANE_FULL -2   /* a message waits already; nothing was done */
#define LANE_NO_MEMORY -3

/* Where binary messages go when they need not pass through Python. The caller keeps it while it is in use. */
typedef struct {
    codec *codec;
    ring *ring;
    uint64_t piece_bytes; /* a longer message is decoded in pieces of this size; 0: whole */
    uint64_t margin;      /* samples of headroom to keep for spilling in good time */
    uint64_t keepalive;   /* messages of up to this many bytes are no audio: they are handed up */
    uint64_t alarm;       /* so many bad packets in a row are reported, once a run */
    /* counted here */
    uint64_t packets;
    uint64_t bad_packets;
    uint64_t samples;
    uint64_t concealed;
    uint64_t bad_run;
    uint64_t alarmed;     /* length of a run that has not been looked at */
    uint64_t heard_ns;    /* CLOCK_MONOTONIC when the last audio came; 0: none yet */
    uint64_t timed;       /* packets timed: one in LANE_TIMED */
    uint64_t receive_ns;  /* of these together: from the lane's turning to the socket to decoding it */
    uint64_t decode_ns;   /* of these together: in the codec, and resampling */
} lane_intake;

typedef struct {
    uint32_t slot;
    uint32_t generation;
    int32_t kind;
    int32_t code;
    const uint8_t *data; /* valid until the next lane_run */
    uint64_t bytes;
} lane_report;

/* Since the lane was opened. */
typedef struct {
    uint64_t runs;
    uint64_t waits;    /* epoll_wait */
    uint64_t receives; /* recv */
    uint64_t sends;    /* sendmsg */
    uint64_t controls; /* epoll_ctl */
    uint64_t settings; /* setsockopt and timerfd_settime */
    uint64_t overdue;  /* times that a packet was waited for in vain, see LANE_PATIENCE_NANOSECONDS */
    uint64_t sat_out;  /* times that a client was not looked at for a while, see LANE_SITS_OUT */
    uint64_t bytes_in;
    uint64_t bytes_copied; /* in user space, but for the samples that decoders write */
    uint64_t messages;
    uint64_t decoded;  /* of these, by the lane */
    uint64_t vendor_messages; /* of these, from vendors */
    uint64_t vendor_frames;   /* messages of audio that pumps sent, and their samples */
    uint64_t vendor_samples;
    uint64_t ready;           /* of the last run alone: sockets that it looked at, LANE_EVENTS when more are left */
    uint64_t vendors_only;    /* ... whether it was for vendors alone */
    uint64_t load;            /* thousandths of a core that the thread which runs the lane uses now */
} lane_counts;

typedef struct lane lane;

/* A lane for up to `slots` connections and messages up to `message_limit` bytes. NULL: errno in `error`. */
lane *lane_open(uint32_t slots, uint64_t message_limit, int *error);
void lane_close(lane *l);
int lane_fd(const lane *l);
const lane_counts *lane_counted(const lane *l);

/* Take a connection: its slot, -1 when all are taken. It is not read until lane_read. */
int64_t lane_add(lane *l, int fd);
uint32_t lane_generation(const lane *l, uint32_t slot);
/* Let go of it; must come before its descriptor is closed. */
void lane_remove(lane *l, uint32_t slot);

void lane_read(lane *l, uint32_t slot, int how);
/* Decode binary messages from now on; NULL: hand them up again. */
void lane_decode(lane *l, uint32_t slot, lane_intake *intake);
/* After LANE_ROOM: as much room as there can be has been made. */
void lane_granted(lane *l, uint32_t slot);

/*
 * Send one message
 * opcode          FRAME_TEXT or FRAME_BINARY
 * return          LANE_WROTE, LANE_QUEUED, LANE_GONE, LANE_FULL or LANE_NO_MEMORY
 */
int lane_send(lane *l, uint32_t slot, int opcode, const uint8_t *data, size_t bytes);

/* Bytes that wait until the socket takes them. */
size_t lane_waiting(const lane *l, uint32_t slot);

/* Whether the client has sent what was not read yet: because there was no time for it, or it is not to be read. */
int lane_unread(const lane *l, uint32_t slot);

/* Send a close frame, after what waits; messages of the client are dropped from now on. As lane_send. */
int lane_shut(lane *l, uint32_t slot, int code, const uint8_t *reason, size_t bytes);

/*
 * A descriptor that is readable so many nanoseconds after the last turn began, and then until this is called again;
 * with `vendors` also while one of them has said something.
 */
int lane_rest(lane *l, uint64_t nanoseconds, int vendors);

/*
 * Do what there is to do
 * return          How many reports lane_reports points to. Where `counts.vendors_only` is set they are of vendors, and
 *                 nobody else was looked at: the turn is over with one more call, which looks at all
 */
int lane_run(lane *l);
const lane_report *lane_reports(const lane *l);

/* cffi: end */

#endif
