#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "tests/support/hand_export.h"

#define T0    1795336832.0
#define T0_NS INT64_C(1795336832000000000)
#define MS    INT64_C(1000000)
#define TICKS 60

/* Two threads, ticks of ten milliseconds, three stacks; some ticks share their time. */
static void make(struct hand_profile *h)
{
    hand_profile_init(h, PROFILE_CHUNK, "python");
    h->profile.profiler_id = (struct uuid){{1}};
    hand_frame(h, (struct hand_frame){.function = "a", .module = "m"});
    hand_frame(h, (struct hand_frame){.function = "b", .module = "m"});
    uint32_t stacks[] = {hand_stack(h, "0"), hand_stack(h, "10"), hand_stack(h, "")};
    uint32_t threads[] = {hand_thread(h, "1", "one"), hand_thread(h, "2", "two")};
    for (unsigned i = 0; i < TICKS; i++)
        for (unsigned t = 0; t < 2; t++)
            hand_sample(h, threads[t], stacks[i % (t + 2)], T0 + 0.01 * (i - i % 7 % 2));
}

static struct bytes export_at_once(struct hand_profile *h, enum export_format format,
                                   const struct export_window *windows, size_t count,
                                   struct buffer *out)
{
    struct export_options options = {.format = format, .unit = EXPORT_MICROSECONDS};
    struct exporter *e = NULL;
    struct errinfo info = {0};

    buffer_init(out, MIB(1), NULL);
    cr_assert_eq(exporter_create(&options, NULL, &e), ERR_OK);
    cr_assert_eq(exporter_add(e, &h->profile, windows, count, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(exporter_finish(e, out, &info), ERR_OK, "%s", info.text);
    exporter_destroy(e);
    return buffer_bytes(out);
}

/* One profile with many windows gives what the windows give one after the other. */
Test(export, windows_at_once_are_windows_one_by_one)
{
    static struct hand_profile h;
    enum { WINDOWS = 40 };
    static const enum export_format formats[] = {EXPORT_FOLDED, EXPORT_SPEEDSCOPE, EXPORT_PPROF};

    make(&h);
    for (size_t f = 0; f < 3; f++) {
        for (int64_t step = 1; step < 60; step += 7) { /* milliseconds between windows */
            struct export_window windows[WINDOWS];
            struct hand_part parts[WINDOWS];
            for (int64_t i = 0; i < WINDOWS; i++) {
                int64_t start = T0_NS - 50 * MS + i * step * MS;
                windows[i] = (struct export_window){BYTES("2"), start, start + step * MS / 2 + i};
                parts[i] = (struct hand_part){&h, "2", windows[i].start_ns, windows[i].end_ns};
            }
            struct export_options options = {.format = formats[f], .unit = EXPORT_MICROSECONDS};
            struct buffer one_by_one;
            struct buffer at_once;
            struct errinfo info = {0};
            cr_assert_eq(hand_export(&options, parts, WINDOWS, NULL, &one_by_one, &info), ERR_OK);
            struct bytes file = export_at_once(&h, formats[f], windows, WINDOWS, &at_once);
            cr_assert(bytes_equal(file, buffer_bytes(&one_by_one)), "format %zu step %d", f,
                      (int)step);
            buffer_close(&one_by_one);
            buffer_close(&at_once);
        }
    }
}

/* Windows side by side add up to one over all of them. */
Test(export, windows_that_touch_are_one)
{
    static struct hand_profile h;
    struct export_window all = {{0}, T0_NS, T0_NS + 600 * MS};
    struct export_window split[60];
    struct buffer whole;
    struct buffer parts;

    make(&h);
    for (int64_t i = 0; i < 60; i++)
        split[i] = (struct export_window){{0}, T0_NS + i * 10 * MS, T0_NS + (i + 1) * 10 * MS};
    struct bytes a = export_at_once(&h, EXPORT_FOLDED, &all, 1, &whole);
    struct bytes b = export_at_once(&h, EXPORT_FOLDED, split, 60, &parts);
    cr_assert(bytes_equal(a, b), "%.*s against %.*s", (int)a.len, a.data, (int)b.len, b.data);
    cr_assert_gt(a.len, 20);
    buffer_close(&whole);
    buffer_close(&parts);
}
