/* LC3 (Bluetooth SIG, ETSI TS 103 634), 10 ms frames. Two channels are two frames, downmixed here. */

#include "codec.h"
#include "libraries.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CHANNELS 2
#define MAX_FRAME_SAMPLES 480
/* One wearable's radio packet: three frames, then a footer that older apps pass on. */
#define FOOTER_FRAMES 3
#define FOOTER_BYTES 5

typedef struct {
    codec base;
    int channels;
    size_t frame_bytes;  /* 0: the message's length says */
    size_t samples;      /* in a frame, at the output rate */
    size_t last_bytes;   /* length of the last frame decoded: concealment goes on at its bit rate */
    lc3_decoder_t decoders[MAX_CHANNELS];
} lc3_codec;

typedef struct {
    encoder base;
    int channels;
    int frame_bytes;
    lc3_encoder_t encoders[MAX_CHANNELS];
} lc3_encoder;

/* Whole packets (a frame for each channel) in a message, and whether bytes are left that are none. */
typedef struct {
    size_t packets;
    size_t frame_bytes;
    int leftover;
} split;

static split split_message(const lc3_codec *c, size_t bytes)
{
    const size_t channels = (size_t)c->channels;
    if (c->frame_bytes == 0) {
        const size_t frame = bytes / channels;
        const int whole = frame * channels == bytes && frame >= LC3_MIN_FRAME_BYTES && frame <= LC3_MAX_FRAME_BYTES;
        return (split){whole ? 1 : 0, frame, !whole};
    }
    const size_t packet = c->frame_bytes * channels;
    if (channels == 1 && bytes == FOOTER_FRAMES * c->frame_bytes + FOOTER_BYTES)
        bytes -= FOOTER_BYTES;
    return (split){bytes / packet, c->frame_bytes, bytes % packet != 0 || bytes == 0};
}

static uint64_t lc3_bound(const codec *base, const uint8_t *payload, size_t bytes)
{
    const lc3_codec *c = (const lc3_codec *)base;
    const split s = split_message(c, bytes);
    (void)payload;
    return (s.packets + (s.leftover ? 1 : 0)) * c->samples;
}

/* Decode one packet, or conceal a lost one when `payload` is NULL. Returns whether it was good. */
static int decode_packet(lc3_codec *c, const uint8_t *payload, size_t frame_bytes, int16_t *out)
{
    const lc3_library *lc3 = lc3_opened();
    int16_t right[MAX_FRAME_SAMPLES];
    int good = 1;
    if (payload != NULL)
        c->last_bytes = frame_bytes;
    for (int channel = 0; channel < c->channels; channel++) {
        int16_t *pcm = channel == 0 ? out : right;
        const uint8_t *frame = payload ? payload + (size_t)channel * frame_bytes : NULL;
        const int status = lc3->decode(c->decoders[channel], frame, (int)c->last_bytes, LC3_PCM_S16, pcm, 1);
        if (status < 0)
            memset(pcm, 0, c->samples * sizeof(*pcm));
        good = good && status == 0;
    }
    if (c->channels == 2)
        for (size_t i = 0; i < c->samples; i++)
            out[i] = downmix(out[i], right[i]);
    return good && payload != NULL;
}

static void lc3_decode_message(codec *base, const uint8_t *payload, size_t bytes, int16_t *out,
                               codec_result *result)
{
    lc3_codec *c = (lc3_codec *)base;
    const split s = split_message(c, bytes);
    const size_t total = s.packets + (s.leftover ? 1 : 0);
    *result = (codec_result){.packets = (int64_t)total};
    for (size_t i = 0; i < total; i++) {
        const uint8_t *packet = i < s.packets ? payload + i * s.frame_bytes * (size_t)c->channels : NULL;
        if (decode_packet(c, packet, s.frame_bytes, out + i * c->samples)) {
            result->samples += (int64_t)c->samples;
        } else {
            result->concealed += (int64_t)c->samples;
            result->bad_packets++;
        }
    }
}

static void lc3_close(codec *base)
{
    lc3_codec *c = (lc3_codec *)base;
    for (int channel = 0; channel < c->channels; channel++)
        free(c->decoders[channel]);
    free(c);
}

static const codec_kind lc3_kind = {lc3_bound, lc3_decode_message, lc3_close};

codec *codec_open_lc3(int rate, int pcm_rate, int channels, int frame_bytes)
{
    const lc3_library *lc3 = lc3_opened();
    lc3_codec *c = lc3 ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL)
        return NULL;
    c->base.kind = &lc3_kind;
    c->channels = channels;
    c->frame_bytes = (size_t)frame_bytes;
    c->samples = (size_t)pcm_rate / 100;
    c->last_bytes = frame_bytes ? (size_t)frame_bytes : LC3_MIN_FRAME_BYTES;
    for (int channel = 0; channel < channels; channel++) {
        void *memory = calloc(1, lc3->decoder_size(LC3_FRAME_US, pcm_rate));
        c->decoders[channel] = lc3->setup_decoder(LC3_FRAME_US, rate, pcm_rate, memory);
        if (c->decoders[channel] == NULL) {
            free(memory);
            lc3_close(&c->base);
            return NULL;
        }
    }
    return &c->base;
}

static int lc3_encode_frame(encoder *base, const int16_t *pcm, int samples, uint8_t *out, int room)
{
    lc3_encoder *e = (lc3_encoder *)base;
    (void)samples; /* fixed when the encoder was opened */
    if (room < e->frame_bytes * e->channels)
        return -1;
    for (int channel = 0; channel < e->channels; channel++) {
        const int status = lc3_opened()->encode(e->encoders[channel], LC3_PCM_S16, pcm + channel, e->channels,
                                                e->frame_bytes, out + channel * e->frame_bytes);
        if (status < 0)
            return status;
    }
    return e->frame_bytes * e->channels;
}

static void lc3_encoder_close(encoder *base)
{
    lc3_encoder *e = (lc3_encoder *)base;
    for (int channel = 0; channel < e->channels; channel++)
        free(e->encoders[channel]);
    free(e);
}

static const encoder_kind lc3_encoder_kind = {lc3_encode_frame, lc3_encoder_close};

encoder *encoder_open_lc3(int rate, int channels, int frame_bytes)
{
    const lc3_library *lc3 = lc3_opened();
    lc3_encoder *e = lc3 ? calloc(1, sizeof(*e)) : NULL;
    if (e == NULL)
        return NULL;
    e->base.kind = &lc3_encoder_kind;
    e->channels = channels;
    e->frame_bytes = frame_bytes;
    for (int channel = 0; channel < channels; channel++) {
        void *memory = calloc(1, lc3->encoder_size(LC3_FRAME_US, rate));
        e->encoders[channel] = lc3->setup_encoder(LC3_FRAME_US, rate, rate, memory);
        if (e->encoders[channel] == NULL) {
            free(memory);
            lc3_encoder_close(&e->base);
            return NULL;
        }
    }
    return &e->base;
}
