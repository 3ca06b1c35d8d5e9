/*
 * The limit: what no server in any language does cheaper. One thread: receive, unmask, libopus decode, one masked
 * frame to the vendor for each 100 ms, the vendor's answers back as a segment. No session, no timeline, no store.
 *
 *   climit LIBOPUS VENDOR_PORT     prints its port, serves until standard input ends
 */

#include "ws.h"

#include <dlfcn.h>

#define CHUNK 1600
#define LONGEST 5760

typedef struct session session;

typedef struct {
    ws_peer peer; /* first: a side is found by its peer */
    session *of;
} side;

struct session {
    side client, vendor;
    void *decoder;
    int samples, results;
    int16_t pcm[CHUNK + LONGEST];
};

static void *(*opus_create)(int32_t, int, int *);
static int (*opus_decode)(void *, const unsigned char *, int32_t, int16_t *, int, int);
static void (*opus_destroy)(void *);
static struct sockaddr_in vendor_address = {.sin_family = AF_INET};

static void load_opus(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        ws_die(path);
    opus_create = (void *(*)(int32_t, int, int *))dlsym(library, "opus_decoder_create");
    opus_decode = (int (*)(void *, const unsigned char *, int32_t, int16_t *, int, int))dlsym(library, "opus_decode");
    opus_destroy = (void (*)(void *))dlsym(library, "opus_decoder_destroy");
}

static void begin(int epoll, int fd)
{
    static const char upgrade[] = "GET /v1/listen HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    int error;
    session *s = calloc(1, sizeof(*s));
    const int vendor = socket(AF_INET, SOCK_STREAM, 0);
    if (s == NULL || connect(vendor, (struct sockaddr *)&vendor_address, sizeof(vendor_address)) != 0)
        ws_die("vendor");
    ws_adopt(&s->client.peer, fd);
    ws_adopt(&s->vendor.peer, vendor);
    s->client.of = s->vendor.of = s;
    s->decoder = opus_create(16000, 1, &error);
    ws_watch(epoll, fd, &s->client);
    ws_watch(epoll, vendor, &s->vendor);
    ws_write(&s->vendor.peer, upgrade, sizeof(upgrade) - 1);
}

static void finish(session *s)
{
    ws_end(&s->client.peer);
    ws_end(&s->vendor.peer);
    opus_destroy(s->decoder);
    free(s);
}

static void hear(session *s, const ws_frame *frame)
{
    const int got = opus_decode(s->decoder, frame->payload, (int32_t)frame->bytes, s->pcm + s->samples, LONGEST, 0);
    if (got > 0)
        s->samples += got;
    while (s->samples >= CHUNK && s->vendor.peer.open) {
        ws_send(&s->vendor.peer, WS_BINARY, s->pcm, CHUNK * 2, 1);
        s->samples -= CHUNK;
        memmove(s->pcm, s->pcm + CHUNK, (size_t)s->samples * 2);
    }
}

/* The value of a field, taken as a number. */
static double number(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found ? strtod(found + strlen(name), NULL) : 0;
}

static void answer(session *s, ws_frame *frame)
{
    static const char field[] = "\"transcript\":\"";
    char text[1024], out[1024];
    const size_t bytes = frame->bytes < sizeof(text) - 1 ? frame->bytes : sizeof(text) - 1;
    memcpy(text, frame->payload, bytes);
    text[bytes] = 0;
    const char *word = strstr(text, field);
    if (word == NULL || word[sizeof(field) - 1] == '"')
        return;
    word += sizeof(field) - 1;
    const double start = number(text, "\"start\":");
    const int length =
        snprintf(out, sizeof(out),
                 "[{\"id\":\"%d\",\"text\":\"%.*s\",\"speaker\":\"SPEAKER_00\",\"speaker_id\":0,\"is_user\":false,"
                 "\"start\":%.3f,\"end\":%.3f}]",
                 s->results++, (int)strcspn(word, "\""), word, start, start + number(text, "\"duration\":"));
    ws_send(&s->client.peer, WS_TEXT, out, (size_t)length, 0);
}

/* 0: the session is over. */
static int client_sent(session *s)
{
    ws_frame frame;
    if (!ws_receive(&s->client.peer) || (!s->client.peer.open && !ws_upgrade(&s->client.peer)))
        return 0;
    while (s->client.peer.open && ws_next(&s->client.peer, &frame)) {
        if (frame.opcode == WS_CLOSE)
            return 0;
        if (frame.opcode == WS_BINARY && frame.bytes > 2)
            hear(s, &frame);
        else if (frame.opcode == WS_PING)
            ws_send(&s->client.peer, WS_PONG, frame.payload, frame.bytes, 0);
    }
    return 1;
}

static int vendor_sent(session *s)
{
    ws_frame frame;
    if (!ws_receive(&s->vendor.peer))
        return 0;
    if (!s->vendor.peer.open)
        ws_head(&s->vendor.peer);
    while (s->vendor.peer.open && ws_next(&s->vendor.peer, &frame)) {
        if (frame.opcode == WS_CLOSE)
            return 0;
        if (frame.opcode == WS_TEXT)
            answer(s, &frame);
    }
    return 1;
}

static int served(side *of)
{
    session *s = of->of;
    const int alive = of == &s->client ? client_sent(s) : vendor_sent(s);
    if (!alive)
        finish(s);
    return alive;
}

int main(int count, char **arguments)
{
    static int listener, input;
    struct epoll_event events[64];
    const int epoll = epoll_create1(0);
    if (count != 3)
        return 2;
    load_opus(arguments[1]);
    vendor_address.sin_port = htons((uint16_t)atoi(arguments[2]));
    vendor_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = ws_listen();
    ws_watch(epoll, listener, &listener);
    ws_watch(epoll, 0, &input);
    for (;;) {
        const int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &input)
                return 0;
            if (events[i].data.ptr == &listener) {
                const int fd = accept(listener, NULL, NULL);
                if (fd >= 0)
                    begin(epoll, fd);
            } else if (!served(events[i].data.ptr)) {
                break; /* the other side's event may be in this batch: level-triggered, it comes again if alive */
            }
        }
    }
}
