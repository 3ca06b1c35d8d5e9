/*
 * The codecs. An input is one byte (which), then messages: their length (two bytes, little-endian), their bytes.
 *
 * Invariants: a message decodes into the samples it was said to need at most; the counts agree; what is refused for
 * want of room changes nothing.
 */

#include "fuzz.h"

#include "codec.h"
#include "libraries.h"

#include <string.h>

#define MOST_SAMPLES (4 << 20)

static int64_t convert(int64_t pcm, int64_t count, int64_t out, int64_t *state)
{
    /* Every third sample, as a kernel would: what it may write is known from the rates. */
    const int16_t *from = (const int16_t *)(intptr_t)pcm;
    int16_t *to = (int16_t *)(intptr_t)out;
    int64_t made = 0;
    ((volatile float *)(intptr_t)state[RESAMPLE_STATE_SCRATCH])[RESAMPLE_SCRATCH - 1] = 0;
    for (int64_t i = 0; i < count; i++)
        if (state[1]++ % 3 == 0)
            to[made++] = from[i];
    return made;
}

static codec *open_codec(int which)
{
    codec *inner;
    switch (which % 12) {
    case 0:
        return codec_open_pcm(8, 1);
    case 1:
        return codec_open_pcm(8, 2);
    case 2:
        return codec_open_pcm(16, 1);
    case 3:
        return codec_open_pcm(16, 2);
    case 4:
        return codec_open_opus(160);
    case 5:
        return codec_open_opus(320);
    case 6:
        return codec_open_lc3(16000, 16000, 1, 0);
    case 7:
        return codec_open_lc3(16000, 16000, 2, 0);
    case 8:
        return codec_open_lc3(16000, 16000, 1, 30);
    case 9:
        return codec_open_lc3(8000, 16000, 2, 30);
    case 10:
        inner = codec_open_pcm(16, 2);
        break;
    default:
        inner = codec_open_lc3(48000, 48000, 1, 30);
    }
    return inner ? codec_open_resampled(inner, convert, 48000, 16000, 64) : NULL;
}

static void open_library(int which, const char *variable, const char *const *names)
{
    char why[512];
    const char *given = getenv(variable);
    if (given != NULL && library_open(which, given, why, sizeof(why)) == 0)
        return;
    for (; *names != NULL; names++)
        if (library_open(which, *names, why, sizeof(why)) == 0)
            return;
    fprintf(stderr, "%s: %s\n", variable, why);
    exit(2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    open_library(LIBRARY_OPUS, "FUZZ_LIBOPUS", (const char *const[]){"libopus.so.0", NULL});
    open_library(LIBRARY_LC3, "FUZZ_LIBLC3", (const char *const[]){"liblc3.so.1", "liblc3.so.0", NULL});
    return 0;
}

static size_t message_size(const uint8_t *data, size_t size)
{
    if (size < 2)
        return size;
    const size_t bytes = 2 + (data[0] | (size_t)data[1] << 8);
    return bytes > size ? size : bytes;
}

static void decode(codec *c, const uint8_t *payload, size_t bytes)
{
    codec_result result;
    const uint64_t most = codec_bound(c, payload, bytes);
    if (most > MOST_SAMPLES)
        return;
    int16_t *out = malloc(most ? most * sizeof(*out) : 1); /* no more: a sample too many is seen */
    if (most > 0)
        HOLDS(codec_decode(c, payload, bytes, out, most - 1, &result) == CODEC_NO_ROOM);
    const int64_t status = codec_decode(c, payload, bytes, out, most, &result);
    HOLDS(status != CODEC_NO_ROOM);
    HOLDS(result.samples >= 0 && result.concealed >= 0);
    HOLDS((uint64_t)(result.samples + result.concealed) <= most);
    HOLDS(result.packets >= 1 && result.bad_packets >= 0 && result.bad_packets <= result.packets);
    HOLDS(result.bad_packets > 0 || result.concealed == 0);
    HOLDS(status == CODEC_SEE_RESULT || status == result.samples);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    codec *c = size ? open_codec(data[0]) : NULL;
    if (c == NULL)
        return 0;
    for (size_t at = 1; at < size;) {
        const size_t record = message_size(data + at, size - at);
        const size_t bytes = record > 2 ? record - 2 : 0;
        uint8_t *payload = malloc(bytes + !bytes);
        memcpy(payload, data + at + record - bytes, bytes);
        decode(c, payload, bytes);
        free(payload);
        at += record;
    }
    codec_close(c);
    return 0;
}

static size_t make_message(dice *d, uint8_t *out, size_t room)
{
    static const uint16_t lengths[] = {0, 1, 2, 3, 19, 20, 30, 35, 40, 60, 90, 95, 400, 401, 800, 1275, 1276};
    const size_t bytes = dice_roll(d, 2) ? lengths[dice_roll(d, 17)] : dice_roll(d, 200);
    if (room < bytes + 2)
        return 0;
    out[0] = (uint8_t)bytes;
    out[1] = (uint8_t)(bytes >> 8);
    for (size_t i = 0; i < bytes; i++)
        out[2 + i] = (uint8_t)dice_roll(d, 256);
    if (bytes > 1 && dice_roll(d, 2)) /* Opus: code 3, so many frames (RFC 6716 section 3.2.5) */
        out[2] |= 3, out[3] = (uint8_t)(dice_roll(d, 49) | dice_roll(d, 4) << 6);
    return bytes + 2;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    dice d = dice_new(seed);
    if (size < 1 || room < 1 || dice_roll(&d, 2) == 0)
        return LLVMFuzzerMutate(data, size, room);
    return 1 + mutate_records(&d, data + 1, size - 1, room - 1, message_size, make_message);
}
