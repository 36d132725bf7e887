/* snql_schema.c - the tables, column by column. */
#include "engine/snql_schema.h"

#define PLAIN(kind_)              \
    {                             \
        .kind = SNQL_TYPE_##kind_ \
    }
#define MAYBE(kind_)                                \
    {                                               \
        .kind = SNQL_TYPE_##kind_, .nullable = true \
    }
#define TAG                                               \
    {                                                     \
        .kind = SNQL_TYPE_STRING, .low_cardinality = true \
    }
#define MAYBE_TAG                                                           \
    {                                                                       \
        .kind = SNQL_TYPE_STRING, .low_cardinality = true, .nullable = true \
    }
#define MICROSECONDS                                 \
    {                                                \
        .kind = SNQL_TYPE_DATETIME64, .precision = 6 \
    }
#define STATE_OF(which)                                      \
    {                                                        \
        .kind = SNQL_TYPE_STATE, .state = SNQL_STATE_##which \
    }
#define ID(name_)                                                  \
    {                                                              \
        .name = BYTES(name_), .type = PLAIN(STRING), .is_id = true \
    }
#define COLUMN(name_, ...)                        \
    {                                             \
        .name = BYTES(name_), .type = __VA_ARGS__ \
    }
#define INSIDE(name_, ...)                                              \
    {                                                                   \
        .name = BYTES(name_), .type = __VA_ARGS__, .storage_only = true \
    }

static const struct snql_type float64 = PLAIN(FLOAT64);

static const struct snql_column_schema chunk_columns[] = {
    COLUMN("project_id", PLAIN(UINT64)),
    ID("profiler_id"),
    ID("chunk_id"),
    COLUMN("start_timestamp", MICROSECONDS),
    COLUMN("end_timestamp", MICROSECONDS),
    COLUMN("environment", MAYBE_TAG),
    COLUMN("retention_days", PLAIN(UINT16)),
    COLUMN("partition", PLAIN(UINT16)),
    COLUMN("offset", PLAIN(UINT64)),
};

static const struct snql_column_schema profile_columns[] = {
    COLUMN("organization_id", PLAIN(UINT64)),
    COLUMN("project_id", PLAIN(UINT64)),
    ID("transaction_id"),
    ID("profile_id"),
    ID("trace_id"),
    COLUMN("received", PLAIN(DATETIME)),
    COLUMN("android_api_level", MAYBE(UINT32)),
    COLUMN("device_classification", TAG),
    COLUMN("device_locale", TAG),
    COLUMN("device_manufacturer", TAG),
    COLUMN("device_model", TAG),
    COLUMN("device_os_name", TAG),
    COLUMN("device_os_version", TAG),
    COLUMN("architecture", TAG),
    COLUMN("platform", TAG),
    COLUMN("transaction_name", TAG),
    COLUMN("device_os_build_number", MAYBE_TAG),
    COLUMN("environment", MAYBE_TAG),
    COLUMN("duration_ns", PLAIN(UINT64)),
    COLUMN("version_name", PLAIN(STRING)),
    COLUMN("version_code", PLAIN(STRING)),
    INSIDE("retention_days", PLAIN(UINT16)),
    INSIDE("partition", PLAIN(UINT16)),
    INSIDE("offset", PLAIN(UINT64)),
};

static const struct snql_column_schema raw_columns[] = {
    COLUMN("project_id", PLAIN(UINT64)),
    COLUMN("transaction_name", PLAIN(STRING)),
    COLUMN("timestamp", PLAIN(DATETIME)),
    COLUMN("depth", PLAIN(UINT32)),
    COLUMN("parent_fingerprint", PLAIN(UINT64)),
    COLUMN("fingerprint", PLAIN(UINT64)),
    COLUMN("name", PLAIN(STRING)),
    COLUMN("package", PLAIN(STRING)),
    COLUMN("path", PLAIN(STRING)),
    COLUMN("is_application", PLAIN(UINT8)),
    COLUMN("platform", TAG),
    COLUMN("environment", MAYBE_TAG),
    COLUMN("release", MAYBE_TAG),
    COLUMN("os_name", TAG),
    COLUMN("os_version", TAG),
    COLUMN("retention_days", PLAIN(UINT16)),
    COLUMN("durations", {.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = &float64}),
    COLUMN("profile_id", PLAIN(UUID)),
    COLUMN("profiling_type", TAG),
    COLUMN("materialization_version", PLAIN(UINT8)),
    COLUMN("thread_id", PLAIN(STRING)),
    COLUMN("start_timestamp", {.kind = SNQL_TYPE_DATETIME64, .precision = 6, .nullable = true}),
    COLUMN("end_timestamp", {.kind = SNQL_TYPE_DATETIME64, .precision = 6, .nullable = true}),
};

static const struct snql_column_schema function_columns[] = {
    COLUMN("project_id", PLAIN(UINT64)),
    COLUMN("transaction_name", PLAIN(STRING)),
    COLUMN("timestamp", PLAIN(DATETIME)),
    COLUMN("depth", PLAIN(UINT32)),
    COLUMN("parent_fingerprint", PLAIN(UINT64)),
    COLUMN("fingerprint", PLAIN(UINT64)),
    COLUMN("name", PLAIN(STRING)),
    COLUMN("package", PLAIN(STRING)),
    COLUMN("path", PLAIN(STRING)),
    COLUMN("is_application", PLAIN(UINT8)),
    COLUMN("platform", TAG),
    COLUMN("environment", MAYBE_TAG),
    COLUMN("release", MAYBE_TAG),
    COLUMN("os_name", TAG),
    COLUMN("os_version", TAG),
    COLUMN("retention_days", PLAIN(UINT16)),
    COLUMN("profiling_type", TAG),
    COLUMN("count", STATE_OF(COUNT)),
    COLUMN("percentiles", STATE_OF(PERCENTILES)),
    COLUMN("min", STATE_OF(MIN)),
    COLUMN("max", STATE_OF(MAX)),
    COLUMN("avg", STATE_OF(AVG)),
    COLUMN("sum", STATE_OF(SUM)),
    COLUMN("worst", STATE_OF(WORST)),
    COLUMN("worst_v2", STATE_OF(WORST_V2)),
    COLUMN("examples", STATE_OF(EXAMPLES)),
    COLUMN("examples_v2", STATE_OF(EXAMPLES_V2)),
};

static const struct bytes profiles_required[] = {BYTES("organization_id"), BYTES("project_id")};
static const struct bytes functions_required[] = {BYTES("project_id")};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const struct snql_table_schema tables[] = {
    {
        .table = SNQL_PROFILE_CHUNKS,
        .name = BYTES("profile_chunks"),
        .columns = chunk_columns,
        .column_count = COUNT_OF(chunk_columns),
    },
    {
        .table = SNQL_PROFILES,
        .name = BYTES("profiles"),
        .columns = profile_columns,
        .column_count = COUNT_OF(profile_columns),
        .is_entity = true,
        .time = BYTES("received"),
        .required = profiles_required,
        .required_count = COUNT_OF(profiles_required),
    },
    {
        .table = SNQL_FUNCTIONS_RAW,
        .name = BYTES("functions_raw"),
        .columns = raw_columns,
        .column_count = COUNT_OF(raw_columns),
    },
    {
        .table = SNQL_FUNCTIONS,
        .name = BYTES("functions"),
        .columns = function_columns,
        .column_count = COUNT_OF(function_columns),
        .is_entity = true,
        .time = BYTES("timestamp"),
        .required = functions_required,
        .required_count = COUNT_OF(functions_required),
    },
};

const struct snql_table_schema *snql_schema_find(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        if (bytes_equal(tables[i].name, name))
            return &tables[i];
    return NULL;
}

size_t snql_schema_column(const struct snql_table_schema *t, struct bytes name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (bytes_equal(t->columns[i].name, name))
            return i;
    return SIZE_MAX;
}
