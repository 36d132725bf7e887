/* bitmap.c - sets of rows over CRoaring, and the check of bytes before CRoaring sees them.
 *
 * Invariants
 *  1. No container is above CONTAINER_SIZE_MAX. One of runs would grow with every single row that is
 *     added to it, so a set that may have runs takes single rows by way of a set of their own:
 *     combining gives the shortest form.
 *  2. Every row is below row_count.
 *
 * roaring_bitmap_remove_run_compression is not used: in CRoaring 0.2.66 it writes without end when
 * a run reaches the last row of a container.
 */
#include "storage/bitmap.h"

#include <inttypes.h>

#include <roaring/roaring.h>

#define CONTAINER_ROWS UINT32_C(65536)
#define LIST_ROWS_MAX  4096           /* more are bits */
#define BITS_SIZE      ((size_t)8192) /* of a container of bits */
#define RUN_SIZE       ((size_t)4)    /* u16 first row, u16 how many more */
#define RUN_COUNT_MAX  2047           /* as bits more would be shorter */

/* A union makes lists with room for twice what both sides have. */
#define CONTAINER_SIZE_MAX (2 * BITS_SIZE)
#define CONTAINER_SIZE_ROW ((size_t)8)
#define CONTAINER_OVERHEAD ((size_t)192) /* its head, its place in the directory, malloc's own */
#define SET_OVERHEAD       ((size_t)256)

struct bitmap {
    struct roaring_bitmap_s *rows;
    uint32_t row_count;
    bool may_have_runs;
    struct mem_account *account;
    size_t reserved;
};

/* ---- memory ---- */

static size_t container_size_max(uint32_t row_count)
{
    if (row_count >= CONTAINER_SIZE_MAX / CONTAINER_SIZE_ROW)
        return CONTAINER_SIZE_MAX + CONTAINER_OVERHEAD;
    return row_count * CONTAINER_SIZE_ROW + CONTAINER_OVERHEAD;
}

/* What the largest set of rows below row_count takes, with one container more while it changes. */
static size_t size_max(uint32_t row_count)
{
    size_t whole = row_count / CONTAINER_ROWS;
    size_t size = SET_OVERHEAD + whole * container_size_max(CONTAINER_ROWS) +
                  container_size_max(row_count % CONTAINER_ROWS);
    return size + container_size_max(row_count);
}

/* Whether there is as much memory now: CRoaring cannot say so itself. */
static enum err probe(size_t size)
{
    void *block = mem_alloc(size);
    if (block == NULL)
        return ERR_NOMEM;
    mem_free(block);
    return ERR_OK;
}

static enum err reserve(struct bitmap *b)
{
    size_t size = size_max(b->row_count);
    TRY(probe(size));
    if (b->account == NULL)
        return ERR_OK;
    TRY(mem_account_reserve(b->account, size));
    b->reserved = size;
    return ERR_OK;
}

static void destroy_rows(struct roaring_bitmap_s *rows)
{
    if (rows != NULL)
        roaring_bitmap_free(rows);
}

void bitmap_destroy(struct bitmap *b)
{
    if (b == NULL)
        return;
    destroy_rows(b->rows);
    if (b->reserved > 0)
        mem_account_release(b->account, b->reserved);
    mem_free(b);
}

/* Without rows yet. */
static enum err create_empty(uint32_t row_count, struct mem_account *account, struct bitmap **ret)
{
    struct bitmap *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    b->row_count = row_count;
    b->account = account;
    enum err rc = reserve(b);
    if (rc == ERR_OK)
        *ret = b;
    else
        bitmap_destroy(b);
    return rc;
}

enum err bitmap_create(uint32_t row_count, struct mem_account *account, struct bitmap **ret)
{
    struct bitmap *b = NULL;
    TRY(create_empty(row_count, account, &b));
    b->rows = roaring_bitmap_create();
    if (b->rows == NULL) {
        bitmap_destroy(b);
        return ERR_NOMEM;
    }
    *ret = b;
    return ERR_OK;
}

uint32_t bitmap_row_count(const struct bitmap *b)
{
    return b->row_count;
}

struct mem_account *bitmap_account(const struct bitmap *b)
{
    return b->account;
}

/* ---- changing ---- */

static enum err add_by_union(struct bitmap *b, const uint32_t *rows, size_t count)
{
    struct roaring_bitmap_s *other = roaring_bitmap_create();
    if (other == NULL)
        return ERR_NOMEM;
    roaring_bitmap_add_many(other, count, rows);
    roaring_bitmap_or_inplace(b->rows, other);
    roaring_bitmap_free(other);
    return ERR_OK;
}

enum err bitmap_add_rows(struct bitmap *b, const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert(rows[i] < b->row_count);
    TRY(probe(size_max(b->row_count)));
    if (b->may_have_runs)
        return add_by_union(b, rows, count);
    roaring_bitmap_add_many(b->rows, count, rows);
    return ERR_OK;
}

enum err bitmap_add(struct bitmap *b, uint32_t row)
{
    return bitmap_add_rows(b, &row, 1);
}

enum err bitmap_add_range(struct bitmap *b, uint32_t first, uint32_t end)
{
    assert(end <= b->row_count);
    if (first >= end)
        return ERR_OK;
    TRY(probe(size_max(b->row_count)));
    roaring_bitmap_add_range_closed(b->rows, first, end - 1);
    b->may_have_runs = true;
    return ERR_OK;
}

static enum err ready_to_combine(const struct bitmap *b, const struct bitmap *other)
{
    assert(b->row_count == other->row_count);
    return probe(size_max(b->row_count));
}

enum err bitmap_or(struct bitmap *b, const struct bitmap *other)
{
    TRY(ready_to_combine(b, other));
    roaring_bitmap_or_inplace(b->rows, other->rows);
    b->may_have_runs = true; /* a union of all rows is one */
    return ERR_OK;
}

enum err bitmap_and(struct bitmap *b, const struct bitmap *other)
{
    TRY(ready_to_combine(b, other));
    roaring_bitmap_and_inplace(b->rows, other->rows);
    return ERR_OK;
}

enum err bitmap_andnot(struct bitmap *b, const struct bitmap *other)
{
    TRY(ready_to_combine(b, other));
    roaring_bitmap_andnot_inplace(b->rows, other->rows);
    return ERR_OK;
}

/* ---- asking ---- */

bool bitmap_contains(const struct bitmap *b, uint32_t row)
{
    return roaring_bitmap_contains(b->rows, row);
}

uint32_t bitmap_count(const struct bitmap *b)
{
    return (uint32_t)roaring_bitmap_get_cardinality(b->rows);
}

size_t bitmap_read(const struct bitmap *b, uint32_t row, uint32_t *ret, size_t max)
{
    roaring_uint32_iterator_t at;
    uint32_t count = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX;
    roaring_init_iterator(b->rows, &at);
    if (!at.has_value || !roaring_move_uint32_iterator_equalorlarger(&at, row))
        return 0;
    return roaring_read_uint32_iterator(&at, ret, count);
}

bool bitmap_next(const struct bitmap *b, uint32_t row, uint32_t *ret)
{
    return bitmap_read(b, row, ret, 1) == 1;
}

/* ---- saving ---- */

static enum err put_portable(const struct roaring_bitmap_s *rows, struct buffer *out)
{
    size_t size = roaring_bitmap_portable_size_in_bytes(rows);
    void *to = buffer_extend(out, size);
    if (to == NULL)
        return out->failed;
    (void)roaring_bitmap_portable_serialize(rows, to);
    return ERR_OK;
}

/* Runs are found in a copy: the set stays as it is. */
enum err bitmap_save(const struct bitmap *b, struct buffer *out)
{
    size_t size = size_max(b->row_count);
    TRY(probe(size));
    if (b->account != NULL)
        TRY(mem_account_reserve(b->account, size));
    struct roaring_bitmap_s *copy = roaring_bitmap_copy(b->rows);
    if (copy != NULL)
        (void)roaring_bitmap_run_optimize(copy);
    enum err rc = copy == NULL ? ERR_NOMEM : put_portable(copy, out);
    destroy_rows(copy);
    if (b->account != NULL)
        mem_account_release(b->account, size);
    return rc;
}

/* ---- loading ---- */

/* The portable format: docs/file-format.md, Row sets. */
#define COOKIE_PLAIN   UINT32_C(12346) /* then u32 containers */
#define COOKIE_RUNS    UINT32_C(12347) /* containers - 1 above it, then a bit each: it has runs */
#define OFFSETS_NEEDED 4               /* fewer containers, when some have runs, have no offsets */

struct check {
    struct bytes in;
    struct reader r;
    uint32_t row_count;
    uint32_t containers;
    const uint8_t *has_runs; /* a bit a container; NULL: none has */
    struct bytes heads;      /* u16 key, u16 rows - 1 */
    struct bytes offsets;    /* u32 each; empty: there are none */
    struct errinfo *info;
};

static enum err refuse(struct check *c, const char *expected)
{
    return err_set(c->info, ERR_CORRUPT, "row set: at byte %zu of %zu: expected %s",
                   c->in.len - reader_left(&c->r), c->in.len, expected);
}

/* The n-th of a list. */
static uint16_t u16_at(struct bytes list, size_t n)
{
    const uint8_t *at = list.data + 2 * n;
    return (uint16_t)(at[0] | at[1] << 8);
}

static bool is_runs(const struct check *c, uint32_t container)
{
    return c->has_runs != NULL && (c->has_runs[container / 8] >> container % 8 & 1) != 0;
}

/* Bits behind the last container are zero. */
static enum err check_flags(struct check *c)
{
    struct bytes flags = reader_take(&c->r, (c->containers + 7) / 8);
    if (c->r.failed)
        return refuse(c, "a bit for each container");
    c->has_runs = flags.data;
    unsigned used = c->containers % 8;
    if (used != 0 && flags.data[flags.len - 1] >> used != 0)
        return refuse(c, "zero bits behind those of the containers");
    return ERR_OK;
}

static enum err check_cookie(struct check *c)
{
    uint32_t cookie = reader_u32(&c->r);
    uint32_t most = c->row_count / CONTAINER_ROWS + (c->row_count % CONTAINER_ROWS > 0);
    bool runs = (cookie & 0xffff) == COOKIE_RUNS;
    if (!runs && cookie != COOKIE_PLAIN)
        return refuse(c, "the cookie of a portable Roaring bitmap");
    c->containers = runs ? (cookie >> 16) + 1 : reader_u32(&c->r);
    if (c->r.failed || c->containers > most)
        return refuse(c, "no more containers than rows allow");
    return runs ? check_flags(c) : ERR_OK;
}

static enum err check_heads(struct check *c)
{
    c->heads = reader_take(&c->r, (size_t)c->containers * 4);
    if (c->has_runs == NULL || c->containers >= OFFSETS_NEEDED)
        c->offsets = reader_take(&c->r, (size_t)c->containers * 4);
    if (c->r.failed)
        return refuse(c, "key, rows and offset of each container");
    for (uint32_t i = 1; i < c->containers; i++)
        if (u16_at(c->heads, 2 * (size_t)i) <= u16_at(c->heads, 2 * (size_t)i - 2))
            return refuse(c, "keys in ascending order");
    return ERR_OK;
}

static enum err check_offset(struct check *c, uint32_t container)
{
    if (c->offsets.len == 0)
        return ERR_OK;
    struct reader r = reader_of(bytes_from(c->offsets, (size_t)container * 4));
    if (reader_u32(&r) != c->in.len - reader_left(&c->r))
        return refuse(c, "the container at its offset");
    return ERR_OK;
}

static enum err check_list(struct check *c, uint32_t rows, uint32_t *ret_last)
{
    struct bytes list = reader_take(&c->r, (size_t)rows * 2);
    if (c->r.failed)
        return refuse(c, "a list as long as its container says");
    for (size_t i = 1; i < rows; i++)
        if (u16_at(list, i) <= u16_at(list, i - 1))
            return refuse(c, "rows in ascending order before it");
    *ret_last = u16_at(list, rows - 1);
    return ERR_OK;
}

static enum err check_bits(struct check *c, uint32_t rows, uint32_t *ret_last)
{
    struct bytes bits = reader_take(&c->r, BITS_SIZE);
    uint32_t count = 0;
    if (c->r.failed)
        return refuse(c, "8192 bytes of bits");
    for (uint32_t i = 0; i < bits.len; i++) {
        unsigned byte = bits.data[i];
        count += (uint32_t)__builtin_popcount(byte);
        if (byte != 0)
            *ret_last = i * 8 + 31 - (uint32_t)__builtin_clz(byte);
    }
    return count == rows ? ERR_OK : refuse(c, "as many bits before it as its container says");
}

/* Runs neither overlap nor touch. */
static enum err check_runs(struct check *c, uint32_t rows, uint32_t *ret_last)
{
    uint32_t count = reader_u16(&c->r);
    struct bytes runs = reader_take(&c->r, count * RUN_SIZE);
    uint32_t sum = 0;
    uint32_t next = 0; /* the least that a run may begin at */
    if (c->r.failed || count == 0 || count > RUN_COUNT_MAX)
        return refuse(c, "1 to 2047 runs");
    for (size_t i = 0; i < count; i++) {
        uint32_t first = u16_at(runs, 2 * i);
        uint32_t more = u16_at(runs, 2 * i + 1);
        if (first < next || first + more >= CONTAINER_ROWS)
            return refuse(c, "runs before it in ascending order, with gaps");
        sum += more + 1;
        next = first + more + 2;
    }
    *ret_last = next - 2;
    return sum == rows ? ERR_OK : refuse(c, "runs of as many rows as their container says");
}

static enum err check_container(struct check *c, uint32_t container)
{
    uint32_t first = (uint32_t)u16_at(c->heads, 2 * (size_t)container) << 16;
    uint32_t rows = (uint32_t)u16_at(c->heads, 2 * (size_t)container + 1) + 1;
    uint32_t last = 0;
    TRY(check_offset(c, container));
    if (is_runs(c, container))
        TRY(check_runs(c, rows, &last));
    else
        TRY(rows > LIST_ROWS_MAX ? check_bits(c, rows, &last) : check_list(c, rows, &last));
    if (first >= c->row_count || last >= c->row_count - first)
        return refuse(c, "no row behind the last one before it");
    return ERR_OK;
}

static enum err check_all(struct check *c)
{
    TRY(check_cookie(c));
    TRY(check_heads(c));
    for (uint32_t i = 0; i < c->containers; i++)
        TRY(check_container(c, i));
    return reader_left(&c->r) == 0 ? ERR_OK : refuse(c, "nothing behind the last container");
}

enum err bitmap_load(struct bytes in, uint32_t row_count, struct mem_account *account,
                     struct bitmap **ret, struct errinfo *info)
{
    struct check c = {.in = in, .r = reader_of(in), .row_count = row_count, .info = info};
    struct bitmap *b = NULL;
    TRY(check_all(&c));
    enum err rc = create_empty(row_count, account, &b);
    if (rc != ERR_OK)
        return err_set(info, rc, "row set: no room for one of %" PRIu32 " rows", row_count);
    b->rows = roaring_bitmap_portable_deserialize_safe((const char *)in.data, in.len);
    if (b->rows == NULL) {
        bitmap_destroy(b);
        return err_set(info, ERR_NOMEM, "row set: no memory to read it");
    }
    b->may_have_runs = true;
    *ret = b;
    return ERR_OK;
}
