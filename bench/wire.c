/*
 * The limit of reading what clients send: WebSocket frames without any care for the protocol, in a loop in C, and
 * libopus behind it. Times are of the thread's CPU clock. Beside it our own reader, called from C as the lane calls it. Used by bench/wire.py.
 */

#define _GNU_SOURCE
#include "frame.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef int (*decode_function)(void *, const unsigned char *, int32_t, int16_t *, int, int);

typedef struct {
    int epoll;
    decode_function decode;
    void *(*create)(int32_t, int, int *);
    void (*destroy)(void *);
    void *decoders[64];
    int16_t *rings[64];
    size_t at[64];
    int vendors[64];   /* 0: none */
    size_t unsent[64]; /* samples */
} receiver;

#define RING (16 * 16000)
#define CHUNK 1600

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The payload of the next frame, unmasked where it lies; NULL at the end. */
static uint8_t *next(uint8_t **at, const uint8_t *end, size_t *bytes)
{
    uint8_t *p = *at;
    if (end - p < 6)
        return NULL;
    size_t head = 2, size = p[1] & 127;
    if (size == 126) {
        size = (size_t)p[2] << 8 | p[3];
        head = 4;
    }
    uint8_t key[4], *payload = p + head + 4;
    memcpy(key, p + head, 4);
    for (size_t i = 0; i < size; i++)
        payload[i] ^= key[i & 3];
    *bytes = size;
    *at = payload + size;
    return payload;
}

/* Nanoseconds to read a buffer of whole frames of at most 64 KiB; payloads are masked and unmasked in turns. */
double wire_bare(uint8_t *data, size_t bytes)
{
    const double start = now();
    uint8_t *at = data;
    size_t size, sum = 0;
    while (next(&at, data + bytes, &size) != NULL)
        sum += size;
    __asm__ volatile("" ::"r"(sum) : "memory");
    return now() - start;
}

/* The same by frame.c. */
double wire_reader(uint8_t *data, size_t bytes)
{
    static frame_reader reader;
    const double start = now();
    frame_event event;
    size_t at = 0, sum = 0;
    frame_reader_init(&reader, 1 << 20);
    while (at < bytes) {
        at += frame_read(&reader, data + at, bytes - at, &event);
        sum += event.bytes;
    }
    __asm__ volatile("" ::"r"(sum) : "memory");
    return now() - start;
}

receiver *wire_open(const char *opus)
{
    void *library = dlopen(opus, RTLD_NOW | RTLD_LOCAL);
    receiver *r = calloc(1, sizeof(*r));
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->create = (void *(*)(int32_t, int, int *))dlsym(library, "opus_decoder_create");
    r->decode = (decode_function)dlsym(library, "opus_decode");
    r->destroy = (void (*)(void *))dlsym(library, "opus_decoder_destroy");
    return r;
}

void wire_add(receiver *r, int fd, int slot)
{
    int error;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)slot << 32 | (uint32_t)fd};
    r->decoders[slot] = r->create(16000, 1, &error);
    r->rings[slot] = calloc(RING + 5760, sizeof(int16_t));
    epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* What is decoded on this slot goes to `fd` in messages of 100 ms. */
void wire_vendor(receiver *r, int fd, int slot)
{
    r->vendors[slot] = fd;
}

/* One masked message of the last CHUNK samples; the key is constant, as in climit.c. */
static void send_on(receiver *r, int slot)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    static uint8_t out[8 + CHUNK * 2] = {0x82, 0x80 | 126, CHUNK * 2 >> 8, CHUNK * 2 & 255, 0x37, 0xfa, 0x21, 0x3d};
    const uint8_t *pcm = (const uint8_t *)(r->rings[slot] + (r->at[slot] + RING - CHUNK) % RING);
    for (size_t i = 0; i < CHUNK * 2; i++)
        out[8 + i] = pcm[i] ^ key[i & 3];
    if (send(r->vendors[slot], out, sizeof(out), MSG_NOSIGNAL) != (ssize_t)sizeof(out))
        abort();
    r->unsent[slot] -= CHUNK;
}

/* Nanoseconds to receive and decode `frames` packets, of whichever sockets. */
double wire_receive(receiver *r, int frames)
{
    static uint8_t buffer[65536];
    struct epoll_event events[64];
    const double start = now();
    while (frames > 0) {
        const int ready = epoll_wait(r->epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            const int slot = (int)(events[i].data.u64 >> 32);
            const ssize_t got = recv((int)(uint32_t)events[i].data.u64, buffer, sizeof(buffer), 0);
            if (got <= 0)
                return -1;
            uint8_t *at = buffer, *payload;
            size_t size;
            while ((payload = next(&at, buffer + got, &size)) != NULL) {
                const int n = r->decode(r->decoders[slot], payload, (int32_t)size, r->rings[slot] + r->at[slot], 5760, 0);
                r->at[slot] = (r->at[slot] + (size_t)(n > 0 ? n : 0)) % RING;
                r->unsent[slot] += (size_t)(n > 0 ? n : 0);
                if (r->vendors[slot] != 0 && r->unsent[slot] >= CHUNK)
                    send_on(r, slot);
                frames--;
            }
        }
    }
    return now() - start;
}

void wire_close(receiver *r)
{
    for (int slot = 0; slot < 64; slot++) {
        free(r->rings[slot]);
        if (r->decoders[slot] != NULL)
            r->destroy(r->decoders[slot]);
    }
    close(r->epoll);
    free(r);
}
