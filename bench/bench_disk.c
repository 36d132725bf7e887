/* How many bytes does a sample take on disk, everything included, once all is sealed?
 *
 * Estimate: a minute of the threaded Python shop is 60,000 samples of 12 threads at 5,000 ticks. A
 * time is a jitter of some 12 bits that its threads share (1.5 bytes a tick, 0.13 a sample); one
 * sample in forty begins a new run, which names a recent stack (5 bits) and a length (6 bits): 0.04
 * bytes a sample. Tables and index are some percent: 0.2 bytes a sample, where JSON has 60 and
 * LZ4-9, which writes every time and id of a sample anew, about 5. Node samples one thread: a time
 * (2 bytes) is each sample's own. A lifecycle-trace chunk of 10 samples has its row (60 bytes), its
 * run (25), its times and stacks (60), and the few frames that no chunk before had: 200 bytes.
 *
 * The peers see what comes in: the JSON of each stored document, one by one, as an object store of
 * them would. All recordings go into one store. Blocks, rows and links have bytes of their own;
 * tables belong to the document that was the first to use an entry, in the order in which they were
 * sealed; a stored tree is split evenly among its rows; what is left (checksums, directory) goes in
 * proportion. The parts add up to the files. Since who is first is chance, "alone" is what the
 * files are when nothing else is in the store.
 *
 * By set on demand: sets=1.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <lz4.h>
#include <lz4hc.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/recordings.h"
#include "engine/identity.h"
#include "storage/segment.h"
#include "storage/segment_block.h"

#define LZ4_LEVEL     9
#define ZSTD_LEVEL    3
#define SETS_MAX      64
#define SMOKE_BODY    KIB(8)
#define PROJECT_TINY  45 /* lifecycle trace: the shop, and jobs with streamed spans */
#define PROJECT_TINY2 161

enum group {
    GROUP_PYTHON_CHUNKS,
    GROUP_PYTHON_TRACE,
    GROUP_PYTHON_TRANSACTIONS,
    GROUP_NODE,
    GROUP_BROWSER,
    GROUP_PHP,
    GROUP_RUBY,
    GROUP_COUNT
};
static const char *const group_names[GROUP_COUNT] = {
    "python chunks", "python trace chunks", "python transactions", "node", "browser", "php",
    "ruby"};

struct sums {
    char name[64];
    enum group group;
    uint64_t project_id;
    uint64_t profiles;
    uint64_t samples;
    uint64_t links;
    uint64_t json;
    uint64_t lz4;
    uint64_t zstd;
    double blocks;
    double tables;
    double rows; /* facts, ids, what finds them */
    double rollups;
    double of_links;
    double rest;
    uint64_t alone;
};

struct disk {
    struct store_fixture f;
    struct sums sets[SETS_MAX];
    size_t set_count;
    struct sums *current;
    enum group only; /* GROUP_COUNT: all */
    bool peers;
    struct buffer scratch;
};

/* By the name of its folder: <sdk>-<mode>-<workload>. */
static enum group group_of(const char *set)
{
    if (strncmp(set, "node", 4) == 0)
        return GROUP_NODE;
    if (strncmp(set, "browser", 7) == 0)
        return GROUP_BROWSER;
    if (strncmp(set, "php", 3) == 0)
        return GROUP_PHP;
    if (strncmp(set, "ruby", 4) == 0)
        return GROUP_RUBY;
    if (strstr(set, "-trace-") != NULL)
        return GROUP_PYTHON_TRACE;
    if (strstr(set, "-txn-") != NULL || strstr(set, "-identity-") != NULL)
        return GROUP_PYTHON_TRANSACTIONS;
    return GROUP_PYTHON_CHUNKS;
}

/* ---- in ---- */

static bool wants_set(void *self, const char *set)
{
    const struct disk *d = self;
    return d->only == GROUP_COUNT || group_of(set) == d->only;
}

static struct sums *set_of(struct disk *d, const struct recording *r)
{
    for (size_t i = 0; i < d->set_count; i++)
        if (strcmp(d->sets[i].name, r->set) == 0)
            return &d->sets[i];
    if (d->set_count == SETS_MAX)
        bench_must(ERR_LIMIT, NULL, "sets of recordings");
    struct sums *s = &d->sets[d->set_count++];
    *s = (struct sums){.group = group_of(r->set), .project_id = r->project_id};
    (void)snprintf(s->name, sizeof(s->name), "%s", r->set);
    return s;
}

static void on_profile(void *self, struct bytes json)
{
    struct disk *d = self;
    d->current->json += json.len;
    if (!d->peers)
        return;
    size_t room = ZSTD_compressBound(json.len) + (size_t)LZ4_compressBound((int)json.len);
    buffer_clear(&d->scratch);
    bench_must(buffer_reserve(&d->scratch, room), NULL, "peers");
    char *to = (char *)d->scratch.data;
    d->current->lz4 +=
        (uint64_t)LZ4_compress_HC((const char *)json.data, to, (int)json.len, (int)room, LZ4_LEVEL);
    d->current->zstd += ZSTD_compress(to, room, json.data, json.len, ZSTD_LEVEL);
}

static void on_recording(void *self, const struct recording *r)
{
    struct disk *d = self;
    d->current = set_of(d, r);
    recording_store(r, &d->f, on_profile, d);
}

/* NULL: there are no recordings. */
static const char *fill(struct disk *d, const struct bench *b, enum group only)
{
    d->only = only;
    d->f = store_fixture_open(DURABILITY_NONE);
    const char *from =
        recordings_each(b->smoke ? SMOKE_BODY : SIZE_MAX, wants_set, on_recording, d);
    store_fixture_seal(&d->f);
    return from;
}

static uint64_t sealed_bytes(const struct disk *d)
{
    struct store_stats stats;
    store_get_stats(d->f.store, &stats);
    bench_must(stats.log_bytes <= FORMAT_LOG_HEADER_SIZE ? ERR_OK : ERR_BUSY, NULL,
               "a log is not sealed"); /* the open one is empty */
    return stats.segment_bytes;
}

/* ---- whose bytes they are ---- */

struct attributing {
    struct disk *d;
    const struct segment *s;
    struct tables_builder *tables; /* the segment's, built once more */
    struct tables_cursor *cursor;
    struct sums **owners; /* of rows */
    struct segment_tables_counts claimed;
    uint64_t attributed;
};

static struct sums *owner_of(struct disk *d, uint64_t project_id)
{
    for (size_t i = 0; i < d->set_count; i++)
        if (d->sets[i].project_id == project_id)
            return &d->sets[i];
    bench_must(ERR_NOTFOUND, NULL, "a project of no set");
    return NULL;
}

static double sections(const struct attributing *a, int first, int last)
{
    uint64_t sum = 0;
    for (int kind = first; kind <= last; kind++) {
        struct segment_section section;
        if (segment_file_section(a->s->file, (enum format_section)kind, &section))
            sum += section.size;
    }
    return (double)sum;
}

static double each(double bytes, uint64_t count)
{
    return count == 0 ? 0 : bytes / (double)count;
}

/* What the tables grow by when the row comes to them. */
static struct segment_tables_counts claim(struct attributing *a, uint32_t row,
                                          const struct record *facts,
                                          const struct segment_row_place *place)
{
    struct segment_tables_counts before = tables_builder_counts(a->tables);
    struct errinfo info = {0};
    struct arena arena;
    bool summable;
    struct profile p = {.kind = (enum profile_kind)facts->kind,
                        .project_id = facts->project_id,
                        .profiler_id = facts->profiler_id,
                        .id = facts->id};
    arena_init(&arena, SIZE_MAX, NULL);
    bench_must(segment_read_profile(a->s, row, a->cursor, &arena, &p, &info), &info, "read");
    buffer_clear(&a->d->scratch);
    bench_must(segment_block_encode(&p, a->tables, &a->d->scratch, &summable, &info), &info,
               "encode");
    bench_must(a->d->scratch.len == place->block_size ? ERR_OK : ERR_CORRUPT, NULL,
               "a block has another size when it is made again");
    arena_close(&arena);
    struct segment_tables_counts after = tables_builder_counts(a->tables);
    return (struct segment_tables_counts){after.texts - before.texts, after.frames - before.frames,
                                          after.nodes - before.nodes,
                                          after.threads - before.threads};
}

static void add_claimed(struct segment_tables_counts *to, const struct segment_tables_counts *one)
{
    to->texts += one->texts;
    to->frames += one->frames;
    to->nodes += one->nodes;
    to->threads += one->threads;
}

static void attribute_rows(struct attributing *a)
{
    const struct segment_counts *counts = &a->s->counts;
    const struct segment_tables_counts *tables = &a->s->tables.counts;
    uint32_t rows = counts->chunks + counts->transactions;
    double of_row = each(sections(a, SECTION_ROW_ID, SECTION_ROW_BLOCK_END) +
                             sections(a, SECTION_RUN_PROJECT, SECTION_TAG_END) +
                             sections(a, SECTION_PROJECT_ID, SECTION_PROJECT_RUN),
                         rows);
    double of_transaction = each(sections(a, SECTION_TRANSACTION_TRACE, SECTION_TRANSACTION_SLOTS),
                                 counts->transactions);
    double of_text = each(sections(a, SECTION_TEXT_PAGES, SECTION_TEXT_END), tables->texts);
    double of_frame = each(sections(a, SECTION_FRAME_IDENTITY, SECTION_FRAME_END), tables->frames);
    double of_node = each(sections(a, SECTION_NODE_PAGES, SECTION_NODE_END), tables->nodes);
    double of_thread = each(sections(a, SECTION_THREAD_PAGES, SECTION_THREAD_END), tables->threads);
    for (uint32_t row = 0; row < rows; row++) {
        struct record facts;
        struct segment_row_place place;
        bench_must(segment_rows_record(a->s->rows, row, &facts), NULL, "facts");
        bench_must(segment_rows_place(a->s->rows, row, &place), NULL, "place");
        struct segment_tables_counts own = claim(a, row, &facts, &place);
        struct sums *s = a->owners[row] = owner_of(a->d, facts.project_id);
        add_claimed(&a->claimed, &own);
        s->profiles++;
        s->samples += facts.sample_count;
        s->blocks += place.block_size;
        s->rows += of_row + (row < counts->chunks ? 0 : of_transaction);
        s->tables += own.texts * of_text + own.frames * of_frame + own.nodes * of_node +
                     own.threads * of_thread;
    }
}

static void attribute_rollups(struct attributing *a)
{
    const struct segment_rollups *r = &a->s->rollups;
    double head = each(sections(a, SECTION_ROLLUP_FIRST, SECTION_ROLLUP_SIZE), r->count);
    double of_pages = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        uint64_t first = 0;
        uint64_t rows = 0;
        uint64_t size = 0;
        if (!packed_get(&r->first, i, &first) || !packed_get(&r->rows, i, &rows) ||
            !packed_get(&r->size, i, &size))
            bench_must(ERR_CORRUPT, NULL, "rollups");
        rows >>= 1;
        for (uint64_t row = first; row < first + rows; row++)
            a->owners[row]->rollups += each((double)size + head, rows);
        of_pages += (double)size;
    }
    bench_must(of_pages == (double)r->pages.size ? ERR_OK : ERR_CORRUPT, NULL,
               "stored trees leave gaps");
}

static void attribute_links(struct attributing *a)
{
    const struct segment_counts *counts = &a->s->counts;
    const struct segment_tables_counts *tables = &a->s->tables.counts;
    /* texts that no profile was the first to use came with links */
    double texts = each(sections(a, SECTION_TEXT_PAGES, SECTION_TEXT_END), tables->texts) *
                   (tables->texts - a->claimed.texts);
    double of_link = each(sections(a, SECTION_LINK_SPAN, SECTION_TRACE_SLOTS) +
                              sections(a, SECTION_PROJECT_LINK, SECTION_PROJECT_LINK) + texts,
                          counts->links);
    for (uint32_t i = 0; i < counts->projects; i++) {
        struct segment_project project;
        bench_must(segment_rows_project(a->s->rows, i, &project), NULL, "project");
        struct sums *s = owner_of(a->d, project.project_id);
        uint32_t links = project.link_end - project.link_first;
        s->links += links;
        s->of_links += links * of_link;
    }
}

static double own_bytes(const struct sums *s)
{
    return s->blocks + s->tables + s->rows + s->rollups + s->of_links;
}

static void attribute_segment(struct disk *d, const struct manifest_segment *named)
{
    struct attributing a = {.d = d};
    struct segment *s = NULL;
    struct errinfo info = {0};
    double before[SETS_MAX];
    double after = 0;
    bench_must(segment_open(vfs_posix(), d->f.dir.path, named, &s, &info), &info, "segment_open");
    a.s = s;
    a.owners = mem_array((size_t)s->counts.chunks + s->counts.transactions + 1, sizeof(*a.owners));
    bench_must(a.owners == NULL ? ERR_NOMEM : ERR_OK, NULL, "owners");
    bench_must(tables_builder_create(&engine_frame_rules, NULL, &a.tables), NULL, "tables");
    bench_must(tables_cursor_create(&s->tables, NULL, &a.cursor), NULL, "tables");
    for (size_t i = 0; i < d->set_count; i++)
        before[i] = own_bytes(&d->sets[i]);
    attribute_rows(&a);
    attribute_rollups(&a);
    attribute_links(&a);
    for (size_t i = 0; i < d->set_count; i++)
        after += own_bytes(&d->sets[i]) - before[i];
    for (size_t i = 0; i < d->set_count; i++)
        d->sets[i].rest +=
            (own_bytes(&d->sets[i]) - before[i]) / after * ((double)named->size - after);
    tables_cursor_destroy(a.cursor);
    tables_builder_destroy(a.tables);
    mem_free(a.owners);
    segment_release(s);
}

static size_t attribute_all(struct disk *d)
{
    struct manifest m;
    struct errinfo info = {0};
    bench_must(manifest_read(vfs_posix(), d->f.dir.path, &m, &info), &info, "manifest_read");
    size_t count = m.count;
    for (size_t i = 0; i < m.count; i++)
        attribute_segment(d, &m.segments[i]);
    manifest_close(&m);
    return count;
}

/* ---- the table ---- */

static void add_sums(struct sums *to, const struct sums *s)
{
    to->profiles += s->profiles;
    to->samples += s->samples;
    to->links += s->links;
    to->json += s->json;
    to->lz4 += s->lz4;
    to->zstd += s->zstd;
    to->blocks += s->blocks;
    to->tables += s->tables;
    to->rows += s->rows;
    to->rollups += s->rollups;
    to->of_links += s->of_links;
    to->rest += s->rest;
    to->alone += s->alone;
}

static double all_bytes(const struct sums *s)
{
    return own_bytes(s) + s->rest;
}

static void print_sums(const struct sums *s)
{
    double bytes = all_bytes(s);
    double samples = (double)s->samples;
    printf("%-27s %5" PRIu64 " %7" PRIu64 " %5" PRIu64 " %8.3f %7.3f %7.3f %7.0f %7.0f %6.0f %6.0f"
           " %7.0f %6.0f %8.0f",
           s->name, s->profiles, s->samples, s->links, (double)s->json / 1e6, (double)s->lz4 / 1e6,
           (double)s->zstd / 1e6, s->blocks, s->tables, s->rows, s->rollups, s->of_links, s->rest,
           bytes);
    printf(" %7.3f %7.3f %7.3f %6.1f %6.1f", bytes / samples, (double)s->lz4 / samples,
           (double)s->zstd / samples, (double)s->lz4 / bytes, (double)s->zstd / bytes);
    if (s->alone > 0)
        printf(" %8" PRIu64 " %7.3f %6.1f", s->alone, (double)s->alone / samples,
               (double)s->lz4 / (double)s->alone);
    printf("\n");
}

/* Links come from other documents than those that the peers see. */
static void print_goal(const struct sums *s, double goal)
{
    double samples = (double)s->samples;
    printf("%s: %.3f bytes a sample without links, %.3f with (goal %.1f)\n", s->name,
           (all_bytes(s) - s->of_links) / samples, all_bytes(s) / samples, goal);
}

static void print_table(struct disk *d, const struct sums *groups, uint64_t size)
{
    struct sums all = {.name = "all of it"};
    struct sums python = {.name = "python, all"};
    printf("%-27s %5s %7s %5s %8s %7s %7s %7s %7s %6s %6s %7s %6s %8s %7s %7s %7s %6s %6s %8s %7s"
           " %6s\n",
           "MB: documents, peers", "profs", "samples", "links", "JSON", "LZ4-9", "zstd-3", "blocks",
           "tables", "rows", "trees", "links", "rest", "bytes", "B/samp", "LZ4-9", "zstd-3",
           "x LZ4", "x zstd", "alone", "B/samp", "x LZ4");
    if (strcmp(bench_setting("sets", "0"), "0") != 0)
        for (size_t i = 0; i < d->set_count; i++)
            print_sums(&d->sets[i]);
    for (int g = 0; g < GROUP_COUNT; g++) {
        if (groups[g].profiles > 0)
            print_sums(&groups[g]);
        add_sums(&all, &groups[g]);
        if (g <= GROUP_PYTHON_TRANSACTIONS)
            add_sums(&python, &groups[g]);
    }
    python.alone = all.alone = 0; /* no sum of stores is a store */
    print_sums(&python);
    print_sums(&all);
    bench_must(fabs(all_bytes(&all) - (double)size) < 1 ? ERR_OK : ERR_CORRUPT, NULL,
               "the parts do not add up to the files");
    for (size_t i = 0; i < d->set_count; i++) {
        const struct sums *s = &d->sets[i];
        if (s->project_id == PROJECT_TINY || s->project_id == PROJECT_TINY2)
            printf("a tiny chunk of %s: %.0f bytes, and %.0f of links (goal 300); %.0f of LZ4-9\n",
                   s->name, (all_bytes(s) - s->of_links) / (double)s->profiles,
                   s->of_links / (double)s->profiles, (double)s->lz4 / (double)s->profiles);
    }
    print_goal(&python, 0.4);
    print_goal(&groups[GROUP_NODE], 1.5);
    print_goal(&groups[GROUP_BROWSER], 2);
    printf("python, all: %.1f x smaller than LZ4-9 without links, %.1f x with (goal 20)\n",
           (double)python.lz4 / (all_bytes(&python) - python.of_links),
           (double)python.lz4 / all_bytes(&python));
}

static void disk_close(struct disk *d)
{
    buffer_close(&d->scratch);
    store_fixture_close(&d->f);
}

static uint64_t size_alone(const struct bench *b, enum group group)
{
    struct disk *d = mem_zalloc(sizeof(*d));
    bench_must(d == NULL ? ERR_NOMEM : ERR_OK, NULL, "disk");
    buffer_init(&d->scratch, SIZE_MAX, NULL);
    (void)fill(d, b, group);
    uint64_t size = sealed_bytes(d);
    disk_close(d);
    mem_free(d);
    return size;
}

BENCH(disk_recorded, .once = true)
{
    struct disk *d = mem_zalloc(sizeof(*d));
    struct sums groups[GROUP_COUNT] = {0};
    bench_must(d == NULL ? ERR_NOMEM : ERR_OK, NULL, "disk");
    buffer_init(&d->scratch, SIZE_MAX, NULL);
    d->peers = true;
    bench_start(b);
    const char *from = fill(d, b, GROUP_COUNT);
    uint64_t size = sealed_bytes(d);
    bench_stop(b, bench_mix(0, size));
    if (from == NULL) {
        b->stopped = false;
        bench_skip(b, "no recordings here");
        disk_close(d);
        mem_free(d);
        return;
    }
    size_t files = attribute_all(d);
    for (int g = 0; g < GROUP_COUNT; g++) {
        (void)snprintf(groups[g].name, sizeof(groups[g].name), "%s", group_names[g]);
        for (size_t i = 0; i < d->set_count; i++)
            if (d->sets[i].group == (enum group)g)
                add_sums(&groups[g], &d->sets[i]);
        if (groups[g].profiles > 0)
            groups[g].alone = size_alone(b, (enum group)g);
    }
    print_table(d, groups, size);
    bench_note(b, "%s; %" PRIu64 " bytes in %zu sealed files", from, size, files);
    disk_close(d);
    mem_free(d);
}
