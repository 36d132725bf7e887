#include <criterion/criterion.h>

#include "storage/profile.h"
#include "storage/table_pages.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define ROWS 256

static uint32_t rows[ROWS * ROW_FIELDS_MAX];
static uint32_t back[ROWS * ROW_FIELDS_MAX];

/* New texts, texts of rows before, any texts. */
static void fill_rows(struct rng *rng, const struct row_shape *shape, size_t count, uint32_t *next)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t *row = rows + i * shape->fields;
        const uint32_t *other = i == 0 ? NULL : rows + rng_below(rng, i) * shape->fields;
        for (size_t k = 0; k < shape->fields; k++) {
            size_t field = shape->order[k];
            if (rng_chance(rng, 2))
                row[field] = rng_chance(rng, 50) ? UINT32_MAX : (uint32_t)rng_u64(rng) / 2;
            else if (k < shape->texts && rng_chance(rng, 30))
                row[field] = *next += (uint32_t)rng_below(rng, 3);
            else
                row[field] = other == NULL ? 0 : other[field];
        }
    }
}

Test(table_pages, rows_come_back)
{
    const struct row_shape *const shapes[] = {&frame_shape, &thread_shape};
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(600); round++) {
        const struct row_shape *shape = shapes[round % 2];
        size_t count = (size_t)rng_below(&rng, rng_chance(&rng, 50) ? 4 : ROWS + 1);
        uint32_t next = (uint32_t)rng_below(&rng, 1000);
        uint32_t start = next;
        struct buffer out;
        struct errinfo info = {0};
        fill_rows(&rng, shape, count, &next);
        buffer_init(&out, 1 << 20, NULL);
        cr_assert_eq(row_page_put(shape, rows, count, start, &out), ERR_OK);
        cr_assert_eq(row_page_get(shape, buffer_bytes(&out), count, back, &info), ERR_OK, "%s",
                     info.text);
        cr_assert(count == 0 || memcmp(rows, back, count * shape->fields * sizeof rows[0]) == 0);
        buffer_close(&out);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(table_pages, frames_of_one_module_cost_little)
{
    struct buffer out;
    uint32_t next = 1;
    memset(rows, 0, sizeof rows);
    buffer_init(&out, 1 << 20, NULL);
    for (uint32_t i = 0; i < ROWS; i++) { /* every second one of the same module */
        uint32_t *row = rows + i * frame_shape.fields;
        bool fresh = i < 2;
        row[frame_shape.order[0]] = fresh ? next++ : rows[(i % 2) * 12 + frame_shape.order[0]];
        row[frame_shape.order[1]] = next++;
        row[frame_shape.order[2]] = fresh ? next++ : rows[(i % 2) * 12 + frame_shape.order[2]];
    }
    cr_assert_eq(row_page_put(&frame_shape, rows, ROWS, 1, &out), ERR_OK);
    cr_assert_lt(out.len, ROWS * 3 / 2, "%zu bytes", out.len); /* a byte tells the module */
    buffer_close(&out);
}

static void fill_nodes(struct rng *rng, struct trie_node *nodes, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        nodes[i].parent = i == 0 || rng_chance(rng, 10) ? PROFILE_NONE
                          : rng_chance(rng, 60)         ? (uint32_t)i - 1
                                                        : (uint32_t)rng_below(rng, i);
        nodes[i].frame = rng_chance(rng, 2) ? UINT32_MAX : (uint32_t)rng_below(rng, 500);
    }
}

Test(table_pages, nodes_come_back)
{
    static struct trie_node nodes[2048], got[1024];
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(200); round++) {
        size_t first = (size_t)rng_below(&rng, 2) * 1024;
        size_t count = (size_t)rng_below(&rng, 1025);
        struct buffer out;
        struct errinfo info = {0};
        fill_nodes(&rng, nodes, first, count);
        buffer_init(&out, 1 << 20, NULL);
        cr_assert_eq(node_page_put(nodes, first, count, &out), ERR_OK);
        cr_assert_eq(node_page_get(buffer_bytes(&out), first, count, got, &info), ERR_OK, "%s",
                     info.text);
        cr_assert(count == 0 || memcmp(nodes + first, got, count * sizeof got[0]) == 0);
        buffer_close(&out);
    }
}

Test(table_pages, texts_come_back)
{
    static const char *const words[] = {"", "one", "module.with.a.name", "\xc3\xa4", "x"};
    struct intern texts;
    struct buffer raw, out;
    struct arena arena;
    struct bytes got[6];
    uint32_t id;
    intern_init(&texts, 1 << 20, NULL);
    buffer_init(&raw, 1 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    arena_init(&arena, 1 << 20, NULL);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(intern_add(&texts, bytes_of_text(words[i]), &id), ERR_OK);
    for (uint32_t first = 0; first <= 5; first++) {
        buffer_clear(&out);
        cr_assert_eq(text_page_put(&texts, first, 5, &raw, &out), ERR_OK);
        struct bytes in = buffer_bytes(&out);
        cr_assert_eq(text_page_get(in, 5 - first, &arena, got, NULL), ERR_OK);
        for (uint32_t i = first; i < 5; i++)
            cr_assert(bytes_equal(got[i - first], bytes_of_text(words[i])));
        cr_assert_eq(text_page_get(in, 6 - first, &arena, got, NULL), ERR_CORRUPT);
        if (first < 5)
            cr_assert_eq(text_page_get(in, 4 - first, &arena, got, NULL), ERR_CORRUPT);
    }
    intern_close(&texts);
    buffer_close(&raw);
    buffer_close(&out);
    arena_close(&arena);
}

Test(table_pages, damage_is_refused_or_gives_as_many_items)
{
    static struct trie_node nodes[1024];
    struct rng rng = test_rng();
    unsigned refused = 0;
    for (unsigned round = 0; round < test_scale(3000); round++) {
        struct buffer out;
        uint32_t next = 1;
        size_t count = 1 + (size_t)rng_below(&rng, 60);
        buffer_init(&out, 1 << 20, NULL);
        if (round % 2 == 0) {
            fill_rows(&rng, &frame_shape, count, &next);
            cr_assert_eq(row_page_put(&frame_shape, rows, count, 1, &out), ERR_OK);
        } else {
            fill_nodes(&rng, nodes, 0, count);
            cr_assert_eq(node_page_put(nodes, 0, count, &out), ERR_OK);
        }
        out.data[rng_below(&rng, out.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        size_t len = rng_chance(&rng, 50) ? out.len : (size_t)rng_below(&rng, out.len);
        struct bytes in = bytes_first(buffer_bytes(&out), len);
        enum err rc = round % 2 == 0 ? row_page_get(&frame_shape, in, count, back, NULL)
                                     : node_page_get(in, 0, count, nodes, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
        refused += rc != ERR_OK;
        for (size_t i = 0; i < count && rc == ERR_OK && round % 2 == 1; i++)
            cr_assert(nodes[i].parent == PROFILE_NONE || nodes[i].parent < i);
        buffer_close(&out);
    }
    cr_assert_gt(refused, 100);
}
