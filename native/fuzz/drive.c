/*
 * Fuzzing without libFuzzer: replays the files named, then mutates them for so many seconds.
 *
 *     drive SECONDS SEED FILE...
 *
 * Prints how many inputs were tried. When one breaks something, it and the seed are printed as well.
 */

#include "fuzz.h"

#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define ROOM 4096
#define POOL 256

typedef struct {
    size_t size;
    uint8_t data[ROOM];
} input;

static input pool[POOL];
static int pooled;
static input now;
static unsigned seed;
static dice own;

static void tell_input(void)
{
    fprintf(stderr, "seed %u, input of %zu bytes:\n", seed, now.size);
    for (size_t i = 0; i < now.size; i++)
        fprintf(stderr, "%02x", now.data[i]);
    fprintf(stderr, "\n");
}

static void on_abort(int number)
{
    tell_input();
    signal(number, SIG_DFL);
    raise(number);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room)
{
    static const uint8_t telling[] = {0, 1, 0x7D, 0x7E, 0x7F, 0x80, 0xFE, 0xFF};
    const size_t at = size ? dice_roll(&own, size) : 0;
    switch (size ? dice_roll(&own, 5) : 0) {
    case 0:
        if (size == room)
            return size;
        memmove(data + at + 1, data + at, size - at);
        data[at] = (uint8_t)dice_roll(&own, 256);
        return size + 1;
    case 1:
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    case 2:
        data[at] ^= (uint8_t)(1 << dice_roll(&own, 8));
        return size;
    case 3:
        data[at] = telling[dice_roll(&own, sizeof(telling))];
        return size;
    default: /* the end is cut off */
        return dice_roll(&own, 8) ? size : at;
    }
}

static int load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 0;
    }
    now.size = fread(now.data, 1, ROOM, file);
    fclose(file);
    if (pooled < POOL)
        pool[pooled++] = now;
    return 1;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned long mutate_for(double duration)
{
    unsigned long tried = 0;
    const double until = seconds() + duration;
    while (seconds() < until) {
        now = pool[dice_roll(&own, (uint64_t)pooled)];
        for (uint64_t changes = 1 + dice_roll(&own, 6); changes > 0; changes--)
            now.size = LLVMFuzzerCustomMutator(now.data, now.size, ROOM, (unsigned)dice_roll(&own, UINT32_MAX));
        LLVMFuzzerTestOneInput(now.data, now.size);
        tried++;
        if (dice_roll(&own, 16) == 0) { /* go on from here */
            const int place = pooled < POOL ? pooled++ : (int)dice_roll(&own, POOL);
            pool[place] = now;
        }
    }
    return tried;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: drive SECONDS SEED FILE...\n");
        return 2;
    }
    seed = (unsigned)strtoul(argv[2], NULL, 10);
    own = dice_new(seed);
    __sanitizer_set_death_callback(tell_input); /* what the sanitizers find; what the target does: */
    signal(SIGABRT, on_abort);
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 3; i < argc; i++) {
        if (!load(argv[i]))
            return 2;
        LLVMFuzzerTestOneInput(now.data, now.size);
    }
    printf("%d replayed, ", argc - 3);
    printf("%lu tried\n", mutate_for(strtod(argv[1], NULL)));
    return 0;
}
