#include <criterion/criterion.h>

#include "engine/frame_table.h"
#include "tests/support/hand_profile.h"

/* One identity; the first is shown rather than the second, and so on. */
static const struct hand_frame ordered[] = {
    {.package = "/lib/app.so", .abs_path = "/a", .line = 8},
    {.package = "/lib/app.so", .abs_path = "/b", .line = 7, .column = 9},
    {.package = "/lib/app.so", .abs_path = "/b", .line = 8, .column = 6, .in_app = IN_APP_TRUE},
    {.package = "/lib/app.so", .abs_path = "/b", .line = 8, .column = 7, .in_app = IN_APP_TRUE},
    {.module = "app", .package = "z", .abs_path = "/b", .line = 8, .in_app = IN_APP_TRUE},
    {.package = "/lib/app.so", .abs_path = "/b", .line = 8, .in_app = IN_APP_TRUE},
    {.package = "/usr/app.so", .abs_path = "/b", .line = 8, .in_app = IN_APP_TRUE},
    {.filename = "app", .abs_path = "/b", .line = 8, .in_app = IN_APP_TRUE},
    {.module = "app", .abs_path = "/b", .line = 8, .filename = "f", .platform = "cocoa"},
    {.module = "app", .abs_path = "/b", .line = 8, .filename = "f", .in_app = IN_APP_FALSE},
    {.module = "app", .abs_path = "/b", .line = 8, .in_app = IN_APP_FALSE},
    {.module = "app", .abs_path = "/b"},
    {.module = "app", .line = 1},
    {.module = "app", .column = 1},
    {.module = "app"},
};
#define COUNT (sizeof(ordered) / sizeof(ordered[0]))

static void assert_shows(const struct flamegraph_frame *f, const struct hand_frame *h)
{
    cr_assert(bytes_equal(f->path, bytes_of_text(h->abs_path ? h->abs_path : "")));
    cr_assert(bytes_equal(f->module, bytes_of_text(h->module ? h->module : "")));
    cr_assert(bytes_equal(f->package, bytes_of_text(h->package ? h->package : "")));
    cr_assert(bytes_equal(f->filename, bytes_of_text(h->filename ? h->filename : "")));
    cr_assert(bytes_equal(f->platform, bytes_of_text(h->platform ? h->platform : "other")));
    cr_assert(bytes_equal(f->function, BYTES("work")));
    cr_assert_eq(f->line, h->line);
    cr_assert_eq(f->column, h->column);
    cr_assert_eq(f->in_app, h->in_app == IN_APP_TRUE);
}

/* The table's only frame after these two came in this order. */
static struct flamegraph_frame shown_of(size_t first, size_t second, struct arena *arena)
{
    static struct hand_profile h;
    struct frame_table t;
    const struct flamegraph_frame *frames = NULL;
    uint32_t *rank = NULL;
    uint32_t number[2];
    size_t order[] = {first, second};

    frame_table_init(&t, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct hand_frame frame = ordered[order[i]];
        frame.function = "work";
        hand_profile_init(&h, PROFILE_CHUNK, "other");
        hand_frame(&h, frame);
        cr_assert_eq(frame_table_add(&t, &h.profile, &h.frames[0], &number[i]), ERR_OK);
    }
    cr_assert_eq(number[0], number[1], "frames %zu and %zu are one", first, second);
    cr_assert_eq(frame_table_count(&t), 1);
    cr_assert_eq(frame_table_publish(&t, arena, &frames, &rank), ERR_OK);
    frame_table_close(&t);
    return frames[0];
}

Test(frame_table, the_least_of_equal_frames_is_shown_in_any_order)
{
    struct arena arena;

    arena_init(&arena, SIZE_MAX, NULL);
    for (size_t a = 0; a < COUNT; a++) {
        for (size_t b = a; b < COUNT; b++) {
            struct flamegraph_frame there = shown_of(a, b, &arena);
            struct flamegraph_frame back = shown_of(b, a, &arena);
            assert_shows(&there, &ordered[a]);
            assert_shows(&back, &ordered[a]);
            cr_assert_eq(there.fingerprint, back.fingerprint);
        }
    }
    arena_close(&arena);
}
