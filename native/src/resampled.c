/*
 * A codec behind which the rate is converted, by a kernel that numba has compiled (engine/audio/_kernels.py).
 *
 * The codec decodes into memory of the thread, the kernel converts from there to where the samples stay. The kernel's
 * state is memory of ours; what is in it, Python has laid out (engine/audio/_layout.py).
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "codec.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64 /* bytes of a cache line */

typedef struct {
    codec base;
    codec *inner;
    resample_kernel kernel;
    uint64_t rate_in;
    uint64_t rate_out;
    int64_t *state;
} resampled_codec;

/* The thread's, not the stream's: it is still in the cache when the next stream comes. */
static _Thread_local struct {
    _Alignas(LINE) float kernel[RESAMPLE_SCRATCH];
    _Alignas(LINE) int16_t pcm[RESAMPLE_PIECE];
} scratch;

static uint64_t resampled_bound(const codec *base, const uint8_t *payload, size_t bytes)
{
    const resampled_codec *c = (const resampled_codec *)base;
    const uint64_t decoded = codec_bound(c->inner, payload, bytes);
    return decoded > RESAMPLE_PIECE ? CODEC_TOO_LONG : (decoded + 1) * c->rate_out / c->rate_in + 1;
}

static void resampled_decode(codec *base, const uint8_t *payload, size_t bytes, int16_t *out, codec_result *result)
{
    resampled_codec *c = (resampled_codec *)base;
    c->inner->kind->decode(c->inner, payload, bytes, scratch.pcm, result);
    const int64_t decoded = result->samples + result->concealed;
    const int64_t theirs = c->state[RESAMPLE_STATE_SCRATCH];
    c->state[RESAMPLE_STATE_SCRATCH] = (int64_t)(intptr_t)scratch.kernel;
    const int64_t made = c->kernel((int64_t)(intptr_t)scratch.pcm, decoded, (int64_t)(intptr_t)out, c->state);
    c->state[RESAMPLE_STATE_SCRATCH] = theirs;
    /* Nearly always all or nothing; else by share: the kernel does not tell whose sample is whose. */
    const int64_t concealed = decoded ? (2 * made * result->concealed + decoded) / (2 * decoded) : 0;
    result->samples = made - concealed;
    result->concealed = concealed;
}

static void resampled_close(codec *base)
{
    resampled_codec *c = (resampled_codec *)base;
    codec_close(c->inner);
    free(c->state);
    free(c);
}

static const codec_kind resampled_kind = {resampled_bound, resampled_decode, resampled_close};

codec *codec_open_resampled(codec *inner, resample_kernel kernel, int rate_in, int rate_out, size_t state_bytes)
{
    const size_t room = (state_bytes + LINE - 1) / LINE * LINE;
    resampled_codec *c = calloc(1, sizeof(*c));
    int64_t *state = aligned_alloc(LINE, room);
    if (c == NULL || state == NULL) {
        free(c);
        free(state);
        codec_close(inner);
        return NULL;
    }
    memset(state, 0, room);
    *c = (resampled_codec){.base = {&resampled_kind},
                           .inner = inner,
                           .kernel = kernel,
                           .rate_in = (uint64_t)rate_in,
                           .rate_out = (uint64_t)rate_out,
                           .state = state};
    return &c->base;
}

int64_t *codec_resampler_state(codec *c)
{
    return ((resampled_codec *)c)->state;
}
