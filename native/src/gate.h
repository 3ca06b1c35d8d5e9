/*
 * Energy gate: a cheap "maybe speech" for each hop of 10 or 20 ms, in front of a costly voice detector.
 *
 * It may say yes to what is not speech, and must not say no to speech. A hop's level is its mean square
 * without its mean (so an offset of the converter counts as nothing). The noise floor is the lowest smoothed
 * level of the last one to two windows (minimum statistics, after R. Martin, 2001): speech always dips to
 * the noise within a second or two, stationary noise never rises far above its own minimum.
 *
 * Integers only, so that a slow model can equal it exactly.
 */

#ifndef LISTEN_GATE_H
#define LISTEN_GATE_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

typedef struct {
    int32_t hop;           /* samples in a hop */
    int32_t window;        /* hops in one window of the floor; also how long a new gate says yes */
    int32_t hangover;      /* hops that stay open after the last loud one */
    int32_t quiet;         /* level (mean square) at or below which a hop is silence whatever the floor */
    int32_t ratio_percent; /* a hop is loud from this many per cent of the floor */
    int32_t open_hops;     /* hops the gate still stays open */
    int64_t smoothed;      /* level, smoothed over about 4 hops; -1 before the first */
    int64_t lowest;        /* lowest `smoothed` of this window; -1 before the first */
    int64_t lowest_before; /* of the window before; -1 in the first window */
    int32_t window_hops;   /* hops seen in this window */
    int32_t filled;        /* samples in the unfinished hop */
    int64_t sum;           /* of the unfinished hop's samples */
    int64_t squares;       /* of the unfinished hop's samples, squared */
    int64_t hops;          /* hops seen */
    int64_t open_total;    /* hops that were "maybe speech" */
} gate;

/* Set up a gate in memory of the caller's. */
void gate_init(gate *g, int hop, int window, int hangover, int quiet, int ratio_percent);

/*
 * Hear `count` samples
 * return          1 when any hop that ended in them was "maybe speech"; when none ended, whether the last was
 */
int gate_process(gate *g, const int16_t *pcm, size_t count);

/* cffi: end */

#endif
