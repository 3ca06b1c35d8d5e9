/*
 * Codecs: one message of the wire in, 16 bit samples out, straight into a ring or into a given buffer.
 *
 * A decoder never fails on what is in a message. What cannot be decoded is concealed, so that the timeline
 * holds, and counted. Each kind of codec is one file (pcm.c, opus.c, lc3.c) that fills in a `codec_kind`;
 * resampled.c puts a conversion of the sample rate behind any of them.
 *
 * Cost: see `python -m bench.decode`. A decoder is used by one thread at a time.
 */

#ifndef LISTEN_CODEC_H
#define LISTEN_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* cffi: begin */

typedef struct {
    int64_t samples;     /* written, from packets that could be decoded */
    int64_t concealed;   /* written in place of packets that could not */
    int64_t packets;     /* codec packets in the message, at least 1 */
    int64_t bad_packets; /* those that could not be decoded */
} codec_result;

typedef struct codec codec;
typedef struct encoder encoder;

/* codec_decode found no room; nothing was decoded, no state has changed. */
#define CODEC_NO_ROOM -1
/* A packet was bad, or there were several: look at the result. */
#define CODEC_SEE_RESULT -2

/* Most samples of one message, before the conversion, of a codec whose rate is converted. */
#define RESAMPLE_PIECE 48000
/* float32 numbers that a kernel may use during a call, and where in its state it is told their address. */
#define RESAMPLE_SCRATCH 10496
#define RESAMPLE_STATE_SCRATCH 0

/*
 * A compiled conversion of the sample rate. Addresses are integers, as numba has them
 * pcm, count      address of int16 samples, how many
 * out             address of room for all that can be made of them
 * state           what is known of the stream
 * return          Samples written
 */
typedef int64_t (*resample_kernel)(int64_t pcm, int64_t count, int64_t out, int64_t *state);

/*
 * Open a decoder. NULL: its library is not open, or out of memory, or a parameter the library refuses.
 *   pcm      bits 8 (unsigned, mid-point 128) or 16 (signed, little-endian); channels 1 or 2, interleaved.
 *            Any split of the stream into messages gives the same samples
 *   opus     one packet a message, any duration to 120 ms; output 16 kHz mono whatever was coded.
 *            conceal: samples a lost packet stands for until the first good one says
 *   lc3      10 ms frames at `rate` (8000, 16000, 24000, 32000, 48000), output at `pcm_rate` >= rate.
 *            frame_bytes 0: one frame a channel, of equal length, fills the message (left, then right);
 *            else the message is split into frames of that many bytes, and a message of three frames and
 *            five bytes more has a footer (as one wearable adds), which is dropped
 */
codec *codec_open_pcm(int bits, int channels);
codec *codec_open_opus(int conceal);
codec *codec_open_lc3(int rate, int pcm_rate, int channels, int frame_bytes);

/*
 * Put a conversion of the rate behind a decoder; samples are counted when they come out of it
 * inner           Belongs to the new codec, also when this fails
 * state_bytes     Zeros for the kernel, aligned to 64 bytes, for the caller to fill in before anything is decoded
 * return          NULL: out of memory
 */
codec *codec_open_resampled(codec *inner, resample_kernel kernel, int rate_in, int rate_out, size_t state_bytes);
/* Those bytes, of a codec opened so. They are freed with it. */
int64_t *codec_resampler_state(codec *c);
void codec_close(codec *c);

/* Samples that decoding this message may write at most. */
uint64_t codec_bound(const codec *c, const uint8_t *payload, size_t bytes);

/*
 * Decode one message
 * out, room       Where the samples go, and how many fit
 * result          Always filled in unless CODEC_NO_ROOM
 * return          Samples written when all is well and it was one packet; else CODEC_NO_ROOM (room is less
 *                 than codec_bound) or CODEC_SEE_RESULT
 */
int64_t codec_decode(codec *c, const uint8_t *payload, size_t bytes, int16_t *out, uint64_t room,
                     codec_result *result);

/* The same into a ring; room is the ring's headroom. */
int64_t codec_decode_ring(codec *c, const uint8_t *payload, size_t bytes, ring *r, codec_result *result);

/*
 * Samples of decoders that put out float, -1 to 1, as 16 bits: rounded, clipped, NaN as 0
 * plane           `samples` samples of one channel
 * other           NULL, or a second channel to be averaged with it
 */
void pcm_from_float(const float *plane, const float *other, size_t samples, int16_t *out);

/*
 * Open an encoder; NULL as above. bitrate in bit/s for opus (0: libopus decides), bytes a frame for lc3.
 */
encoder *encoder_open_opus(int rate, int channels, int bitrate);
encoder *encoder_open_lc3(int rate, int channels, int frame_bytes);
void encoder_close(encoder *e);

/*
 * Encode one frame
 * pcm             `samples` samples for each channel, interleaved
 * out, room       Where the packet goes
 * return          Bytes written, or the library's negative error
 */
int encoder_encode(encoder *e, const int16_t *pcm, int samples, uint8_t *out, int room);

/* cffi: end */

/* What codec_bound says of a message that no room suffices for: it has to be cut. */
#define CODEC_TOO_LONG (UINT64_MAX / 2)

/* What a kind of codec supplies. `decode` is called with enough room and writes all of `result`. */
typedef struct {
    uint64_t (*bound)(const codec *c, const uint8_t *payload, size_t bytes);
    void (*decode)(codec *c, const uint8_t *payload, size_t bytes, int16_t *out, codec_result *result);
    void (*close)(codec *c);
} codec_kind;

/* The first member of every codec's own struct. */
struct codec {
    const codec_kind *kind;
};

typedef struct {
    int (*encode)(encoder *e, const int16_t *pcm, int samples, uint8_t *out, int room);
    void (*close)(encoder *e);
} encoder_kind;

struct encoder {
    const encoder_kind *kind;
};

/* Mean of two channels, halves to even: neither louder nor with a bias of half a step. */
static inline int16_t downmix(int left, int right)
{
    const int sum = left + right;
    const int floor = sum >> 1;
    return (int16_t)(floor + (sum & floor & 1));
}

#endif
