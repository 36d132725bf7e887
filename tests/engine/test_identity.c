#include <inttypes.h>

#include <criterion/criterion.h>

#include "engine/frame_rest.h"
#include "engine/identity.h"
#include "tests/support/hand_profile.h"

Test(identity, fnv1_multiplies_before_it_xors)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } cases[] = {
        {"", UINT64_C(14695981039346656037)},
        {"a", UINT64_C(12638153115695167422)},
        {"foo:foo", UINT64_C(7819648313903568793)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t hash = fnv1_continue(FNV1_BASIS, bytes_of_text(cases[i].text));
        cr_expect_eq(hash, cases[i].hash, "'%s' gave %" PRIu64, cases[i].text, hash);
    }
    uint64_t split = fnv1_continue(fnv1_continue(FNV1_BASIS, BYTES("foo")), BYTES(":foo"));
    cr_expect_eq(split, cases[2].hash);
}

Test(identity, packages_are_trimmed_to_their_last_element)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"/", "/"},
        {"/foo/", "foo"},
        {"/foo//", "/foo//"},
        {".so", ""},
        {"/usr/lib/libfoo.so", "libfoo"},
        {"/usr/lib/libfoo.so.1", "libfoo.so.1"},
        {"/x/a.so.dylib", "a.so"},
        {"C:\\bin\\foo.exe", "foo"},
        {"c:\\foo.DLL", "foo.DLL"},
        {"C:/bin/foo.dll", "foo"},
        {"1:\\a\\b", "1:\\a\\b"},
        {"\\\\server\\share\\tool.dll", "tool"},
        {"a\\b\\c", "a\\b\\c"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes got = trim_package(bytes_of_text(cases[i][0]));
        cr_expect(bytes_equal(got, bytes_of_text(cases[i][1])), "'%s' became '%.*s'", cases[i][0],
                  (int)got.len, (const char *)got.data);
    }
}

Test(identity, fingerprints_name_functions)
{
    static const struct {
        struct hand_frame frame;
        uint32_t fingerprint;
    } cases[] = {
        {{.function = NULL}, 2248259557},
        {{.module = "foo", .function = "foo"}, 313808793},
        {{.module = "app.views", .function = "index", .line = 7, .abs_path = "/x"}, 899408540},
        {{.package = "/usr/lib/libc.so", .function = "read", .instruction_addr = "0x1"}, 405090321},
        {{.function = "main", .filename = "a.c"}, 3255108506},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, "python");
        hand_frame(&h, cases[i].frame);
        uint32_t got = frame_fingerprint(&h.profile, &h.frames[0]);
        cr_expect_eq(got, cases[i].fingerprint, "case %zu: %" PRIu32, i, got);
    }
}

Test(identity, stack_hashes_run_from_the_root)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_CHUNK, "native");
    hand_frame(&h, (struct hand_frame){.module = "m", .function = "a"});
    hand_frame(&h, (struct hand_frame){.module = "m", .function = "b", .line = 3});
    hand_frame(&h, (struct hand_frame){.filename = "x.c", .instruction_addr = "0x10"});
    static const uint64_t expected[] = {UINT64_C(590634589797163799),
                                        UINT64_C(14274265116453415818),
                                        UINT64_C(3735118050463400707)};
    uint64_t hash = FNV1_BASIS;
    for (size_t i = 0; i < 3; i++) {
        hash = frame_stack_hash(hash, &h.profile, &h.frames[i]);
        cr_expect_eq(hash, expected[i], "step %zu: %" PRIu64, i, hash);
    }
}

/* Pairs that are one frame, and pairs that only look alike. */
Test(identity, frames_are_one_by_origin_function_and_address)
{
    static const struct {
        struct hand_frame a;
        struct hand_frame b;
        bool same;
    } cases[] = {
        {{.function = "f", .line = 1}, {.function = "f", .line = 2, .column = 9}, true},
        {{.function = "f", .abs_path = "/a"}, {.function = "f", .abs_path = "/b"}, true},
        {{.module = "m", .filename = "a"}, {.module = "m", .filename = "b"}, true},
        {{.package = "/x/m.so"}, {.module = "m"}, true},
        {{.filename = "m"}, {.module = "m"}, true},
        {{.filename = "a"}, {.filename = "b"}, false},
        {{.module = "ab", .function = "c"}, {.module = "a", .function = "bc"}, false},
        {{.function = "f0x1"}, {.function = "f", .instruction_addr = "0x1"}, false},
        {{.module = "f"}, {.function = "f"}, false},
        {{.function = "f", .instruction_addr = "0x1"}, {.function = "f"}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, "native");
        hand_frame(&h, cases[i].a);
        hand_frame(&h, cases[i].b);
        struct hash128 a = frame_identity(&h.profile, &h.frames[0]);
        struct hash128 b = frame_identity(&h.profile, &h.frames[1]);
        cr_expect_eq(hash128_equal(a, b), cases[i].same, "case %zu", i);
    }
}

Test(identity, frame_id_is_md5_of_file_function_line_and_address)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_CHUNK, "rust");
    hand_frame(&h, (struct hand_frame){.function = "core::future::from_generator",
                                       .filename = "mod.rs",
                                       .line = 91,
                                       .instruction_addr = "0x55bd050e168d",
                                       .rest = "{\"status\":\"symbolicated\"}"});
    char id[33];
    frame_id(&h.profile, &h.frames[0], id);
    cr_expect_str_eq(id, "a55d2cdf3a48f6b96bbec4c08d846aeb");
}

Test(identity, rest_of_a_frame_says_whether_it_was_symbolicated)
{
    static const struct {
        const char *rest;
        bool symbolicated;
        bool is_inline;
    } cases[] = {
        {"", false, false},
        {"{}", false, false},
        {"{\"status\":\"symbolicated\"}", true, true},
        {"{\"status\":\"symbolicated\",\"sym_addr\":\"\"}", true, true},
        {"{\"status\":\"symbolicated\",\"sym_addr\":\"0x1\"}", true, false},
        {"{\"data\":{\"symbolicator_status\":\"symbolicated\"},\"status\":\"missing\"}", true,
         false},
        {"{\"data\":{\"symbolicator_status\":\"\"},\"status\":\"symbolicated\"}", true, true},
        {"{\"data\":{\"symbolicator_status\":\"missing\"},\"status\":\"symbolicated\"}", false,
         true},
        {"{\"data\":null,\"status\":null}", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes rest = bytes_of_text(cases[i].rest);
        cr_expect_eq(frame_rest_is_symbolicated(rest), cases[i].symbolicated, "%s", cases[i].rest);
        cr_expect_eq(frame_rest_is_inline(rest), cases[i].is_inline, "%s", cases[i].rest);
    }
}

Test(identity, threads_sort_numbers_first)
{
    static const char *const sorted[] = {"0",   "007", "7",  "10",  "18446744073709551615",
                                         "",    "+1",  "-1", "0x7", "18446744073709551616",
                                         "main"};
    size_t count = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int order = thread_id_compare(bytes_of_text(sorted[i]), bytes_of_text(sorted[j]));
            cr_expect_eq((order > 0) - (order < 0), (i > j) - (i < j), "'%s' and '%s'", sorted[i],
                         sorted[j]);
        }
}
