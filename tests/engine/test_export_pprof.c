#include <inttypes.h>
#include <stdio.h>

#include <criterion/criterion.h>
#include <libdeflate.h>

#include "base/limits.h"
#include "engine/pprof.pb-c.h"
#include "tests/support/hand_export.h"

static const struct uuid profiler_a = {{0xaa}};
static const struct uuid profiler_b = {{0xbb}};

static Hearth__Pprof__Profile *read_file(struct buffer *out)
{
    static uint8_t raw[1 << 20];
    size_t len = 0;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    cr_assert_eq(libdeflate_gzip_decompress(d, out->data, out->len, raw, sizeof(raw), &len),
                 LIBDEFLATE_SUCCESS);
    libdeflate_free_decompressor(d);
    buffer_close(out);
    Hearth__Pprof__Profile *p = hearth__pprof__profile__unpack(NULL, len, raw);
    cr_assert_not_null(p);
    return p;
}

static Hearth__Pprof__Profile *export_and_read(const struct hand_part *parts, size_t count)
{
    struct export_options options = {.format = EXPORT_PPROF};
    struct buffer out;
    struct errinfo info = {0};
    enum err rc = hand_export(&options, parts, count, NULL, &out, &info);
    cr_assert_eq(rc, ERR_OK, "%s", info.text);
    return read_file(&out);
}

static const char *text_of(const Hearth__Pprof__Profile *p, int64_t id)
{
    static char texts[8][64];
    static unsigned next;
    cr_assert(id >= 0 && (uint64_t)id < p->n_string_table);
    char *to = texts[next++ % 8];
    snprintf(to, sizeof(texts[0]), "%.*s", (int)p->string_table[id].len,
             (const char *)p->string_table[id].data);
    return to;
}

static const Hearth__Pprof__Function *function_of(const Hearth__Pprof__Profile *p, uint64_t id)
{
    const Hearth__Pprof__Function *found = NULL;
    for (size_t i = 0; i < p->n_function; i++)
        if (p->function[i]->id == id) {
            cr_assert_null(found, "two functions %" PRIu64, id);
            found = p->function[i];
        }
    cr_assert_not_null(found);
    return found;
}

static const Hearth__Pprof__Location *location_of(const Hearth__Pprof__Profile *p, uint64_t id)
{
    const Hearth__Pprof__Location *found = NULL;
    for (size_t i = 0; i < p->n_location; i++)
        if (p->location[i]->id == id) {
            cr_assert_null(found, "two locations %" PRIu64, id);
            found = p->location[i];
        }
    cr_assert_not_null(found);
    return found;
}

/* "leaf:line<caller:line samples/ns key=value ..." */
static void print_sample(const Hearth__Pprof__Profile *p, const Hearth__Pprof__Sample *s,
                         struct buffer *out)
{
    for (size_t i = 0; i < s->n_location_id; i++) {
        const Hearth__Pprof__Location *location = location_of(p, s->location_id[i]);
        cr_assert_eq(location->n_line, 1);
        const Hearth__Pprof__Function *f = function_of(p, location->line[0]->function_id);
        cr_expect_eq(f->system_name, f->name);
        buffer_printf(out, "%s%s@%s:%" PRId64, i == 0 ? "" : "<", text_of(p, f->name),
                      text_of(p, f->filename), location->line[0]->line);
    }
    cr_assert_eq(s->n_value, 2);
    buffer_printf(out, " %" PRId64 "/%" PRId64, s->value[0], s->value[1]);
    for (size_t i = 0; i < s->n_label; i++)
        buffer_printf(out, " %s=%s", text_of(p, s->label[i]->key), text_of(p, s->label[i]->str));
    buffer_put_u8(out, '\n');
}

static void expect_samples(const struct hand_part *parts, size_t count, int64_t time_ns,
                           int64_t duration_ns, const char *expected)
{
    Hearth__Pprof__Profile *p = export_and_read(parts, count);
    cr_assert_gt(p->n_string_table, 0);
    cr_expect_eq(p->string_table[0].len, 0);
    cr_expect_eq(p->n_sample_type, 2);
    cr_expect_str_eq(text_of(p, p->sample_type[0]->type), "samples");
    cr_expect_str_eq(text_of(p, p->sample_type[0]->unit), "count");
    cr_expect_str_eq(text_of(p, p->sample_type[1]->type), "wall");
    cr_expect_str_eq(text_of(p, p->sample_type[1]->unit), "nanoseconds");
    cr_expect_str_eq(text_of(p, p->default_sample_type), "wall");
    cr_expect_str_eq(text_of(p, p->period_type->type), "wall");
    cr_expect_eq(p->time_nanos, time_ns, "%" PRId64, p->time_nanos);
    cr_expect_eq(p->duration_nanos, duration_ns, "%" PRId64, p->duration_nanos);
    struct buffer text;
    buffer_init(&text, MIB(1), NULL);
    for (size_t i = 0; i < p->n_sample; i++)
        print_sample(p, p->sample[i], &text);
    cr_expect(bytes_equal(buffer_bytes(&text), bytes_of_text(expected)), "expected\n%s\ngot\n%.*s",
              expected, (int)text.len, (const char *)text.data);
    buffer_close(&text);
    hearth__pprof__profile__free_unpacked(p, NULL);
}

/* Frames 0 and 1 are one function on two lines; 2 is the same file's other function. */
static void make_chunk(struct hand_profile *h, struct uuid profiler, double at)
{
    hand_profile_init(h, PROFILE_CHUNK, "java");
    h->profile.profiler_id = profiler;
    hand_frame(h, (struct hand_frame){.function = "f", .abs_path = "/x", .line = 1});
    hand_frame(h, (struct hand_frame){.function = "f", .abs_path = "/x", .line = 2});
    hand_frame(h, (struct hand_frame){.function = "g", .abs_path = "/x", .line = 2, .column = 7});
    hand_stack(h, "20");
    hand_stack(h, "21");
    hand_stack(h, "");
    uint32_t ten = hand_thread(h, "10", "Main");
    uint32_t nine = hand_thread(h, "9", NULL);
    static const uint32_t stacks[] = {0, 1, 2, 0, 0};
    for (uint32_t i = 0; i < 5; i++)
        hand_sample(h, ten, stacks[i], at + i);
    hand_sample(h, nine, 1, at + 1);
    hand_sample(h, nine, 1, at + 3);
}

Test(export_pprof, one_chunk)
{
    struct hand_profile h;
    make_chunk(&h, profiler_a, 1000);
    struct hand_part part = {.profile = &h};
    expect_samples(&part, 1, 1000000000000, 4000000000,
                   "g@/x:2<f@/x:2 1/2000000000 thread_id=9 thread_name=thread 9\n"
                   "g@/x:2<f@/x:1 2/2000000000 thread_id=10 thread_name=Main\n"
                   "g@/x:2<f@/x:2 1/1000000000 thread_id=10 thread_name=Main\n");
}

Test(export_pprof, chunks_of_one_profiler_add_up)
{
    struct hand_profile a;
    struct hand_profile b;
    make_chunk(&a, profiler_a, 1000);
    make_chunk(&b, profiler_a, 1010);
    struct hand_part parts[] = {{.profile = &b}, {.profile = &a}};
    expect_samples(parts, 2, 1000000000000, 14000000000,
                   "g@/x:2<f@/x:2 2/4000000000 thread_id=9 thread_name=thread 9\n"
                   "g@/x:2<f@/x:1 4/4000000000 thread_id=10 thread_name=Main\n"
                   "g@/x:2<f@/x:2 2/2000000000 thread_id=10 thread_name=Main\n");
}

#define ID_A " profiler_id=aa000000000000000000000000000000\n"
#define ID_B " profiler_id=bb000000000000000000000000000000\n"

Test(export_pprof, profilers_are_told_apart)
{
    struct hand_profile a;
    struct hand_profile b;
    make_chunk(&a, profiler_a, 1000);
    make_chunk(&b, profiler_b, 1000);
    struct hand_part parts[] = {{.profile = &b, .thread = "9"}, {.profile = &a, .thread = "9"}};
    expect_samples(parts, 2, 1001000000000, 2000000000,
                   "g@/x:2<f@/x:2 1/2000000000 thread_id=9 thread_name=thread 9" ID_A
                   "g@/x:2<f@/x:2 1/2000000000 thread_id=9 thread_name=thread 9" ID_B);
}

/* A sample that began before the window has weight in it but is not counted. */
Test(export_pprof, windows_cut_samples)
{
    struct hand_profile h;
    make_chunk(&h, profiler_a, 1000);
    struct hand_part part = {&h, "10", 1000250000000, 1001500000000};
    expect_samples(&part, 1, 1000250000000, 1250000000,
                   "g@/x:2<f@/x:1 0/750000000 thread_id=10 thread_name=Main\n"
                   "g@/x:2<f@/x:2 1/500000000 thread_id=10 thread_name=Main\n");
    struct hand_part nothing = {&h, NULL, 1, 2};
    expect_samples(&nothing, 1, 0, 0, "");
}

Test(export_pprof, a_comment_is_kept_and_nothing_is_a_file_too)
{
    struct export_options options = {.format = EXPORT_PPROF};
    struct exporter *e = NULL;
    struct buffer out;
    struct errinfo info = {0};

    buffer_init(&out, MIB(1), NULL);
    cr_assert_eq(exporter_create(&options, NULL, &e), ERR_OK);
    exporter_comment(e, BYTES("chunks_found=0"));
    cr_assert_eq(exporter_finish(e, &out, &info), ERR_OK, "%s", info.text);
    exporter_destroy(e);
    Hearth__Pprof__Profile *p = read_file(&out);
    cr_assert_eq(p->n_sample, 0);
    cr_assert_eq(p->n_sample_type, 2);
    cr_assert_eq(p->n_comment, 1);
    cr_assert_str_eq(text_of(p, p->comment[0]), "chunks_found=0");
    hearth__pprof__profile__free_unpacked(p, NULL);
    p = export_and_read(NULL, 0);
    cr_assert_eq(p->n_comment, 0);
    hearth__pprof__profile__free_unpacked(p, NULL);
}
