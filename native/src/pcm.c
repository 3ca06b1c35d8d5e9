/* Uncompressed audio. A sample or stereo frame may be cut by the end of a message: its bytes are carried. */

#include "codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    codec base;
    int bits;
    int channels;
    size_t unit;      /* bytes of one sample of each channel: 1, 2 or 4 */
    size_t carried;   /* bytes of an unfinished unit, < unit */
    uint8_t carry[4];
} pcm_codec;

static int sample16(const uint8_t *p)
{
    return (int16_t)(uint16_t)(p[0] | p[1] << 8);
}

static int sample8(const uint8_t *p)
{
    return (p[0] - 128) * 256;
}

static void convert(const pcm_codec *c, const uint8_t *in, size_t units, int16_t *out)
{
    if (c->bits == 16 && c->channels == 1)
        for (size_t i = 0; i < units; i++)
            out[i] = (int16_t)sample16(in + 2 * i);
    else if (c->bits == 16)
        for (size_t i = 0; i < units; i++)
            out[i] = downmix(sample16(in + 4 * i), sample16(in + 4 * i + 2));
    else if (c->channels == 1)
        for (size_t i = 0; i < units; i++)
            out[i] = (int16_t)sample8(in + i);
    else
        for (size_t i = 0; i < units; i++)
            out[i] = downmix(sample8(in + 2 * i), sample8(in + 2 * i + 1));
}

static int16_t rounded(float v)
{
    if (v >= 32767.0f)
        return 32767;
    if (v <= -32768.0f)
        return -32768;
    return v == v ? (int16_t)lrintf(v) : 0;
}

void pcm_from_float(const float *plane, const float *other, size_t samples, int16_t *out)
{
    if (other == NULL)
        for (size_t i = 0; i < samples; i++)
            out[i] = rounded(plane[i] * 32768.0f);
    else
        for (size_t i = 0; i < samples; i++)
            out[i] = rounded((plane[i] + other[i]) * 16384.0f);
}

static uint64_t pcm_bound(const codec *base, const uint8_t *payload, size_t bytes)
{
    const pcm_codec *c = (const pcm_codec *)base;
    (void)payload;
    return (bytes + c->carried) / c->unit;
}

static void pcm_decode(codec *base, const uint8_t *payload, size_t bytes, int16_t *out, codec_result *result)
{
    pcm_codec *c = (pcm_codec *)base;
    size_t done = 0;
    if (c->carried > 0) {
        const size_t missing = c->unit - c->carried;
        const size_t taken = bytes < missing ? bytes : missing;
        memcpy(c->carry + c->carried, payload, taken);
        c->carried += taken;
        payload += taken;
        bytes -= taken;
        if (c->carried == c->unit) {
            convert(c, c->carry, 1, out);
            c->carried = 0;
            done = 1;
        }
    }
    const size_t units = bytes / c->unit;
    convert(c, payload, units, out + done);
    const size_t rest = bytes - units * c->unit;
    if (rest > 0) {
        memcpy(c->carry, payload + bytes - rest, rest);
        c->carried = rest;
    }
    *result = (codec_result){.samples = (int64_t)(units + done), .packets = 1};
}

static void pcm_close(codec *base)
{
    free(base);
}

static const codec_kind pcm_kind = {pcm_bound, pcm_decode, pcm_close};

codec *codec_open_pcm(int bits, int channels)
{
    pcm_codec *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->base.kind = &pcm_kind;
    c->bits = bits;
    c->channels = channels;
    c->unit = (size_t)(bits / 8 * channels);
    return &c->base;
}
