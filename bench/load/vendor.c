/*
 * A vendor that costs next to nothing: Deepgram's /v1/listen as far as a load test needs it.
 *
 *   vendor                prints its port, serves until standard input ends
 *   a line on stdin       answered with its counts as one line of JSON
 *
 * It counts the audio and answers each full second of it (16 kHz, 16 bit) with one final of one word that says where
 * and when: `p7t123456a40.` = second 7 of this connection was complete at 123456 us of CLOCK_MONOTONIC, by a message
 * with 40 ms of audio after it. `Finalize` and `CloseStream` are answered as the vendor does; anything else is taken and
 * ignored, options of the query too.
 */

#include "ws.h"

#include <time.h>

#define SECOND 32000
#define MILLISECOND (SECOND / 1000)

typedef struct {
    ws_peer peer;
    int64_t bytes, seconds;
} stream;

static int64_t connections, live, audio, messages, results;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void result(stream *s, double start, double end, const char *word, int from_finalize)
{
    char text[1024], words[256] = "";
    if (*word)
        snprintf(words, sizeof(words),
                 "{\"word\":\"%s\",\"punctuated_word\":\"%s\",\"start\":%.3f,\"end\":%.3f,\"confidence\":0.99}", word,
                 word, end - 0.5, end);
    const int bytes = snprintf(
        text, sizeof(text),
        "{\"type\":\"Results\",\"channel_index\":[0,1],\"duration\":%.3f,\"start\":%.3f,\"is_final\":true,"
        "\"speech_final\":true,\"from_finalize\":%s,\"channel\":{\"alternatives\":[{\"transcript\":\"%s\","
        "\"confidence\":0.99,\"words\":[%s]}]},\"metadata\":{\"request_id\":\"bench\",\"model_info\":{\"name\":"
        "\"nova-3\",\"version\":\"bench\",\"arch\":\"nova-3\"},\"model_uuid\":\"bench\"}}",
        end - start, start, from_finalize ? "true" : "false", word, words);
    ws_send(&s->peer, WS_TEXT, text, (size_t)bytes, 0);
    results++;
}

static void hear(stream *s, size_t bytes)
{
    char word[64];
    s->bytes += (int64_t)bytes;
    audio += (int64_t)bytes;
    messages++;
    while (s->bytes >= (s->seconds + 1) * SECOND) {
        s->seconds++;
        snprintf(word, sizeof(word), "p%lldt%llda%lld.", (long long)s->seconds, (long long)now_us(),
                 (long long)(s->bytes - s->seconds * SECOND) / MILLISECOND);
        result(s, (double)(s->seconds - 1), (double)s->seconds, word, 0);
    }
}

static void text(stream *s, const ws_frame *frame)
{
    static const char metadata[] = "{\"type\":\"Metadata\",\"request_id\":\"bench\"}";
    const double heard = (double)s->bytes / SECOND;
    if (memmem(frame->payload, frame->bytes, "\"Finalize\"", 10) != NULL) {
        result(s, (double)s->seconds, heard, "", 1);
    } else if (memmem(frame->payload, frame->bytes, "\"CloseStream\"", 13) != NULL) {
        ws_send(&s->peer, WS_TEXT, metadata, sizeof(metadata) - 1, 0);
        ws_send(&s->peer, WS_CLOSE, "\x03\xe8", 2, 0);
    }
}

static int serve(stream *s)
{
    ws_frame frame;
    if (!ws_receive(&s->peer) || (!s->peer.open && !ws_upgrade(&s->peer)))
        return 0;
    while (s->peer.open && ws_next(&s->peer, &frame)) {
        if (frame.opcode == WS_BINARY)
            hear(s, frame.bytes);
        else if (frame.opcode == WS_TEXT)
            text(s, &frame);
        else if (frame.opcode == WS_PING)
            ws_send(&s->peer, WS_PONG, frame.payload, frame.bytes, 0);
        else if (frame.opcode == WS_CLOSE)
            return 0;
    }
    return 1;
}

static int tell(void)
{
    char line[64];
    if (read(0, line, sizeof(line)) <= 0)
        return 0;
    printf("{\"connections\":%lld,\"live\":%lld,\"audio_bytes\":%lld,\"messages\":%lld,\"results\":%lld}\n",
           (long long)connections, (long long)live, (long long)audio, (long long)messages, (long long)results);
    fflush(stdout);
    return 1;
}

int main(void)
{
    static int listener, input;
    struct epoll_event events[64];
    const int epoll = epoll_create1(0);
    listener = ws_listen();
    ws_watch(epoll, listener, &listener);
    ws_watch(epoll, 0, &input);
    for (;;) {
        const int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &input) {
                if (!tell())
                    return 0;
            } else if (events[i].data.ptr == &listener) {
                const int fd = accept(listener, NULL, NULL);
                stream *s = fd < 0 ? NULL : calloc(1, sizeof(*s));
                if (s == NULL)
                    continue;
                ws_adopt(&s->peer, fd);
                ws_watch(epoll, fd, s);
                connections++, live++;
            } else if (!serve(events[i].data.ptr)) {
                stream *s = events[i].data.ptr;
                ws_end(&s->peer);
                free(s);
                live--;
            }
        }
    }
}
