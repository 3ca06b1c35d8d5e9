/*
 * Ring of decoded audio: signed 16 bit samples, 16 kHz, mono, in memory that is mapped twice.
 *
 * Operations
 *   open, free      map and unmap; `ring_reset` makes a used ring new again and keeps its warm pages
 *   reserve, commit write in two steps, so that a decoder writes where the samples will stay
 *   cursor_*        up to RING_CURSORS readers, each with its own position
 *
 * Invariants
 *   written - position <= capacity for every open cursor
 *   position <= written; positions count samples since the start and never wrap (64 bit)
 *   a lossless cursor is never overrun: the commit that would do it is refused and changes nothing
 *   any window of up to `capacity` samples is contiguous in memory, also over the end of the buffer
 *
 * Memory: one page for this struct, then `capacity` samples; the samples are mapped a second time directly
 * behind the first. Two maps, no file descriptor, nothing from malloc. One owner frees all of it.
 *
 * Cost: see `python -m bench.ring`. The first pass over new pages costs 3 us and more for each 4 KiB.
 *
 * Threads: none of these functions locks. Whoever calls them sees to it that one thread does at a time.
 */

#ifndef LISTEN_RING_H
#define LISTEN_RING_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

#define RING_CURSORS 8

/* What a cursor slot is used for. */
#define CURSOR_FREE 0
#define CURSOR_LOSSY 1
#define CURSOR_LOSSLESS 2

typedef struct {
    uint64_t position;  /* the next sample to be read */
    uint64_t overrun;   /* samples that were overwritten unread (lossy only) */
    int32_t use;        /* CURSOR_FREE, CURSOR_LOSSY or CURSOR_LOSSLESS */
    int32_t reserved;
} ring_cursor;

typedef struct {
    int16_t *samples;   /* `capacity` samples, twice in a row */
    uint64_t capacity;  /* in samples; a whole number of pages */
    uint64_t written;   /* samples ever written = position of the next one */
    uint64_t header;    /* bytes from the start of this struct to `samples` */
    uint64_t wanted;    /* a native writer tells when `written` gets here, then sets RING_NOTHING_WANTED */
    void *pump;         /* the lane_pump that sends what is written; NULL: none */
    ring_cursor cursors[RING_CURSORS];
} ring;

/*
 * Map a ring
 * samples         Least capacity; rounded up to whole pages
 * error           Set to errno when the result is NULL
 * return          The ring, or NULL
 */
ring *ring_open(uint64_t samples, int *error);
void ring_free(ring *r);

/* Positions and `wanted` back to 0, cursors closed, no pump; the samples stay in memory but cannot be reached by position. */
void ring_reset(ring *r);

/* Samples that can be written before the slowest lossless cursor is overrun; `capacity` without one. */
uint64_t ring_headroom(const ring *r);

/* Where the next samples go: room for `capacity` in a row. What is there now is older than any window. */
int16_t *ring_reserve(ring *r);

/*
 * Make `samples` samples behind `written` readable
 * return          0, or -1 when that would overrun a lossless cursor (nothing has changed then)
 */
int ring_commit(ring *r, uint64_t samples);

/* Copy `samples` samples in and commit them; same result as ring_commit. */
int ring_write(ring *r, const int16_t *pcm, uint64_t samples);

/*
 * Open a reader
 * use             CURSOR_LOSSY or CURSOR_LOSSLESS
 * position        First sample to read; between the oldest sample held and `written`
 * return          Its slot, -1 when all slots are taken, -2 when `position` is outside
 */
int ring_cursor_open(ring *r, int use, uint64_t position);

/* cffi: end */

#endif
