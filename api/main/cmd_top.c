/* cmd_top.c - hearth top: the hottest functions of a range as a table. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/main/command.h"
#include "api/main/query_flags.h"
#include "base/limits.h"
#include "engine/json_reader.h"

#define NAME_WIDTH  48
#define OTHER_SIZE  24  /* ", " and a project's number */
#define OTHERS_SIZE 160 /* of a complaint, which has 240 */

static const char usage[] =
    "usage: hearth top [--limit N] [--by self|total] [--json] [what]\n"
    "\n"
    "Prints the functions that a range of time was spent in.\n"
    "\n"
    "  --limit N           how many, default 30\n"
    "  --by self|total     order: time in the function itself (default), or below it too\n"
    "  --json              the API's answer as it came\n" QUERY_USAGE;

enum { OPTION_LIMIT = 1, OPTION_BY, OPTION_JSON };

struct top_command {
    struct query_flags query;
    const char *limit;
    const char *by;
    bool json;
};

static bool take_option(void *self, int option, const char *value)
{
    struct top_command *c = self;
    switch (option) {
    case OPTION_LIMIT: c->limit = value; return true;
    case OPTION_BY: c->by = value; return true;
    case OPTION_JSON: c->json = true; return true;
    default: return false;
    }
}

static const struct option options[] = {{"limit", required_argument, NULL, OPTION_LIMIT},
                                        {"by", required_argument, NULL, OPTION_BY},
                                        {"json", no_argument, NULL, OPTION_JSON},
                                        QUERY_OPTIONS,
                                        {NULL, 0, NULL, 0}};

static const struct query_command command = {"top", usage, options, take_option};

struct top_row {
    struct bytes function;
    struct bytes module;
    struct bytes package;
    struct bytes filename;
    uint32_t line;
    uint64_t self_ns;
    uint64_t total_ns;
};

/* ---- the answer ---- */

static struct bytes read_text(struct json_reader *r, struct arena *arena)
{
    if (json_take_null(r))
        return (struct bytes){0};
    return arena_copy(arena, json_read_string(r));
}

static void read_row(struct json_reader *r, struct json_keys *keys, struct arena *arena,
                     struct top_row *row)
{
    int key;
    json_enter_keys(r, keys);
    while (json_next_key(r, keys, &key)) {
        switch (key) {
        case 0: row->function = read_text(r, arena); break;
        case 1: row->module = read_text(r, arena); break;
        case 2: row->package = read_text(r, arena); break;
        case 3: row->filename = read_text(r, arena); break;
        case 4: row->line = json_take_null(r) ? 0 : json_read_u32(r); break;
        case 5: row->self_ns = json_read_u64(r); break;
        case 6: row->total_ns = json_read_u64(r); break;
        default: (void)json_skip(r);
        }
    }
}

/* ---- the table ---- */

struct shown_duration {
    double value;
    int decimals;
    const char *unit;
};

/* 1.24 s, 3.10 ms, 0.5 us */
static struct shown_duration duration_of(uint64_t ns)
{
    if (ns >= 1000000000)
        return (struct shown_duration){(double)ns / 1e9, 2, "s"};
    if (ns >= 1000000)
        return (struct shown_duration){(double)ns / 1e6, 2, "ms"};
    return (struct shown_duration){(double)ns / 1e3, 1, "us"};
}

static void put_duration(uint64_t ns)
{
    struct shown_duration d = duration_of(ns);
    printf("%9.*f %-2s", d.decimals, d.value, d.unit);
}

static void put_share(uint64_t part, uint64_t whole)
{
    if (whole == 0)
        printf("      - ");
    else
        printf(" %5.1f %%", 100.0 * (double)part / (double)whole);
}

/* Terminals obey control bytes: they are shown as dots. */
static void put_text(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        (void)putchar(text.data[i] < 0x20 || text.data[i] == 0x7f ? '.' : text.data[i]);
}

/* Characters of UTF-8: bytes that do not continue one. */
static size_t text_width(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width;
}

static void put_row(const struct top_row *row, uint64_t whole)
{
    struct bytes name = row->function.len == 0 ? BYTES("(no name)") : row->function;
    struct bytes home = row->module.len == 0 ? row->package : row->module;
    put_duration(row->self_ns);
    put_share(row->self_ns, whole);
    put_duration(row->total_ns);
    put_share(row->total_ns, whole);
    printf("  ");
    put_text(name);
    for (size_t width = text_width(name); width < NAME_WIDTH; width++)
        (void)putchar(' ');
    printf("  ");
    put_text(home);
    if (row->filename.len > 0) {
        printf("%s", home.len == 0 ? "" : " ");
        put_text(row->filename);
        if (row->line > 0)
            printf(":%u", row->line);
    }
    (void)putchar('\n');
}

static enum err print_table(struct bytes answer, struct errinfo *info)
{
    static const struct bytes names[] = {BYTES("function"), BYTES("module"), BYTES("package"),
                                         BYTES("filename"), BYTES("line"),   BYTES("self_ns"),
                                         BYTES("total_ns")};
    struct json_reader r;
    struct json_keys keys;
    struct buffer scratch;
    struct arena arena;
    uint64_t whole = 0;
    (void)bytes_to_u64(json_find(answer, "total_ns"), &whole);
    buffer_init(&scratch, MIB(1), NULL);
    arena_init(&arena, CLIENT_ANSWER_MAX, NULL);
    json_keys_init(&keys, names, (int)(sizeof(names) / sizeof(names[0])));
    json_reader_init(&r, json_find(answer, "functions"), &scratch, info);
    printf("       self        %%       total        %%  function%*s  where\n", NAME_WIDTH - 8, "");
    json_enter_array(&r);
    while (json_next_element(&r)) {
        struct top_row row = {0};
        read_row(&r, &keys, &arena, &row);
        if (r.failed == ERR_OK)
            put_row(&row, whole);
    }
    enum err rc = json_end(&r);
    if (rc == ERR_OK)
        rc = arena.failed;
    buffer_close(&scratch);
    arena_close(&arena);
    return rc == ERR_OK ? ERR_OK : err_wrap(info, rc, "the answer");
}

/* ---- below the table ---- */

static uint64_t number_in(struct bytes object, const char *key)
{
    uint64_t value = 0;
    (void)bytes_to_u64(json_find(object, key), &value);
    return value;
}

/* "text" -> text; of our own words, which need no escapes */
static struct bytes unquoted(struct bytes string)
{
    return string.len < 2 ? (struct bytes){0} : bytes_first(bytes_from(string, 1), string.len - 2);
}

static void put_left_out(struct bytes one)
{
    struct bytes what = unquoted(json_find(one, "what"));
    struct bytes reason = unquoted(json_find(one, "reason"));
    uint64_t count = number_in(one, "count");
    if (bytes_equal(what, BYTES("functions")) && bytes_equal(reason, BYTES("limit"))) {
        printf("%" PRIu64 " more functions: --limit N shows more\n", count);
        return;
    }
    printf("left out: %" PRIu64 " ", count);
    put_text(what);
    printf(" (");
    put_text(reason);
    printf(")\n");
}

static size_t element_count(struct bytes array)
{
    struct json_reader r;
    size_t count = 0;
    json_reader_init(&r, array, NULL, NULL);
    for (json_enter_array(&r); json_next_element(&r); count++)
        (void)json_skip(&r);
    return count;
}

static void print_coverage(struct bytes answer)
{
    struct bytes coverage = json_find(answer, "coverage");
    size_t gap_count = element_count(json_find(coverage, "gaps"));
    struct json_reader r;
    struct shown_duration whole = duration_of(number_in(answer, "total_ns"));
    struct shown_duration idle = duration_of(number_in(answer, "idle_ns"));
    printf("\n%.*f %s in all, %.*f %s of it idle; %" PRIu64 " of %" PRIu64 " chunks and %" PRIu64
           " of %" PRIu64 " transaction profiles used, %" PRIu64 " samples, %zu gaps\n",
           whole.decimals, whole.value, whole.unit, idle.decimals, idle.value, idle.unit,
           number_in(coverage, "chunks_used"), number_in(coverage, "chunks_found"),
           number_in(coverage, "profiles_used"), number_in(coverage, "profiles_found"),
           number_in(coverage, "samples"), gap_count);
    json_reader_init(&r, json_find(coverage, "left_out"), NULL, NULL);
    json_enter_array(&r);
    while (json_next_element(&r))
        put_left_out(json_skip(&r));
}

static bool found_anything(struct bytes answer)
{
    struct bytes coverage = json_find(answer, "coverage");
    return number_in(coverage, "chunks_found") + number_in(coverage, "profiles_found") > 0;
}

/* ---- the command ---- */

static enum err on_body(void *self, struct bytes piece)
{
    struct buffer *answer = self;
    buffer_put(answer, piece);
    return answer->failed;
}

/* Nothing was found: because of the window and the filters, or is it the project? */
static enum err explain_nothing(const struct top_command *c, struct place *place,
                                struct errinfo *info)
{
    struct buffer answer;
    struct json_reader r;
    char others[OTHERS_SIZE];
    size_t used = 0;
    bool has_data = false;
    buffer_init(&answer, CLIENT_ANSWER_MAX, NULL);
    struct place_question question = {.route = "projects", .on_body = on_body, .self = &answer};
    enum err rc = place_ask(place, &question, info);
    json_reader_init(&r, json_find(buffer_bytes(&answer), "projects"), NULL, NULL);
    for (json_enter_array(&r); rc == ERR_OK && json_next_element(&r);) {
        struct bytes one = json_skip(&r);
        uint64_t id = number_in(one, "project_id");
        if (number_in(one, "chunks") + number_in(one, "profiles") == 0)
            continue;
        has_data |= id == c->query.project_id;
        if (used + OTHER_SIZE < sizeof(others))
            used += (size_t)snprintf(others + used, OTHER_SIZE, "%s%" PRIu64, used == 0 ? "" : ", ",
                                     id);
        else if (used + 4 < sizeof(others) && others[used - 1] != '.')
            used += (size_t)snprintf(others + used, 4, "...");
    }
    buffer_close(&answer);
    TRY(rc);
    if (has_data) {
        printf("nothing of project %" PRIu64 " lies in this selection\n", c->query.project_id);
        return ERR_OK;
    }
    return err_set(info, ERR_NOTFOUND, "project %" PRIu64 " has no data; %s%.*s",
                   c->query.project_id,
                   used == 0 ? "neither has any other" : "projects that have: ", (int)used, others);
}

static enum err print_answer(const struct top_command *c, struct place *place, struct bytes answer,
                             struct errinfo *info)
{
    if (c->json) {
        (void)printf("%.*s\n", (int)answer.len, (const char *)answer.data);
        return ERR_OK;
    }
    if (!found_anything(answer))
        return explain_nothing(c, place, info);
    TRY(print_table(answer, info));
    print_coverage(answer);
    return ERR_OK;
}

static int top_run(struct top_command *c)
{
    struct errinfo info = {0};
    struct place place = {0};
    struct buffer answer;
    if (!query_flags_add(&c->query, "limit", c->limit) ||
        !query_flags_add(&c->query, "sort", c->by))
        return query_complain(&command, "too many flags", EXIT_USAGE);
    if (place_open(&c->query.place, &place, &info) != ERR_OK)
        return query_complain(&command, info.text, 1);
    buffer_init(&answer, CLIENT_ANSWER_MAX, NULL);
    struct place_question question = {.route = "functions",
                                      .project_id = c->query.project_id,
                                      .params = c->query.params,
                                      .param_count = c->query.param_count,
                                      .on_body = on_body,
                                      .self = &answer};
    enum err rc = place_ask(&place, &question, &info);
    if (rc == ERR_OK)
        rc = print_answer(c, &place, buffer_bytes(&answer), &info);
    if (rc == ERR_OK && fflush(stdout) != 0)
        rc = err_set(&info, ERR_IO, "standard output: not written");
    buffer_close(&answer);
    place_close(&place);
    return rc == ERR_OK ? 0 : query_complain(&command, info.text, 1);
}

int cmd_top(int argc, char **argv)
{
    struct top_command c = {.query = {.project_id = 1}, .limit = "30", .by = "self"};
    int status = query_flags_read(&c.query, &command, &c, argc, argv);
    if (status != FLAGS_GO_ON)
        return status;
    if (strcmp(c.by, "self") != 0 && strcmp(c.by, "total") != 0)
        return query_complain(&command, "--by: expected self or total", EXIT_USAGE);
    return top_run(&c);
}
