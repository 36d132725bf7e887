/* cmd_check.c - hearth check: is everything in a data folder what was put there? */
#include <inttypes.h>
#include <stdio.h>

#include "api/main/command.h"
#include "api/main/flags.h"
#include "api/main/progress_bar.h"
#include "base/json_writer.h"
#include "storage/check.h"

static const char usage[] =
    "usage: hearth check --data DIR [--json] [--quiet]\n"
    "\n"
    "Reads a data folder in full: every checksum, every row and link, and what the files say of\n"
    "each other. Nothing is changed, also what the next start would mend: that is said as a note.\n"
    "No server may hold the folder; while one does, `hearth backup` makes a copy to check.\n"
    "\n"
    "  --data DIR   data folder\n"
    "  --json       one object with every file and what is wrong with it\n"
    "  --quiet      only what is wrong: no progress, no notes, no summary\n"
    "\n"
    "Exit status: 0 all good, 1 damage was found or the folder could not be read, 2 wrong usage.\n";

enum { OPTION_DATA = 1, OPTION_JSON, OPTION_QUIET, OPTION_HELP };

struct check_command {
    const char *data;
    bool json;
    bool quiet;
    struct progress_bar progress;
    struct buffer text; /* of --json */
    struct json_writer writer;
};

static int take(void *self, int option, const char *value)
{
    struct check_command *c = self;
    switch (option) {
    case OPTION_DATA: c->data = value; return FLAGS_GO_ON;
    case OPTION_JSON: c->json = true; return FLAGS_GO_ON;
    case OPTION_QUIET: c->quiet = true; return FLAGS_GO_ON;
    case OPTION_HELP: (void)fputs(usage, stdout); return 0;
    default: (void)fputs(usage, stderr); return EXIT_USAGE;
    }
}

static bool on_progress(void *self, uint64_t bytes_done, uint64_t bytes_total)
{
    struct check_command *c = self;
    progress_bar_show(&c->progress, bytes_done, bytes_total);
    return true;
}

/* ---- for people ---- */

static void print_file(struct check_command *c, const struct check_file *f)
{
    progress_bar_clear(&c->progress);
    for (size_t i = 0; i < f->problem_count; i++) {
        const struct check_problem *p = &f->problems[i];
        if (p->severity == CHECK_DAMAGE || !c->quiet)
            (void)printf("%s: %s%s\n", f->name, p->severity == CHECK_NOTE ? "(note) " : "",
                         p->what.text);
    }
    if (f->more_problems > 0)
        (void)printf("%s: and %" PRIu64 " more\n", f->name, f->more_problems);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_summary(const struct check_result *r)
{
    (void)printf(
        "%" PRIu64 " file%s, %" PRIu64 " bytes, %" PRIu64 " profile%s, %" PRIu64 " link%s: ",
        r->files, plural(r->files), r->bytes, r->rows, plural(r->rows), r->links, plural(r->links));
    if (r->damaged_files == 0)
        (void)printf("all good\n");
    else
        (void)printf("damage in %" PRIu64 " file%s\n", r->damaged_files, plural(r->damaged_files));
}

/* ---- for programs ---- */

static void write_number(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

static void write_text(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_text(w, value);
}

static void write_problems(struct json_writer *w, const struct check_file *f)
{
    json_key(w, "problems");
    json_begin_array(w);
    for (size_t i = 0; i < f->problem_count; i++) {
        json_begin_object(w);
        write_text(w, "severity", f->problems[i].severity == CHECK_NOTE ? "note" : "damage");
        write_text(w, "what", f->problems[i].what.text);
        json_end_object(w);
    }
    json_end_array(w);
    if (f->more_problems > 0)
        write_number(w, "more_problems", f->more_problems);
}

static void write_file(struct json_writer *w, const struct check_file *f)
{
    json_begin_object(w);
    write_text(w, "name", f->name);
    write_text(w, "kind", check_kind_text(f->kind));
    write_number(w, "bytes", f->bytes);
    write_number(w, "rows", f->rows);
    write_number(w, "links", f->links);
    json_key(w, "missing");
    json_bool(w, f->missing);
    write_problems(w, f);
    json_end_object(w);
}

/* The list of files ends, and the object. */
static void write_end(struct json_writer *w, const struct check_result *r, const char *error)
{
    json_end_array(w);
    write_number(w, "bytes", r->bytes);
    write_number(w, "rows", r->rows);
    write_number(w, "links", r->links);
    write_number(w, "damaged_files", r->damaged_files);
    write_number(w, "notes", r->notes);
    if (error != NULL)
        write_text(w, "error", error);
    json_key(w, "ok");
    json_bool(w, error == NULL && r->damaged_files == 0);
    json_end_object(w);
}

static void on_file(void *self, const struct check_file *file)
{
    struct check_command *c = self;
    if (c->json)
        write_file(&c->writer, file);
    else
        print_file(c, file);
}

/* ---- the run ---- */

static void begin_json(struct check_command *c)
{
    buffer_init(&c->text, CHECK_NAMES_MAX * 4, NULL);
    json_writer_init(&c->writer, &c->text);
    json_begin_object(&c->writer);
    write_text(&c->writer, "data", c->data);
    json_key(&c->writer, "files");
    json_begin_array(&c->writer);
}

static bool end_json(struct check_command *c, const struct check_result *r, const char *error)
{
    write_end(&c->writer, r, error);
    bool whole = c->text.failed == ERR_OK;
    if (whole)
        whole =
            fwrite(c->text.data, 1, c->text.len, stdout) == c->text.len && putchar('\n') == '\n';
    else
        (void)fprintf(stderr, "hearth check: the answer is too long\n");
    buffer_close(&c->text);
    return whole;
}

static void complain(enum err rc, const struct errinfo *info)
{
    (void)fprintf(stderr, "hearth check: %s\n", info->text[0] != '\0' ? info->text : err_text(rc));
    if (rc == ERR_BUSY)
        (void)fprintf(stderr, "hearth check: `hearth backup --data DIR TARGET` makes a copy beside "
                              "a running server, which can be checked\n");
}

static int run(struct check_command *c)
{
    struct check_options options = {.vfs = vfs_posix(),
                                    .dir = c->data,
                                    .self = c,
                                    .on_file = on_file,
                                    .on_progress = on_progress};
    struct check_result result = {0};
    struct errinfo info = {{0}};
    bool whole = true;
    c->progress = progress_bar_begin(c->quiet);
    if (c->json)
        begin_json(c);
    enum err rc = check_run(&options, &result, &info);
    progress_bar_clear(&c->progress);
    if (rc != ERR_OK)
        complain(rc, &info);
    if (c->json)
        whole = end_json(c, &result, rc == ERR_OK ? NULL : info.text);
    else if (rc == ERR_OK && !c->quiet)
        print_summary(&result);
    return rc == ERR_OK && whole && result.damaged_files == 0 ? 0 : 1;
}

int cmd_check(int argc, char **argv)
{
    static const struct option options[] = {{"data", required_argument, NULL, OPTION_DATA},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"quiet", no_argument, NULL, OPTION_QUIET},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {0}};
    struct check_command c = {0};
    int status = flags_read(argc, argv, options, &c, take);
    if (status != FLAGS_GO_ON)
        return status;
    if (c.data == NULL || optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return run(&c);
}
