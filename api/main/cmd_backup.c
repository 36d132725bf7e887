/* cmd_backup.c - hearth backup: a copy of a data folder, also while a server writes to it. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "api/main/command.h"
#include "api/main/flags.h"
#include "api/main/progress_bar.h"
#include "storage/backup.h"

static const char usage[] =
    "usage: hearth backup --data DIR [--copy] [--quiet] TARGET\n"
    "\n"
    "Puts everything that was acknowledged before it began into the folder TARGET, which is made or\n"
    "has to be empty. A server may go on writing to DIR meanwhile; it notices nothing. Sealed files\n"
    "get a second name in TARGET where both are on one file system: the same bytes, no room taken.\n"
    "To restore, start a server on TARGET, or on a copy of it.\n"
    "\n"
    "  --data DIR   data folder\n"
    "  --copy       copy sealed files too\n"
    "  --quiet      no progress and no summary\n"
    "\n"
    "Exit status: 0 the copy is whole, 1 something failed or was missing in DIR, 2 wrong usage.\n";

enum { OPTION_DATA = 1, OPTION_COPY, OPTION_QUIET, OPTION_HELP };

struct backup_command {
    const char *data;
    const char *target;
    bool copy;
    bool quiet;
    struct progress_bar progress;
};

static int take(void *self, int option, const char *value)
{
    struct backup_command *c = self;
    switch (option) {
    case OPTION_DATA: c->data = value; return FLAGS_GO_ON;
    case OPTION_COPY: c->copy = true; return FLAGS_GO_ON;
    case OPTION_QUIET: c->quiet = true; return FLAGS_GO_ON;
    case OPTION_HELP: (void)fputs(usage, stdout); return 0;
    default: (void)fputs(usage, stderr); return EXIT_USAGE;
    }
}

static bool on_progress(void *self, uint64_t bytes_done, uint64_t bytes_total)
{
    struct backup_command *c = self;
    progress_bar_show(&c->progress, bytes_done, bytes_total);
    return true;
}

/* Where nothing can be linked, a sealed file is open until it is copied. */
static void allow_many_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void tell(const struct backup_command *c, const struct backup_result *r)
{
    if (!c->quiet)
        (void)printf("%s: %" PRIu64 " bytes, %" PRIu64 " segments linked, %" PRIu64
                     " copied, %" PRIu64 " logs copied\n",
                     c->target, r->bytes, r->linked, r->copied, r->logs);
    if (r->missing > 0)
        (void)fprintf(stderr,
                      "hearth backup: %" PRIu64 " segments are missing in %s, and so in the copy: "
                      "`hearth check --data %s` names them\n",
                      r->missing, c->data, c->target);
}

static int run(struct backup_command *c)
{
    struct backup_options options = {.vfs = vfs_posix(),
                                     .from = c->data,
                                     .to = c->target,
                                     .copy = c->copy,
                                     .self = c,
                                     .on_progress = on_progress};
    struct backup_result result = {0};
    struct errinfo info = {{0}};
    allow_many_files();
    c->progress = progress_bar_begin(c->quiet);
    enum err rc = backup_run(&options, &result, &info);
    progress_bar_clear(&c->progress);
    if (rc == ERR_OK)
        tell(c, &result);
    else
        (void)fprintf(stderr, "hearth backup: %s\n",
                      info.text[0] != '\0' ? info.text : err_text(rc));
    return rc == ERR_OK && result.missing == 0 ? 0 : 1;
}

int cmd_backup(int argc, char **argv)
{
    static const struct option options[] = {{"data", required_argument, NULL, OPTION_DATA},
                                            {"copy", no_argument, NULL, OPTION_COPY},
                                            {"quiet", no_argument, NULL, OPTION_QUIET},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {0}};
    struct backup_command c = {0};
    int status = flags_read(argc, argv, options, &c, take);
    if (status != FLAGS_GO_ON)
        return status;
    if (c.data == NULL || optind + 1 != argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    c.target = argv[optind];
    return run(&c);
}
