/* snql_json.c - the JSON of answers and errors. */
#include "engine/snql_json.h"

#include "base/json_writer.h"

static void put_string(struct bytes text, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_string(&w, text);
}

static void put_row(const struct snql_result *r, const struct snql_column *columns, size_t row,
                    struct buffer *out)
{
    buffer_put(out, BYTES("{"));
    for (size_t i = 0; i < r->column_count; i++) {
        if (i > 0)
            buffer_put(out, BYTES(","));
        put_string(r->names[i].name, out);
        buffer_put(out, BYTES(":"));
        snql_column_print_json(&columns[i], row, out);
    }
    buffer_put(out, BYTES("}"));
}

void snql_json_put_answer(const struct snql_answer *a, struct buffer *out)
{
    const struct snql_result *r = &a->result;
    buffer_put(out, BYTES("\"data\":["));
    for (size_t row = 0; row < r->rows; row++) {
        if (row > 0)
            buffer_put(out, BYTES(","));
        put_row(r, r->columns, row, out);
    }
    buffer_put(out, BYTES("],\"meta\":["));
    for (size_t i = 0; i < r->column_count; i++) {
        buffer_put(out, i > 0 ? BYTES(",{\"name\":") : BYTES("{\"name\":"));
        put_string(r->names[i].name, out);
        buffer_put(out, BYTES(",\"type\":\""));
        snql_type_print(r->names[i].type, out); /* no character of it needs an escape */
        buffer_put(out, BYTES("\"}"));
    }
    buffer_put(out, BYTES("]"));
    if (r->has_totals) {
        buffer_put(out, BYTES(",\"totals\":"));
        put_row(r, r->totals, 0, out);
    }
}

static const char *type_name(enum snql_error_type t)
{
    switch (t) {
    case SNQL_ERROR_INTERNAL: return "internal_server_error";
    case SNQL_ERROR_JSON: return "json";
    case SNQL_ERROR_SCHEMA: return "schema";
    case SNQL_ERROR_DATASET: return "dataset";
    case SNQL_ERROR_INVALID_QUERY: return "invalid_query";
    case SNQL_ERROR_TOO_LONG: return "query-too-long";
    case SNQL_ERROR_ENGINE: return "clickhouse";
    }
    return "internal_server_error";
}

void snql_json_put_error(const struct snql_error *e, struct buffer *out)
{
    buffer_printf(out, "\"error\":{\"type\":\"%s\",", type_name(e->type));
    if (e->type == SNQL_ERROR_ENGINE)
        buffer_printf(out, "\"code\":%d,", (int)e->code);
    buffer_put(out, BYTES("\"message\":"));
    put_string(bytes_of_text(e->info.text), out);
    buffer_put(out, BYTES("}"));
}

int snql_error_status(const struct snql_error *e)
{
    switch (e->type) {
    case SNQL_ERROR_INTERNAL: return 500;
    case SNQL_ERROR_DATASET: return 404;
    case SNQL_ERROR_JSON:
    case SNQL_ERROR_SCHEMA:
    case SNQL_ERROR_INVALID_QUERY:
    case SNQL_ERROR_TOO_LONG: return 400;
    case SNQL_ERROR_ENGINE: break;
    }
    bool clients = e->code == SNQL_CODE_ILLEGAL_ARGUMENT || e->code == SNQL_CODE_TYPE_MISMATCH ||
                   e->code == SNQL_CODE_MEMORY;
    return clients ? 400 : 500;
}
