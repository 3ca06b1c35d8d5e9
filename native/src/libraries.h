/*
 * libopus and liblc3, opened at run time: neither their headers nor a link to them is needed to build.
 *
 * The declarations below repeat what RFC 6716's reference implementation (opus.h, opus_defines.h) and
 * Google's liblc3 (lc3.h) have declared without change since their first releases.
 */

#ifndef LISTEN_LIBRARIES_H
#define LISTEN_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

#define OPUS_OK 0
#define OPUS_APPLICATION_RESTRICTED_LOWDELAY 2051
#define OPUS_SET_BITRATE_REQUEST 4002
#define OPUS_AUTO (-1000)

#define LC3_PCM_S16 0
#define LC3_MIN_FRAME_BYTES 20
#define LC3_MAX_FRAME_BYTES 400
#define LC3_FRAME_US 10000

typedef struct OpusDecoder OpusDecoder;
typedef struct OpusEncoder OpusEncoder;
typedef struct lc3_decoder *lc3_decoder_t;
typedef struct lc3_encoder *lc3_encoder_t;

typedef struct {
    const char *(*version)(void);
    OpusDecoder *(*decoder_create)(int32_t rate, int channels, int *error);
    void (*decoder_destroy)(OpusDecoder *);
    int (*decode)(OpusDecoder *, const unsigned char *data, int32_t bytes, int16_t *pcm, int frame_size, int fec);
    int (*packet_samples)(const unsigned char *data, int32_t bytes, int32_t rate);
    OpusEncoder *(*encoder_create)(int32_t rate, int channels, int application, int *error);
    void (*encoder_destroy)(OpusEncoder *);
    int (*encoder_ctl)(OpusEncoder *, int request, ...);
    int32_t (*encode)(OpusEncoder *, const int16_t *pcm, int frame_size, unsigned char *data, int32_t max_bytes);
} opus_library;

typedef struct {
    unsigned (*decoder_size)(int dt_us, int pcm_rate);
    lc3_decoder_t (*setup_decoder)(int dt_us, int rate, int pcm_rate, void *memory);
    int (*decode)(lc3_decoder_t, const void *in, int bytes, int format, void *pcm, int stride);
    unsigned (*encoder_size)(int dt_us, int pcm_rate);
    lc3_encoder_t (*setup_encoder)(int dt_us, int rate, int pcm_rate, void *memory);
    int (*encode)(lc3_encoder_t, int format, const void *pcm, int stride, int bytes, void *out);
} lc3_library;

/* The opened library, or NULL before library_open succeeded. */
const opus_library *opus_opened(void);
const lc3_library *lc3_opened(void);

/* cffi: begin */

#define LIBRARY_OPUS 0
#define LIBRARY_LC3 1

/*
 * Open a codec library, once for the process
 * which           LIBRARY_OPUS or LIBRARY_LC3
 * path            What dlopen(3) is given: a name to search for, or a path
 * error, size     Receives why it failed, always ended by a zero byte
 * return          0, or -1: not found, or a function is missing in it. Open already: 0, nothing happens
 */
int library_open(int which, const char *path, char *error, size_t size);

/* Path of the opened library's file, or NULL. Valid for the life of the process. */
const char *library_path(int which);

/* What libopus says of itself, or NULL. liblc3 has no such function. */
const char *library_opus_version(void);

/* cffi: end */

#endif
