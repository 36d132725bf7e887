/* cmd_compact.c - hearth compact: a folder that no server holds, into as few segments as may be. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api/config.h"
#include "api/main/command.h"
#include "api/main/flags.h"
#include "base/clock.h"
#include "engine/identity.h"

static const char usage[] =
    "usage: hearth compact --data DIR [--retention-days N] [--quiet]\n"
    "\n"
    "Seals all logs of a data folder and merges the segments of each day, as a server does over\n"
    "time. Segments that are past their retention are removed. No server may hold the folder.\n"
    "\n"
    "  --data DIR           data folder\n"
    "  --retention-days N   of spans and transactions, default 90; profiles say their own\n"
    "  --quiet              no progress line\n"
    "\n"
    "Exit status: 0 done, 1 something failed, 2 wrong usage.\n";

enum { OPTION_DATA = 1, OPTION_RETENTION, OPTION_QUIET, OPTION_HELP };

#define PROGRESS_NS INT64_C(200000000)

struct compact_command {
    const char *data;
    uint64_t retention_days;
    bool quiet;
    uint64_t rows;
    int64_t told_ns;
};

static int take(void *self, int option, const char *value)
{
    struct compact_command *c = self;
    switch (option) {
    case OPTION_DATA: c->data = value; return FLAGS_GO_ON;
    case OPTION_RETENTION:
        if (bytes_to_u64(bytes_of_text(value), &c->retention_days) && c->retention_days > 0 &&
            c->retention_days <= RETENTION_DAYS_MAX)
            return FLAGS_GO_ON;
        (void)fprintf(stderr, "hearth compact: --retention-days %s: expected 1 to %d\n", value,
                      RETENTION_DAYS_MAX);
        return EXIT_USAGE;
    case OPTION_QUIET: c->quiet = true; return FLAGS_GO_ON;
    case OPTION_HELP: (void)fputs(usage, stdout); return 0;
    default: (void)fputs(usage, stderr); return EXIT_USAGE;
    }
}

static bool on_row(void *self)
{
    struct compact_command *c = self;
    int64_t now_ns = clock_steady_ns();
    c->rows++;
    if (!c->quiet && now_ns - c->told_ns > PROGRESS_NS) {
        (void)fprintf(stderr, "\r%" PRIu64 " rows", c->rows);
        c->told_ns = now_ns;
    }
    return true;
}

static enum err compact(struct compact_command *c, struct store *store, struct errinfo *info)
{
    struct store_upkeep piece = {.everything = true, .self = c, .keep_going = on_row};
    bool did = true;
    while (did)
        TRY(store_upkeep(store, &piece, &did, info));
    return ERR_OK;
}

static void tell(const struct store_stats *before, const struct store_stats *after)
{
    (void)printf("%" PRIu64 " rows: %" PRIu64 " bytes in %" PRIu64 " logs and %" PRIu64
                 " segments before, %" PRIu64 " bytes in %" PRIu64 " segments now\n",
                 after->rows, before->disk_bytes, before->log_count, before->segment_count,
                 after->segment_bytes, after->segment_count);
    if (after->dropped_rows > 0)
        (void)printf("%" PRIu64 " rows were past their retention\n", after->dropped_rows);
    if (after->segments_aside > 0)
        (void)printf("%" PRIu64 " damaged segments were left as they are\n", after->segments_aside);
}

static enum err run(struct compact_command *c, struct errinfo *info)
{
    struct store_options options = {.vfs = vfs_posix(),
                                    .dir = c->data,
                                    .must_exist = true,
                                    .retention_days = (uint32_t)c->retention_days,
                                    .frame_rules = &engine_frame_rules};
    struct store *store = NULL;
    struct store_stats before;
    struct store_stats after;
    TRY(store_open(&options, &store, info));
    store_get_stats(store, &before);
    enum err rc = compact(c, store, info);
    store_get_stats(store, &after);
    store_close(store);
    if (!c->quiet && c->told_ns != 0)
        (void)fputs("\r", stderr);
    if (rc == ERR_OK)
        tell(&before, &after);
    return rc;
}

int cmd_compact(int argc, char **argv)
{
    static const struct option options[] = {
        {"data", required_argument, NULL, OPTION_DATA},
        {"retention-days", required_argument, NULL, OPTION_RETENTION},
        {"quiet", no_argument, NULL, OPTION_QUIET},
        {"help", no_argument, NULL, OPTION_HELP},
        {0}};
    struct compact_command c = {.retention_days = RETENTION_DAYS_DEFAULT};
    struct errinfo info = {{0}};
    int status = flags_read(argc, argv, options, &c, take);
    if (status != FLAGS_GO_ON)
        return status;
    if (c.data == NULL || optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    c.quiet = c.quiet || !isatty(STDERR_FILENO);
    enum err rc = run(&c, &info);
    if (rc != ERR_OK)
        (void)fprintf(stderr, "hearth compact: %s\n",
                      info.text[0] != '\0' ? info.text : err_text(rc));
    return rc == ERR_OK ? 0 : 1;
}
