/* snql_schema.h - the tables a query may name: columns with their types, and what an entity asks
 * for. Static; the order of columns is that of the query API's documentation.
 */
#ifndef HEARTH_ENGINE_SNQL_SCHEMA_H
#define HEARTH_ENGINE_SNQL_SCHEMA_H

#include "engine/snql_ast.h"
#include "engine/snql_type.h"

enum snql_table { SNQL_PROFILE_CHUNKS, SNQL_PROFILES, SNQL_FUNCTIONS_RAW, SNQL_FUNCTIONS };

struct snql_column_schema {
    struct bytes name;
    struct snql_type type; /* as `meta` names it: ids of profiles and profile_chunks are String */
    bool is_id;            /* such an id: text compared with it by =, !=, IN, NOT IN is a UUID */
    bool storage_only;     /* the entity does not have it */
};

struct snql_table_schema {
    enum snql_table table;
    struct bytes name;
    const struct snql_column_schema *columns;
    size_t column_count;
    bool is_entity;               /* may be named without STORAGE */
    struct bytes time;            /* of an entity: the column that must be bounded */
    const struct bytes *required; /* of an entity: columns that must be given */
    size_t required_count;
};

/* NULL: there is none. */
const struct snql_table_schema *snql_schema_find(struct bytes name);
/* Its number, or SIZE_MAX. */
size_t snql_schema_column(const struct snql_table_schema *t, struct bytes name);

#endif
