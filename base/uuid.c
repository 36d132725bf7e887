#include "base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* 0..15, or 16 for what is no hexadecimal digit */
static unsigned hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10u : 16;
}

static bool is_dash_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool uuid_parse(struct bytes text, struct uuid *ret)
{
    bool dashed = text.len == 36;
    if (!dashed && text.len != 32)
        return false;
    assert(text.data != NULL);
    struct uuid id = {{0}};
    size_t digit = 0;
    for (size_t at = 0; at < text.len; at++) {
        if (dashed && is_dash_place(at)) {
            if (text.data[at] != '-')
                return false;
            continue;
        }
        unsigned v = hex_value(text.data[at]);
        if (v > 15)
            return false;
        id.byte[digit / 2] = (uint8_t)(id.byte[digit / 2] << 4 | v);
        digit++;
    }
    *ret = id;
    return true;
}

bool uuid_parse_lenient(struct bytes text, struct uuid *ret)
{
    if (text.len == 38 && text.data[0] == '{' && text.data[37] == '}')
        return uuid_parse(bytes_of(text.data + 1, 36), ret);
    if (text.len == 45 && bytes_equal_nocase(bytes_first(text, 9), BYTES("urn:uuid:")))
        return uuid_parse(bytes_from(text, 9), ret);
    return uuid_parse(text, ret);
}

void uuid_print(struct uuid id, char text[UUID_TEXT_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(id.byte); i++) {
        text[2 * i] = digits[id.byte[i] >> 4];
        text[2 * i + 1] = digits[id.byte[i] & 15];
    }
    text[UUID_TEXT_SIZE] = '\0';
}

void uuid_print_hyphens(struct uuid id, char text[UUID_HYPHENS_SIZE + 1])
{
    static const uint8_t groups[] = {8, 4, 4, 4, 12};
    char digits[UUID_TEXT_SIZE + 1];
    const char *from = digits;
    uuid_print(id, digits);
    for (size_t i = 0; i < sizeof(groups); i++) {
        if (i > 0)
            *text++ = '-';
        memcpy(text, from, groups[i]);
        text += groups[i];
        from += groups[i];
    }
    *text = '\0';
}

int uuid_compare(struct uuid a, struct uuid b)
{
    return memcmp(a.byte, b.byte, sizeof(a.byte));
}

bool uuid_is_nil(struct uuid id)
{
    return uuid_equal(id, (struct uuid){{0}});
}

bool uuid_equal(struct uuid a, struct uuid b)
{
    return uuid_compare(a, b) == 0;
}

struct uuid uuid_random(void)
{
    struct uuid id;
    ssize_t got;
    do { /* up to 256 bytes are never cut short; EINTR only before the pool is ready */
        got = getrandom(id.byte, sizeof(id.byte), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(id.byte))
        abort(); /* a kernel without getrandom: guessable ids would be worse */
    id.byte[6] = (uint8_t)((id.byte[6] & 0x0f) | 0x40);
    id.byte[8] = (uint8_t)((id.byte[8] & 0x3f) | 0x80);
    return id;
}
