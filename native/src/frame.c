#include "frame.h"

#include <string.h>

#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0F
#define CONTROL_BIT 0x08
#define MASKED 0x80
#define LENGTH 0x7F
#define LENGTH_16 126
#define LENGTH_64 127

void frame_reader_init(frame_reader *r, uint64_t limit)
{
    *r = (frame_reader){.limit = limit, .head_need = 2};
}

int frame_close_code_valid(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* UTF-8 (RFC 3629 section 4): the first byte says how many follow and between what the next one must be. */
static int begin_character(frame_reader *r, uint8_t byte)
{
    if (byte < 0x80)
        return 1;
    if (byte < 0xC2 || byte > 0xF4)
        return 0;
    r->utf8_need = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    r->utf8_low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    r->utf8_high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return 1;
}

static int utf8_goes_on(frame_reader *r, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (r->utf8_need == 0) {
            uint64_t eight;
            while (bytes - i >= sizeof(eight)) {
                memcpy(&eight, data + i, sizeof(eight));
                if (eight & 0x8080808080808080U)
                    break;
                i += sizeof(eight);
            }
            if (i == bytes)
                break;
            if (!begin_character(r, data[i]))
                return 0;
        } else {
            if (data[i] < r->utf8_low || data[i] > r->utf8_high)
                return 0;
            r->utf8_need--;
            r->utf8_low = 0x80;
            r->utf8_high = 0xBF;
        }
    }
    return 1;
}

/* Unmask in place, eight bytes at a time, and turn the key so that the next byte's is first. */
static void unmask(frame_reader *r, uint8_t *data, size_t bytes)
{
    const uint64_t mask = r->mask;
    size_t i = 0;
    if (r->from_server)
        return;
    for (; bytes - i >= sizeof(mask); i += sizeof(mask)) {
        uint64_t eight;
        memcpy(&eight, data + i, sizeof(eight));
        eight ^= mask;
        memcpy(data + i, &eight, sizeof(eight));
    }
    uint8_t key[2 * sizeof(mask)];
    memcpy(key, &mask, sizeof(mask));
    memcpy(key + sizeof(mask), &mask, sizeof(mask));
    for (size_t k = 0; i + k < bytes; k++)
        data[i + k] ^= key[k];
    memcpy(&r->mask, key + bytes % FRAME_KEY, sizeof(r->mask));
}

static int fail(frame_reader *r, frame_event *event, int code)
{
    r->over = 1;
    event->kind = FRAME_FAIL;
    event->code = code;
    return 0;
}

/* Bytes of the key in a head. */
static int key_bytes(const frame_reader *r)
{
    return r->from_server ? 0 : FRAME_KEY;
}

/* What the first two bytes say; sets how long the head is. */
static int begin_head(frame_reader *r, frame_event *event)
{
    const int opcode = r->head[0] & OPCODE;
    const int length = r->head[1] & LENGTH;
    const int known = opcode <= FRAME_BINARY || (opcode >= FRAME_OP_CLOSE && opcode <= FRAME_OP_PONG);
    const int masked = (r->head[1] & MASKED) != 0;
    if (!known || r->head[0] & RESERVED || masked == r->from_server)
        return fail(r, event, FRAME_PROTOCOL_ERROR);
    if (opcode & CONTROL_BIT) {
        if (!(r->head[0] & FIN) || length > FRAME_CONTROL)
            return fail(r, event, FRAME_PROTOCOL_ERROR);
    } else if ((opcode == 0) != (r->opcode != 0)) { /* goes on with nothing, or begins inside a message */
        return fail(r, event, FRAME_PROTOCOL_ERROR);
    }
    r->head_need = (uint8_t)(2 + key_bytes(r) + (length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0));
    return 1;
}

/* What the whole head says: length and key. */
static int end_head(frame_reader *r, frame_event *event)
{
    const int opcode = r->head[0] & OPCODE;
    const int short_length = r->head[1] & LENGTH;
    const int more = r->head_need - 2 - key_bytes(r);
    uint64_t length = (uint64_t)short_length;
    if (more > 0) {
        length = 0;
        for (int i = 0; i < more; i++)
            length = length << 8 | r->head[2 + i];
        if (length < (more == 2 ? LENGTH_16 : 0x10000U) || length >> 63)
            return fail(r, event, FRAME_PROTOCOL_ERROR); /* not the shortest form, or more than allowed */
    }
    if (!r->from_server) {
        memcpy(&r->mask, r->head + 2 + more, FRAME_KEY);
        memcpy((uint8_t *)&r->mask + FRAME_KEY, r->head + 2 + more, FRAME_KEY);
    }
    r->left = length;
    if (opcode & CONTROL_BIT) {
        r->control = (uint8_t)opcode;
        r->control_have = 0;
        return 1;
    }
    if (length > r->limit - r->message)
        return fail(r, event, FRAME_TOO_BIG);
    r->message += length;
    r->fin = r->head[0] & FIN;
    if (opcode != 0)
        r->opcode = (uint8_t)opcode;
    return 1;
}

static size_t read_head(frame_reader *r, const uint8_t *data, size_t bytes, frame_event *event)
{
    size_t used = 0;
    while (r->head_have < r->head_need) {
        const size_t missing = (size_t)(r->head_need - r->head_have);
        const size_t taken = bytes - used < missing ? bytes - used : missing;
        memcpy(r->head + r->head_have, data + used, taken);
        r->head_have = (uint8_t)(r->head_have + taken);
        used += taken;
        if (taken < missing)
            return used;
        if (r->head_have == 2 && !begin_head(r, event))
            return used;
        if (r->head_have == r->head_need && !end_head(r, event))
            return used;
    }
    r->head_have = 0;
    r->head_need = 0;
    return used;
}

static void close_frame(frame_reader *r, frame_event *event)
{
    const uint8_t *payload = r->control_payload;
    const size_t bytes = r->control_have;
    if (bytes == 0) {
        *event = (frame_event){.kind = FRAME_CLOSE, .code = FRAME_NO_CODE, .data = r->control_payload};
    } else {
        const int code = bytes == 1 ? 0 : payload[0] << 8 | payload[1];
        r->utf8_need = 0; /* no message goes on after this frame */
        if (!frame_close_code_valid(code))
            fail(r, event, FRAME_PROTOCOL_ERROR);
        else if (!utf8_goes_on(r, payload + 2, bytes - 2) || r->utf8_need != 0)
            fail(r, event, FRAME_BAD_TEXT);
        else
            *event = (frame_event){
                .kind = FRAME_CLOSE, .code = code, .data = r->control_payload + 2, .bytes = bytes - 2};
    }
    r->over = 1;
}

static size_t read_control(frame_reader *r, uint8_t *data, size_t bytes, frame_event *event)
{
    const size_t taken = bytes < r->left ? bytes : (size_t)r->left;
    unmask(r, data, taken);
    memcpy(r->control_payload + r->control_have, data, taken);
    r->control_have = (uint8_t)(r->control_have + taken);
    r->left -= taken;
    if (r->left > 0)
        return taken;
    if (r->control == FRAME_OP_CLOSE)
        close_frame(r, event);
    else
        *event = (frame_event){.kind = r->control == FRAME_OP_PING ? FRAME_PING : FRAME_PONG,
                               .data = r->control_payload,
                               .bytes = r->control_have};
    r->control = 0;
    r->head_need = 2;
    return taken;
}

static size_t read_data(frame_reader *r, uint8_t *data, size_t bytes, frame_event *event)
{
    const size_t taken = bytes < r->left ? bytes : (size_t)r->left;
    if (taken == 0 && r->left > 0)
        return 0;
    unmask(r, data, taken);
    r->left -= taken;
    const int last = r->left == 0 && r->fin;
    if (r->opcode == FRAME_TEXT && (!utf8_goes_on(r, data, taken) || (last && r->utf8_need != 0))) {
        fail(r, event, FRAME_BAD_TEXT);
        return taken;
    }
    *event = (frame_event){.kind = FRAME_PART,
                           .opcode = r->opcode,
                           .first = !r->begun,
                           .last = last,
                           .data = data,
                           .bytes = taken};
    r->begun = !last;
    if (last) {
        r->opcode = 0;
        r->message = 0;
    }
    if (r->left == 0)
        r->head_need = 2;
    return taken;
}

size_t frame_read(frame_reader *r, uint8_t *data, size_t bytes, frame_event *event)
{
    *event = (frame_event){.kind = FRAME_MORE};
    if (r->over)
        return bytes;
    size_t used = 0;
    if (r->head_need != 0) {
        used = read_head(r, data, bytes, event);
        if (r->head_need != 0 || event->kind != FRAME_MORE)
            return used;
    }
    if (r->control)
        return used + read_control(r, data + used, bytes - used, event);
    return used + read_data(r, data + used, bytes - used, event);
}

size_t frame_head(uint8_t *out, int opcode, uint64_t bytes)
{
    out[0] = (uint8_t)(FIN | opcode);
    if (bytes < LENGTH_16) {
        out[1] = (uint8_t)bytes;
        return 2;
    }
    const size_t more = bytes < 0x10000U ? 2 : 8;
    out[1] = more == 2 ? LENGTH_16 : LENGTH_64;
    for (size_t i = 0; i < more; i++)
        out[2 + i] = (uint8_t)(bytes >> 8 * (more - 1 - i));
    return 2 + more;
}

size_t frame_head_masked(uint8_t *out, int opcode, uint64_t bytes, const uint8_t *key)
{
    const size_t used = frame_head(out, opcode, bytes);
    out[1] |= MASKED;
    memcpy(out + used, key, FRAME_KEY);
    return used + FRAME_KEY;
}

void frame_mask(uint8_t *out, const uint8_t *data, size_t bytes, const uint8_t *key)
{
    uint64_t mask;
    size_t i = 0;
    memcpy(&mask, key, FRAME_KEY);
    memcpy((uint8_t *)&mask + FRAME_KEY, key, FRAME_KEY);
    for (; bytes - i >= sizeof(mask); i += sizeof(mask)) {
        uint64_t eight;
        memcpy(&eight, data + i, sizeof(eight));
        eight ^= mask;
        memcpy(out + i, &eight, sizeof(eight));
    }
    for (; i < bytes; i++)
        out[i] = data[i] ^ key[i % FRAME_KEY];
}
