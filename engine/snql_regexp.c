/* snql_regexp.c - regular expressions, by PCRE2 within the limits of RE2.
 *
 * ClickHouse has RE2: no back-references, no looking around, and no pattern that takes exponential
 * time. The first two are refused here as it refuses them; a pattern that backtracks more than
 * MATCH_STEPS_MAX times over a text is refused then. A dot matches a newline. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"
#include "engine/snql_function.h"

#define MATCH_STEPS_MAX  1000000 /* a simple pattern takes one or two a byte */
#define MATCH_MEMORY_KIB 4096    /* of backtracking */
#define PATTERN_SIZE_MAX KIB(4)  /* a person writes below 200; compiling takes memory */

struct regexp {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static void regexp_close(struct regexp *r)
{
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->context);
    pcre2_code_free(r->code);
}

static enum err refuse_pattern(struct bytes pattern, const char *why, struct snql_error *error)
{
    return snql_refuse_code(error, SNQL_CODE_CANNOT_COMPILE_REGEXP, "regular expression '%.*s': %s",
                            (int)bytes_first(pattern, 80).len, (const char *)pattern.data, why);
}

/* What RE2 does not have: \1, (?=, (?!, (?<=, (?<!, (?>, possessive repeats. */
static const char *not_in_re2(struct bytes p)
{
    bool in_class = false;
    for (size_t i = 0; i < p.len; i++) {
        uint8_t c = p.data[i];
        uint8_t next = i + 1 < p.len ? p.data[i + 1] : 0;
        if (c == '\\') {
            if (!in_class && ((next >= '1' && next <= '9') || next == 'g' || next == 'k'))
                return "back-references are not supported";
            i++;
        } else if (c == '[') {
            in_class = true;
        } else if (c == ']') {
            in_class = false;
        } else if (!in_class && c == '(' && next == '?' && i + 2 < p.len) {
            uint8_t kind = p.data[i + 2];
            uint8_t behind = i + 3 < p.len ? p.data[i + 3] : 0;
            if (kind == '=' || kind == '!' || kind == '>' || kind == '(' || kind == '|' ||
                kind == '#' || kind == 'R' || kind == '&' ||
                (kind == '<' && (behind == '=' || behind == '!')))
                return "looking around, atomic groups and conditions are not supported";
        } else if (!in_class && c == '(' && next == '*') {
            return "verbs are not supported";
        } else if (!in_class && (c == '+' || c == '*' || c == '?' || c == '}') && next == '+') {
            return "possessive repeats are not supported";
        }
    }
    return NULL;
}

static enum err regexp_open(struct bytes pattern, struct regexp *ret, struct snql_error *error)
{
    *ret = (struct regexp){0};
    if (pattern.len > PATTERN_SIZE_MAX)
        return refuse_pattern(pattern, "it is longer than 4 KiB", error);
    const char *why = not_in_re2(pattern);
    if (why != NULL)
        return refuse_pattern(pattern, why, error);
    int code;
    PCRE2_SIZE offset;
    uint32_t options = PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
    ret->code = pcre2_compile(pattern.data == NULL ? (PCRE2_SPTR) "" : pattern.data, pattern.len,
                              options, &code, &offset, NULL);
    if (ret->code == NULL) {
        PCRE2_UCHAR text[120];
        (void)pcre2_get_error_message(code, text, sizeof(text));
        return refuse_pattern(pattern, (const char *)text, error);
    }
    ret->context = pcre2_match_context_create(NULL);
    ret->match = pcre2_match_data_create_from_pattern(ret->code, NULL);
    if (ret->context == NULL || ret->match == NULL) {
        regexp_close(ret);
        return ERR_NOMEM;
    }
    (void)pcre2_set_match_limit(ret->context, MATCH_STEPS_MAX);
    (void)pcre2_set_heap_limit(ret->context, MATCH_MEMORY_KIB);
    return ERR_OK;
}

/* Where it matches at or behind `from`: group 0, and group 1 when there is one. */
struct found {
    bool found;
    bool has_group;
    size_t start;
    size_t end;
    size_t group_start;
    size_t group_end;
};

static enum err regexp_find(struct regexp *r, struct bytes text, size_t from, struct found *ret,
                            struct snql_error *error)
{
    int rc = pcre2_match(r->code, text.len == 0 ? (PCRE2_SPTR) "" : text.data, text.len, from, 0,
                         r->match, r->context);
    *ret = (struct found){.found = rc > 0};
    if (rc == PCRE2_ERROR_NOMATCH)
        return ERR_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return ERR_NOMEM;
    if (rc < 0)
        return snql_refuse_code(error, SNQL_CODE_TIMEOUT,
                                "a regular expression takes too many steps on a text of %zu bytes",
                                text.len);
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(r->match);
    ret->start = places[0];
    ret->end = places[1];
    ret->has_group = rc > 1 && places[2] != PCRE2_UNSET;
    if (ret->has_group) {
        ret->group_start = places[2];
        ret->group_end = places[3];
    }
    return ERR_OK;
}

enum regexp_use { MATCH, EXTRACT, REPLACE_ALL, REPLACE_ONE };

static enum err bind_regexp(struct snql_call *c, struct snql_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->types[i].kind != SNQL_TYPE_STRING)
            return snql_refuse_type(c, i, "text", error);
    if (c->constants[1] == NULL)
        return snql_refuse_type(c, 1, "a constant regular expression", error);
    struct regexp r; /* compiled again where it is used: nothing to free with an arena */
    TRY(regexp_open(c->constants[1]->text[0], &r, error));
    regexp_close(&r);
    c->type = snql_type_of(c->function->variant == MATCH ? SNQL_TYPE_UINT8 : SNQL_TYPE_STRING);
    return ERR_OK;
}

/* \0 is the match, \1 the first group. */
static void put_replacement(struct bytes with, struct bytes text, const struct found *f,
                            struct buffer *out)
{
    for (size_t i = 0; i < with.len; i++) {
        uint8_t next = i + 1 < with.len ? with.data[i + 1] : 0;
        if (with.data[i] != '\\' || (next != '0' && next != '1' && next != '\\')) {
            buffer_put_u8(out, with.data[i]);
            continue;
        }
        if (next == '0')
            buffer_put(out, bytes_of(text.data + f->start, f->end - f->start));
        else if (next == '1' && f->has_group)
            buffer_put(out, bytes_of(text.data + f->group_start, f->group_end - f->group_start));
        else if (next == '\\')
            buffer_put_u8(out, '\\');
        i++;
    }
}

static enum err replace_in(struct regexp *r, struct bytes text, struct bytes with, bool all,
                           struct buffer *out, struct snql_error *error)
{
    size_t at = 0;
    while (at <= text.len) {
        struct found f;
        TRY(regexp_find(r, text, at, &f, error));
        if (!f.found)
            break;
        buffer_put(out, bytes_of(text.data + at, f.start - at));
        put_replacement(with, text, &f, out);
        at = f.end;
        if (f.end == f.start) { /* an empty match: what follows it is kept, and gone by */
            buffer_put(out, bytes_first(bytes_from(text, at), 1));
            at++;
        }
        if (!all)
            break;
    }
    buffer_put(out, bytes_from(text, at));
    return out->failed;
}

static enum err eval_rows(struct regexp *r, const struct snql_call *c,
                          const struct snql_column *args, const struct snql_frame *frame,
                          struct snql_column *ret)
{
    enum regexp_use use = (enum regexp_use)c->function->variant;
    uint64_t *flags = SNQL_ROOM(frame, uint64_t);
    struct bytes *texts = SNQL_ROOM(frame, struct bytes);
    struct buffer replaced;
    if (flags == NULL || texts == NULL)
        return arena_error(frame->arena);
    buffer_init(&replaced, MIB(64), frame->arena->account);
    enum err rc = ERR_OK;
    for (size_t row = 0; row < frame->rows && rc == ERR_OK; row++) {
        flags[row] = 0;
        texts[row] = (struct bytes){(const uint8_t *)"", 0};
        if (snql_skips(frame, row))
            continue;
        struct bytes text = args[0].text[snql_at(&args[0], row)];
        struct found f = {0};
        if (use == MATCH || use == EXTRACT)
            rc = regexp_find(r, text, 0, &f, frame->error);
        flags[row] = f.found;
        if (f.found && use == EXTRACT)
            texts[row] = f.has_group
                             ? bytes_of(text.data + f.group_start, f.group_end - f.group_start)
                             : bytes_of(text.data + f.start, f.end - f.start);
        if (use == REPLACE_ALL || use == REPLACE_ONE) {
            buffer_clear(&replaced);
            rc = replace_in(r, text, args[2].text[snql_at(&args[2], row)], use == REPLACE_ALL,
                            &replaced, frame->error);
            if (rc == ERR_OK && replaced.len > 0)
                texts[row] = arena_copy(frame->arena, buffer_bytes(&replaced));
            if (rc == ERR_OK && texts[row].data == NULL)
                rc = arena_error(frame->arena);
        }
    }
    buffer_close(&replaced);
    if (use == MATCH)
        ret->u64 = flags;
    else
        ret->text = texts;
    return rc;
}

static enum err eval_regexp(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    struct regexp r;
    TRY(regexp_open(args[1].text[0], &r, frame->error));
    enum err rc = eval_rows(&r, c, args, frame, ret);
    regexp_close(&r);
    return rc;
}

static const struct snql_function functions[] = {
    {BYTES("match"), 2, 2, 0, MATCH, bind_regexp, eval_regexp},
    {BYTES("extract"), 2, 2, 0, EXTRACT, bind_regexp, eval_regexp},
    {BYTES("replaceRegexpAll"), 3, 3, 0, REPLACE_ALL, bind_regexp, eval_regexp},
    {BYTES("replaceRegexpOne"), 3, 3, 0, REPLACE_ONE, bind_regexp, eval_regexp},
};

const struct snql_function_list snql_regexp_functions = {functions,
                                                         sizeof(functions) / sizeof(functions[0])};
