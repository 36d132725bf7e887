/* snql_text.c - functions of text: bytes, unless a name says UTF8. */
#include <utf8proc.h>

#include "base/limits.h"
#include "engine/snql_function.h"

static struct bytes text_at(const struct snql_column *c, size_t row)
{
    return c->text[snql_at(c, row)];
}

static enum err need_text(struct snql_call *c, size_t argument, struct snql_error *error)
{
    if (c->types[argument].kind == SNQL_TYPE_STRING)
        return ERR_OK;
    return snql_refuse_type(c, argument, "text", error);
}

static enum err need_texts(struct snql_call *c, struct snql_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        TRY(need_text(c, i, error));
    return ERR_OK;
}

static enum err need_integer(struct snql_call *c, size_t argument, struct snql_error *error)
{
    if (snql_type_is_integer(c->types[argument]))
        return ERR_OK;
    return snql_refuse_type(c, argument, "a whole number", error);
}

/* ---- searching ---- */

/* Offset of the first `needle`, or haystack.len + 1. */
static size_t find(struct bytes haystack, struct bytes needle)
{
    if (needle.len == 0)
        return 0;
    if (needle.len > haystack.len)
        return haystack.len + 1;
    const uint8_t *at = memmem(haystack.data, haystack.len, needle.data, needle.len);
    return at == NULL ? haystack.len + 1 : (size_t)(at - haystack.data);
}

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static uint8_t ascii_upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

enum folding { FOLD_NONE, FOLD_LOWER, FOLD_UPPER, FOLD_LOWER_UTF8, FOLD_UPPER_UTF8 };

/* Every character by itself; what is not UTF-8 stays as it is. */
static struct bytes fold_utf8(struct bytes text, bool upper, struct arena *arena)
{
    uint8_t *out = arena_take(arena, 4 * text.len + 1, 1); /* a character has at most four bytes */
    size_t len = 0;
    if (out == NULL)
        return (struct bytes){0};
    for (size_t at = 0; at < text.len;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size =
            utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.len - at), &c);
        if (size <= 0) {
            out[len++] = text.data[at++];
            continue;
        }
        c = upper ? utf8proc_toupper(c) : utf8proc_tolower(c);
        len += (size_t)utf8proc_encode_char(c, out + len);
        at += (size_t)size;
    }
    return bytes_of(out, len);
}

/* data NULL: no memory. */
static struct bytes fold(struct bytes text, enum folding f, struct arena *arena)
{
    if (f == FOLD_NONE)
        return text;
    if (f >= FOLD_LOWER_UTF8)
        return fold_utf8(text, f == FOLD_UPPER_UTF8, arena);
    uint8_t *out = arena_take(arena, text.len + 1, 1);
    if (out == NULL)
        return (struct bytes){0};
    for (size_t i = 0; i < text.len; i++)
        out[i] = f == FOLD_LOWER ? ascii_lower(text.data[i]) : ascii_upper(text.data[i]);
    return bytes_of(out, text.len);
}

static enum err bind_text_to_text(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_STRING);
    return need_texts(c, error);
}

static enum err eval_fold(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    struct bytes *out = SNQL_ROOM(frame, struct bytes);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        out[row] = fold(text_at(&args[0], row), (enum folding)c->function->variant, frame->arena);
        if (out[row].data == NULL)
            return arena_error(frame->arena);
    }
    ret->text = out;
    return ERR_OK;
}

static enum err bind_text_to_number(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_UINT64);
    return need_texts(c, error);
}

static size_t count_characters(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

/* position(s, needle), from 1, 0: it is not there; the variant folds both. */
static enum err eval_position(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    enum folding f = (enum folding)c->function->variant;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes haystack = fold(text_at(&args[0], row), f, frame->arena);
        struct bytes needle = fold(text_at(&args[1], row), f, frame->arena);
        if (frame->arena->failed != ERR_OK)
            return arena_error(frame->arena);
        size_t at = find(haystack, needle);
        out[row] = at > haystack.len ? 0 : at + 1;
        if (f == FOLD_LOWER_UTF8 && out[row] > 0) /* counted in characters */
            out[row] = count_characters(bytes_first(haystack, at)) + 1;
    }
    ret->u64 = out;
    return ERR_OK;
}

static enum err bind_text_to_flag(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    return need_texts(c, error);
}

static enum err eval_starts_with(const struct snql_call *c, const struct snql_column *args,
                                 const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[0], row);
        struct bytes part = text_at(&args[1], row);
        out[row] =
            c->function->variant == 0 ? bytes_starts_with(text, part) : bytes_ends_with(text, part);
    }
    ret->u64 = out;
    return ERR_OK;
}

/* ---- LIKE ---- */

/* Bytes of the character at the start, 1 when it is none. */
static size_t character_size(struct bytes b)
{
    size_t size = bytes_utf8_first(b);
    return size == 0 ? 1 : size;
}

/* % any run, _ one character, backslash before %, _ and itself. The last % is gone back to. */
static bool is_like(struct bytes text, struct bytes pattern)
{
    size_t at = 0;
    size_t p = 0;
    size_t star = SIZE_MAX;
    size_t star_at = 0;
    while (at < text.len) {
        uint8_t c = p < pattern.len ? pattern.data[p] : 0;
        bool escaped = c == '\\' && p + 1 < pattern.len &&
                       (pattern.data[p + 1] == '%' || pattern.data[p + 1] == '_' ||
                        pattern.data[p + 1] == '\\');
        if (p < pattern.len && c == '%') {
            star = ++p;
            star_at = at;
        } else if (p < pattern.len && c == '_') {
            p++;
            at += character_size(bytes_from(text, at));
        } else if (p < pattern.len && text.data[at] == pattern.data[p + escaped]) {
            p += 1 + (size_t)escaped;
            at++;
        } else if (star != SIZE_MAX) {
            p = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '%')
        p++;
    return p == pattern.len;
}

/* variant: bit 0 negates, bit 1 ignores case */
static enum err eval_like(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    bool negated = (c->function->variant & 1) != 0;
    enum folding f = (c->function->variant & 2) != 0 ? FOLD_LOWER_UTF8 : FOLD_NONE;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = fold(text_at(&args[0], row), f, frame->arena);
        struct bytes pattern = fold(text_at(&args[1], row), f, frame->arena);
        if (frame->arena->failed != ERR_OK)
            return arena_error(frame->arena);
        out[row] = is_like(text, pattern) != negated;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* ---- sizes ---- */

enum size { LENGTH, EMPTY, NOT_EMPTY, LENGTH_UTF8 };

static enum err bind_size(struct snql_call *c, struct snql_error *error)
{
    bool array = c->types[0].kind == SNQL_TYPE_ARRAY && c->function->variant != LENGTH_UTF8;
    c->type = snql_type_of(c->function->variant == EMPTY || c->function->variant == NOT_EMPTY
                               ? SNQL_TYPE_UINT8
                               : SNQL_TYPE_UINT64);
    if (!array && c->types[0].kind != SNQL_TYPE_STRING)
        return snql_refuse_type(c, 0, "text or an array", error);
    return ERR_OK;
}

static enum err eval_size(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        uint64_t size;
        if (args[0].type.kind == SNQL_TYPE_ARRAY) {
            uint32_t from;
            uint32_t end;
            snql_array_bounds(&args[0], row, &from, &end);
            size = end - from;
        } else {
            struct bytes text = text_at(&args[0], row);
            size = c->function->variant == LENGTH_UTF8 ? count_characters(text) : text.len;
        }
        out[row] = c->function->variant == EMPTY       ? size == 0
                   : c->function->variant == NOT_EMPTY ? size != 0
                                                       : size;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* ---- making text ---- */

/* Texts of rows are put into one buffer, whose bytes then move to the arena. */
struct text_builder {
    struct buffer all;
    size_t *ends;
};

static enum err builder_begin(struct text_builder *b, const struct snql_frame *frame)
{
    buffer_init(&b->all, MIB(256), frame->arena->account);
    b->ends = SNQL_ROOM(frame, size_t);
    return b->ends == NULL ? arena_error(frame->arena) : ERR_OK;
}

static enum err builder_end(struct text_builder *b, const struct snql_frame *frame,
                            struct snql_column *ret)
{
    struct bytes *out = SNQL_ROOM(frame, struct bytes);
    struct bytes kept = {(const uint8_t *)"", 0};
    enum err rc = b->all.failed;
    if (rc == ERR_OK && b->all.len > 0) {
        kept = arena_copy(frame->arena, buffer_bytes(&b->all));
        if (kept.data == NULL)
            rc = arena_error(frame->arena);
    }
    buffer_close(&b->all);
    if (out == NULL)
        return arena_error(frame->arena);
    size_t from = 0;
    for (size_t row = 0; row < frame->rows && rc == ERR_OK; row++) {
        out[row] = bytes_of(kept.data + from, b->ends[row] - from);
        from = b->ends[row];
    }
    ret->text = out;
    return rc;
}

static enum err bind_concat(struct snql_call *c, struct snql_error *error)
{
    (void)error;
    c->type = snql_type_of(SNQL_TYPE_STRING);
    return ERR_OK;
}

static enum err eval_concat(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    struct text_builder b;
    TRY(builder_begin(&b, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        for (size_t i = 0; i < c->count && !snql_skips(frame, row); i++)
            snql_print_text(&args[i], row, &b.all);
        b.ends[row] = b.all.len;
    }
    return builder_end(&b, frame, ret);
}

/* replaceAll (0), replaceOne (1) */
static enum err eval_replace(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    struct text_builder b;
    TRY(builder_begin(&b, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[0], row);
        struct bytes from = text_at(&args[1], row);
        size_t at = from.len == 0 ? text.len + 1 : find(text, from);
        while (at <= text.len) {
            buffer_put(&b.all, bytes_first(text, at));
            buffer_put(&b.all, text_at(&args[2], row));
            text = bytes_from(text, at + from.len);
            at = c->function->variant == 1 ? text.len + 1 : find(text, from);
        }
        buffer_put(&b.all, text);
        b.ends[row] = b.all.len;
    }
    return builder_end(&b, frame, ret);
}

enum slice { SUBSTRING, LEFT, RIGHT, TRIM };

static enum err bind_slice(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_STRING);
    TRY(need_text(c, 0, error));
    for (size_t i = 1; i < c->count; i++)
        TRY(need_integer(c, i, error));
    return ERR_OK;
}

static struct bytes trim_blanks(struct bytes text)
{
    while (text.len > 0 && text.data[0] == ' ')
        text = bytes_from(text, 1);
    while (text.len > 0 && text.data[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* Bytes from `start` (1 is the first, -1 the last), at most `count` of them. */
static struct bytes slice_of(struct bytes text, int64_t start, int64_t count)
{
    int64_t len = (int64_t)text.len;
    int64_t from = start > 0 ? start - 1 : start < 0 ? len + start : len;
    if (start < 0 && from < 0) { /* what lies before the text counts */
        count = count < -from ? 0 : count + from;
        from = 0;
    }
    if (from >= len || count <= 0)
        return bytes_first(text, 0);
    return bytes_first(bytes_from(text, (size_t)from),
                       count > len - from ? (size_t)(len - from) : (size_t)count);
}

static enum err eval_slice(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct bytes *out = SNQL_ROOM(frame, struct bytes);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[0], row);
        int64_t n = c->count > 1 ? snql_i64_at(&args[1], row) : 0;
        int64_t len = (int64_t)text.len;
        switch ((enum slice)c->function->variant) {
        case SUBSTRING: {
            int64_t count = c->count > 2 ? snql_i64_at(&args[2], row) : INT64_MAX;
            if (count < 0) /* so many bytes before the end stay out */
                count = len + count - (n > 0 ? n - 1 : n < 0 ? len + n : 0);
            out[row] = slice_of(text, n, count);
            break;
        }
        case LEFT: out[row] = slice_of(text, 1, n < 0 ? len + n : n); break;
        case RIGHT: {
            int64_t count = n < 0 ? len + n : n;
            count = count < 0 ? 0 : count > len ? len : count;
            out[row] = bytes_from(text, (size_t)(len - count));
            break;
        }
        case TRIM: out[row] = trim_blanks(text); break;
        }
    }
    ret->text = out;
    return ERR_OK;
}

static enum err bind_reverse(struct snql_call *c, struct snql_error *error)
{
    if (c->types[0].kind == SNQL_TYPE_ARRAY) {
        c->type = c->types[0];
        return ERR_OK;
    }
    c->type = snql_type_of(SNQL_TYPE_STRING);
    return need_text(c, 0, error);
}

static enum err eval_reverse(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    if (args[0].type.kind == SNQL_TYPE_ARRAY)
        return snql_array_reverse(&args[0], frame, ret);
    struct text_builder b;
    (void)c;
    TRY(builder_begin(&b, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[0], row);
        for (size_t i = text.len; i > 0; i--)
            buffer_put_u8(&b.all, text.data[i - 1]);
        b.ends[row] = b.all.len;
    }
    return builder_end(&b, frame, ret);
}

/* ---- lists of texts ---- */

static const struct snql_type text_type = {.kind = SNQL_TYPE_STRING};

static enum err bind_split(struct snql_call *c, struct snql_error *error)
{
    TRY(need_texts(c, error));
    if (c->constants[0] == NULL || c->constants[0]->text[0].len != 1)
        return snql_refuse_type(c, 0, "one character", error);
    c->type = (struct snql_type){.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = &text_type};
    return ERR_OK;
}

static enum err eval_split(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    uint8_t separator = args[0].text[0].data[0];
    size_t total = 0;
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[1], row);
        total += text.len > 0;
        for (size_t i = 0; i < text.len; i++)
            total += text.data[i] == separator;
    }
    if (total > UINT32_MAX)
        return ERR_LIMIT;
    uint32_t *ends = SNQL_ROOM(frame, uint32_t);
    struct bytes *out = ARENA_ARRAY(frame->arena, total + 1, struct bytes);
    struct snql_column *element = ARENA_NEW(frame->arena, struct snql_column);
    if (ends == NULL || out == NULL || element == NULL)
        return arena_error(frame->arena);
    uint32_t count = 0;
    for (size_t row = 0; row < frame->rows; row++) {
        struct bytes text = text_at(&args[1], row);
        while (text.len > 0) {
            size_t at = bytes_find_byte(text, separator);
            out[count++] = bytes_first(text, at);
            if (at + 1 == text.len) /* it ends with a separator: an empty part follows */
                out[count++] = bytes_from(text, text.len);
            text = bytes_from(text, at + 1);
        }
        ends[row] = count;
    }
    *element = (struct snql_column){.type = text_type, .rows = count, .text = out};
    ret->ends = ends;
    ret->elements = element;
    return ERR_OK;
}

static enum err bind_join(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_STRING);
    if (c->types[0].kind != SNQL_TYPE_ARRAY)
        return snql_refuse_type(c, 0, "an array", error);
    return c->count == 2 ? need_text(c, 1, error) : ERR_OK;
}

static enum err eval_join(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    struct text_builder b;
    TRY(builder_begin(&b, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(&args[0], row, &from, &end);
        bool first = true;
        for (uint32_t i = from; i < end; i++) {
            if (snql_is_null(&args[0].elements[0], i))
                continue;
            if (!first && c->count == 2)
                buffer_put(&b.all, text_at(&args[1], row));
            first = false;
            snql_print_text(&args[0].elements[0], i, &b.all);
        }
        b.ends[row] = b.all.len;
    }
    return builder_end(&b, frame, ret);
}

static const struct snql_function functions[] = {
    {BYTES("lower"), 1, 1, 0, FOLD_LOWER, bind_text_to_text, eval_fold},
    {BYTES("upper"), 1, 1, 0, FOLD_UPPER, bind_text_to_text, eval_fold},
    {BYTES("lowerUTF8"), 1, 1, 0, FOLD_LOWER_UTF8, bind_text_to_text, eval_fold},
    {BYTES("upperUTF8"), 1, 1, 0, FOLD_UPPER_UTF8, bind_text_to_text, eval_fold},
    {BYTES("position"), 2, 2, 0, FOLD_NONE, bind_text_to_number, eval_position},
    {BYTES("positionCaseInsensitive"), 2, 2, 0, FOLD_LOWER, bind_text_to_number, eval_position},
    {BYTES("positionCaseInsensitiveUTF8"), 2, 2, 0, FOLD_LOWER_UTF8, bind_text_to_number,
     eval_position},
    {BYTES("startsWith"), 2, 2, 0, 0, bind_text_to_flag, eval_starts_with},
    {BYTES("endsWith"), 2, 2, 0, 1, bind_text_to_flag, eval_starts_with},
    {BYTES("like"), 2, 2, 0, 0, bind_text_to_flag, eval_like},
    {BYTES("notLike"), 2, 2, 0, 1, bind_text_to_flag, eval_like},
    {BYTES("ilike"), 2, 2, 0, 2, bind_text_to_flag, eval_like},
    {BYTES("notILike"), 2, 2, 0, 3, bind_text_to_flag, eval_like},
    {BYTES("length"), 1, 1, 0, LENGTH, bind_size, eval_size},
    {BYTES("lengthUTF8"), 1, 1, 0, LENGTH_UTF8, bind_size, eval_size},
    {BYTES("empty"), 1, 1, 0, EMPTY, bind_size, eval_size},
    {BYTES("notEmpty"), 1, 1, 0, NOT_EMPTY, bind_size, eval_size},
    {BYTES("concat"), 1, SNQL_ANY_COUNT, 0, 0, bind_concat, eval_concat},
    {BYTES("replaceAll"), 3, 3, 0, 0, bind_text_to_text, eval_replace},
    {BYTES("replace"), 3, 3, 0, 0, bind_text_to_text, eval_replace},
    {BYTES("replaceOne"), 3, 3, 0, 1, bind_text_to_text, eval_replace},
    {BYTES("substring"), 2, 3, 0, SUBSTRING, bind_slice, eval_slice},
    {BYTES("substr"), 2, 3, 0, SUBSTRING, bind_slice, eval_slice},
    {BYTES("left"), 2, 2, 0, LEFT, bind_slice, eval_slice},
    {BYTES("right"), 2, 2, 0, RIGHT, bind_slice, eval_slice},
    {BYTES("trim"), 1, 1, 0, TRIM, bind_slice, eval_slice},
    {BYTES("trimBoth"), 1, 1, 0, TRIM, bind_slice, eval_slice},
    {BYTES("reverse"), 1, 1, 0, 0, bind_reverse, eval_reverse},
    {BYTES("splitByChar"), 2, 2, 0, 0, bind_split, eval_split},
    {BYTES("arrayStringConcat"), 1, 2, 0, 0, bind_join, eval_join},
};

const struct snql_function_list snql_text_functions = {functions,
                                                       sizeof(functions) / sizeof(functions[0])};
