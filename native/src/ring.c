#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

_Static_assert(sizeof(ring) <= 4096, "the header must fit the smallest page");

static int open_memory(size_t bytes)
{
    int fd = memfd_create("listen-ring", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* kernels before 6.3 do not know the flag */
        fd = memfd_create("listen-ring", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
        int cause = errno;
        close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

/* Header and samples in the first map, the samples once more in the second. */
static char *map_twice(int fd, size_t header, size_t bytes)
{
    const int prot = PROT_READ | PROT_WRITE;
    char *base = mmap(NULL, header + 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mmap(base, header + bytes, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED
        || mmap(base + header + bytes, bytes, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)header) == MAP_FAILED) {
        int cause = errno;
        munmap(base, header + 2 * bytes);
        errno = cause;
        return NULL;
    }
    return base;
}

ring *ring_open(uint64_t samples, int *error)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (samples == 0 || samples > UINT32_MAX) {
        *error = EINVAL;
        return NULL;
    }
    const size_t bytes = (samples * sizeof(int16_t) + page - 1) / page * page;
    int fd = open_memory(page + bytes);
    if (fd < 0) {
        *error = errno;
        return NULL;
    }
    char *base = map_twice(fd, page, bytes);
    *error = errno;
    close(fd); /* the maps keep the memory */
    if (base == NULL)
        return NULL;
    ring *r = (ring *)(void *)base;
    r->samples = (int16_t *)(void *)(base + page);
    r->capacity = bytes / sizeof(int16_t);
    r->header = page;
    *error = 0;
    return r; /* all else is zero: the pages are new */
}

void ring_free(ring *r)
{
    if (r != NULL)
        munmap(r, r->header + 2 * r->capacity * sizeof(int16_t));
}

void ring_reset(ring *r)
{
    r->written = 0;
    r->wanted = 0;
    r->pump = NULL;
    memset(r->cursors, 0, sizeof(r->cursors));
}

uint64_t ring_headroom(const ring *r)
{
    uint64_t unread = 0;
    for (int i = 0; i < RING_CURSORS; i++) {
        const ring_cursor *c = &r->cursors[i];
        if (c->use == CURSOR_LOSSLESS && r->written - c->position > unread)
            unread = r->written - c->position;
    }
    return r->capacity - unread;
}

int16_t *ring_reserve(ring *r)
{
    return r->samples + r->written % r->capacity;
}

int ring_commit(ring *r, uint64_t samples)
{
    if (samples > ring_headroom(r))
        return -1;
    r->written += samples;
    for (int i = 0; i < RING_CURSORS; i++) {
        ring_cursor *c = &r->cursors[i];
        if (c->use == CURSOR_LOSSY && r->written - c->position > r->capacity) {
            const uint64_t oldest = r->written - r->capacity;
            c->overrun += oldest - c->position;
            c->position = oldest;
        }
    }
    return 0;
}

int ring_write(ring *r, const int16_t *pcm, uint64_t samples)
{
    if (samples > ring_headroom(r))
        return -1;
    memcpy(ring_reserve(r), pcm, samples * sizeof(int16_t));
    return ring_commit(r, samples);
}

int ring_cursor_open(ring *r, int use, uint64_t position)
{
    if (position > r->written || r->written - position > r->capacity)
        return -2;
    for (int i = 0; i < RING_CURSORS; i++) {
        if (r->cursors[i].use == CURSOR_FREE) {
            r->cursors[i] = (ring_cursor){.position = position, .use = use};
            return i;
        }
    }
    return -1;
}
