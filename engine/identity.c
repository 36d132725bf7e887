#include "engine/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <md5.h>

#define FNV1_PRIME UINT64_C(0x100000001b3)

uint64_t fnv1_continue(uint64_t hash, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash *= FNV1_PRIME;
        hash ^= text.data[i];
    }
    return hash;
}

/* "C:\..." or "\\server\...": paths of Windows. */
static bool has_windows_root(struct bytes path)
{
    if (path.len >= 2 && path.data[0] == '\\' && path.data[1] == '\\')
        return true;
    if (path.len < 3 || path.data[1] != ':' || path.data[2] != '\\')
        return false;
    uint8_t letter = path.data[0] | 0x20;
    return letter >= 'a' && letter <= 'z';
}

/* Where the text after the last `separator` starts; 0 without one. */
static size_t last_part(struct bytes path, uint8_t separator)
{
    size_t at = path.len;
    while (at > 0 && path.data[at - 1] != separator)
        at--;
    return at;
}

static struct bytes last_element(struct bytes path)
{
    uint8_t separator = has_windows_root(path) ? '\\' : '/';
    size_t at = last_part(path, separator);
    if (at < path.len || at == 0)
        return bytes_from(path, at);
    struct bytes before = bytes_first(path, at - 1); /* it ended in a separator */
    struct bytes element = bytes_from(before, last_part(before, separator));
    return element.len > 0 ? element : path;
}

struct bytes trim_package(struct bytes package)
{
    static const char *const suffixes[] = {".dylib", ".so", ".a", ".dll", ".exe"};
    struct bytes name = last_element(package);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        struct bytes suffix = bytes_of_text(suffixes[i]);
        if (bytes_ends_with(name, suffix))
            return bytes_first(name, name.len - suffix.len);
    }
    return name;
}

struct bytes frame_module_or_package(const struct profile *p, const struct profile_frame *f)
{
    if (f->module != 0)
        return profile_string(p, f->module);
    return trim_package(profile_string(p, f->package));
}

uint32_t frame_fingerprint(const struct profile *p, const struct profile_frame *f)
{
    uint64_t hash = fnv1_continue(FNV1_BASIS, frame_module_or_package(p, f));
    hash = fnv1_continue(hash, BYTES(":"));
    hash = fnv1_continue(hash, profile_string(p, f->function));
    return (uint32_t)hash;
}

/* Module, else trimmed package, else file. */
static struct bytes frame_origin(const struct profile *p, const struct profile_frame *f)
{
    struct bytes origin = frame_module_or_package(p, f);
    return origin.len > 0 ? origin : profile_string(p, f->filename);
}

uint64_t frame_stack_hash(uint64_t hash, const struct profile *p, const struct profile_frame *f)
{
    struct bytes origin = frame_origin(p, f);
    struct bytes function = profile_string(p, f->function);
    hash = fnv1_continue(hash, origin.len > 0 ? origin : BYTES("-"));
    hash = fnv1_continue(hash, function.len > 0 ? function : BYTES("-"));
    return fnv1_continue(hash, profile_string(p, f->instruction_addr));
}

/* Hash of the parts' hashes: no concatenation of other texts can give the same. */
struct hash128 frame_identity(const struct profile *p, const struct profile_frame *f)
{
    struct bytes parts[] = {frame_origin(p, f), profile_string(p, f->function),
                            profile_string(p, f->instruction_addr)};
    uint8_t joined[3 * 16];
    for (size_t i = 0; i < 3; i++) {
        struct hash128 part = hash_bytes128(parts[i], i);
        put_u64(joined + i * 16, part.lo);
        put_u64(joined + i * 16 + 8, part.hi);
    }
    return hash_bytes128(bytes_of(joined, sizeof(joined)), 3);
}

static void md5_add(MD5_CTX *md5, struct bytes text)
{
    if (text.len > 0)
        MD5Update(md5, text.data, text.len);
}

void frame_id(const struct profile *p, const struct profile_frame *f, char text[33])
{
    char line[16];
    int line_len = snprintf(line, sizeof(line), "%" PRIu32, f->line);
    MD5_CTX md5;
    MD5Init(&md5);
    md5_add(&md5, profile_string(p, f->filename));
    md5_add(&md5, BYTES(":"));
    md5_add(&md5, profile_string(p, f->function));
    md5_add(&md5, BYTES(":"));
    md5_add(&md5, bytes_of(line, (size_t)line_len));
    md5_add(&md5, BYTES(":"));
    md5_add(&md5, profile_string(p, f->instruction_addr));
    uint8_t digest[MD5_DIGEST_LENGTH];
    MD5Final(digest, &md5);
    for (size_t i = 0; i < sizeof(digest); i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[32] = '\0';
}

int thread_id_compare(struct bytes a, struct bytes b)
{
    uint64_t number_a;
    uint64_t number_b;
    bool is_number_a = bytes_to_u64(a, &number_a);
    bool is_number_b = bytes_to_u64(b, &number_b);
    if (is_number_a != is_number_b)
        return is_number_a ? -1 : 1;
    if (is_number_a && number_a != number_b)
        return number_a < number_b ? -1 : 1;
    return bytes_compare(a, b);
}

const struct frame_rules engine_frame_rules = {.identity = frame_identity,
                                               .fingerprint = frame_fingerprint};
