/* Mutations of inputs that are a row of records. */

#include "fuzz.h"

#include <string.h>

#define MOST_RECORDS 512

/* Put `bytes` at `at` in place of the `gone` that are there. Returns the new size, or the old when there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t room, size_t at, size_t gone, const uint8_t *with, size_t bytes)
{
    if (size - gone + bytes > room)
        return size;
    memmove(data + at + bytes, data + at + gone, size - at - gone);
    if (bytes > 0)
        memcpy(data + at, with, bytes);
    return size - gone + bytes;
}

size_t mutate_records(dice *d, uint8_t *data, size_t size, size_t room, record_size size_of, record_make make)
{
    size_t starts[MOST_RECORDS + 1];
    size_t count = 0;
    size_t at = 0;
    while (at < size && count < MOST_RECORDS) {
        starts[count++] = at;
        at += size_of(data + at, size - at);
    }
    starts[count] = at;
    const size_t one = count ? dice_roll(d, count) : 0;
    const size_t other = count ? dice_roll(d, count) : 0;
    const size_t bytes = count ? starts[one + 1] - starts[one] : 0;
    uint8_t *copy = malloc(room + 1);
    if (copy == NULL)
        return size;
    switch (count ? dice_roll(d, 4) : 0) {
    case 0: { /* a new one */
        const size_t made = make(d, copy, room - size);
        size = replace(data, size, room, starts[other], 0, copy, made);
        break;
    }
    case 1: /* one once more */
        memcpy(copy, data + starts[one], bytes);
        size = replace(data, size, room, starts[other], 0, copy, bytes);
        break;
    case 2: /* one less */
        size = replace(data, size, room, starts[one], bytes, NULL, 0);
        break;
    default: { /* one made anew */
        const size_t made = make(d, copy, room - size + bytes);
        size = replace(data, size, room, starts[one], bytes, copy, made);
    }
    }
    free(copy);
    return size;
}
