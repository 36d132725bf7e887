/* cmd_import.c - hearth import: recordings and documents into a server or a folder. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/main/command.h"
#include "api/main/delivery.h"
#include "api/main/flags.h"
#include "api/main/import_list.h"
#include "base/clock.h"

#define PROGRESS_NS INT64_C(100000000)

static const char usage[] =
    "usage: hearth import [--url URL | --data DIR] [--project N] [--key HEX] [--quiet] PATH...\n"
    "\n"
    "Puts recorded profiling data into a server, or into a data folder that no server holds.\n"
    "\n"
    "PATH is a file or a folder, which stands for all such files in it:\n"
    "  NNN.headers.json + NNN.body  a recorded request: its target, headers and coding apply\n"
    "  *.envelope, *.body           an envelope; project and key from its dsn or the flags\n"
    "  *.json                       one chunk (version \"2\") or transaction profile (\"1\")\n"
    "\n"
    "  --url URL      server, default $HEARTH_URL or " HEARTH_URL_DEFAULT "\n"
    "  --data DIR     data folder, made when missing\n"
    "  --project N    project of files that name none, default 1\n"
    "  --key HEX      public key to send with them\n"
    "  --quiet        no progress line\n"
    "\n"
    "--project, --key and --quiet can be given as HEARTH_PROJECT, HEARTH_KEY, HEARTH_QUIET=1.\n"
    "HEARTH_DATA is a server's and not read here: --data has to be written out.\n"
    "\n"
    "Exit status: 0 everything is stored, 1 something was refused or failed (each file is named\n"
    "with its reason on standard error), 2 wrong usage.\n";

struct import_command {
    struct place_options place;
    struct import_options file;
    bool quiet;
    char **paths;
    int path_count;
};

struct tally {
    bool progress;
    int64_t started_ns;
    int64_t shown_ns;
    size_t file_count;
    size_t file_total;
    uint64_t bytes;
    uint64_t requests;
    uint64_t refused_requests;
    uint64_t unreadable_files;
    uint64_t foreign_files; /* readable, and no profiling data */
    uint64_t undelivered;   /* the place broke down with this one */
    uint64_t unknown_keys;  /* of the refused requests */
    uint64_t refused_items;
    uint64_t samples;
    uint64_t skipped;
    uint64_t outcomes[INGEST_OUTCOME_COUNT];
};

/* ---- what is shown ---- */

static double seconds_since(int64_t start_ns)
{
    int64_t ns = clock_steady_ns() - start_ns;
    return ns < 1000 ? 1e-6 : (double)ns / 1e9;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static uint64_t failed_files(const struct tally *t)
{
    return t->unreadable_files + t->foreign_files + t->undelivered;
}

static void show_progress(struct tally *t, bool last)
{
    int64_t now = clock_steady_ns();
    if (!t->progress || (!last && now - t->shown_ns < PROGRESS_NS))
        return;
    t->shown_ns = now;
    uint64_t refused = t->refused_items + t->refused_requests + failed_files(t);
    double rate = (double)t->bytes / 1e6 / seconds_since(t->started_ns);
    (void)fprintf(
        stderr,
        "\r\x1b[K%zu of %zu file%s, %llu profile%s stored, %llu refused, %.1f MB, %.1f MB/s",
        t->file_count, t->file_total, plural(t->file_total),
        (unsigned long long)t->outcomes[INGEST_STORED], plural(t->outcomes[INGEST_STORED]),
        (unsigned long long)refused, (double)t->bytes / 1e6, rate);
    if (last)
        (void)fputc('\n', stderr);
}

/* A line of its own above the progress line. */
static void complain(const struct tally *t, const char *path, const char *what, const char *why)
{
    (void)fprintf(stderr, "%s%s: %s%s%s\n", t->progress ? "\r\x1b[K" : "", path, what,
                  why[0] == '\0' ? "" : ": ", why);
}

static bool is_refusal(enum ingest_outcome outcome)
{
    return outcome != INGEST_STORED && outcome != INGEST_READ && outcome != INGEST_ACCEPTED &&
           outcome != INGEST_UNKNOWN;
}

static void on_item(struct tally *t, const char *path, const struct ingest_item *item)
{
    t->outcomes[item->outcome]++;
    if (item->outcome == INGEST_STORED)
        t->samples += item->sample_count;
    if (!is_refusal(item->outcome))
        return;
    char what[160];
    t->refused_items++;
    (void)snprintf(what, sizeof(what), "%.*s refused: %s", (int)item->type.len,
                   (const char *)item->type.data, ingest_outcome_text(item->outcome));
    complain(t, path, what, item->detail);
}

static void on_result(void *self, const struct delivery_result *result)
{
    struct tally *t = self;
    if (result->status >= 200 && result->status <= 299) {
        t->requests++;
    } else {
        char what[48];
        (void)snprintf(what, sizeof(what), "answered %d", result->status);
        t->refused_requests++;
        t->unknown_keys += result->status == 401 || result->status == 403;
        complain(t, result->path, what, result->answer);
    }
    for (size_t i = 0; i < result->item_count; i++)
        on_item(t, result->path, &result->items[i]);
}

/* `noun` is one of them; what is counted reads "1 item stored", "2 items stored". */
static void show_count(uint64_t count, const char *noun, const char *what, const char *note)
{
    if (count > 0)
        printf("%10llu %s%s %s%s\n", (unsigned long long)count, noun, plural(count), what, note);
}

static void show_summary(const struct tally *t)
{
    double seconds = seconds_since(t->started_ns);
    printf("%llu request%s accepted, %.1f MB in %.1f s (%.1f MB/s), %llu sample%s\n",
           (unsigned long long)t->requests, plural(t->requests), (double)t->bytes / 1e6, seconds,
           (double)t->bytes / 1e6 / seconds, (unsigned long long)t->samples, plural(t->samples));
    for (int i = 0; i < INGEST_OUTCOME_COUNT; i++)
        show_count(t->outcomes[i], "item", ingest_outcome_text((enum ingest_outcome)i),
                   i == INGEST_STORED ? ", each once: what was there already is replaced" : "");
    show_count(t->refused_requests, "request", "refused", "");
    show_count(t->unreadable_files, "file", "could not be read", "");
    show_count(t->foreign_files, "file",
               t->foreign_files == 1 ? "holds no profiling data" : "hold no profiling data", "");
    show_count(t->undelivered, "file", "not delivered", "");
    show_count(t->skipped, "file", "passed over: nothing to import there", "");
    if (t->unknown_keys > 0)
        (void)fprintf(stderr, "hearth import: the server takes only keys that were added to it: "
                              "--key HEX for files\nthat name none, or `hearth keys add` with "
                              "the key and project that the recording has\n");
}

/* ---- the run ---- */

/* False when the place is broken and nothing more can be given to it. */
static bool import_one(struct tally *t, const struct import_source *source,
                       const struct import_options *options, struct delivery *delivery)
{
    struct import_file file = {0};
    struct errinfo info = {0};
    t->file_count++;
    enum err rc = import_file_open(source, options, &file, &info);
    if (rc != ERR_OK) {
        if (rc == ERR_IO || rc == ERR_NOTFOUND)
            t->unreadable_files++;
        else
            t->foreign_files++;
        complain(t, info.text, "not imported", "");
        return true;
    }
    if (!file.is_envelope || !file.is_profile) {
        if (!source->named) {
            t->skipped++;
        } else {
            t->foreign_files++;
            complain(t, source->path, "not imported",
                     file.is_profile ? "the request is no POST to /api/PROJECT/envelope/"
                                     : "the document has no \"profile\"");
        }
        import_file_close(&file);
        return true;
    }
    t->bytes += file.body.len;
    if (delivery_give(delivery, source->path, &file, &info) != ERR_OK) {
        t->undelivered++;
        complain(t, source->path, "not delivered", info.text);
        return false;
    }
    show_progress(t, false);
    return true;
}

static int import_all(const struct import_command *c, const struct import_list *list,
                      struct delivery *delivery, struct tally *t)
{
    struct errinfo info = {0};
    bool whole = true;
    t->file_total = list->count;
    t->started_ns = clock_steady_ns();
    for (size_t i = 0; i < list->count && whole; i++)
        whole = import_one(t, &list->sources[i], &c->file, delivery);
    if (delivery_flush(delivery, &info) != ERR_OK) {
        (void)fprintf(stderr, "hearth import: %s\n", info.text);
        whole = false;
    }
    show_progress(t, true);
    show_summary(t);
    if (!whole)
        (void)fprintf(stderr, "hearth import: ended after %zu of %zu file%s\n", t->file_count,
                      t->file_total, plural(t->file_total));
    return whole && failed_files(t) + t->refused_requests + t->refused_items == 0 ? 0 : 1;
}

static int fail(const struct errinfo *info)
{
    (void)fprintf(stderr, "hearth import: %s\n", info->text);
    return 1;
}

static int import_run(const struct import_command *c)
{
    struct errinfo info = {0};
    struct import_list list;
    struct place place = {0};
    struct delivery *delivery = NULL;
    struct tally tally = {.progress = !c->quiet && isatty(STDERR_FILENO) == 1};
    enum err rc = ERR_OK;
    import_list_init(&list);
    for (int i = 0; i < c->path_count && rc == ERR_OK; i++)
        rc = import_list_add(&list, c->file.vfs, c->paths[i], &info);
    if (rc == ERR_OK && list.count == 0)
        rc = err_set(&info, ERR_NOTFOUND, "no recorded request, envelope or document in there");
    if (rc == ERR_OK)
        rc = place_open(&c->place, &place, &info);
    if (rc == ERR_OK)
        rc = delivery_create(&place, &tally, on_result, &delivery, &info);
    int status = rc == ERR_OK ? import_all(c, &list, delivery, &tally) : fail(&info);
    delivery_destroy(delivery);
    place_close(&place);
    import_list_close(&list);
    return status;
}

static int refuse(const char *what)
{
    (void)fprintf(stderr, "hearth import: %s\n", what);
    return EXIT_USAGE;
}

/* One flag: FLAGS_GO_ON, or the exit status. */
static int take_option(void *self, int option, const char *value)
{
    struct import_command *c = self;
    struct uuid key;
    switch (option) {
    case 'u': c->place.url = value; return FLAGS_GO_ON;
    case 'd': c->place.data = value; return FLAGS_GO_ON;
    case 'p':
        if (!bytes_to_u64(bytes_of_text(value), &c->file.project_id) || c->file.project_id == 0)
            return refuse("--project: expected a number above 0");
        return FLAGS_GO_ON;
    case 'k':
        if (!uuid_parse(bytes_of_text(value), &key))
            return refuse("--key: expected 32 hexadecimal digits");
        c->file.key = value;
        return FLAGS_GO_ON;
    case 'q': c->quiet = true; return FLAGS_GO_ON;
    case 'h': (void)fputs(usage, stdout); return 0;
    default: (void)fputs(usage, stderr); return EXIT_USAGE;
    }
}

int cmd_import(int argc, char **argv)
{
    static const struct option options[] = {{"url", required_argument, NULL, 'u'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"project", required_argument, NULL, 'p'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct import_command c = {.place = {.may_create = true}, .file = {.vfs = vfs_posix()}};
    int status = flags_read(argc, argv, options, &c, take_option);
    if (status != FLAGS_GO_ON)
        return status;
    c.paths = argv + optind;
    c.path_count = argc - optind;
    if (c.path_count == 0)
        return refuse("expected a file or folder to import, see --help");
    if (c.place.url != NULL && c.place.data != NULL)
        return refuse("--url and --data exclude each other");
    return import_run(&c);
}
