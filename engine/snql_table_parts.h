/* snql_table_parts.h - what the files of the store's tables share: a table being read, and a batch of
 * its columns being filled. */
#ifndef HEARTH_ENGINE_SNQL_TABLE_PARTS_H
#define HEARTH_ENGINE_SNQL_TABLE_PARTS_H

#include "base/limits.h"
#include "engine/snql_tables.h"

#define SNQL_PROFILE_MEMORY_MAX MIB(256) /* one profile, decoded, and its call tree */
#define SNQL_HOUR_S             3600

struct snql_store_table {
    const struct snapshot *snap;
    const struct snql_table_schema *schema;
    const struct snql_budget *budget;
    struct snql_error *error;
    struct arena *arena;
    const bool *wanted;
    struct row_list rows;
    size_t at;

    /* of table functions: made as a whole when it is opened */
    bool summed;
    struct snql_column *hours;
    size_t hour_count;
};

/* Columns of a batch being filled, by their number in the schema. */
struct snql_table_batch {
    struct arena *arena;
    const struct snql_table_schema *schema;
    const bool *wanted;
    struct snql_column *columns;
    size_t room;
    size_t rows;
    uint8_t **nulls;
    void **values;
};

enum err snql_batch_begin(struct snql_table_batch *b, const struct snql_table_schema *schema,
                          const bool *wanted, size_t room, struct arena *arena) MUST_CHECK;
void snql_batch_end(const struct snql_table_batch *b, struct snql_column *columns);
/* The number of a column that is wanted; SIZE_MAX: it is not, and needs no value. */
size_t snql_batch_column(const struct snql_table_batch *b, const char *name);
/* Values of row b->rows; nothing happens where the column is not wanted. */
void snql_put_number(struct snql_table_batch *b, const char *name, uint64_t v);
void snql_put_text(struct snql_table_batch *b, const char *name,
                   struct bytes v); /* data NULL: NULL */
void snql_put_null(struct snql_table_batch *b, const char *name);
void snql_put_uuid(struct snql_table_batch *b, const char *name, struct uuid v);
/* Ids that queries see as text. */
enum err snql_put_id(struct snql_table_batch *b, const char *name, struct uuid v) MUST_CHECK;

static inline uint64_t snql_microseconds(int64_t ns)
{
    return ns < 0 ? 0 : (uint64_t)ns / 1000;
}

static inline struct bytes snql_or_empty(struct bytes text)
{
    return text.data == NULL ? BYTES("") : text;
}

/* The next batch of table functions_raw, and of functions (engine/snql_function_tables.c). */
enum err snql_next_raw_functions(struct snql_store_table *t, struct arena *arena,
                                 struct snql_column *columns, size_t *ret_rows) MUST_CHECK;
enum err snql_next_functions(struct snql_store_table *t, struct arena *arena,
                             struct snql_column *columns, size_t *ret_rows) MUST_CHECK;

#endif
