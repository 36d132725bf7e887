#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/ingest.h"
#include "tests/support/file.h"
#include "tests/support/replay.h"

#define PATH_SIZE 1024

static void open_with(struct replay *r, const char *folder, const char *file)
{
    char path[PATH_SIZE];
    struct bytes text = {NULL, 0};
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    cr_assert(file_read(path, &text), "%s", path);
    struct bytes list = text;
    while (list.len > 0 && list.data[0] != '[') /* the manifest's list of projects comes first */
        list = bytes_from(list, 1);
    struct bytes end = list;
    while (end.len > 0 && end.data[0] != ']')
        end = bytes_from(end, 1);
    replay_open(r, bytes_first(list, list.len - end.len + 1));
    file_free(&text);
}

Test(ingest, recorded_requests_are_answered_and_stored_as_expected)
{
    char folder[PATH_SIZE];
    struct replay r;
    cr_assert(source_path(folder, sizeof(folder), "tests/data/envelopes"));
    open_with(&r, folder, "PROJECTS.json");
    replay_folder(&r, folder, SIZE_MAX);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 150 && r.stored >= 80, "%u requests, %u profiles", r.requests,
              r.stored);
    replay_close(&r);
}

Test(ingest, pieces_of_any_size_give_the_same)
{
    char folder[PATH_SIZE];
    struct replay r;
    struct rng rng = test_rng();
    cr_assert(source_path(folder, sizeof(folder), "tests/data/envelopes"));
    open_with(&r, folder, "PROJECTS.json");
    r.split = &rng;
    replay_folder(&r, folder, KIB(40));
    cr_expect_eq(r.faults, 0);
    cr_expect(r.stored >= 60, "%u profiles", r.stored);
    replay_close(&r);
}

Test(ingest, odd_and_invalid_requests_are_answered_and_stored_as_expected)
{
    char folder[PATH_SIZE];
    struct replay r;
    cr_assert(source_path(folder, sizeof(folder), "tests/data/edge"));
    open_with(&r, folder, "manifest.json");
    replay_manifest(&r, folder);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 230 && r.stored >= 98 && r.dropped >= 80,
              "%u requests, %u profiles, %u dropped", r.requests, r.stored, r.dropped);
    replay_close(&r);
}

Test(ingest, all_recordings_when_they_are_there, .timeout = 280)
{
    char folder[PATH_SIZE];
    struct replay r;
    if (!shared_path(folder, sizeof(folder), "data/envelopes")) {
        fprintf(stderr, "skipped: no recordings beside the checkout, only a part was replayed\n");
        cr_skip("no recordings beside the checkout: only the part in tests/data was replayed");
    }
    open_with(&r, folder, "PROJECTS.json");
    replay_folder(&r, folder, SIZE_MAX);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 1300 && r.stored >= 599, "%u requests, %u profiles", r.requests,
              r.stored);
    replay_close(&r);
}
