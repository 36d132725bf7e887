/* Functions of the query language, one expression after another: its type as `meta` names it, and its
 * value as the answer shows it. Expectations are those of the tables in docs/snql.md, that is
 * ClickHouse's. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/snql_json.h"

/* ---- one row of a few columns to compute with ---- */

static const struct snql_type float64 = {.kind = SNQL_TYPE_FLOAT64};
static const struct snql_type text = {.kind = SNQL_TYPE_STRING};

static const struct snql_relation_column columns[] = {
    {BYTES("small"), {.kind = SNQL_TYPE_UINT16}},
    {BYTES("big"), {.kind = SNQL_TYPE_UINT64}},
    {BYTES("minus_three"), {.kind = SNQL_TYPE_INT8}},
    {BYTES("half"), {.kind = SNQL_TYPE_FLOAT64}},
    {BYTES("name"), {.kind = SNQL_TYPE_STRING}},
    {BYTES("tag"), {.kind = SNQL_TYPE_STRING, .low_cardinality = true}},
    {BYTES("nothing"), {.kind = SNQL_TYPE_STRING, .low_cardinality = true, .nullable = true}},
    {BYTES("maybe"), {.kind = SNQL_TYPE_UINT32, .nullable = true}},
    {BYTES("at"), {.kind = SNQL_TYPE_DATETIME}},
    {BYTES("precise"), {.kind = SNQL_TYPE_DATETIME64, .precision = 6}},
    {BYTES("id"), {.kind = SNQL_TYPE_UUID}},
    {BYTES("list"), {.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = &float64}},
    {BYTES("words"), {.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = &text}},
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

struct one_row {
    bool done;
};

static enum err open_row(void *self, const bool *wanted, const struct snql_plan *plan,
                         struct snql_error *error)
{
    (void)self, (void)wanted, (void)plan, (void)error;
    return ERR_OK;
}

static enum err next_row(void *self, struct arena *arena, struct snql_column *ret, size_t *ret_rows,
                         struct snql_error *error)
{
    static const uint64_t small = 90;
    static const uint64_t big = UINT64_C(18446744073709551615);
    static const int64_t minus_three = -3;
    static const double half = 0.5;
    static struct bytes name;
    static struct bytes tag;
    static struct bytes nothing;
    static const uint64_t zero;
    static const uint8_t null = 1;
    static const uint64_t at = 2000000000;
    static const int64_t precise = INT64_C(2000000000500000);
    static struct uuid id;
    static const uint32_t three = 3;
    static const double numbers[] = {3, 1, 2};
    static struct bytes words[3];
    static struct snql_column number_column;
    static struct snql_column word_column;
    struct one_row *row = self;
    (void)arena, (void)error;
    *ret_rows = row->done ? 0 : 1;
    if (row->done)
        return ERR_OK;
    row->done = true;
    name = BYTES("Größe a%b");
    tag = BYTES("python");
    words[0] = BYTES("b");
    words[1] = BYTES("a");
    words[2] = BYTES("b");
    cr_assert(uuid_parse(BYTES("0123456789abcdef0123456789abcdef"), &id));
    number_column = (struct snql_column){.type = float64, .rows = 3, .f64 = numbers};
    word_column = (struct snql_column){.type = text, .rows = 3, .text = words};
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        ret[i] = (struct snql_column){.type = columns[i].type, .rows = 1};
    ret[0].u64 = &small;
    ret[1].u64 = &big;
    ret[2].i64 = &minus_three;
    ret[3].f64 = &half;
    ret[4].text = &name;
    ret[5].text = &tag;
    ret[6].text = &nothing;
    ret[6].nulls = &null;
    ret[7].u64 = &zero;
    ret[7].nulls = &null;
    ret[8].u64 = &at;
    ret[9].i64 = &precise;
    ret[10].uuid = &id;
    ret[11].ends = &three;
    ret[11].elements = &number_column;
    ret[12].ends = &three;
    ret[12].elements = &word_column;
    return ERR_OK;
}

static enum err row_table(void *self, const struct snql_table_schema *schema,
                          const struct snql_budget *budget, struct arena *arena,
                          struct snql_relation *ret, struct snql_error *error)
{
    (void)schema, (void)budget, (void)arena, (void)error;
    *ret = (struct snql_relation){.self = self,
                                  .column_count = COLUMN_COUNT,
                                  .columns = columns,
                                  .open = open_row,
                                  .next = next_row};
    return ERR_OK;
}

/* "TYPE VALUE", or "CODE: message". */
static void compute(const char *expression, char *to, size_t size)
{
    char query[4096];
    struct one_row row = {false};
    struct snql_catalog catalog = {&row, row_table};
    struct arena arena;
    struct snql_answer answer;
    struct snql_error error;
    snprintf(query, sizeof(query), "MATCH STORAGE(functions_raw) SELECT %s", expression);
    struct snql_request request = {.text = bytes_of_text(query)};
    arena_init(&arena, MIB(64), NULL);
    enum err rc = snql_run(&request, &catalog, &arena, &answer, &error);
    if (rc != ERR_OK) {
        snprintf(to, size, "%d: %.200s", (int)error.code, error.info.text);
    } else {
        struct buffer out;
        buffer_init(&out, KIB(64), NULL);
        snql_type_print(answer.result.names[0].type, &out);
        buffer_put(&out, BYTES(" "));
        cr_assert_eq(answer.result.rows, 1, "%s", expression);
        snql_column_print_json(&answer.result.columns[0], 0, &out);
        snprintf(to, size, "%.*s", (int)out.len, (const char *)out.data);
        buffer_close(&out);
    }
    arena_close(&arena);
}

struct expectation {
    const char *expression;
    const char *expected; /* "TYPE VALUE"; of a refusal its code alone */
};

static void check_all(const struct expectation *list, size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        char got[1024];
        compute(list[i].expression, got, sizeof(got));
        bool refusal = strchr(list[i].expected, ' ') == NULL;
        bool held = refusal ? strncmp(got, list[i].expected, strlen(list[i].expected)) == 0 &&
                                  got[strlen(list[i].expected)] == ':'
                            : strcmp(got, list[i].expected) == 0;
        if (held)
            continue;
        fprintf(stderr, "%s\n  expected %s\n  got      %s\n", list[i].expression, list[i].expected,
                got);
        failed++;
    }
    cr_assert_eq(failed, 0);
}
#define CHECK(list) check_all(list, sizeof(list) / sizeof((list)[0]))

Test(snql_functions, arithmetic_has_the_widths_of_its_operands)
{
    static const struct expectation list[] = {
        {"plus(small, 1)", "UInt32 91"},
        {"plus(big, 1)", "UInt64 0"},
        {"minus(big, 1)", "Int64 -2"},
        {"minus(small, 100)", "Int32 -10"},
        {"multiply(small, minus_three)", "Int32 -270"},
        {"small / 7", "Float64 12.857142857142858"},
        {"divide(small, 0)", "Float64 Infinity"},
        {"divide(minus_three, 0)", "Float64 -Infinity"},
        {"divide(0, 0)", "Float64 NaN"},
        {"intDiv(small, 7)", "UInt16 12"},
        {"intDiv(minus_three, 2)", "Int8 -1"},
        {"intDiv(small, minus_three)", "Int16 -30"},
        {"intDiv(half, 2)", "Int64 0"},
        {"intDiv(small, 0)", "153"},
        {"modulo(small, 7)", "UInt8 6"},
        {"modulo(minus_three, 2)", "Int16 -1"},
        {"modulo(half, 0.3)", "Float64 0.2"},
        {"modulo(small, 0)", "153"},
        {"negate(small)", "Int32 -90"},
        {"abs(minus_three)", "UInt8 3"},
        {"abs(negate(half))", "Float64 0.5"},
        {"plus(maybe, 1)", "Nullable(UInt64) null"},
        {"plus(name, 1)", "43"},
        {"divide(small)", "42"},
        {"round(2.5)", "Float64 2.0"},
        {"round(3.5)", "Float64 4.0"},
        {"round(2.567, 1)", "Float64 2.6"},
        {"round(small, -2)", "UInt16 100"},
        {"floor(2.9)", "Float64 2.0"},
        {"ceil(2.1)", "Float64 3.0"},
        {"trunc(negate(2.9))", "Float64 -2.0"},
        {"sqrt(16)", "Float64 4.0"},
        {"log(0)", "Float64 -Infinity"},
        {"pow(2, 10)", "Float64 1024.0"},
        {"isNaN(divide(0, 0))", "UInt8 1"},
        {"isFinite(half)", "UInt8 1"},
        {"isInfinite(divide(1, 0))", "UInt8 1"},
    };
    CHECK(list);
}

Test(snql_functions, comparisons_go_by_value_and_null_is_no_answer)
{
    static const struct expectation list[] = {
        {"equals(small, 90)", "UInt8 1"},
        {"equals(small, 90.0)", "UInt8 1"},
        {"equals(small, '90')", "UInt8 1"},
        {"equals(small, 'x')", "53"},
        {"greater(big, minus_three)", "UInt8 1"},
        {"less(minus_three, big)", "UInt8 1"},
        {"equals(big, 18446744073709551615.0)", "UInt8 0"},
        {"equals(tag, 'python')", "LowCardinality(UInt8) 1"},
        {"equals(nothing, 'x')", "LowCardinality(Nullable(UInt8)) null"},
        {"notEquals(nothing, 'x')", "LowCardinality(Nullable(UInt8)) null"},
        {"equals(name, 5)", "386"},
        {"equals(at, name)", "386"},
        {"equals(precise, name)", "43"},
        {"equals(list, 5)", "43"},
        {"equals(divide(0, 0), divide(0, 0))", "UInt8 0"},
        {"notEquals(divide(0, 0), 1)", "UInt8 1"},
        {"equals(at, 2000000000)", "UInt8 1"},
        {"equals(precise, 2000000000.5)", "UInt8 1"},
        {"equals(precise, '2033-05-18 03:33:20.5')", "UInt8 1"},
        {"equals(precise, '2033-05-18T05:33:20.5+02:00')", "UInt8 1"},
        {"less(at, precise)", "UInt8 1"},
        {"equals(at, toDateTime('2033-05-18 03:33:20'))", "UInt8 1"},
        {"equals(precise, 'banana')", "41"},
        {"equals(id, '01234567-89ab-cdef-0123-456789abcdef')", "UInt8 1"},
        {"equals(id, '0123456789ABCDEF0123456789abcdef')", "UInt8 1"},
        {"in(small, tuple(1, 90))", "UInt8 1"},
        {"in(small, array(1, 2))", "UInt8 0"},
        {"in(small, array())", "UInt8 0"},
        {"in(small, 90)", "UInt8 1"},
        {"notIn(small, tuple(2, NULL))", "UInt8 1"},
        {"in(nothing, tuple('x'))", "LowCardinality(Nullable(UInt8)) null"},
        {"in(name, tuple(5, 6))", "UInt8 0"},
        {"in(small, tuple('90'))", "UInt8 1"},
        {"in(small, tuple('x'))", "53"},
        {"in(tuple(small, 'a'), tuple(tuple(90, 'a'), tuple(1, 'b')))", "UInt8 1"},
        {"in(minus_three, tuple(18446744073709551613))", "UInt8 0"},
        {"in(tuple(name, small), tuple(tuple(NULL, 90), tuple('x', 90.5)))", "UInt8 0"},
        {"and(0, NULL)", "Nullable(UInt8) 0"},
        {"and(1, NULL)", "Nullable(UInt8) null"},
        {"or(1, NULL)", "Nullable(UInt8) 1"},
        {"or(0, NULL)", "Nullable(UInt8) null"},
        {"not(NULL)", "Nullable(Nothing) null"},
        {"isNull(nothing)", "UInt8 1"},
        {"isNotNull(tag)", "UInt8 1"},
    };
    CHECK(list);
}

Test(snql_functions, choices_have_the_common_type)
{
    static const struct expectation list[] = {
        {"if(greater(small, 60), 'long', 'short')", "String \"long\""},
        {"if(NULL, 1, 2)", "UInt8 2"},
        {"if(1, small, minus_three)", "Int32 90"},
        {"if(1, 1, 'a')", "386"},
        {"multiIf(0, 1, 1, 2, 300)", "UInt16 2"},
        {"ifNull(nothing, 'x')", "LowCardinality(String) \"x\""},
        {"ifNull(maybe, 7)", "UInt32 7"},
        {"coalesce(nothing, NULL, tag)", "String \"python\""},
        {"coalesce(nothing, maybe)", "386"},
        {"nullIf(tag, 'python')", "LowCardinality(Nullable(String)) null"},
        {"nullIf(small, 1)", "Nullable(UInt16) 90"},
        {"least(small, greatest(45, 60))", "UInt16 60"},
        {"greatest(small, half)", "Float64 90.0"},
        {"transform(small, array(90, 30), array('quarter', 'month'), '')", "String \"quarter\""},
        {"transform(small, array(1), array(2))", "UInt16 90"},
        {"transform(tag, array('python'), array('py'), 'other')", "LowCardinality(String) \"py\""},
        {"assumeNotNull(maybe)", "UInt32 0"},
        {"toNullable(small)", "Nullable(UInt16) 90"},
    };
    CHECK(list);
}

Test(snql_functions, text_is_bytes_unless_a_name_says_otherwise)
{
    static const struct expectation list[] = {
        {"lower('ÄB')", "String \"Äb\""},
        {"lowerUTF8('ÄB')", "String \"äb\""},
        {"upper(tag)", "LowCardinality(String) \"PYTHON\""},
        {"length(name)", "UInt64 11"},
        {"length(tag)", "LowCardinality(UInt64) 6"},
        {"lengthUTF8(name)", "UInt64 9"},
        {"empty('')", "UInt8 1"},
        {"notEmpty(list)", "UInt8 1"},
        {"startsWith(lower(tag), 'py')", "LowCardinality(UInt8) 1"},
        {"endsWith(tag, 'x')", "LowCardinality(UInt8) 0"},
        {"position(name, 'e')", "UInt64 7"},
        {"positionCaseInsensitive(tag, 'THON')", "LowCardinality(UInt64) 3"},
        {"positionCaseInsensitiveUTF8('xÄb', 'äB')", "UInt64 2"},
        {"position(name, '')", "UInt64 1"},
        {"like(name, 'Gr__e%')", "UInt8 1"},
        {"like(name, '%a\\%b')", "UInt8 1"},
        {"like(name, '%a\\%c')", "UInt8 0"},
        {"notLike(tag, '%th%')", "LowCardinality(UInt8) 0"},
        {"ilike('ÄX', 'äx')", "UInt8 1"},
        {"like(small, '9%')", "43"},
        {"match(tag, '(?i)^PY.*n$')", "LowCardinality(UInt8) 1"},
        {"match('a\\nb', 'a.b')", "UInt8 1"},
        {"match(tag, '(')", "427"},
        {"match(tag, '(a)\\\\1')", "427"},
        {"match(tag, '(?=a)')", "427"},
        {"extract('x=12', '=([0-9]+)')", "String \"12\""},
        {"replaceRegexpAll('a1b22', '[0-9]+', '<\\\\0>')", "String \"a<1>b<22>\""},
        {"replaceAll('aXbXc', 'X', '-')", "String \"a-b-c\""},
        {"replaceOne('aXbXc', 'X', '-')", "String \"a-bXc\""},
        {"concat(tag, '/', small)", "String \"python/90\""},
        {"substring('hello', 2, 3)", "String \"ell\""},
        {"substring('hello', -3)", "String \"llo\""},
        {"left('hello', 2)", "String \"he\""},
        {"right('hello', 2)", "String \"lo\""},
        {"trim('  a ')", "String \"a\""},
        {"reverse('abc')", "String \"cba\""},
        {"splitByChar(',', 'a,b,')", "Array(String) [\"a\",\"b\",\"\"]"},
        {"arrayStringConcat(words, '+')", "String \"b+a+b\""},
        {"frobnicate(tag)", "46"},
        {"lower(tag, tag)", "42"},
    };
    CHECK(list);
}

Test(snql_functions, times_are_utc)
{
    static const struct expectation list[] = {
        {"toDateTime('2033-05-18T03:33:20')",
         "DateTime('Universal') \"2033-05-18T03:33:20+00:00\""},
        {"toDateTime('2033-5-8')", "DateTime('Universal') \"2033-05-08T00:00:00+00:00\""},
        {"toDateTime('2033-05-18 03:33:20.9+02:00')",
         "DateTime('Universal') \"2033-05-18T03:33:20+00:00\""},
        {"toDateTime(precise)", "DateTime \"2033-05-18T03:33:20+00:00\""},
        {"toDateTime(2000000000)", "DateTime \"2033-05-18T03:33:20+00:00\""},
        {"toDateTime(at, 'UTC')", "DateTime('UTC') \"2033-05-18T03:33:20+00:00\""},
        {"toDateTime64(2000000000.5, 6)", "DateTime64(6) \"2033-05-18T03:33:20.500000+00:00\""},
        {"toDateTime64('2033-05-18 03:33:20.123456789', 6, 'UTC')",
         "DateTime64(6, 'UTC') \"2033-05-18T03:33:20.123456+00:00\""},
        {"toDateTime64('banana', 6)", "41"},
        {"toDate(at)", "Date \"2033-05-18T00:00:00+00:00\""},
        {"plus(at, 60)", "DateTime \"2033-05-18T03:34:20+00:00\""},
        {"minus(precise, 1)", "DateTime64(6) \"2033-05-18T03:33:19.500000+00:00\""},
        {"minus(at, toDateTime('2033-05-18T03:33:00'))", "Int32 20"},
        {"minus(precise, toDateTime64('2033-05-18 03:33:20', 6))", "Decimal(18, 6) 0.500000"},
        {"plus(at, toIntervalDay(1))", "DateTime \"2033-05-19T03:33:20+00:00\""},
        {"addMonths(toDate('2033-01-31'), 1)", "Date \"2033-02-28T00:00:00+00:00\""},
        {"subtractDays(at, 18)", "DateTime \"2033-04-30T03:33:20+00:00\""},
        {"toStartOfMinute(at)", "DateTime \"2033-05-18T03:33:00+00:00\""},
        {"toStartOfFiveMinutes(precise)", "DateTime \"2033-05-18T03:30:00+00:00\""},
        {"toStartOfHour(at)", "DateTime \"2033-05-18T03:00:00+00:00\""},
        {"toStartOfDay(at)", "DateTime \"2033-05-18T00:00:00+00:00\""},
        {"toMonday(at)", "Date \"2033-05-16T00:00:00+00:00\""},
        {"toStartOfWeek(at)", "Date \"2033-05-15T00:00:00+00:00\""},
        {"toStartOfMonth(at)", "Date \"2033-05-01T00:00:00+00:00\""},
        {"toStartOfQuarter(at)", "Date \"2033-04-01T00:00:00+00:00\""},
        {"toStartOfYear(at)", "Date \"2033-01-01T00:00:00+00:00\""},
        {"toStartOfInterval(at, toIntervalHour(2))", "DateTime \"2033-05-18T02:00:00+00:00\""},
        {"toUnixTimestamp(at)", "UInt32 2000000000"},
        {"toUnixTimestamp64Milli(precise)", "Int64 2000000000500"},
        {"fromUnixTimestamp64Milli(2000000000500)",
         "DateTime64(3) \"2033-05-18T03:33:20.500000+00:00\""},
        {"toHour(at)", "UInt8 3"},
        {"toDayOfWeek(at)", "UInt8 3"},
        {"toYear(at)", "UInt16 2033"},
        {"toYYYYMMDD(at)", "UInt32 20330518"},
        {"dateDiff('hour', toDateTime('2033-05-18T02:59:00'), at)", "Int64 1"},
        {"dateDiff('month', toDateTime('2032-12-31'), at)", "Int64 5"},
        {"toUInt32(at)", "UInt32 2000000000"},
        {"tuple(at, precise, toDate(at))",
         "Tuple(DateTime, DateTime64(6), Date) [\"2033-05-18 03:33:20\",\"2033-05-18 "
         "03:33:20.500000\",\"2033-05-18\"]"},
    };
    CHECK(list);
}

Test(snql_functions, conversions_cut_or_refuse)
{
    static const struct expectation list[] = {
        {"toString(small)", "String \"90\""},
        {"toString(tag)", "LowCardinality(String) \"python\""},
        {"toString(half)", "String \"0.5\""},
        {"toString(1.0)", "String \"1\""},
        {"toString(divide(0, 0))", "String \"nan\""},
        {"toString(at)", "String \"2033-05-18 03:33:20\""},
        {"toString(precise)", "String \"2033-05-18 03:33:20.500000\""},
        {"toString(id)", "String \"01234567-89ab-cdef-0123-456789abcdef\""},
        {"toString(array('a', 'b\\'c'))", "String \"['a','b\\\\'c']\""},
        {"replaceAll(toString(id), '-', '')", "String \"0123456789abcdef0123456789abcdef\""},
        {"toUInt32(big)", "UInt32 4294967295"},
        {"toUInt8(300)", "UInt8 44"},
        {"toInt8(200)", "Int8 -56"},
        {"toUInt32('12')", "UInt32 12"},
        {"toUInt32('12x')", "6"},
        {"toUInt64OrZero('x')", "UInt64 0"},
        {"toFloat64OrNull('x')", "Nullable(Float64) null"},
        {"toFloat64('1.5')", "Float64 1.5"},
        {"toUUID('0123456789abcdef0123456789abcdef')",
         "UUID \"01234567-89ab-cdef-0123-456789abcdef\""},
        {"toTypeName(nothing)", "String \"LowCardinality(Nullable(String))\""},
        {"toUInt32(2.9)", "UInt32 2"},
    };
    CHECK(list);
}

Test(snql_functions, arrays_keep_their_order)
{
    static const struct expectation list[] = {
        {"array(1, 2, 300)", "Array(UInt16) [1,2,300]"},
        {"array()", "Array(Nothing) []"},
        {"array('a', NULL)", "Array(Nullable(String)) [\"a\",null]"},
        {"array(nothing)", "Array(LowCardinality(Nullable(String))) [null]"},
        {"tuple(1, 'a', NULL)", "Tuple(UInt8, String, Nullable(Nothing)) [1,\"a\",null]"},
        {"tupleElement(tuple(small, 'x'), 2)", "String \"x\""},
        {"tupleElement(tuple(1), 2)", "69"},
        {"arrayElement(list, 1)", "Float64 3.0"},
        {"arrayElement(list, -1)", "Float64 2.0"},
        {"arrayElement(words, 9)", "String \"\""},
        {"arrayMap((`x`) -> plus(`x`, small), list)", "Array(Float64) [93.0,91.0,92.0]"},
        {"arrayMap((`x`, `y`) -> concat(`x`, toString(`y`)), words, list)",
         "Array(String) [\"b3\",\"a1\",\"b2\"]"},
        {"arrayMap((`x`) -> arraySum(arrayMap((`y`) -> multiply(`x`, `y`), list)), list)",
         "Array(Float64) [18.0,6.0,12.0]"},
        {"arrayFilter((`x`) -> greater(`x`, 1), list)", "Array(Float64) [3.0,2.0]"},
        {"arrayFirst((`x`) -> less(`x`, 3), list)", "Float64 1.0"},
        {"arrayExists((`x`) -> equals(`x`, 2), list)", "UInt8 1"},
        {"arrayAll((`x`) -> greater(`x`, 1), list)", "UInt8 0"},
        {"arrayCount((`x`) -> greater(`x`, 1), list)", "UInt32 2"},
        {"arraySum(list)", "Float64 6.0"},
        {"arraySum(array(1, 2))", "UInt64 3"},
        {"arrayAvg(list)", "Float64 2.0"},
        {"arrayMin(list)", "Float64 1.0"},
        {"arrayMax(words)", "String \"b\""},
        {"arraySort(list)", "Array(Float64) [1.0,2.0,3.0]"},
        {"arrayReverseSort(list)", "Array(Float64) [3.0,2.0,1.0]"},
        {"arraySort((`x`) -> negate(`x`), list)", "Array(Float64) [3.0,2.0,1.0]"},
        {"arrayReverse(words)", "Array(String) [\"b\",\"a\",\"b\"]"},
        {"arrayDistinct(words)", "Array(String) [\"b\",\"a\"]"},
        {"arrayUniq(words)", "UInt32 2"},
        {"arrayPushFront(array(2, 3), 1)", "Array(UInt8) [1,2,3]"},
        {"arrayPushBack(list, small)", "Array(Float64) [3.0,1.0,2.0,90.0]"},
        {"arrayConcat(array(1), array(300))", "Array(UInt16) [1,300]"},
        {"arraySlice(list, 2)", "Array(Float64) [1.0,2.0]"},
        {"arraySlice(list, -2, 1)", "Array(Float64) [1.0]"},
        {"arrayZip(words, list)",
         "Array(Tuple(String, Float64)) [[\"b\",3.0],[\"a\",1.0],[\"b\",2.0]]"},
        {"arrayFlatten(array(array(1), array(2, 3)))", "Array(UInt8) [1,2,3]"},
        {"range(3)", "Array(UInt8) [0,1,2]"},
        {"has(words, 'a')", "UInt8 1"},
        {"hasAny(words, array('x', 'a'))", "UInt8 1"},
        {"hasAll(words, array('x', 'a'))", "UInt8 0"},
        {"hasAll(words, array('b', 'a', 'b'))", "UInt8 1"},
        {"hasAny(words, array())", "UInt8 0"},
        {"hasAll(array(1, NULL), array(NULL))", "UInt8 1"},
        {"hasAll(range(1000000), range(1000000))", "UInt8 1"},
        {"indexOf(words, 'a')", "UInt64 2"},
        {"countEqual(words, 'b')", "UInt64 2"},
        {"arrayMap(list)", "43"},
        {"arraySum(small)", "43"},
    };
    CHECK(list);
}

Test(snql_functions, aggregates_over_one_row)
{
    static const struct expectation list[] = {
        {"count()", "UInt64 1"},
        {"count(maybe)", "UInt64 0"},
        {"sum(small)", "UInt64 90"},
        {"sum(minus_three)", "Int64 -3"},
        {"sum(maybe)", "Nullable(UInt64) null"},
        {"avg(small)", "Float64 90.0"},
        {"avg(maybe)", "Nullable(Float64) null"},
        {"min(at)", "DateTime \"2033-05-18T03:33:20+00:00\""},
        {"max(tag)", "String \"python\""},
        {"max(nothing)", "Nullable(String) null"},
        {"any(id)", "UUID \"01234567-89ab-cdef-0123-456789abcdef\""},
        {"argMax(tag, small)", "String \"python\""},
        {"uniq(tag, small)", "UInt64 1"},
        {"uniq(nothing)", "UInt64 0"},
        {"quantile(0.5)(small)", "Float64 90.0"},
        {"quantile(2)(small)", "12"},
        {"quantile(0.5)(at)", "DateTime \"2033-05-18T03:33:20+00:00\""},
        {"quantiles(0.5, 0.9)(small)", "Array(Float64) [90.0,90.0]"},
        {"quantile(0.5)(maybe)", "Nullable(Float64) null"},
        {"groupArray(tag)", "Array(String) [\"python\"]"},
        {"countIf(equals(small, 1))", "UInt64 0"},
        {"avgIf(small, equals(small, 1))", "Float64 NaN"},
        {"minIf(at, equals(small, 1))", "DateTime \"1970-01-01T00:00:00+00:00\""},
        {"maxIf(tag, 0)", "String \"\""},
        {"sumOrNull(small)", "Nullable(UInt64) 90"},
        {"sumArray(list)", "Float64 6.0"},
        {"uniqArray(words)", "UInt64 2"},
        {"stddevPop(small)", "Float64 0.0"},
        {"varSamp(small)", "Float64 NaN"},
        {"countMerge(small)", "43"},
        {"quantilesMerge(small)", "42"},
        {"max(count())", "184"},
        {"divide(sum(small), count())", "Float64 90.0"},
        {"topK(2)(tag)", "Array(String) [\"python\"]"},
        {"sum(arrayJoin(list))", "Float64 6.0"},
        {"count(arrayJoin(words))", "UInt64 3"},
        {"plus(small, count())", "215"},
    };
    CHECK(list);
}
