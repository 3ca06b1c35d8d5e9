/* Opus (RFC 6716). The decoder always runs at 16 kHz mono: libopus resamples and downmixes by itself. */

#include "codec.h"
#include "libraries.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT_RATE 16000
#define LONGEST_PACKET (OUTPUT_RATE / 1000 * 120)

typedef struct {
    codec base;
    OpusDecoder *decoder;
    int conceal; /* samples that a lost packet stands for: the duration of the last good one */
} opus_codec;

typedef struct {
    encoder base;
    OpusEncoder *encoder;
} opus_encoder;

static int packet_samples(const uint8_t *payload, size_t bytes)
{
    if (bytes == 0 || bytes > INT32_MAX)
        return -1;
    const int samples = opus_opened()->packet_samples(payload, (int32_t)bytes, OUTPUT_RATE);
    return samples > LONGEST_PACKET ? -1 : samples;
}

static uint64_t opus_bound(const codec *base, const uint8_t *payload, size_t bytes)
{
    const opus_codec *c = (const opus_codec *)base;
    const int samples = packet_samples(payload, bytes);
    return (uint64_t)(samples > c->conceal ? samples : c->conceal);
}

static void opus_decode_packet(codec *base, const uint8_t *payload, size_t bytes, int16_t *out,
                               codec_result *result)
{
    opus_codec *c = (opus_codec *)base;
    const opus_library *opus = opus_opened();
    const int expected = packet_samples(payload, bytes);
    if (expected > 0) {
        const int got = opus->decode(c->decoder, payload, (int32_t)bytes, out, expected, 0);
        if (got > 0) {
            c->conceal = got;
            *result = (codec_result){.samples = got, .packets = 1};
            return;
        }
    }
    if (opus->decode(c->decoder, NULL, 0, out, c->conceal, 0) != c->conceal)
        memset(out, 0, (size_t)c->conceal * sizeof(*out));
    *result = (codec_result){.concealed = c->conceal, .packets = 1, .bad_packets = 1};
}

static void opus_close(codec *base)
{
    opus_opened()->decoder_destroy(((opus_codec *)base)->decoder);
    free(base);
}

static const codec_kind opus_kind = {opus_bound, opus_decode_packet, opus_close};

codec *codec_open_opus(int conceal)
{
    const opus_library *opus = opus_opened();
    opus_codec *c = opus ? calloc(1, sizeof(*c)) : NULL;
    int error = OPUS_OK;
    if (c == NULL)
        return NULL;
    c->base.kind = &opus_kind;
    c->conceal = conceal;
    c->decoder = opus->decoder_create(OUTPUT_RATE, 1, &error);
    if (c->decoder == NULL || error != OPUS_OK) {
        free(c);
        return NULL;
    }
    return &c->base;
}

static int opus_encode_frame(encoder *base, const int16_t *pcm, int samples, uint8_t *out, int room)
{
    return opus_opened()->encode(((opus_encoder *)base)->encoder, pcm, samples, out, room);
}

static void opus_encoder_close(encoder *base)
{
    opus_opened()->encoder_destroy(((opus_encoder *)base)->encoder);
    free(base);
}

static const encoder_kind opus_encoder_kind = {opus_encode_frame, opus_encoder_close};

/* Low delay is what wearables' firmware uses; it keeps the waveform, so that signal to noise means something. */
encoder *encoder_open_opus(int rate, int channels, int bitrate)
{
    const opus_library *opus = opus_opened();
    opus_encoder *e = opus ? calloc(1, sizeof(*e)) : NULL;
    int error = OPUS_OK;
    if (e == NULL)
        return NULL;
    e->base.kind = &opus_encoder_kind;
    e->encoder = opus->encoder_create(rate, channels, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
    if (e->encoder == NULL || error != OPUS_OK) {
        free(e);
        return NULL;
    }
    if (opus->encoder_ctl(e->encoder, OPUS_SET_BITRATE_REQUEST, bitrate ? bitrate : OPUS_AUTO) != OPUS_OK) {
        opus_encoder_close(&e->base);
        return NULL;
    }
    return &e->base;
}
