/* snql_check.c - names, columns of the answer, literals, and what entities ask for. */
#include "engine/snql_check.h"

#include <stdio.h>

#include "base/limits.h"
#include "engine/snql_aggregate.h"
#include "engine/snql_time_text.h"

/* What an alias stands for. */
struct alias {
    struct bytes name;
    struct snql_expr *expr;
    bool done;
    bool active; /* being replaced, somewhere up the stack */
};

struct checker {
    struct snql_query *q;
    struct bytes text;
    struct arena *arena;
    struct snql_error *error;
    struct alias *aliases;
    size_t alias_count;
    size_t alias_room;
    const struct alias *innermost;
};

static int shown(struct bytes b)
{
    return (int)bytes_first(b, 100).len;
}
#define SHOWN(b) shown(b), (const char *)(b).data

static bool is_call(const struct snql_expr *e, const char *name)
{
    return e->kind == SNQL_CALL && bytes_equal(e->name, bytes_of_text(name));
}

/* ---- every expression of a query ---- */

typedef enum err (*slot_visitor)(struct checker *c, struct snql_expr **slot);

static enum err each_slot(struct checker *c, slot_visitor visit)
{
    struct snql_query *q = c->q;
    for (size_t i = 0; i < q->by_count; i++)
        TRY(visit(c, &q->by[i]));
    for (size_t i = 0; i < q->select_count; i++)
        TRY(visit(c, &q->select[i]));
    if (q->where != NULL)
        TRY(visit(c, &q->where));
    if (q->having != NULL)
        TRY(visit(c, &q->having));
    for (size_t i = 0; i < q->order_count; i++)
        TRY(visit(c, &q->order[i].expr));
    for (size_t i = 0; i < q->limit_by_count; i++)
        TRY(visit(c, &q->limit_by_columns[i]));
    return ERR_OK;
}

/* ---- aliases ---- */

static struct alias *find_alias(struct checker *c, struct bytes name)
{
    for (size_t i = 0; i < c->alias_count; i++)
        if (bytes_equal(c->aliases[i].name, name))
            return &c->aliases[i];
    return NULL;
}

static enum err add_alias(struct checker *c, struct snql_expr *e)
{
    struct alias *known = find_alias(c, e->alias);
    if (known != NULL && !snql_expr_equal(known->expr, e))
        return snql_refuse(c->error, "alias '%.*s' stands for two different expressions",
                           SHOWN(e->alias));
    if (known != NULL)
        return ERR_OK;
    if (c->alias_count == SNQL_ITEMS_MAX)
        return snql_refuse(c->error, "the query has more than %d aliases", SNQL_ITEMS_MAX);
    if (c->alias_count == c->alias_room) {
        size_t room = c->alias_room == 0 ? 8 : c->alias_room * 2;
        struct alias *grown = ARENA_ARRAY(c->arena, room, struct alias);
        if (grown == NULL)
            return arena_error(c->arena);
        if (c->alias_count > 0)
            memcpy(grown, c->aliases, c->alias_count * sizeof(*grown));
        c->aliases = grown;
        c->alias_room = room;
    }
    c->aliases[c->alias_count++] = (struct alias){.name = e->alias, .expr = e};
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err gather_aliases(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    if (e->has_alias)
        TRY(add_alias(c, e));
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(gather_aliases(c, &e->args[i]));
    return ERR_OK;
}

static enum err measure(struct checker *c, struct snql_expr *e)
{
    uint64_t size = 1;
    uint32_t depth = 0;
    for (size_t i = 0; i < e->arg_count; i++) {
        size += e->args[i]->size;
        depth = e->args[i]->depth > depth ? e->args[i]->depth : depth;
    }
    if (size > SNQL_NODE_MAX || depth >= SNQL_DEPTH_MAX)
        return snql_refuse(c->error,
                           "with its aliases replaced the query has more than %d parts, or %d "
                           "levels",
                           SNQL_NODE_MAX, SNQL_DEPTH_MAX);
    e->size = (uint32_t)size;
    e->depth = depth + 1;
    return ERR_OK;
}

static enum err replace(struct checker *c, struct snql_expr **slot);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be, times aliases */
static enum err replace_below(struct checker *c, struct snql_expr *e)
{
    struct alias *own = e->has_alias && e->kind == SNQL_CALL ? find_alias(c, e->alias) : NULL;
    const struct alias *outer = c->innermost;
    bool was_active = own != NULL && own->active;
    if (own != NULL) {
        own->active = true;
        c->innermost = own;
    }
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(replace(c, &e->args[i]));
    if (own != NULL) {
        own->active = was_active;
        own->done |= own->expr == e;
        c->innermost = outer;
    }
    return measure(c, e);
}

/* A name that is the alias of a call becomes what it stands for. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err replace(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    if (e->size > 0) /* shared, and done */
        return ERR_OK;
    if (e->kind != SNQL_COLUMN)
        return replace_below(c, e);
    struct alias *a = find_alias(c, e->name);
    if (a == NULL || a->expr->kind != SNQL_CALL || a == c->innermost)
        return measure(c, e);
    if (a->active)
        return snql_refuse(c->error, "alias '%.*s' is defined by itself", SHOWN(a->name));
    if (!a->done)
        TRY(replace(c, &a->expr));
    *slot = a->expr;
    return ERR_OK;
}

/* ---- columns of the answer ---- */

static struct bytes source_of(const struct checker *c, const struct snql_expr *e)
{
    return bytes_trim(bytes_of(c->text.data + e->offset, e->length));
}

/* Names come from the text: before anything is replaced. */
static enum err name_outputs(struct checker *c)
{
    struct snql_query *q = c->q;
    size_t most = q->by_count + q->select_count;
    q->output = ARENA_ARRAY(c->arena, most + 1, struct snql_output);
    if (q->output == NULL)
        return arena_error(c->arena);
    for (size_t i = 0; i < most; i++) {
        bool grouped = i < q->by_count;
        struct snql_expr *e = grouped ? q->by[i] : q->select[i - q->by_count];
        struct bytes name = e->has_alias ? e->alias : source_of(c, e);
        bool known = false;
        for (size_t k = 0; k < q->output_count && !known; k++)
            known = bytes_equal(q->output[k].name, name);
        if (!known)
            q->output[q->output_count++] = (struct snql_output){name, e, grouped};
    }
    return ERR_OK;
}

/* Their expressions: after everything was replaced. */
static void take_outputs(struct checker *c, const uint32_t *from)
{
    struct snql_query *q = c->q;
    for (size_t i = 0; i < q->output_count; i++)
        q->output[i].expr =
            from[i] < q->by_count ? q->by[from[i]] : q->select[from[i] - q->by_count];
}

static enum err find_outputs(struct checker *c, uint32_t **ret)
{
    struct snql_query *q = c->q;
    uint32_t *from = ARENA_ARRAY(c->arena, q->output_count + 1, uint32_t);
    if (from == NULL)
        return arena_error(c->arena);
    size_t at = 0;
    for (size_t i = 0; i < q->by_count + q->select_count && at < q->output_count; i++) {
        struct snql_expr *e = i < q->by_count ? q->by[i] : q->select[i - q->by_count];
        if (q->output[at].expr == e)
            from[at++] = (uint32_t)i;
    }
    *ret = from;
    return ERR_OK;
}

/* ---- literals ---- */

static enum err to_datetime(struct checker *c, struct snql_expr *e, struct bytes what)
{
    struct snql_time_text t;
    struct bytes text = e->literal.text;
    if (!snql_time_text_parse(text, &t) || t.seconds < 0 || t.seconds > UINT32_MAX)
        return snql_refuse(c->error, "%.*s: '%.*s' is no date and time such as 2033-05-18T03:33:20",
                           SHOWN(what), SHOWN(text));
    e->literal =
        (struct snql_literal){.kind = SNQL_DATETIME, .unsigned_value = (uint64_t)t.seconds};
    return ERR_OK;
}

/* toDateTime('...') with nothing else is read here. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err read_times(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(read_times(c, &e->args[i]));
    if (!is_call(e, "toDateTime") || e->arg_count != 1 || e->has_parameters ||
        e->args[0]->kind != SNQL_LITERAL || e->args[0]->literal.kind != SNQL_TEXT)
        return ERR_OK;
    e->kind = SNQL_LITERAL;
    e->literal = e->args[0]->literal;
    e->arg_count = 0;
    return to_datetime(c, e, e->name);
}

static bool is_id_column(const struct checker *c, const struct snql_expr *e)
{
    if (c->q->schema == NULL || e->kind != SNQL_COLUMN)
        return false;
    size_t at = snql_schema_column(c->q->schema, e->name);
    return at != SIZE_MAX && c->q->schema->columns[at].is_id;
}

static enum err to_id(struct checker *c, struct snql_expr *e, const struct snql_expr *column)
{
    if (e->kind != SNQL_LITERAL || e->literal.kind != SNQL_TEXT)
        return ERR_OK;
    struct uuid id;
    if (!uuid_parse(e->literal.text, &id))
        return snql_refuse(c->error, "%.*s is compared with '%.*s', which is no UUID",
                           SHOWN(column->name), SHOWN(e->literal.text));
    e->literal = (struct snql_literal){.kind = SNQL_ID, .id = id};
    return ERR_OK;
}

static enum err list_to_ids(struct checker *c, struct snql_expr *list,
                            const struct snql_expr *column)
{
    if (!is_call(list, "array") && !is_call(list, "tuple"))
        return to_id(c, list, column);
    for (size_t i = 0; i < list->arg_count; i++)
        TRY(to_id(c, list->args[i], column));
    return ERR_OK;
}

/* Texts that are compared with ids. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err read_ids(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(read_ids(c, &e->args[i]));
    if (e->kind != SNQL_CALL || e->arg_count != 2)
        return ERR_OK;
    if (is_call(e, "equals") || is_call(e, "notEquals")) {
        if (is_id_column(c, e->args[0]))
            return to_id(c, e->args[1], e->args[0]);
        if (is_id_column(c, e->args[1]))
            return to_id(c, e->args[0], e->args[1]);
    }
    if ((is_call(e, "in") || is_call(e, "notIn")) && is_id_column(c, e->args[0]))
        return list_to_ids(c, e->args[1], e->args[0]);
    return ERR_OK;
}

/* ---- entities ---- */

static enum err check_column(struct checker *c, const struct snql_expr *e)
{
    const struct snql_table_schema *schema = c->q->schema;
    if (e->kind == SNQL_SUBSCRIPT)
        return snql_refuse(c->error, "entity %.*s has no column %.*s[%.*s]", SHOWN(schema->name),
                           SHOWN(e->name), SHOWN(e->key));
    size_t at = snql_schema_column(schema, e->name);
    bool is_time = schema->table == SNQL_PROFILES && bytes_equal(e->name, BYTES("time"));
    if (is_time || (at != SIZE_MAX && !schema->columns[at].storage_only))
        return ERR_OK;
    return snql_refuse(c->error, "entity %.*s has no column '%.*s'", SHOWN(schema->name),
                       SHOWN(e->name));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err check_columns(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    if (e->kind == SNQL_COLUMN || e->kind == SNQL_SUBSCRIPT)
        return check_column(c, e);
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(check_columns(c, &e->args[i]));
    return ERR_OK;
}

/* LIKE on a column that is not text. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err check_like(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(check_like(c, &e->args[i]));
    if ((!is_call(e, "like") && !is_call(e, "notLike")) || e->arg_count == 0 ||
        e->args[0]->kind != SNQL_COLUMN)
        return ERR_OK;
    size_t at = snql_schema_column(c->q->schema, e->args[0]->name);
    if (at != SIZE_MAX && c->q->schema->columns[at].type.kind == SNQL_TYPE_STRING &&
        !c->q->schema->columns[at].is_id)
        return ERR_OK;
    return snql_refuse(c->error, "LIKE needs a column of text, '%.*s' is none",
                       SHOWN(e->args[0]->name));
}

/* Snuba's list: others end as the engine's error. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err check_aggregates(struct checker *c, const struct snql_expr *e)
{
    static const struct bytes names[] = {BYTES("count"), BYTES("min"),  BYTES("max"), BYTES("sum"),
                                         BYTES("avg"),   BYTES("last"), BYTES("uniq")};
    struct bytes name = e->name;
    if (bytes_ends_with(name, BYTES("If")))
        name = bytes_first(name, name.len - 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (e->kind == SNQL_CALL && bytes_equal(name, names[i]))
            return snql_refuse(c->error, "aggregate function %.*s() is not allowed in WHERE",
                               SHOWN(e->name));
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(check_aggregates(c, e->args[i]));
    return ERR_OK;
}

/* What holds for every row: calls each_condition for all conditions at the top of the AND tree. */
struct top_conditions {
    const struct snql_table_schema *schema;
    uint32_t required; /* one bit for each that was found */
    bool has_lower;
    bool has_upper;
    uint64_t lower;
    uint64_t upper;
};

static bool is_integer(const struct snql_expr *e)
{
    return e->kind == SNQL_LITERAL &&
           (e->literal.kind == SNQL_UNSIGNED || e->literal.kind == SNQL_SIGNED);
}

static bool names_integers(const struct snql_expr *e)
{
    if (is_call(e, "equals"))
        return is_integer(e->args[1]);
    if (!is_call(e, "in") || (!is_call(e->args[1], "array") && !is_call(e->args[1], "tuple")))
        return false;
    for (size_t i = 0; i < e->args[1]->arg_count; i++)
        if (!is_integer(e->args[1]->args[i]))
            return false;
    return true;
}

static void note_condition(struct top_conditions *t, const struct snql_expr *e)
{
    if (e->kind != SNQL_CALL || e->arg_count != 2 || e->args[0]->kind != SNQL_COLUMN)
        return;
    for (size_t i = 0; i < t->schema->required_count; i++)
        if (bytes_equal(t->schema->required[i], e->args[0]->name) && names_integers(e))
            t->required |= 1u << i;
    if (!bytes_equal(t->schema->time, e->args[0]->name) || e->args[1]->kind != SNQL_LITERAL ||
        e->args[1]->literal.kind != SNQL_DATETIME)
        return;
    uint64_t at = e->args[1]->literal.unsigned_value;
    bool equals = is_call(e, "equals");
    if (equals || is_call(e, "greaterOrEquals")) {
        t->lower = t->has_lower && t->lower > at ? t->lower : at;
        t->has_lower = true;
    }
    if (equals || is_call(e, "less")) {
        t->upper = t->has_upper && t->upper < at ? t->upper : at;
        t->has_upper = true;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static void note_conditions(struct top_conditions *t, const struct snql_expr *e)
{
    if (is_call(e, "equals") && e->arg_count == 2 && is_call(e->args[0], "and") &&
        e->args[1]->kind == SNQL_LITERAL && e->args[1]->literal.unsigned_value == 1)
        e = e->args[0];
    if (!is_call(e, "and")) {
        note_condition(t, e);
        return;
    }
    for (size_t i = 0; i < e->arg_count; i++)
        note_conditions(t, e->args[i]);
}

static enum err check_conditions(struct checker *c)
{
    const struct snql_table_schema *schema = c->q->schema;
    struct top_conditions t = {.schema = schema};
    if (c->q->where != NULL)
        note_conditions(&t, c->q->where);
    char missing[128] = "";
    size_t len = 0;
    for (size_t i = 0; i < schema->required_count; i++)
        if ((t.required & 1u << i) == 0)
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%.*s",
                                    len == 0 ? "" : ", ", SHOWN(schema->required[i]));
    if (len > 0)
        return snql_refuse(c->error, "missing required conditions for %s", missing);
    if (!t.has_lower || !t.has_upper)
        return snql_refuse(c->error,
                           "missing %s condition on %.*s: expected %.*s >= toDateTime('...') and "
                           "%.*s < toDateTime('...')",
                           t.has_lower ? "<" : ">=", SHOWN(schema->time), SHOWN(schema->time),
                           SHOWN(schema->time));
    if (t.lower > t.upper)
        return snql_refuse(c->error, "the range of %.*s ends before it begins",
                           SHOWN(schema->time));
    return ERR_OK;
}

/* profiles: `time` is the moment of arrival, rounded. Shared nodes are changed once. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err replace_time(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(replace_time(c, &e->args[i]));
    if (e->kind != SNQL_COLUMN || !bytes_equal(e->name, BYTES("time")))
        return ERR_OK;
    struct snql_expr *parts = ARENA_ARRAY(c->arena, 2, struct snql_expr);
    struct snql_expr **args = ARENA_ARRAY(c->arena, 2, struct snql_expr *);
    if (parts == NULL || args == NULL)
        return arena_error(c->arena);
    parts[0] = (struct snql_expr){.kind = SNQL_COLUMN,
                                  .name = c->q->schema->time,
                                  .offset = e->offset,
                                  .depth = 1,
                                  .size = 1};
    parts[1] = parts[0];
    parts[1].kind = SNQL_LITERAL;
    int64_t granularity = c->q->has_granularity ? c->q->granularity : 3600;
    parts[1].literal =
        granularity < 0
            ? (struct snql_literal){.kind = SNQL_SIGNED, .signed_value = granularity}
            : (struct snql_literal){.kind = SNQL_UNSIGNED, .unsigned_value = (uint64_t)granularity};
    args[0] = &parts[0];
    args[1] = &parts[1];
    e->kind = SNQL_CALL;
    e->name = BYTES(SNQL_TIME_BUCKET);
    e->args = args;
    e->arg_count = 2;
    return measure(c, e);
}

static bool is_ordering(const struct snql_expr *e)
{
    return is_call(e, "equals") || is_call(e, "notEquals") || is_call(e, "less") ||
           is_call(e, "greater") || is_call(e, "lessOrEquals") || is_call(e, "greaterOrEquals");
}

/* profiles: text compared with `received` is read as toDateTime reads it. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err read_received(struct checker *c, struct snql_expr **slot)
{
    struct snql_expr *e = *slot;
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(read_received(c, &e->args[i]));
    if (!is_ordering(e) || e->arg_count != 2)
        return ERR_OK;
    for (size_t i = 0; i < 2; i++) {
        struct snql_expr *value = e->args[1 - i];
        if (e->args[i]->kind == SNQL_COLUMN && bytes_equal(e->args[i]->name, c->q->schema->time) &&
            value->kind == SNQL_LITERAL && value->literal.kind == SNQL_TEXT)
            return to_datetime(c, value, e->args[i]->name);
    }
    return ERR_OK;
}

static enum err check_entity(struct checker *c)
{
    TRY(each_slot(c, check_columns));
    TRY(check_conditions(c));
    if (c->q->where != NULL)
        TRY(check_aggregates(c, c->q->where));
    TRY(each_slot(c, check_like));
    if (c->q->has_sample && c->q->schema->table == SNQL_FUNCTIONS)
        return snql_refuse_code(c->error, SNQL_CODE_SAMPLING, "table functions cannot be sampled");
    if (c->q->schema->table != SNQL_PROFILES)
        return ERR_OK;
    TRY(each_slot(c, read_received));
    return each_slot(c, replace_time);
}

/* ---- the whole ---- */

static enum err check_source(struct checker *c)
{
    struct snql_query *q = c->q;
    if (q->source_kind == SNQL_SUBQUERY)
        return ERR_OK;
    q->schema = snql_schema_find(q->source);
    if (q->schema != NULL && (q->source_kind == SNQL_STORAGE || q->schema->is_entity))
        return ERR_OK;
    enum err rc = snql_refuse(
        c->error, "there is no %s '%.*s': expected %s",
        q->source_kind == SNQL_STORAGE ? "storage" : "entity", SHOWN(q->source),
        q->source_kind == SNQL_STORAGE ? "profile_chunks, profiles, functions_raw or functions"
                                       : "profiles or functions");
    c->error->offset = q->source_offset;
    return rc;
}

/* Whether what is read at the bottom is an entity. */
static bool reads_entity(const struct snql_query *q)
{
    while (q->source_kind == SNQL_SUBQUERY)
        q = q->inner;
    return q->source_kind == SNQL_ENTITY;
}

static enum err check_limits(struct checker *c, bool is_inner)
{
    struct snql_query *q = c->q;
    if (q->select_count > SNQL_ITEMS_MAX || q->by_count > SNQL_ITEMS_MAX ||
        q->order_count > SNQL_ITEMS_MAX || q->limit_by_count > SNQL_ITEMS_MAX)
        return snql_refuse(c->error, "SELECT, BY, ORDER BY and LIMIT BY take at most %d items each",
                           SNQL_ITEMS_MAX);
    if (q->has_limit && q->limit > SNQL_LIMIT_MAX)
        return snql_refuse(c->error, "LIMIT %lld is over the maximum of %d", (long long)q->limit,
                           SNQL_LIMIT_MAX);
    if (q->has_limit && q->limit < 0)
        return snql_refuse(c->error, "LIMIT %lld is negative", (long long)q->limit);
    if (q->has_offset && q->offset < 0)
        return snql_refuse(c->error, "OFFSET %lld is negative", (long long)q->offset);
    bool limited = !is_inner && (q->source_kind != SNQL_SUBQUERY || reads_entity(q));
    if (!q->has_limit && limited) {
        q->has_limit = true;
        q->limit = SNQL_LIMIT_DEFAULT;
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err check(struct snql_query *q, struct bytes text, bool is_inner, struct arena *arena,
                      struct snql_error *error)
{
    struct checker c = {.q = q, .text = text, .arena = arena, .error = error};
    uint32_t *from;
    TRY(check_source(&c));
    if (q->inner != NULL)
        TRY(check(q->inner, text, true, arena, error));
    TRY(check_limits(&c, is_inner));
    TRY(each_slot(&c, gather_aliases));
    TRY(name_outputs(&c));
    TRY(find_outputs(&c, &from));
    TRY(each_slot(&c, replace));
    TRY(each_slot(&c, read_times));
    if (q->source_kind == SNQL_ENTITY)
        TRY(check_entity(&c));
    TRY(each_slot(&c, read_ids));
    take_outputs(&c, from);
    return ERR_OK;
}

enum err snql_check(struct snql_query *q, struct bytes text, struct arena *arena,
                    struct snql_error *error)
{
    *error = (struct snql_error){.offset = SNQL_NO_OFFSET};
    return check(q, text, false, arena, error);
}
