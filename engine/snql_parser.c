/* snql_parser.c - recursive descent over the text; every choice is made by looking ahead. */
#include "engine/snql_parser.h"

#include <stdio.h>

#include "base/decimal.h"
#include "base/limits.h"

struct parser {
    struct bytes text;
    size_t at;
    struct arena *arena;
    struct snql_error *error;
    unsigned depth;
    uint32_t nodes;
    const struct lambda *lambdas; /* around here, innermost first */
};

/* Names that a lambda declares. */
struct lambda {
    const struct lambda *outer;
    const struct bytes *names;
    size_t count;
};

/* ---- characters and tokens ---- */

static int peek_at(const struct parser *p, size_t at)
{
    return at < p->text.len ? p->text.data[at] : -1;
}

static int peek(const struct parser *p)
{
    return peek_at(p, p->at);
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(int c)
{
    return is_letter(c) || is_digit(c);
}

static bool is_column(int c)
{
    return is_name(c) || c == '.' || c == ':' || c == '@' || c == '/';
}

static bool is_alias(int c, bool quoted)
{
    return (is_name(c) || c == '.' || c == '+' || c == '*' || c == '/' || c == ':' || c == '-' ||
            c == '[' || c == ']') ||
           (quoted && (c == '(' || c == ')' || c == '@'));
}

static void skip_blanks(struct parser *p)
{
    while (is_blank(peek(p)))
        p->at++;
}

static struct bytes text_from(const struct parser *p, size_t from)
{
    return bytes_of(p->text.data + from, p->at - from);
}

/* "expected X at line 1, column 17, found 'Y'" */
static enum err fail_at(struct parser *p, size_t at, const char *expected)
{
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < at && i < p->text.len; i++) {
        if (p->text.data[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    size_t shown = at < p->text.len ? p->text.len - at : 0;
    if (shown == 0)
        snql_error_write(p->error,
                         "expected %s at line %zu, column %zu, found the end of the query",
                         expected, line, at - line_start + 1);
    else
        snql_error_write(p->error, "expected %s at line %zu, column %zu, found '%.*s'", expected,
                         line, at - line_start + 1, (int)(shown > 24 ? 24 : shown),
                         (const char *)p->text.data + at);
    p->error->offset = at;
    p->error->expected = expected;
    return ERR_MALFORMED;
}

static enum err fail(struct parser *p, const char *expected)
{
    return fail_at(p, p->at, expected);
}

static bool starts_here(const struct parser *p, const char *word)
{
    return bytes_starts_with(bytes_from(p->text, p->at), bytes_of_text(word));
}

/* Move behind a word or sign that is here. */
static bool accept(struct parser *p, const char *word)
{
    if (!starts_here(p, word))
        return false;
    p->at += strlen(word);
    return true;
}

static enum err expect(struct parser *p, const char *word, const char *expected)
{
    return accept(p, word) ? ERR_OK : fail(p, expected);
}

static enum err expect_blank(struct parser *p)
{
    if (!is_blank(peek(p)))
        return fail(p, "white space");
    skip_blanks(p);
    return ERR_OK;
}

/* White space, then the word: move behind it, else stay. */
static bool accept_after_blank(struct parser *p, const char *word)
{
    size_t from = p->at;
    skip_blanks(p);
    if (p->at > from && accept(p, word))
        return true;
    p->at = from;
    return false;
}

/* White space, a keyword, white space: the beginning of a clause. */
static bool accept_clause(struct parser *p, const char *word)
{
    size_t from = p->at;
    if (accept_after_blank(p, word) && is_blank(peek(p))) {
        skip_blanks(p);
        return true;
    }
    p->at = from;
    return false;
}

/* White space around it is allowed: a sign between items. */
static bool accept_comma(struct parser *p)
{
    size_t from = p->at;
    skip_blanks(p);
    if (accept(p, ",")) {
        skip_blanks(p);
        return true;
    }
    p->at = from;
    return false;
}

/* ---- nodes and lists ---- */

static enum err new_expr(struct parser *p, enum snql_expr_kind kind, size_t from,
                         struct snql_expr **ret)
{
    if (++p->nodes > SNQL_NODE_MAX)
        return fail(p, "a shorter query: this one has too many parts");
    struct snql_expr *e = ARENA_NEW(p->arena, struct snql_expr);
    if (e == NULL)
        return arena_error(p->arena);
    *e = (struct snql_expr){
        .kind = kind, .offset = (uint32_t)from, .length = (uint32_t)(p->at - from), .depth = 1};
    *ret = e;
    return ERR_OK;
}

/* Growing list of nodes. */
struct expr_list {
    struct snql_expr **items;
    size_t count;
    size_t room;
};

static enum err list_add(struct parser *p, struct expr_list *l, struct snql_expr *e)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 4 : l->room * 2;
        struct snql_expr **grown = ARENA_ARRAY(p->arena, room, struct snql_expr *);
        if (grown == NULL)
            return arena_error(p->arena);
        if (l->count > 0)
            memcpy(grown, l->items, l->count * sizeof(struct snql_expr *));
        l->items = grown;
        l->room = room;
    }
    l->items[l->count++] = e;
    return ERR_OK;
}

/* Its end is here, its depth follows from what is below it. */
static enum err finish_expr(struct parser *p, struct snql_expr *e)
{
    e->length = (uint32_t)(p->at - e->offset);
    uint32_t depth = 0;
    for (size_t i = 0; i < e->arg_count; i++)
        depth = e->args[i]->depth > depth ? e->args[i]->depth : depth;
    for (size_t i = 0; i < e->parameter_count; i++)
        depth = e->parameters[i]->depth > depth ? e->parameters[i]->depth : depth;
    e->depth = depth + 1;
    if (e->depth > SNQL_DEPTH_MAX)
        return fail_at(p, e->offset, "a query that is nested less deeply");
    return ERR_OK;
}

static enum err make_call(struct parser *p, size_t from, struct bytes name, struct expr_list args,
                          struct snql_expr **ret)
{
    struct snql_expr *e;
    TRY(new_expr(p, SNQL_CALL, from, &e));
    e->name = name;
    e->args = args.items;
    e->arg_count = args.count;
    TRY(finish_expr(p, e));
    *ret = e;
    return ERR_OK;
}

static enum err make_binary(struct parser *p, struct bytes name, struct snql_expr *left,
                            struct snql_expr *right, size_t from, struct snql_expr **ret)
{
    struct expr_list args = {0};
    TRY(list_add(p, &args, left));
    TRY(list_add(p, &args, right));
    return make_call(p, from, name, args, ret);
}

static enum err go_deeper(struct parser *p)
{
    if (p->depth >= SNQL_DEPTH_MAX)
        return fail(p, "a query that is nested less deeply");
    p->depth++;
    return ERR_OK;
}

/* ---- literals ---- */

/* The character that a backslash before `c` stands for; 0: the backslash stays; -1: an error. */
static int unescaped(int c)
{
    switch (c) {
    case '\\':
    case '\'': return c;
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'v': return '\v';
    default: return is_letter(c) && c != '_' ? -1 : is_digit(c) ? -1 : 0;
    }
}

static enum err undo_escapes(struct parser *p, struct bytes raw, size_t from, struct bytes *ret)
{
    uint8_t *out = arena_take(p->arena, raw.len, 1);
    if (out == NULL)
        return arena_error(p->arena);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] != '\\') {
            out[len++] = raw.data[i];
            continue;
        }
        int c = unescaped(raw.data[i + 1]); /* a string does not end in a lone backslash */
        if (c < 0)
            return fail_at(p, from + i, "an escape of \\\\ \\' \\n \\t \\r \\a \\b \\f \\v");
        if (c == 0)
            out[len++] = '\\';
        out[len++] = c == 0 ? raw.data[i + 1] : (uint8_t)c;
        i++;
    }
    *ret = bytes_of(out, len);
    return ERR_OK;
}

static enum err parse_string(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at++;
    bool escaped = false;
    while (peek(p) != '\'') {
        if (peek(p) == '\\') {
            escaped = true;
            p->at++;
        }
        if (peek(p) < 0)
            return fail_at(p, p->text.len, "the closing quote of a string");
        p->at++;
    }
    struct bytes raw = text_from(p, from + 1);
    p->at++;
    TRY(new_expr(p, SNQL_LITERAL, from, ret));
    (*ret)->literal = (struct snql_literal){.kind = SNQL_TEXT, .text = raw};
    return escaped ? undo_escapes(p, raw, from + 1, &(*ret)->literal.text) : ERR_OK;
}

static void skip_digits(struct parser *p)
{
    while (is_digit(peek(p)))
        p->at++;
}

/* Fraction and exponent, where they are whole. */
static bool skip_fraction(struct parser *p)
{
    size_t from = p->at;
    if (peek(p) == '.' && is_digit(peek_at(p, p->at + 1))) {
        p->at++;
        skip_digits(p);
    }
    int sign = peek_at(p, p->at + 1);
    if (peek(p) == 'e' && (sign == '+' || sign == '-') && is_digit(peek_at(p, p->at + 2))) {
        p->at += 2;
        skip_digits(p);
    }
    return p->at > from;
}

/* JSON has no leading zeros; here they mean nothing. */
static bool to_double(struct bytes text, double *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    struct bytes digits = bytes_from(text, negative);
    while (digits.len > 1 && digits.data[0] == '0' && is_digit(digits.data[1]))
        digits = bytes_from(digits, 1);
    if (!decimal_to_double(digits, ret))
        return false;
    *ret = negative ? -*ret : *ret;
    return true;
}

static enum err parse_number(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    bool negative = accept(p, "-");
    if (!is_digit(peek(p)))
        return fail_at(p, from, "a number");
    skip_digits(p);
    bool fraction = skip_fraction(p);
    struct bytes text = text_from(p, from);
    TRY(new_expr(p, SNQL_LITERAL, from, ret));
    struct snql_literal *v = &(*ret)->literal;
    uint64_t value;
    if (!fraction && bytes_to_u64(bytes_from(text, negative), &value)) {
        if (!negative || value == 0) {
            *v = (struct snql_literal){.kind = SNQL_UNSIGNED, .unsigned_value = value};
            return ERR_OK;
        }
        if (value <= (uint64_t)INT64_MAX + 1) {
            *v = (struct snql_literal){.kind = SNQL_SIGNED, .signed_value = (int64_t)(0 - value)};
            return ERR_OK;
        }
    }
    *v = (struct snql_literal){.kind = SNQL_FLOAT};
    if (!to_double(text, &v->float_value))
        return fail_at(p, from, "a number that is not too large");
    return ERR_OK;
}

/* A whole number of a clause. */
static enum err parse_integer(struct parser *p, int64_t *ret)
{
    size_t from = p->at;
    bool negative = accept(p, "-");
    size_t digits = p->at;
    skip_digits(p);
    uint64_t value;
    if (!bytes_to_u64(text_from(p, digits), &value) || value > INT64_MAX)
        return fail_at(p, from, "a whole number");
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return ERR_OK;
}

/* ---- expressions ---- */

static enum err parse_sum(struct parser *p, struct snql_expr **ret);
static enum err parse_disjunction(struct parser *p, struct snql_expr **ret);

static struct bytes read_while(struct parser *p, bool (*is_part)(int))
{
    size_t from = p->at;
    while (is_part(peek(p)))
        p->at++;
    return text_from(p, from);
}

/* `name` between backticks, a name of a function's form. */
static enum err parse_quoted_name(struct parser *p, struct bytes *ret)
{
    TRY(expect(p, "`", "a name in backticks"));
    if (!is_letter(peek(p)))
        return fail(p, "a name in backticks");
    *ret = read_while(p, is_name);
    return expect(p, "`", "the closing backtick of a name");
}

static enum err parse_alias(struct parser *p, struct snql_expr *e)
{
    if (!accept_clause(p, "AS"))
        return ERR_OK;
    bool quoted = accept(p, "`");
    size_t from = p->at;
    while (is_alias(peek(p), quoted))
        p->at++;
    if (p->at == from)
        return fail(p, "an alias");
    e->has_alias = true;
    e->alias = text_from(p, from);
    return quoted ? expect(p, "`", "the closing backtick of an alias") : ERR_OK;
}

static bool is_declared(const struct parser *p, struct bytes name)
{
    for (const struct lambda *l = p->lambdas; l != NULL; l = l->outer)
        for (size_t i = 0; i < l->count; i++)
            if (bytes_equal(l->names[i], name))
                return true;
    return false;
}

static enum err parse_argument_name(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    struct bytes name;
    TRY(parse_quoted_name(p, &name));
    if (!is_declared(p, name))
        return fail_at(p, from, "a name that the lambda declares");
    TRY(new_expr(p, SNQL_ARGUMENT, from, ret));
    (*ret)->name = name;
    return ERR_OK;
}

static enum err parse_call(struct parser *p, size_t from, struct bytes name,
                           struct snql_expr **ret);

static bool is_lambda_ahead(const struct parser *p)
{
    size_t at = p->at + 1;
    while (is_blank(peek_at(p, at)))
        at++;
    return peek(p) == '(' && peek_at(p, at) == '`';
}

/* (`x`, `y`) -> f(...) */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_lambda(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at++;
    struct bytes names[8]; /* arrayMap over more arrays at once than anybody has */
    size_t count = 0;
    do {
        skip_blanks(p);
        if (count == sizeof(names) / sizeof(names[0]))
            return fail(p, "at most 8 names of a lambda");
        TRY(parse_quoted_name(p, &names[count++]));
        skip_blanks(p);
    } while (accept(p, ","));
    TRY(expect(p, ")", "',' or ')'"));
    skip_blanks(p);
    TRY(expect(p, "->", "'->'"));
    skip_blanks(p);

    struct snql_expr *e;
    struct snql_expr *body;
    TRY(new_expr(p, SNQL_LAMBDA, from, &e));
    struct bytes *kept = ARENA_ARRAY(p->arena, count, struct bytes);
    struct snql_expr **args = ARENA_ARRAY(p->arena, 1, struct snql_expr *);
    if (kept == NULL || args == NULL)
        return arena_error(p->arena);
    memcpy(kept, names, count * sizeof(*kept));

    struct lambda scope = {p->lambdas, kept, count};
    size_t at = p->at;
    struct bytes name = is_letter(peek(p)) ? read_while(p, is_name) : (struct bytes){0};
    if (name.len == 0 || peek(p) != '(')
        return fail_at(p, at, "a function call as the body of a lambda");
    p->lambdas = &scope;
    enum err rc = parse_call(p, at, name, &body);
    p->lambdas = scope.outer;
    TRY(rc);
    args[0] = body;
    e->args = args;
    e->arg_count = 1;
    e->argument_names = kept;
    e->argument_count = count;
    TRY(finish_expr(p, e));
    *ret = e;
    return ERR_OK;
}

/* "(" arguments ")", from the parenthesis on. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_arguments(struct parser *p, struct expr_list *ret)
{
    *ret = (struct expr_list){0};
    TRY(go_deeper(p));
    p->at++;
    skip_blanks(p);
    if (!accept(p, ")")) {
        for (;;) {
            struct snql_expr *arg;
            skip_blanks(p);
            size_t from = p->at;
            if (peek(p) == '`')
                TRY(parse_argument_name(p, &arg));
            else if (is_lambda_ahead(p))
                TRY(parse_lambda(p, &arg));
            else
                TRY(parse_sum(p, &arg));
            TRY(list_add(p, ret, arg));
            skip_blanks(p);
            if (accept(p, ","))
                continue;
            if (arg->kind == SNQL_LAMBDA)
                return fail_at(p, from, "an argument behind the lambda");
            TRY(expect(p, ")", "',' or ')'"));
            break;
        }
    }
    p->depth--;
    return ERR_OK;
}

/* name(...), name(...)(...), at the first parenthesis. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_call(struct parser *p, size_t from, struct bytes name, struct snql_expr **ret)
{
    struct expr_list args;
    struct expr_list parameters = {0};
    TRY(parse_arguments(p, &args));
    bool has_parameters = peek(p) == '(';
    if (has_parameters) {
        parameters = args;
        TRY(parse_arguments(p, &args));
    }
    struct snql_expr *e;
    TRY(new_expr(p, SNQL_CALL, from, &e));
    e->name = name;
    e->has_parameters = has_parameters;
    e->parameters = parameters.items;
    e->parameter_count = parameters.count;
    e->args = args.items;
    e->arg_count = args.count;
    TRY(finish_expr(p, e));
    TRY(parse_alias(p, e));
    *ret = e;
    return ERR_OK;
}

static bool is_word_literal(struct bytes name, struct snql_literal *ret)
{
    *ret = (struct snql_literal){.kind = SNQL_BOOL};
    if (bytes_equal_nocase(name, BYTES("true")))
        ret->unsigned_value = 1;
    else if (bytes_equal_nocase(name, BYTES("null")))
        ret->kind = SNQL_NULL;
    else
        return bytes_equal_nocase(name, BYTES("false"));
    return true;
}

/* What begins with a letter: a call, a subscript, true/false/null, a column. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_named(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    struct bytes name = read_while(p, is_name);
    if (peek(p) == '(')
        return parse_call(p, from, name, ret);
    (void)read_while(p, is_column);
    name = text_from(p, from);
    struct snql_literal literal;
    if (is_word_literal(name, &literal)) {
        TRY(new_expr(p, SNQL_LITERAL, from, ret));
        (*ret)->literal = literal;
        return ERR_OK;
    }
    if (peek(p) != '[') {
        TRY(new_expr(p, SNQL_COLUMN, from, ret));
        (*ret)->name = name;
        return ERR_OK;
    }
    size_t key = ++p->at;
    while (peek(p) >= 0 && peek(p) != '[' && peek(p) != ']')
        p->at++;
    struct bytes key_text = text_from(p, key);
    TRY(expect(p, "]", "']'"));
    TRY(new_expr(p, SNQL_SUBSCRIPT, from, ret));
    (*ret)->name = name;
    (*ret)->key = key_text;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_term(struct parser *p, struct snql_expr **ret)
{
    int c = peek(p);
    if (is_letter(c))
        return parse_named(p, ret);
    if (c == '\'')
        return parse_string(p, ret);
    if (is_digit(c) || c == '-')
        return parse_number(p, ret);
    if (c != '(')
        return fail(p, "a column, a function call, a literal or '('");
    TRY(go_deeper(p));
    p->at++;
    skip_blanks(p);
    TRY(parse_sum(p, ret));
    skip_blanks(p);
    TRY(expect(p, ")", "an operator or ')'"));
    p->depth--;
    return ERR_OK;
}

/* One of two signs, white space around it allowed. */
static bool accept_sign(struct parser *p, char one, char other, char *ret)
{
    size_t from = p->at;
    skip_blanks(p);
    int c = peek(p);
    if (c != one && c != other) {
        p->at = from;
        return false;
    }
    *ret = (char)c;
    p->at++;
    skip_blanks(p);
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_product(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    char sign;
    TRY(parse_term(p, ret));
    while (accept_sign(p, '*', '/', &sign)) {
        struct snql_expr *right;
        TRY(parse_term(p, &right));
        TRY(make_binary(p, sign == '*' ? BYTES("multiply") : BYTES("divide"), *ret, right, from,
                        ret));
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_sum(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    char sign;
    TRY(parse_product(p, ret));
    while (accept_sign(p, '+', '-', &sign)) {
        struct snql_expr *right;
        TRY(parse_product(p, &right));
        TRY(make_binary(p, sign == '+' ? BYTES("plus") : BYTES("minus"), *ret, right, from, ret));
    }
    return ERR_OK;
}

/* ---- conditions ---- */

static const struct {
    const char *sign;
    struct bytes function;
} operators[] = {
    {"!=", BYTES("notEquals")}, {">=", BYTES("greaterOrEquals")},
    {">", BYTES("greater")},    {"<=", BYTES("lessOrEquals")},
    {"<", BYTES("less")},       {"=", BYTES("equals")},
    {"NOT IN", BYTES("notIn")}, {"NOT LIKE", BYTES("notLike")},
    {"IN", BYTES("in")},        {"LIKE", BYTES("like")},
};
#define OPERATOR_COUNT (sizeof(operators) / sizeof(operators[0]))

/* Behind the parenthesis that closes the one here; the end of the text when none does. */
static size_t find_closing(const struct parser *p)
{
    size_t depth = 0;
    for (size_t at = p->at; at < p->text.len; at++) {
        uint8_t c = p->text.data[at];
        if (c == '\'') {
            for (at++; at < p->text.len && p->text.data[at] != '\''; at++)
                at += p->text.data[at] == '\\';
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            return at + 1;
        }
    }
    return p->text.len;
}

/* At a parenthesis: whether it holds conditions rather than a number. What follows it tells. */
static bool is_condition_ahead(struct parser *p)
{
    size_t from = p->at;
    p->at = find_closing(p);
    skip_blanks(p);
    bool arithmetic = peek(p) == '+' || peek(p) == '-' || peek(p) == '*' || peek(p) == '/' ||
                      starts_here(p, "IS NULL") || starts_here(p, "IS NOT NULL");
    for (size_t i = 0; i < OPERATOR_COUNT && !arithmetic; i++)
        arithmetic = starts_here(p, operators[i].sign);
    p->at = from;
    return !arithmetic;
}

/* The right side of an operator: no infix expression. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_value(struct parser *p, struct snql_expr **ret)
{
    if (peek(p) == '(')
        return fail(p, "a function call, a literal or a column");
    TRY(parse_term(p, ret));
    if ((*ret)->kind == SNQL_SUBSCRIPT)
        return fail_at(p, (*ret)->offset, "a function call, a literal or a column");
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_condition(struct parser *p, struct snql_expr **ret)
{
    size_t from = p->at;
    if (peek(p) == '(' && is_condition_ahead(p)) {
        TRY(go_deeper(p));
        p->at++;
        TRY(parse_disjunction(p, ret));
        skip_blanks(p);
        TRY(expect(p, ")", "AND, OR or ')'"));
        p->depth--;
        return ERR_OK;
    }
    struct snql_expr *left;
    struct expr_list args = {0};
    TRY(parse_sum(p, &left));
    bool negated = accept_after_blank(p, "IS NOT NULL");
    if (negated || accept_after_blank(p, "IS NULL")) {
        TRY(list_add(p, &args, left));
        return make_call(p, from, negated ? BYTES("isNotNull") : BYTES("isNull"), args, ret);
    }
    skip_blanks(p);
    for (size_t i = 0; i < OPERATOR_COUNT; i++) {
        if (!accept(p, operators[i].sign))
            continue;
        struct snql_expr *right;
        skip_blanks(p);
        TRY(parse_value(p, &right));
        return make_binary(p, operators[i].function, left, right, from, ret);
    }
    return fail(p, "an operator: = != < <= > >= IN, NOT IN, LIKE, NOT LIKE, IS NULL, IS NOT NULL");
}

/* AND or OR; ORDER BY begins like the latter. */
static bool accept_chain_word(struct parser *p, const char *word)
{
    size_t from = p->at;
    if (!accept_after_blank(p, word))
        return false;
    if (!starts_here(p, "DER BY"))
        return true;
    p->at = from;
    return false;
}

/* Conditions with the word between them; one alone is itself. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_chain(struct parser *p, const char *word, struct bytes function,
                            enum err (*parse_part)(struct parser *, struct snql_expr **),
                            struct snql_expr **ret)
{
    size_t from = p->at;
    struct expr_list parts = {0};
    TRY(parse_part(p, ret));
    TRY(list_add(p, &parts, *ret));
    while (accept_chain_word(p, word)) {
        skip_blanks(p);
        TRY(parse_part(p, ret));
        TRY(list_add(p, &parts, *ret));
    }
    return parts.count == 1 ? ERR_OK : make_call(p, from, function, parts, ret);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_conjunction(struct parser *p, struct snql_expr **ret)
{
    return parse_chain(p, "AND", BYTES("and"), parse_condition, ret);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_disjunction(struct parser *p, struct snql_expr **ret)
{
    skip_blanks(p);
    return parse_chain(p, "OR", BYTES("or"), parse_conjunction, ret);
}

/* ---- clauses ---- */

static enum err parse_item(struct parser *p, struct snql_expr **ret)
{
    TRY(parse_sum(p, ret));
    bool plain = (*ret)->kind == SNQL_COLUMN || (*ret)->kind == SNQL_SUBSCRIPT;
    return plain ? parse_alias(p, *ret) : ERR_OK;
}

static enum err parse_column(struct parser *p, struct snql_expr **ret)
{
    if (!is_letter(peek(p)))
        return fail(p, "a column");
    size_t from = p->at;
    struct bytes name = read_while(p, is_column);
    TRY(new_expr(p, SNQL_COLUMN, from, ret));
    (*ret)->name = name;
    return ERR_OK;
}

static enum err parse_list(struct parser *p,
                           enum err (*parse_part)(struct parser *, struct snql_expr **),
                           struct expr_list *ret)
{
    *ret = (struct expr_list){0};
    do {
        struct snql_expr *e;
        TRY(parse_part(p, &e));
        TRY(list_add(p, ret, e));
    } while (accept_comma(p));
    return ERR_OK;
}

static enum err parse_order(struct parser *p, struct snql_query *q)
{
    size_t room = 0;
    do {
        if (q->order_count == room) {
            room = room == 0 ? 4 : room * 2;
            struct snql_order *grown = ARENA_ARRAY(p->arena, room, struct snql_order);
            if (grown == NULL)
                return arena_error(p->arena);
            if (q->order_count > 0)
                memcpy(grown, q->order, q->order_count * sizeof(*grown));
            q->order = grown;
        }
        struct snql_order *o = &q->order[q->order_count];
        TRY(parse_sum(p, &o->expr));
        o->descending = accept_after_blank(p, "DESC");
        if (!o->descending && !accept_after_blank(p, "ASC"))
            return fail(p, "ASC or DESC");
        q->order_count++;
    } while (accept_comma(p));
    return ERR_OK;
}

/* LIMIT n BY columns, LIMIT n: either, or both in this order. */
static enum err parse_limits(struct parser *p, struct snql_query *q)
{
    if (!accept_clause(p, "LIMIT"))
        return ERR_OK;
    size_t from = p->at;
    int64_t limit;
    TRY(parse_integer(p, &limit));
    if (accept_clause(p, "BY")) {
        struct expr_list columns;
        if (limit < 0)
            return fail_at(p, from, "a limit that is not negative");
        TRY(parse_list(p, parse_column, &columns));
        q->has_limit_by = true;
        q->limit_by = (uint64_t)limit;
        q->limit_by_columns = columns.items;
        q->limit_by_count = columns.count;
        if (!accept_clause(p, "LIMIT"))
            return ERR_OK;
        TRY(parse_integer(p, &limit));
    }
    q->has_limit = true;
    q->limit = limit;
    return ERR_OK;
}

static enum err parse_sample(struct parser *p, struct snql_query *q)
{
    if (!accept_clause(p, "SAMPLE"))
        return ERR_OK;
    size_t from = p->at;
    skip_digits(p);
    if (p->at == from || !skip_fraction(p) || !to_double(text_from(p, from), &q->sample))
        return fail_at(p, from, "a number with a fraction");
    q->has_sample = true;
    return ERR_OK;
}

static enum err parse_query(struct parser *p, struct snql_query **ret);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_source(struct parser *p, struct snql_query *q)
{
    if (accept(p, "{")) {
        q->source_kind = SNQL_SUBQUERY;
        TRY(go_deeper(p));
        TRY(parse_query(p, &q->inner));
        p->depth--;
        return expect(p, "}", "'}'");
    }
    q->source_kind = SNQL_ENTITY;
    if (accept(p, "STORAGE")) {
        q->source_kind = SNQL_STORAGE;
        skip_blanks(p);
    }
    TRY(expect(p, "(", "'(', STORAGE( or '{'"));
    skip_blanks(p);
    q->source_offset = (uint32_t)p->at;
    while (is_letter(peek(p)))
        p->at++;
    q->source = text_from(p, q->source_offset);
    if (q->source.len == 0)
        return fail(p, "the name of an entity or storage");
    TRY(parse_sample(p, q));
    skip_blanks(p);
    return expect(p, ")", "')'");
}

static enum err parse_filters(struct parser *p, struct snql_query *q)
{
    struct expr_list list;
    if (accept_clause(p, "BY")) {
        TRY(parse_list(p, parse_item, &list));
        q->has_by = true;
        q->by = list.items;
        q->by_count = list.count;
    }
    if (accept_clause(p, "ARRAY JOIN")) {
        TRY(parse_list(p, parse_column, &list));
        q->array_join = list.items;
        q->array_join_count = list.count;
    }
    if (accept_clause(p, "WHERE"))
        TRY(parse_disjunction(p, &q->where));
    if (accept_clause(p, "HAVING"))
        TRY(parse_disjunction(p, &q->having));
    return ERR_OK;
}

static enum err parse_ends(struct parser *p, struct snql_query *q)
{
    if (accept_clause(p, "ORDER BY"))
        TRY(parse_order(p, q));
    TRY(parse_limits(p, q));
    if (accept_clause(p, "OFFSET")) {
        TRY(parse_integer(p, &q->offset));
        q->has_offset = true;
    }
    if (accept_clause(p, "GRANULARITY")) {
        TRY(parse_integer(p, &q->granularity));
        q->has_granularity = true;
    }
    if (accept_clause(p, "TOTALS")) {
        size_t from = p->at;
        struct snql_literal value;
        if (!is_word_literal(read_while(p, is_letter), &value) || value.kind != SNQL_BOOL)
            return fail_at(p, from, "TRUE or FALSE");
        q->totals = value.unsigned_value == 1;
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err parse_query(struct parser *p, struct snql_query **ret)
{
    struct snql_query *q = ARENA_NEW(p->arena, struct snql_query);
    if (q == NULL)
        return arena_error(p->arena);
    *q = (struct snql_query){0};
    struct expr_list items;
    skip_blanks(p);
    TRY(expect(p, "MATCH", "MATCH"));
    TRY(expect_blank(p));
    TRY(parse_source(p, q));
    if (!accept_clause(p, "SELECT"))
        return fail(p, "SELECT");
    TRY(parse_list(p, parse_item, &items));
    q->select = items.items;
    q->select_count = items.count;
    TRY(parse_filters(p, q));
    TRY(parse_ends(p, q));
    skip_blanks(p);
    *ret = q;
    return ERR_OK;
}

enum err snql_parse(struct bytes text, struct arena *arena, struct snql_query **ret,
                    struct snql_error *error)
{
    struct parser p = {.text = text, .arena = arena, .error = error};
    *error = (struct snql_error){.offset = SNQL_NO_OFFSET};
    if (text.len > SNQL_TEXT_MAX) {
        snql_error_write(error, "the query has %zu bytes, at most %zu are allowed", text.len,
                         SNQL_TEXT_MAX);
        error->type = SNQL_ERROR_TOO_LONG;
        return ERR_MALFORMED;
    }
    TRY(parse_query(&p, ret));
    if (p.at < text.len)
        return fail(&p, "an operator, the next clause or the end of the query");
    return ERR_OK;
}
