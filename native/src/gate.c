#include "gate.h"

#include <string.h>

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

static int64_t least(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

static void track_floor(gate *g, int64_t level)
{
    g->smoothed = g->smoothed < 0 ? level : (3 * g->smoothed + level) / 4;
    g->lowest = least(g->lowest, g->smoothed);
    if (++g->window_hops == g->window) {
        g->lowest_before = g->lowest;
        g->lowest = -1;
        g->window_hops = 0;
    }
}

static void end_hop(gate *g)
{
    const int64_t level = (g->hop * g->squares - g->sum * g->sum) / ((int64_t)g->hop * g->hop);
    track_floor(g, level);
    const int64_t floor = least(g->lowest, g->lowest_before);
    const int settling = g->hops < g->window;
    const int loud = level > g->quiet && (settling || 100 * level > g->ratio_percent * floor);
    if (loud)
        g->open_hops = g->hangover + 1;
    else if (g->open_hops > 0)
        g->open_hops--;
    g->hops++;
    g->open_total += g->open_hops > 0;
    g->filled = 0;
    g->sum = g->squares = 0;
}

int gate_process(gate *g, const int16_t *pcm, size_t count)
{
    int open = -1;
    while (count > 0) {
        const size_t wanted = (size_t)(g->hop - g->filled);
        const size_t n = count < wanted ? count : wanted;
        int64_t sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            sum += pcm[i];
            squares += (int64_t)(pcm[i] * pcm[i]);
        }
        g->sum += sum;
        g->squares += squares;
        g->filled += (int32_t)n;
        pcm += n;
        count -= n;
        if (g->filled == g->hop) {
            end_hop(g);
            open = (open > 0) || g->open_hops > 0;
        }
    }
    return open < 0 ? g->open_hops > 0 : open;
}
