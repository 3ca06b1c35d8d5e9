/*
 * Energy gate: a cheap "maybe speech" for each hop of 10 or 20 ms, in front of a costly voice detector.
 *
 * It may say yes to what is not speech, and must not say no to speech.
 *
 *   band    y[n] = (x[n] + .. + x[n-3]) - (x[n-8] + .. + x[n-11])   passes about 300 to 1700 Hz at 16 kHz, where
 *           vowels are loudest; no offset of the converter, no rumble, a third of the band of white noise
 *   level   mean of y*y over the hop, / 8 (the filter's gain for white noise)
 *   floor   lowest smoothed level of the last one to two windows (minimum statistics, R. Martin 2001): speech
 *           dips to the noise within a second or two, steady noise never rises far above its own minimum
 *   loud    level > quiet, and level > ratio * floor or the first window is not over
 *   open    loud, or loud within the hangover
 *
 * Integers only, so that a slow model can equal it exactly.
 */

#ifndef LISTEN_GATE_H
#define LISTEN_GATE_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

#define GATE_LONGEST_HOP 320
#define GATE_HISTORY 11

typedef struct {
    int32_t hop;           /* samples in a hop, at most GATE_LONGEST_HOP */
    int32_t window;        /* hops in one window of the floor; also how long a new gate knows no floor */
    int32_t hangover;      /* hops that stay open after the last loud one */
    int32_t quiet;         /* level at or below which a hop is silence whatever the floor */
    int32_t ratio_percent; /* a hop is loud above this many per cent of the floor */
    int32_t open_hops;     /* hops the gate still stays open, this one included */
    int32_t window_hops;   /* hops seen in this window */
    int32_t filled;        /* samples in the unfinished hop */
    int64_t smoothed;      /* level, smoothed over about 4 hops; -1 before the first */
    int64_t lowest;        /* lowest `smoothed` of this window; -1 before its first hop */
    int64_t lowest_before; /* of the window before; -1 in the first window */
    int64_t hops;          /* hops seen */
    int64_t open_total;    /* hops that were "maybe speech" */
    int16_t samples[331];  /* GATE_HISTORY samples of the hop before, then the unfinished hop */
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
