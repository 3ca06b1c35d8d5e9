/*
 * RFC 6455 for the two C programs beside this file: just enough for peers that behave, one thread, epoll.
 *
 * A frame is looked at once it has arrived whole, in the connection's buffer, and unmasked there. What a program
 * cannot send at once it does not keep: `ws_send` ends the process, because a figure measured while the other side
 * is too slow would be wrong.
 */

#ifndef BENCH_WS_H
#define BENCH_WS_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WS_BUFFER (256 * 1024)
#define WS_TEXT 1
#define WS_BINARY 2
#define WS_CLOSE 8
#define WS_PING 9
#define WS_PONG 10

typedef struct {
    int fd;
    int open;     /* the handshake is over */
    size_t start; /* of what is not used up in `in` */
    size_t have;  /* end of it */
    uint8_t *in;  /* WS_BUFFER bytes; pages that are never written cost nothing */
} ws_peer;

typedef struct {
    int opcode;
    uint8_t *payload;
    size_t bytes;
} ws_frame;

static void ws_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

/* SHA-1 (FIPS 180-4) of a message of at most 119 bytes: the handshake's is 60. */
static void sha1(const char *text, size_t bytes, uint8_t digest[20])
{
    uint8_t block[128] = {0};
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const size_t total = bytes < 56 ? 64 : 128;
    memcpy(block, text, bytes);
    block[bytes] = 0x80;
    block[total - 2] = (uint8_t)(bytes * 8 >> 8);
    block[total - 1] = (uint8_t)(bytes * 8);
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) {
            memcpy(&w[i], block + at + 4 * i, 4);
            w[i] = ntohl(w[i]);
        }
        for (int i = 16; i < 80; i++)
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            const uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
            const uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            const uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 5; i++) {
        const uint32_t big = htonl(h[i]);
        memcpy(digest + 4 * i, &big, 4);
    }
}

/* Sec-WebSocket-Accept for a key of 24 characters: 28 characters and a zero. */
static void ws_accept(const char *key, char accept[29])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[61];
    uint8_t digest[21] = {0};
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    sha1(text, 60, digest);
    for (int i = 0; i < 7; i++) {
        const uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int n = 0; n < 4; n++)
            accept[4 * i + n] = digits[three >> (18 - 6 * n) & 63];
    }
    accept[27] = '=';
    accept[28] = 0;
}

static void ws_watch(int epoll, int fd, void *of)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = of};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        ws_die("epoll_ctl");
}

/* Listen on a free port of the loopback interface; prints it as the program's first line. */
static int ws_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        ws_die("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void ws_adopt(ws_peer *peer, int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *peer = (ws_peer){.fd = fd, .in = malloc(WS_BUFFER)};
    if (peer->in == NULL)
        ws_die("malloc");
}

static void ws_end(ws_peer *peer)
{
    close(peer->fd); /* which also takes it out of the epoll set */
    free(peer->in);
}

/* One read; 0 when the peer is gone. */
static int ws_receive(ws_peer *peer)
{
    if (peer->start == peer->have)
        peer->start = peer->have = 0;
    if (peer->start > WS_BUFFER / 2) {
        memmove(peer->in, peer->in + peer->start, peer->have - peer->start);
        peer->have -= peer->start;
        peer->start = 0;
    }
    const ssize_t got = recv(peer->fd, peer->in + peer->have, WS_BUFFER - peer->have, 0);
    if (got > 0)
        peer->have += (size_t)got;
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void ws_write(ws_peer *peer, const void *data, size_t bytes)
{
    errno = EAGAIN;
    if (send(peer->fd, data, bytes, MSG_NOSIGNAL) == (ssize_t)bytes || errno == EPIPE || errno == ECONNRESET)
        return; /* who is gone is noticed by the next read */
    ws_die("the other side reads too slowly");
}

/* One frame; `mask` makes it a client's. The key is constant: it hides nothing from anybody here. */
static void ws_send(ws_peer *peer, int opcode, const void *payload, size_t bytes, int mask)
{
    static uint8_t out[WS_BUFFER];
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t n = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (bytes < 126) {
        out[1] = (uint8_t)bytes;
    } else {
        out[1] = 126;
        out[n++] = (uint8_t)(bytes >> 8);
        out[n++] = (uint8_t)bytes;
    }
    if (mask) {
        out[1] |= 0x80;
        memcpy(out + n, key, 4);
        n += 4;
        for (size_t i = 0; i < bytes; i++)
            out[n + i] = ((const uint8_t *)payload)[i] ^ key[i & 3];
    } else {
        memcpy(out + n, payload, bytes);
    }
    ws_write(peer, out, n + bytes);
}

/* The next whole frame, unmasked; 0 when there is none yet. */
static int ws_next(ws_peer *peer, ws_frame *frame)
{
    uint8_t *const p = peer->in + peer->start;
    const size_t have = peer->have - peer->start;
    if (have < 2)
        return 0;
    size_t head = 2, bytes = p[1] & 127;
    if (bytes == 126) {
        if (have < 4)
            return 0;
        bytes = (size_t)p[2] << 8 | p[3];
        head = 4;
    } else if (bytes == 127) {
        errno = EMSGSIZE;
        ws_die("frame of 64 KiB or more");
    }
    const int masked = p[1] >> 7;
    if (have < head + 4 * (size_t)masked + bytes)
        return 0;
    frame->opcode = p[0] & 15;
    frame->bytes = bytes;
    frame->payload = p + head + 4 * masked;
    if (masked) {
        uint8_t key[4];
        memcpy(key, p + head, 4);
        for (size_t i = 0; i < bytes; i++)
            frame->payload[i] ^= key[i & 3];
    }
    peer->start += head + 4 * (size_t)masked + bytes;
    return 1;
}

/* The end of a head of HTTP that has arrived, taken out of the buffer; NULL while it has not. */
static char *ws_head(ws_peer *peer)
{
    char *const text = (char *)peer->in + peer->start;
    char *const end = memmem(text, peer->have - peer->start, "\r\n\r\n", 4);
    if (end == NULL)
        return NULL;
    *end = 0;
    peer->start += (size_t)(end - text) + 4;
    peer->open = 1;
    return text;
}

/* Answer an upgrade once it has arrived whole; 0 when it is none. */
static int ws_upgrade(ws_peer *peer)
{
    static const char name[] = "\r\nsec-websocket-key:";
    char accept[29], answer[256];
    const char *head = ws_head(peer);
    if (head == NULL)
        return 1;
    const char *key = strcasestr(head, name);
    if (key == NULL)
        return 0;
    key += sizeof(name) - 1;
    key += strspn(key, " ");
    if (strlen(key) < 24)
        return 0;
    ws_accept(key, accept);
    const int bytes = snprintf(answer, sizeof(answer),
                               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: %s\r\n\r\n",
                               accept);
    ws_write(peer, answer, (size_t)bytes);
    return 1;
}

#endif
