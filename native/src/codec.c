#include "codec.h"

uint64_t codec_bound(const codec *c, const uint8_t *payload, size_t bytes)
{
    return c->kind->bound(c, payload, bytes);
}

int64_t codec_decode(codec *c, const uint8_t *payload, size_t bytes, int16_t *out, uint64_t room,
                     codec_result *result)
{
    if (codec_bound(c, payload, bytes) > room)
        return CODEC_NO_ROOM;
    c->kind->decode(c, payload, bytes, out, result);
    return result->bad_packets == 0 && result->packets == 1 ? result->samples : CODEC_SEE_RESULT;
}

int64_t codec_decode_ring(codec *c, const uint8_t *payload, size_t bytes, ring *r, codec_result *result)
{
    const int64_t status = codec_decode(c, payload, bytes, ring_reserve(r), ring_headroom(r), result);
    if (status != CODEC_NO_ROOM)
        ring_commit(r, (uint64_t)(result->samples + result->concealed)); /* fits: no more than the bound */
    return status;
}

void codec_close(codec *c)
{
    if (c != NULL)
        c->kind->close(c);
}

int encoder_encode(encoder *e, const int16_t *pcm, int samples, uint8_t *out, int room)
{
    return e->kind->encode(e, pcm, samples, out, room);
}

void encoder_close(encoder *e)
{
    if (e != NULL)
        e->kind->close(e);
}
