/*
 * RFC 6455 frames, both sides: a reader of what the other side sends and a writer of frame heads.
 *
 * Operations
 *   frame_reader_init   a reader for one connection, after its handshake; `from_server` for a client's
 *   frame_read          take bytes as they come, give the next event
 *   frame_head          the head of an unmasked frame, as servers send it
 *   frame_head_masked   the head of a frame whose payload frame_mask masks, as clients send it
 *
 * The reader works on the caller's buffer: payload is unmasked where it lies and handed up from there, in as
 * many parts as the bytes came in. A message of one frame inside one buffer is one part: nothing is copied.
 * Only the head of a frame and the payload of a control frame (125 bytes) are kept between calls.
 *
 * Invariants
 *   however the stream is cut into calls, parts put together, control frames and the ending are the same
 *   what breaks the protocol ends the stream at the first byte that shows it: one FRAME_FAIL, then silence
 *   a text message handed up to its end is valid UTF-8
 *
 * Bounded: a message by `limit` bytes, known from the head, before its payload comes. No memory, no I/O.
 * Extensions are never agreed, so every reserved bit is an error.
 */

#ifndef LISTEN_FRAME_H
#define LISTEN_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* Kinds of events. FRAME_MORE: all bytes were taken and nothing is complete. */
#define FRAME_MORE 0
#define FRAME_PART 1
#define FRAME_PING 2
#define FRAME_PONG 3
#define FRAME_CLOSE 4
#define FRAME_FAIL 5

#define FRAME_TEXT 1
#define FRAME_BINARY 2
#define FRAME_OP_CLOSE 8
#define FRAME_OP_PING 9
#define FRAME_OP_PONG 10

/* Payload of a control frame, and the longest head of a frame that a server sends, in bytes. */
#define FRAME_CONTROL 125
#define FRAME_HEAD 10
/* The longest head of a frame that a client sends, and the masking key at its end. */
#define FRAME_MASKED_HEAD 14
#define FRAME_KEY 4

/* Close codes of RFC 6455 section 7.4 that the reader gives. */
#define FRAME_NO_CODE 1005
#define FRAME_PROTOCOL_ERROR 1002
#define FRAME_BAD_TEXT 1007
#define FRAME_TOO_BIG 1009

typedef struct {
    uint64_t limit;       /* longest message, in bytes */
    uint64_t message;     /* bytes of the message so far, all of the current frame included */
    uint64_t left;        /* payload bytes of the frame still to come */
    uint64_t mask;        /* the masking key twice, in memory order, its next byte first */
    uint8_t head[14];
    uint8_t head_have;
    uint8_t head_need;    /* grows as the head is read; 0: inside a payload */
    uint8_t opcode;       /* of the message under way: FRAME_TEXT, FRAME_BINARY or 0 */
    uint8_t begun;        /* a part of it has been handed up */
    uint8_t fin;
    uint8_t control;      /* opcode of the control frame being read, or 0 */
    uint8_t control_have;
    uint8_t from_server;  /* set after frame_reader_init: frames must not be masked, where clients' must be */
    uint8_t over;         /* a close frame was read, or the protocol was broken */
    uint8_t utf8_need;    /* bytes that the character under way still needs ... */
    uint8_t utf8_low;     /* ... the next one between these */
    uint8_t utf8_high;
    uint8_t control_payload[FRAME_CONTROL];
} frame_reader;

typedef struct {
    uint8_t *data;        /* FRAME_PART: in the caller's buffer; control frames: valid until the next call */
    uint64_t bytes;
    int32_t kind;
    int32_t opcode;       /* FRAME_PART: FRAME_TEXT or FRAME_BINARY */
    int32_t first;        /* FRAME_PART: the message begins, ends with this part */
    int32_t last;
    int32_t code;         /* FRAME_CLOSE: the client's code; FRAME_FAIL: the one to close with */
} frame_event;

/*
 * A reader for one connection
 * limit           Longest message in bytes; a longer one is FRAME_FAIL with FRAME_TOO_BIG
 */
void frame_reader_init(frame_reader *r, uint64_t limit);

/*
 * Read to the next event, or to the end of the bytes
 * data, bytes     What was received; payload in it is unmasked in place
 * event           Always filled in. For FRAME_CLOSE data is the reason, valid UTF-8
 * return          Bytes taken, at least 1 when `bytes` is: call again with the rest
 */
size_t frame_read(frame_reader *r, uint8_t *data, size_t bytes, frame_event *event);

/*
 * Head of an unmasked, unfragmented frame
 * out             Room for FRAME_HEAD bytes
 * return          Bytes written: 2, 4 or 10
 */
size_t frame_head(uint8_t *out, int opcode, uint64_t bytes);

/*
 * Head of a masked, unfragmented frame
 * out             Room for FRAME_MASKED_HEAD bytes
 * key             FRAME_KEY bytes that nobody can foresee (RFC 6455 section 5.3)
 * return          Bytes written: 6, 8 or 14
 */
size_t frame_head_masked(uint8_t *out, int opcode, uint64_t bytes, const uint8_t *key);

/* Copy payload, masked with the FRAME_KEY bytes of `key`. `out` may not overlap `data`. */
void frame_mask(uint8_t *out, const uint8_t *data, size_t bytes, const uint8_t *key);

/* Whether a close frame may carry the code (RFC 6455 section 7.4 and IANA's registry). */
int frame_close_code_valid(int code);

/* cffi: end */

#endif
