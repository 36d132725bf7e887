#include "engine/auth.h"

#define PROTOCOL_VERSION_MAX 7
#define VALUE_SIZE_MAX       128 /* of a decoded query value or of Basic credentials' key */

static const struct {
    int status;
    const char *text;
} results[] = {
#define AUTH_ROW(code, status, text) [AUTH_##code] = {status, text},
    AUTH_RESULTS(AUTH_ROW)
#undef AUTH_ROW
};

int auth_status(enum auth_result result)
{
    return results[result].status;
}

const char *auth_text(enum auth_result result)
{
    return results[result].text;
}

/* What one of the forms says. */
struct claim {
    bool has_key;
    bool bad_key;
    bool bad_version;
    struct uuid key;
};

bool auth_parse_key(struct bytes text, struct uuid *ret)
{
    struct bytes digits = bytes_first(text, bytes_find_byte(text, '.'));
    return digits.len == UUID_TEXT_SIZE && uuid_parse(digits, ret);
}

static void claim_pair(struct claim *c, struct bytes name, struct bytes value)
{
    uint64_t version;
    if (bytes_equal(name, BYTES("sentry_key"))) {
        c->has_key = true;
        c->bad_key = !auth_parse_key(value, &c->key);
    } else if (bytes_equal(name, BYTES("sentry_version"))) {
        c->bad_version = !bytes_to_u64(value, &version) || version > PROTOCOL_VERSION_MAX;
    }
}

static enum auth_result claim_result(const struct claim *c, struct uuid *ret_key)
{
    if (!c->has_key)
        return AUTH_MALFORMED;
    if (c->bad_key)
        return AUTH_BAD_KEY;
    if (c->bad_version)
        return AUTH_BAD_VERSION;
    *ret_key = c->key;
    return AUTH_OK;
}

/* The piece up to `separator`; *text is what follows it. */
static struct bytes next_piece(struct bytes *text, uint8_t separator)
{
    size_t at = bytes_find_byte(*text, separator);
    struct bytes piece = bytes_first(*text, at);
    *text = bytes_from(*text, at < text->len ? at + 1 : at);
    return piece;
}

static bool has_scheme(struct bytes header, struct bytes scheme)
{
    return header.data != NULL && header.len > scheme.len && header.data[scheme.len] == ' ' &&
           bytes_equal_nocase(bytes_first(header, scheme.len), scheme);
}

/* "k=v, k=v" behind the scheme. */
static enum auth_result auth_of_pairs(struct bytes pairs, struct uuid *ret_key)
{
    struct claim claim = {0};
    while (pairs.len > 0) {
        struct bytes value = bytes_trim(next_piece(&pairs, ','));
        struct bytes name = bytes_trim(next_piece(&value, '='));
        claim_pair(&claim, name, bytes_trim(value));
    }
    return claim_result(&claim, ret_key);
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The user of "user:password" in base64; only as much as a key can be is decoded. */
static enum auth_result auth_of_basic(struct bytes credentials, struct uuid *ret_key)
{
    uint8_t text[VALUE_SIZE_MAX];
    size_t len = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    credentials = bytes_trim(credentials);
    for (size_t i = 0; i < credentials.len && credentials.data[i] != '='; i++) {
        int value = base64_value(credentials.data[i]);
        if (value < 0)
            return AUTH_MALFORMED;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8 && len < sizeof(text)) {
            bit_count -= 8;
            text[len++] = (uint8_t)(bits >> bit_count);
        }
    }
    struct bytes user = bytes_of(text, len);
    user = bytes_first(user, bytes_find_byte(user, ':'));
    return auth_parse_key(user, ret_key) ? AUTH_OK : AUTH_BAD_KEY;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded into `text`, cut at its size. */
static struct bytes decode_value(struct bytes raw, uint8_t text[VALUE_SIZE_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < raw.len && len < VALUE_SIZE_MAX; i++) {
        uint8_t c = raw.data[i];
        int high = c == '%' && raw.len - i > 2 ? hex_digit(raw.data[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(raw.data[i + 2]);
        if (low >= 0) {
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        text[len++] = c == '+' && low < 0 ? ' ' : c;
    }
    return bytes_of(text, len);
}

static enum auth_result auth_of_query(struct bytes query, struct uuid *ret_key)
{
    struct claim claim = {0};
    uint8_t text[VALUE_SIZE_MAX];
    while (query.len > 0) {
        struct bytes value = next_piece(&query, '&');
        struct bytes name = next_piece(&value, '=');
        claim_pair(&claim, name, decode_value(value, text));
    }
    return claim_result(&claim, ret_key);
}

enum auth_result auth_of_request(struct bytes x_sentry_auth, struct bytes authorization,
                                 struct bytes query, struct uuid *ret_key)
{
    static const struct bytes sentry = BYTES("Sentry");
    static const struct bytes basic = BYTES("Basic");
    bool in_header = has_scheme(x_sentry_auth, sentry);
    bool in_sentry = has_scheme(authorization, sentry);
    bool in_basic = has_scheme(authorization, basic);
    bool in_query = query.data != NULL && bytes_contains(query, BYTES("sentry_"));
    if (in_header + in_sentry + in_basic + in_query > 1)
        return AUTH_MULTIPLE;
    if (in_header)
        return auth_of_pairs(bytes_from(x_sentry_auth, sentry.len + 1), ret_key);
    if (in_sentry)
        return auth_of_pairs(bytes_from(authorization, sentry.len + 1), ret_key);
    if (in_basic)
        return auth_of_basic(bytes_from(authorization, basic.len + 1), ret_key);
    return in_query ? auth_of_query(query, ret_key) : AUTH_ABSENT;
}

bool dsn_parse(struct bytes text, struct dsn *ret)
{
    struct dsn dsn;
    if (bytes_starts_with(text, BYTES("https://")))
        text = bytes_from(text, sizeof("https://") - 1);
    else if (bytes_starts_with(text, BYTES("http://")))
        text = bytes_from(text, sizeof("http://") - 1);
    else
        return false;
    size_t at = bytes_find_byte(text, '@');
    if (at == text.len)
        return false;
    struct bytes user = bytes_first(text, at);
    struct bytes rest = bytes_from(text, at + 1);
    size_t host = bytes_find_byte(rest, '/');
    size_t slash = rest.len; /* one beyond the last slash */
    while (slash > 0 && rest.data[slash - 1] != '/')
        slash--;
    if (host == 0 || slash == 0 || !bytes_to_u64(bytes_from(rest, slash), &dsn.project_id))
        return false;
    user = bytes_first(user, bytes_find_byte(user, ':'));
    if (!auth_parse_key(user, &dsn.key))
        return false;
    *ret = dsn;
    return true;
}
