/* Any query: never a crash, what is refused is refused with a place inside the text, and what is
 * answered has a value of its type in every cell. The first byte says whether the others are the text
 * or choices of a maker of queries; they run over a few rows with NULLs and empty texts. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine/snql_json.h"
#include "tests/support/random_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS 5

struct few_rows {
    const struct snql_table_schema *schema;
    const bool *wanted;
    size_t given;
};

static enum err open_rows(void *self, const bool *wanted, const struct snql_plan *plan,
                          struct snql_error *error)
{
    struct few_rows *r = self;
    (void)plan, (void)error;
    r->wanted = wanted;
    return ERR_OK;
}

static void fill(struct snql_column *c, size_t row)
{
    static const uint64_t numbers[ROWS] = {0, 90, 30, UINT32_MAX, 1};
    static const int64_t times[ROWS] = {0, INT64_C(2000000000500000), -5, INT64_C(2000000000000000),
                                        1};
    static const uint8_t nulls[ROWS] = {0, 1, 0, 0, 1};
    static struct bytes texts[ROWS];
    static struct bytes ids[ROWS];
    static const struct uuid uuids[ROWS] = {{{1}}, {{2}}, {{0}}, {{1}}, {{9}}};
    static const uint32_t ends[1] = {ROWS};
    static const double doubles[ROWS] = {0.5, -1, 3, 1e300, 0};
    static struct snql_column element;
    static const struct snql_type float64 = {.kind = SNQL_TYPE_FLOAT64};
    texts[0] = BYTES("x");
    texts[2] = BYTES("Größe");
    texts[3] = BYTES("dev");
    for (size_t i = 0; i < ROWS; i++)
        ids[i] = BYTES("4d229f1d3807421ba62a5f8bc295d836");
    element = (struct snql_column){.type = float64, .rows = ROWS, .f64 = doubles};
    c->rows = 1;
    c->nulls = c->type.nullable ? &nulls[row] : NULL;
    switch (c->type.kind) {
    case SNQL_TYPE_STRING: c->text = c->type.low_cardinality ? &texts[row] : &ids[row]; break;
    case SNQL_TYPE_DATETIME64: c->i64 = &times[row]; break;
    case SNQL_TYPE_UUID: c->uuid = &uuids[row]; break;
    case SNQL_TYPE_ARRAY:
        c->ends = ends;
        c->elements = &element;
        break;
    default: c->u64 = &numbers[c->type.kind == SNQL_TYPE_UINT16 && row == 3 ? 1 : row]; break;
    }
}

/* A row at a time, so that everything is kept between batches. */
static enum err next_rows(void *self, struct arena *arena, struct snql_column *columns,
                          size_t *ret_rows, struct snql_error *error)
{
    struct few_rows *r = self;
    (void)arena, (void)error;
    *ret_rows = r->given < ROWS ? 1 : 0;
    for (size_t i = 0; i < r->schema->column_count && r->given < ROWS; i++) {
        if (!r->wanted[i])
            continue;
        columns[i] = (struct snql_column){.type = r->schema->columns[i].type};
        fill(&columns[i], r->given);
    }
    r->given++;
    return ERR_OK;
}

static enum err few_table(void *self, const struct snql_table_schema *schema,
                          const struct snql_budget *budget, struct arena *arena,
                          struct snql_relation *ret, struct snql_error *error)
{
    (void)self, (void)budget, (void)error;
    struct snql_relation_column *columns =
        ARENA_ARRAY(arena, schema->column_count, struct snql_relation_column);
    struct few_rows *r = ARENA_NEW(arena, struct few_rows);
    if (columns == NULL || r == NULL)
        return arena_error(arena);
    *r = (struct few_rows){.schema = schema};
    for (size_t i = 0; i < schema->column_count; i++)
        columns[i] =
            (struct snql_relation_column){schema->columns[i].name, schema->columns[i].type};
    *ret = (struct snql_relation){.self = r,
                                  .column_count = schema->column_count,
                                  .columns = columns,
                                  .open = open_rows,
                                  .next = next_rows};
    return ERR_OK;
}

static void run(struct bytes text)
{
    struct mem_budget budget;
    struct mem_account account;
    struct arena arena;
    struct snql_answer answer;
    struct snql_error error;
    struct snql_catalog catalog = {NULL, few_table};
    struct snql_request request = {.text = text};
    mem_budget_init(&budget, MIB(64));
    mem_account_init(&account, &budget, MIB(64));
    arena_init(&arena, MIB(64), &account);
    enum err rc = snql_run(&request, &catalog, &arena, &answer, &error);
    struct buffer out;
    buffer_init(&out, MIB(16), NULL);
    if (rc == ERR_OK) {
        snql_json_put_answer(&answer, &out);
    } else {
        assert(rc == ERR_MALFORMED || rc == ERR_LIMIT);
        assert(error.type != SNQL_ERROR_INTERNAL && error.info.text[0] != '\0');
        assert(error.offset == SNQL_NO_OFFSET || error.offset <= text.len);
        assert(error.expected == NULL || error.offset != SNQL_NO_OFFSET);
        snql_json_put_error(&error, &out);
    }
    buffer_close(&out);
    arena_close(&arena);
    mem_account_close(&account);
}

struct bytes_left {
    const uint8_t *at;
    const uint8_t *end;
};

static uint32_t choose(void *self, uint32_t n)
{
    struct bytes_left *b = self;
    return b->at == b->end ? 0 : *b->at++ % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != 0) {
        run(bytes_of(data, size));
        return 0;
    }
    struct bytes_left left = {data + 1, data + size};
    struct query_choices choices = {&left, choose};
    struct buffer text;
    buffer_init(&text, SNQL_TEXT_MAX, NULL);
    random_query(&choices, &text);
    if (text.failed == ERR_OK)
        run(buffer_bytes(&text));
    buffer_close(&text);
    return 0;
}
