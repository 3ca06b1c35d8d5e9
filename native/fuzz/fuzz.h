/*
 * Fuzzing: what a target (frames.c, codecs.c) gives, in the shape libFuzzer knows, and what it may use (records.c).
 *
 * A target is linked with libFuzzer (`make fuzz`), which finds inputs by coverage, or with drive.c, which replays a
 * corpus and mutates it blindly (`make test`). Both use the target's own mutator, which knows the input's grammar.
 */

#ifndef LISTEN_FUZZ_H
#define LISTEN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The target: one input. Does not return when an invariant is broken. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Change the input in place; the new size, at most `room`. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

/* Of libFuzzer, or of drive.c: a mutation that knows no grammar. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Random numbers: xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016). */
typedef struct {
    uint64_t state;
} dice;

static inline uint64_t dice_roll(dice *d, uint64_t sides)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return (d->state * 0x2545F4914F6CDD1DULL >> 33) % sides;
}

static inline dice dice_new(unsigned seed)
{
    dice d = {seed * 0x9E3779B97F4A7C15ULL + 0xD1B54A32D192ED03ULL};
    dice_roll(&d, 2);
    return d;
}

/*
 * Records that an input consists of: `size_of` says how long the one at `data` is, at most `size`, at least 1.
 * Swaps, repeats or drops records, or puts in one that `make` writes; returns the new size.
 */
typedef size_t (*record_size)(const uint8_t *data, size_t size);
typedef size_t (*record_make)(dice *d, uint8_t *out, size_t room);
size_t mutate_records(dice *d, uint8_t *data, size_t size, size_t room, record_size size_of, record_make make);

#endif
