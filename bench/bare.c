/* The limit: the codec's own decode function, in a loop in C, nothing else. Used by bench/decode.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int (*opus_decode_function)(void *, const unsigned char *, int32_t, int16_t *, int, int);
typedef int (*lc3_decode_function)(void *, const void *, int, int, void *, int);

typedef struct {
    void *decoder;
    opus_decode_function opus;
    lc3_decode_function lc3;
    int16_t out[5760];
} bare;

bare *bare_open_opus(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    bare *b = calloc(1, sizeof(*b));
    void *(*create)(int32_t, int, int *) = (void *(*)(int32_t, int, int *))dlsym(library, "opus_decoder_create");
    int error;
    b->decoder = create(16000, 1, &error);
    b->opus = (opus_decode_function)dlsym(library, "opus_decode");
    return b;
}

bare *bare_open_lc3(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    bare *b = calloc(1, sizeof(*b));
    unsigned (*size)(int, int) = (unsigned (*)(int, int))dlsym(library, "lc3_decoder_size");
    void *(*setup)(int, int, int, void *) = (void *(*)(int, int, int, void *))dlsym(library, "lc3_setup_decoder");
    b->decoder = setup(10000, 16000, 16000, malloc(size(10000, 16000)));
    b->lc3 = (lc3_decode_function)dlsym(library, "lc3_decode");
    return b;
}

bare *bare_open_pcm(void)
{
    return calloc(1, sizeof(bare));
}

/* Decode `count` frames, one behind the other in `data`; nanoseconds of CPU for all of them. `bits`: of PCM. */
double bare_pass(bare *b, const uint8_t *data, const int32_t *lengths, int count, int bits)
{
    struct timespec start, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (int i = 0; i < count; data += lengths[i++]) {
        if (b->opus != NULL)
            b->opus(b->decoder, data, lengths[i], b->out, 1920, 0);
        else if (b->lc3 != NULL)
            b->lc3(b->decoder, data, lengths[i], 0, b->out, 1);
        else if (bits == 16)
            memcpy(b->out, data, (size_t)lengths[i]);
        else
            for (int n = 0; n < lengths[i]; n++)
                b->out[n] = (int16_t)((data[n] - 128) * 256);
        __asm__ volatile("" ::"r"(b->out) : "memory"); /* the copy must not be optimised away */
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

typedef int64_t (*decode_ring_function)(void *codec, const uint8_t *data, size_t bytes, void *ring, void *result);

/* One message of `bytes` for each of `sessions` decoders, through a decode function of ours, as the lane calls it. */
void bare_sessions(decode_ring_function decode, void *const *codecs, void *const *rings, const uint8_t *data,
                   size_t bytes, int sessions)
{
    int64_t result[4];
    for (int i = 0; i < sessions; i++)
        decode(codecs[i], data + (size_t)i * bytes, bytes, rings[i], result);
}
