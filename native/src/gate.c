#include "gate.h"

#include <string.h>

_Static_assert(sizeof(((gate *)0)->samples) == (GATE_HISTORY + GATE_LONGEST_HOP) * sizeof(int16_t),
               "a hop and what its filter looks back on");

void gate_init(gate *g, int hop, int window, int hangover, int quiet, int ratio_percent)
{
    memset(g, 0, sizeof(*g));
    g->hop = hop;
    g->window = window;
    g->hangover = hangover;
    g->quiet = quiet;
    g->ratio_percent = ratio_percent;
    g->smoothed = g->lowest = g->lowest_before = -1;
}

/* The lower of two levels, of which one may be missing (-1). */
static int64_t lower(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

static int64_t hop_level(const gate *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->hop; i++) {
        const int16_t *x = g->samples + i; /* x[11] is the newest of the twelve */
        const int y = (x[11] + x[10] + x[9] + x[8]) - (x[3] + x[2] + x[1] + x[0]);
        sum += (int64_t)y * y;
    }
    return sum / (8 * g->hop);
}

static void track_floor(gate *g, int64_t level)
{
    g->smoothed = g->smoothed < 0 ? level : (3 * g->smoothed + level) / 4;
    g->lowest = lower(g->lowest, g->smoothed);
}

static void end_window(gate *g)
{
    g->lowest_before = g->lowest;
    g->lowest = -1;
    g->window_hops = 0;
}

static void end_hop(gate *g)
{
    const int64_t level = hop_level(g);
    track_floor(g, level);
    const int64_t floor = lower(g->lowest, g->lowest_before);
    const int settling = g->hops < g->window;
    if (level > g->quiet && (settling || 100 * level > g->ratio_percent * floor))
        g->open_hops = g->hangover + 1;
    else if (g->open_hops > 0)
        g->open_hops--;
    g->hops++;
    g->open_total += g->open_hops > 0;
    if (++g->window_hops == g->window)
        end_window(g);
    memmove(g->samples, g->samples + g->hop, GATE_HISTORY * sizeof(*g->samples));
    g->filled = 0;
}

int gate_process(gate *g, const int16_t *pcm, size_t count)
{
    int open = -1;
    while (count > 0) {
        const size_t wanted = (size_t)(g->hop - g->filled);
        const size_t taken = count < wanted ? count : wanted;
        memcpy(g->samples + GATE_HISTORY + g->filled, pcm, taken * sizeof(*pcm));
        g->filled += (int32_t)taken;
        pcm += taken;
        count -= taken;
        if (g->filled == g->hop) {
            end_hop(g);
            open = open > 0 || g->open_hops > 0;
        }
    }
    return open < 0 ? g->open_hops > 0 : open;
}
