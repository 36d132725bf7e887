/* cmd_query.c - hearth query: SnQL, or the chunks of a profiler in a range, as a table, JSON or CSV. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/main/command.h"
#include "api/main/flags.h"
#include "api/main/place.h"
#include "base/json_writer.h"
#include "base/limits.h"
#include "base/timestamp.h"
#include "engine/json_reader.h"

#define COLUMN_COUNT_MAX 1024
#define CELL_WIDTH_MAX   80 /* of a table; --format csv or json has everything */

static const char usage[] =
    "usage: hearth query [--format table|json|jsonl|csv] [--explain] [--url URL | --data DIR] SNQL\n"
    "       hearth query [...] --project N --profiler ID [--start T] [--end T]\n"
    "\n"
    "Asks the query API and prints the rows. SNQL is one argument, or - to read it from standard\n"
    "input; the language is described in docs/snql.md. Without it, the chunks of a profiler.\n"
    "\n"
    "  --format HOW        table (default), json (the answer as it came), jsonl (a row a line), csv\n"
    "  --explain           also print, on standard error, what was done\n"
    "  --project N         default 1\n"
    "  --profiler ID       the profiler whose chunks are listed\n"
    "  --start T, --end T  window [start, end): RFC 3339 or unix seconds with fraction\n"
    "  --url URL           server, default $HEARTH_URL or " HEARTH_URL_DEFAULT "\n"
    "  --data DIR          data folder that no server holds\n"
    "\n"
    "Each can be given as an environment variable, --format as HEARTH_FORMAT and so on.\n";

enum {
    OPTION_FORMAT = 1,
    OPTION_EXPLAIN,
    OPTION_PROJECT,
    OPTION_PROFILER,
    OPTION_START,
    OPTION_END,
    OPTION_URL,
    OPTION_DATA,
    OPTION_HELP
};

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"explain", no_argument, NULL, OPTION_EXPLAIN},
                                        {"project", required_argument, NULL, OPTION_PROJECT},
                                        {"profiler", required_argument, NULL, OPTION_PROFILER},
                                        {"start", required_argument, NULL, OPTION_START},
                                        {"end", required_argument, NULL, OPTION_END},
                                        {"url", required_argument, NULL, OPTION_URL},
                                        {"data", required_argument, NULL, OPTION_DATA},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV };

struct query_command {
    struct place_options place;
    enum format format;
    bool explain;
    uint64_t project_id;
    const char *profiler;
    const char *start;
    const char *end;
};

static int complain(const char *why, int status)
{
    (void)fprintf(stderr, "hearth query: %s\n", why);
    return status;
}

static int take_format(struct query_command *c, const char *value)
{
    static const char *const names[] = {"table", "json", "jsonl", "csv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            c->format = (enum format)i;
            return FLAGS_GO_ON;
        }
    }
    return complain("--format: expected table, json, jsonl or csv", EXIT_USAGE);
}

static int take_option(void *self, int option, const char *value)
{
    struct query_command *c = self;
    switch (option) {
    case OPTION_FORMAT: return take_format(c, value);
    case OPTION_EXPLAIN: c->explain = true; return FLAGS_GO_ON;
    case OPTION_PROJECT:
        if (bytes_to_u64(bytes_of_text(value), &c->project_id) && c->project_id > 0)
            return FLAGS_GO_ON;
        return complain("--project: expected a number above 0", EXIT_USAGE);
    case OPTION_PROFILER: c->profiler = value; return FLAGS_GO_ON;
    case OPTION_START: c->start = value; return FLAGS_GO_ON;
    case OPTION_END: c->end = value; return FLAGS_GO_ON;
    case OPTION_URL: c->place.url = value; return FLAGS_GO_ON;
    case OPTION_DATA: c->place.data = value; return FLAGS_GO_ON;
    case OPTION_HELP: (void)fputs(usage, stdout); return 0;
    default: (void)fputs(usage, stderr); return EXIT_USAGE;
    }
}

/* ---- the question ---- */

static enum err put_bound(struct buffer *out, const char *flag, const char *column,
                          const char *value, struct errinfo *info)
{
    int64_t ns;
    if (value == NULL)
        return ERR_OK;
    if (!timestamp_parse(bytes_of_text(value), &ns) || ns < 0)
        return err_set(info, ERR_MALFORMED, "%s: expected RFC 3339 or unix seconds, not %s", flag,
                       value);
    buffer_printf(out, " AND %s toDateTime64('%" PRId64 ".%06" PRId64 "', 6)", column,
                  ns / 1000000000, ns / 1000 % 1000000);
    return ERR_OK;
}

/* The chunks of a profiler as a query of the language. */
static enum err put_range(const struct query_command *c, struct buffer *out, struct errinfo *info)
{
    struct uuid id;
    char text[UUID_TEXT_SIZE + 1];
    if (c->profiler == NULL)
        return err_set(info, ERR_MALFORMED, "expected SnQL, or --profiler; see --help");
    if (!uuid_parse(bytes_of_text(c->profiler), &id))
        return err_set(info, ERR_MALFORMED, "--profiler: %s is no UUID", c->profiler);
    uuid_print(id, text);
    buffer_printf(out,
                  "MATCH STORAGE(profile_chunks) SELECT project_id, profiler_id, chunk_id, "
                  "start_timestamp, end_timestamp, environment WHERE project_id = %" PRIu64
                  " AND profiler_id = '%s'",
                  c->project_id, text);
    TRY(put_bound(out, "--start", "end_timestamp >=", c->start, info));
    TRY(put_bound(out, "--end", "start_timestamp <", c->end, info));
    buffer_printf(out, " ORDER BY start_timestamp ASC, chunk_id ASC LIMIT %d", SNQL_LIMIT_MAX);
    return out->failed;
}

static enum err read_input(struct buffer *out, struct errinfo *info)
{
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
        buffer_put(out, bytes_of(piece, n));
    if (ferror(stdin))
        return err_set(info, ERR_IO, "standard input cannot be read");
    return out->failed == ERR_OK ? ERR_OK
                                 : err_set(info, out->failed, "the query is longer than 128 KiB");
}

/* The request's JSON. */
static enum err put_body(const struct query_command *c, const char *text, struct buffer *out,
                         struct errinfo *info)
{
    struct buffer query;
    struct json_writer w;
    buffer_init(&query, SNQL_TEXT_MAX, NULL);
    enum err rc = ERR_OK;
    if (text == NULL)
        rc = put_range(c, &query, info);
    else if (strcmp(text, "-") == 0)
        rc = read_input(&query, info);
    else
        buffer_put(&query, bytes_of_text(text));
    if (rc == ERR_OK && query.failed != ERR_OK)
        rc = err_set(info, query.failed, "the query is longer than 128 KiB");
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "query");
    json_string(&w, bytes_trim(buffer_bytes(&query)));
    json_key(&w, "debug");
    json_bool(&w, c->explain);
    json_key(&w, "referrer");
    json_text(&w, "hearth query");
    json_end_object(&w);
    buffer_close(&query);
    return rc == ERR_OK ? out->failed : rc;
}

/* ---- the answer ---- */

/* NaN and the infinities are no JSON: as strings they are. */
static void quote_special(struct bytes answer, struct buffer *out)
{
    static const struct bytes words[] = {BYTES("NaN"), BYTES("-Infinity"), BYTES("Infinity")};
    bool in_string = false;
    for (size_t i = 0; i < answer.len; i++) {
        uint8_t c = answer.data[i];
        size_t word = 0;
        while (word < 3 && (in_string || !bytes_starts_with(bytes_from(answer, i), words[word])))
            word++;
        if (word < 3) {
            buffer_put(out, BYTES("\""));
            buffer_put(out, words[word]);
            buffer_put(out, BYTES("\""));
            i += words[word].len - 1;
            continue;
        }
        buffer_put_u8(out, c);
        if (c == '"')
            in_string = !in_string;
        else if (c == '\\' && in_string && i + 1 < answer.len)
            buffer_put_u8(out, answer.data[++i]);
    }
}

struct table {
    struct arena arena;
    struct bytes *names; /* of columns */
    size_t column_count;
    struct bytes *cells; /* row by row, as text; data NULL: NULL */
    struct bytes *rows;  /* JSON of each */
    size_t row_count;
};

static size_t count_elements(struct bytes array)
{
    struct json_reader r;
    size_t count = 0;
    json_reader_init(&r, array, NULL, NULL);
    for (json_enter_array(&r); json_next_element(&r); count++)
        (void)json_skip(&r);
    return count;
}

/* A value as text: strings without quotes, everything else as it stands. */
static enum err cell_text(struct bytes value, struct arena *arena, struct bytes *ret)
{
    *ret = value;
    if (value.data == NULL || bytes_equal(value, BYTES("null"))) {
        *ret = (struct bytes){0};
        return ERR_OK;
    }
    if (value.data[0] != '"')
        return ERR_OK;
    struct json_reader r;
    struct buffer scratch;
    buffer_init(&scratch, value.len + 1, NULL);
    json_reader_init(&r, value, &scratch, NULL);
    *ret = arena_copy(arena, json_read_string(&r));
    enum err rc = json_end(&r);
    buffer_close(&scratch);
    return rc != ERR_OK ? rc : ret->data == NULL ? arena->failed : ERR_OK;
}

static enum err read_columns(struct table *t, struct bytes meta)
{
    struct json_reader r;
    t->column_count = count_elements(meta);
    if (t->column_count > COLUMN_COUNT_MAX)
        return ERR_LIMIT;
    t->names = ARENA_ARRAY(&t->arena, t->column_count + 1, struct bytes);
    if (t->names == NULL)
        return t->arena.failed;
    json_reader_init(&r, meta, NULL, NULL);
    json_enter_array(&r);
    for (size_t i = 0; json_next_element(&r) && i < t->column_count; i++)
        TRY(cell_text(json_find(json_skip(&r), "name"), &t->arena, &t->names[i]));
    return json_end(&r);
}

/* Members of a row stand in the order of the columns. */
static enum err read_row(struct table *t, size_t row)
{
    struct json_reader r;
    struct buffer scratch;
    struct bytes name;
    buffer_init(&scratch, KIB(64), NULL);
    json_reader_init(&r, t->rows[row], &scratch, NULL);
    json_enter_object(&r);
    enum err rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && json_next_member(&r, &name) && i < t->column_count; i++)
        rc = cell_text(json_skip(&r), &t->arena, &t->cells[row * t->column_count + i]);
    if (rc == ERR_OK)
        rc = json_end(&r);
    buffer_close(&scratch);
    return rc;
}

static enum err read_table(struct bytes answer, struct table *t)
{
    struct bytes data = json_find(answer, "data");
    struct json_reader r;
    arena_init(&t->arena, CLIENT_MEMORY_MAX, NULL);
    TRY(read_columns(t, json_find(answer, "meta")));
    t->row_count = count_elements(data);
    t->rows = ARENA_ARRAY(&t->arena, t->row_count + 1, struct bytes);
    t->cells = ARENA_ARRAY(&t->arena, t->row_count * t->column_count + 1, struct bytes);
    if (t->rows == NULL || t->cells == NULL)
        return t->arena.failed;
    json_reader_init(&r, data, NULL, NULL);
    json_enter_array(&r);
    for (size_t i = 0; json_next_element(&r); i++) {
        t->rows[i] = json_skip(&r);
        TRY(read_row(t, i));
    }
    return json_end(&r);
}

/* ---- printing ---- */

static struct bytes cell_shown(struct bytes cell)
{
    return cell.data == NULL ? BYTES("NULL") : cell;
}

static size_t width_of(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width < CELL_WIDTH_MAX ? width : CELL_WIDTH_MAX;
}

/* At most so many characters; terminals obey control bytes: they are shown as dots. */
static void put_cell(struct bytes text, size_t width)
{
    size_t shown = 0;
    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] & 0xc0) != 0x80 && shown++ == width)
            break;
        (void)putchar(text.data[i] < 0x20 || text.data[i] == 0x7f ? '.' : text.data[i]);
    }
    for (size_t used = width_of(text); used < width; used++)
        (void)putchar(' ');
}

static void print_table(const struct table *t, const size_t *widths)
{
    for (size_t row = 0; row <= t->row_count; row++) {
        for (size_t i = 0; i < t->column_count; i++) {
            struct bytes text =
                row == 0 ? t->names[i] : cell_shown(t->cells[(row - 1) * t->column_count + i]);
            put_cell(text, i + 1 == t->column_count ? width_of(text) : widths[i]);
            (void)fputs(i + 1 == t->column_count ? "\n" : "  ", stdout);
        }
    }
    (void)fprintf(stderr, "%zu rows\n", t->row_count);
}

static void print_csv_cell(struct bytes text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++)
        quoted |= text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\n' ||
                  text.data[i] == '\r';
    if (quoted)
        (void)putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            (void)putchar('"');
        (void)putchar(text.data[i]);
    }
    if (quoted)
        (void)putchar('"');
}

static void print_csv(const struct table *t)
{
    for (size_t row = 0; row <= t->row_count; row++) {
        for (size_t i = 0; i < t->column_count; i++) {
            print_csv_cell(row == 0 ? t->names[i] : t->cells[(row - 1) * t->column_count + i]);
            (void)fputs(i + 1 == t->column_count ? "\r\n" : ",", stdout);
        }
    }
}

static enum err print_rows(const struct query_command *c, struct bytes answer)
{
    struct table t = {0};
    size_t widths[COLUMN_COUNT_MAX];
    enum err rc = read_table(answer, &t);
    for (size_t i = 0; i < t.column_count && rc == ERR_OK; i++) {
        widths[i] = width_of(t.names[i]);
        for (size_t row = 0; row < t.row_count; row++) {
            size_t width = width_of(cell_shown(t.cells[row * t.column_count + i]));
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    if (rc == ERR_OK && c->format == FORMAT_TABLE)
        print_table(&t, widths);
    if (rc == ERR_OK && c->format == FORMAT_CSV)
        print_csv(&t);
    for (size_t row = 0; row < t.row_count && rc == ERR_OK && c->format == FORMAT_JSONL; row++)
        (void)printf("%.*s\n", (int)t.rows[row].len, (const char *)t.rows[row].data);
    arena_close(&t.arena);
    return rc;
}

static void explain(struct bytes answer)
{
    struct arena arena;
    struct bytes text;
    arena_init(&arena, MIB(1), NULL);
    if (cell_text(json_find(answer, "sql"), &arena, &text) == ERR_OK)
        (void)fprintf(stderr, "%.*s\n", (int)text.len, (const char *)text.data);
    arena_close(&arena);
}

static enum err print_answer(const struct query_command *c, struct bytes answer,
                             struct errinfo *info)
{
    struct buffer plain;
    if (c->format == FORMAT_JSON && !c->explain) {
        (void)printf("%.*s\n", (int)answer.len, (const char *)answer.data);
        return ERR_OK;
    }
    buffer_init(&plain, 2 * CLIENT_ANSWER_MAX, NULL);
    quote_special(answer, &plain);
    enum err rc = plain.failed;
    if (rc == ERR_OK && c->explain)
        explain(buffer_bytes(&plain));
    if (rc == ERR_OK && c->format == FORMAT_JSON)
        (void)printf("%.*s\n", (int)answer.len, (const char *)answer.data);
    else if (rc == ERR_OK)
        rc = print_rows(c, buffer_bytes(&plain));
    buffer_close(&plain);
    return rc == ERR_OK ? ERR_OK
                        : err_set(info, rc, "the answer cannot be shown: %s", err_text(rc));
}

static enum err on_body(void *self, struct bytes piece)
{
    struct buffer *answer = self;
    buffer_put(answer, piece);
    return answer->failed;
}

static enum err run(const struct query_command *c, const char *text, struct errinfo *info)
{
    struct buffer body;
    struct buffer answer;
    struct place place = {0};
    buffer_init(&body, SNQL_BODY_MAX, NULL);
    buffer_init(&answer, CLIENT_ANSWER_MAX, NULL);
    enum err rc = put_body(c, text, &body, info);
    if (rc == ERR_OK)
        rc = place_open(&c->place, &place, info);
    struct place_question question = {
        .route = "query", .body = buffer_bytes(&body), .on_body = on_body, .self = &answer};
    if (rc == ERR_OK)
        rc = place_ask(&place, &question, info);
    if (rc == ERR_OK)
        rc = print_answer(c, buffer_bytes(&answer), info);
    if (rc == ERR_OK && fflush(stdout) != 0)
        rc = err_set(info, ERR_IO, "standard output: not written");
    place_close(&place);
    buffer_close(&answer);
    buffer_close(&body);
    return rc;
}

int cmd_query(int argc, char **argv)
{
    struct query_command c = {.project_id = 1};
    struct errinfo info = {0};
    int status = flags_read(argc, argv, options, &c, take_option);
    if (status != FLAGS_GO_ON)
        return status;
    if (c.place.url != NULL && c.place.data != NULL)
        return complain(
            "--url and --data exclude each other: a server, or a folder that none holds",
            EXIT_USAGE);
    if (argc - optind > 1)
        return complain("expected one argument, the query: put it in quotes", EXIT_USAGE);
    return run(&c, optind < argc ? argv[optind] : NULL, &info) == ERR_OK ? 0
                                                                         : complain(info.text, 1);
}
