/*
 * The frame reader and what is written for it. An input is two bytes (the longest message, in the upper half also whose
 * frames are read; how the stream is cut), then what the other side sends.
 *
 * Invariants: a frame of ours, masked as a client's, is read as what was put in; a call takes what it says; parts lie in the caller's bytes; messages and control frames keep their
 * limits; after the end there is silence; and however the stream is cut, the same things are read. (Of a message in
 * which the stream ends badly more may have been handed up when it was cut.)
 */

#include "fuzz.h"

#include "frame.h"

#include <string.h>

#define HEAD 2

/* What was read, summed up so that two readings can be compared. */
typedef struct {
    uint64_t sum;
    uint64_t part;    /* the sum of the message under way */
    uint64_t message; /* its bytes so far */
    int opcode;       /* its kind */
    int ended;
} reading;

static const uint64_t limits[] = {0, 1, 125, 126, 1000, 65535, 65536, UINT64_MAX};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void add(uint64_t *sum, uint64_t value)
{
    *sum = (*sum ^ value) * 0x100000001B3ULL; /* FNV-1a */
}

static void add_bytes(uint64_t *sum, const uint8_t *data, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        add(sum, data[i]);
}

static void take_part(reading *r, const frame_event *event, const uint8_t *data, size_t taken, uint64_t limit)
{
    HOLDS(event->data >= data && event->bytes <= taken && event->data + event->bytes <= data + taken);
    HOLDS(event->opcode == FRAME_TEXT || event->opcode == FRAME_BINARY);
    if (event->first) {
        HOLDS(r->message == 0);
        r->opcode = event->opcode;
        r->part = (uint64_t)event->opcode;
    }
    HOLDS(event->opcode == r->opcode);
    r->message += event->bytes;
    HOLDS(r->message <= limit);
    add_bytes(&r->part, event->data, event->bytes);
    if (event->last) {
        add(&r->sum, r->part);
        r->part = 0;
        r->message = 0;
    }
}

static void take(reading *r, const frame_event *event, const uint8_t *data, size_t taken, uint64_t limit)
{
    HOLDS(!r->ended || event->kind == FRAME_MORE);
    switch (event->kind) {
    case FRAME_PART:
        take_part(r, event, data, taken, limit);
        return;
    case FRAME_CLOSE:
    case FRAME_FAIL:
        r->ended = 1;
        /* fall through */
    case FRAME_PING:
    case FRAME_PONG:
        HOLDS(event->kind == FRAME_FAIL || event->bytes <= FRAME_CONTROL);
        add(&r->sum, (uint64_t)event->kind << 32 | (uint64_t)event->code);
        if (event->kind != FRAME_FAIL)
            add_bytes(&r->sum, event->data, event->bytes);
        return;
    default:
        HOLDS(event->kind == FRAME_MORE);
    }
}

/* Read all of it in pieces of up to `piece` bytes, each in memory of its own, so that its end is seen. */
static reading read_cut(const uint8_t *data, size_t size, uint64_t limit, int from_server, size_t piece)
{
    frame_reader reader;
    frame_event event;
    reading r = {0};
    frame_reader_init(&reader, limit);
    reader.from_server = from_server;
    for (size_t at = 0; at < size; at += piece) {
        const size_t bytes = size - at < piece ? size - at : piece;
        uint8_t *chunk = malloc(bytes);
        memcpy(chunk, data + at, bytes);
        for (size_t used = 0; used < bytes;) {
            const size_t taken = frame_read(&reader, chunk + used, bytes - used, &event);
            HOLDS(taken > 0 && taken <= bytes - used);
            take(&r, &event, chunk + used, taken, limit);
            used += taken;
        }
        free(chunk);
    }
    return r;
}

static void write_and_read(const uint8_t *key, const uint8_t *data, size_t size)
{
    frame_reader reader;
    frame_event event;
    uint8_t *written = malloc(FRAME_MASKED_HEAD + size);
    const size_t head = frame_head_masked(written, FRAME_BINARY, size, key);
    HOLDS(head <= FRAME_MASKED_HEAD);
    frame_mask(written + head, data, size, key);
    frame_reader_init(&reader, size);
    HOLDS(frame_read(&reader, written, head + size, &event) == head + size);
    HOLDS(event.kind == FRAME_PART && event.first && event.last && event.bytes == size);
    HOLDS(memcmp(event.data, data, size) == 0);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    if (size >= FRAME_KEY)
        write_and_read(data, data, size);
    const uint64_t limit = limits[data[0] % (sizeof(limits) / sizeof(*limits))];
    const size_t piece = (size_t)data[1] + 1;
    const int from_server = data[0] >> 7;
    const reading whole = read_cut(data + HEAD, size - HEAD, limit, from_server, size);
    const reading cut = read_cut(data + HEAD, size - HEAD, limit, from_server, piece);
    HOLDS(whole.sum == cut.sum && whole.ended == cut.ended);
    HOLDS(whole.ended || (whole.part == cut.part && whole.message == cut.message));
    return 0;
}

/* The grammar: frames as RFC 6455 section 5.2 has them. */

static size_t head_size(uint8_t length)
{
    return 2 + (size_t)((length & 0x7F) == 126 ? 2 : (length & 0x7F) == 127 ? 8 : 0) + (size_t)(length & 0x80 ? 4 : 0);
}

static size_t frame_size(const uint8_t *data, size_t size)
{
    if (size < 2 || size < head_size(data[1]))
        return size;
    uint64_t payload = data[1] & 0x7F;
    if (payload == 126)
        payload = (uint64_t)data[2] << 8 | data[3];
    else if (payload == 127) {
        payload = 0;
        for (int i = 0; i < 8; i++)
            payload = payload << 8 | data[2 + i];
    }
    return payload > size - head_size(data[1]) ? size : head_size(data[1]) + (size_t)payload;
}

static const char *const payloads[] = {
    "",       "plain",        "\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf",
    "\xe2\x82", "\x03\xe8", "\x03\xe8going",                          "\x03\xed",     "\x0f\xa0\xff",     "\x03",
};

static size_t make_frame(dice *d, uint8_t *out, size_t room)
{
    static const uint8_t opcodes[] = {0, 0, 1, 1, 2, 2, 8, 9, 10, 3, 11};
    const char *text = payloads[dice_roll(d, sizeof(payloads) / sizeof(*payloads))];
    const size_t repeats = dice_roll(d, 3) ? 1 : dice_roll(d, 40);
    const size_t bytes = strlen(text) * repeats;
    const int form = bytes < 126 && dice_roll(d, 8) ? 0 : bytes < 65536 && dice_roll(d, 4) ? 2 : 8;
    if (room < 14 + bytes)
        return 0;
    size_t at = 0;
    out[at++] = (uint8_t)((dice_roll(d, 3) ? 0x80 : 0) | (dice_roll(d, 16) ? 0 : 0x40) | opcodes[dice_roll(d, 11)]);
    out[at++] = (uint8_t)((dice_roll(d, 6) ? 0x80 : 0) | (form == 0 ? bytes : form == 2 ? 126 : 127));
    for (int i = form - 1; i >= 0; i--)
        out[at++] = (uint8_t)((uint64_t)bytes >> (8 * i));
    uint8_t mask[4] = {0};
    if (out[1] & 0x80)
        for (int i = 0; i < 4; i++)
            out[at++] = mask[i] = (uint8_t)dice_roll(d, 256);
    for (size_t i = 0; i < bytes; i++)
        out[at + i] = (uint8_t)text[i % strlen(text)] ^ mask[i % 4];
    return at + bytes;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    dice d = dice_new(seed);
    if (room < HEAD || size < HEAD || dice_roll(&d, 3) == 0)
        return LLVMFuzzerMutate(data, size, room);
    return HEAD + mutate_records(&d, data + HEAD, size - HEAD, room - HEAD, frame_size, make_frame);
}
