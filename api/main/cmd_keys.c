/* cmd_keys.c - hearth keys add|list|revoke: who may send to which project. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#include "api/main/command.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "engine/keyring.h"

static const char usage[] =
    "usage: hearth keys add --project N [--key HEX] [--organization O] [--data "
    "DIR]\n"
    "       hearth keys list [--data DIR]\n"
    "       hearth keys revoke --key HEX [--data DIR]\n"
    "\n"
    "Changes the keys of a data folder; a running server sees it within a "
    "second.\n"
    "\n"
    "  --project N        project the key may write to\n"
    "  --key HEX          32 hexadecimal digits; made up at random when left "
    "out\n"
    "  --organization O   organization of the project, default 1\n"
    "  --data DIR         data folder, default $HEARTH_DATA or ./data\n";

enum { OPTION_PROJECT = 1, OPTION_KEY, OPTION_ORGANIZATION, OPTION_DATA, OPTION_HELP };

struct keys_command {
    uint64_t project_id;
    uint64_t organization_id;
    struct uuid key;
    bool has_project;
    bool has_key;
    bool help;
    const char *data;
};

static int wrong(const char *what)
{
    (void)fprintf(stderr, "hearth keys: %s\n\n%s", what, usage);
    return EXIT_USAGE;
}

static const char *parse_option(struct keys_command *k, int option)
{
    switch (option) {
    case OPTION_PROJECT:
        k->has_project = bytes_to_u64(bytes_of_text(optarg), &k->project_id) && k->project_id > 0;
        return k->has_project ? NULL : "--project: expected a number above 0";
    case OPTION_KEY:
        k->has_key = strlen(optarg) == UUID_TEXT_SIZE && uuid_parse(bytes_of_text(optarg), &k->key);
        return k->has_key ? NULL : "--key: expected 32 hexadecimal digits";
    case OPTION_ORGANIZATION:
        return bytes_to_u64(bytes_of_text(optarg), &k->organization_id)
                   ? NULL
                   : "--organization: expected a number";
    case OPTION_DATA: k->data = optarg; return NULL;
    case OPTION_HELP: k->help = true; return NULL;
    default: return "unknown option, or one without its value";
    }
}

static const char *parse(struct keys_command *k, int argc, char **argv)
{
    static const struct option options[] = {
        {"project", required_argument, NULL, OPTION_PROJECT},
        {"key", required_argument, NULL, OPTION_KEY},
        {"organization", required_argument, NULL, OPTION_ORGANIZATION},
        {"data", required_argument, NULL, OPTION_DATA},
        {"help", no_argument, NULL, OPTION_HELP},
        {0}};
    int option;
    optind = 1;
    opterr = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char *problem = parse_option(k, option);
        if (problem != NULL)
            return problem;
    }
    return optind < argc ? "unexpected argument" : NULL;
}

static enum err on_name(void *self, const char *name)
{
    (void)self;
    (void)name;
    return ERR_CANCELED; /* it lists: that is all there is to know */
}

/* ERR_NOTFOUND when there is no such folder. */
static enum err find_folder(const char *path, struct errinfo *info)
{
    struct vfs *vfs = vfs_posix();
    enum err rc = vfs->list(vfs, path, NULL, on_name, info);
    return rc == ERR_CANCELED ? ERR_OK : rc;
}

static enum err add(const struct keys_command *k, struct errinfo *info)
{
    struct vfs *vfs = vfs_posix();
    char text[UUID_TEXT_SIZE + 1];
    struct keyring_entry entry = {.key = k->has_key ? k->key : uuid_random(),
                                  .project_id = k->project_id,
                                  .organization_id = k->organization_id,
                                  .created_ns = clock_wall_ns()};
    bool is_new = find_folder(k->data, NULL) == ERR_NOTFOUND;
    TRY(vfs->make_dir(vfs, k->data, info));
    if (is_new) /* perhaps a slip of the pen */
        (void)fprintf(stderr, "hearth keys: made the data folder %s\n", k->data);
    TRY(keyring_add(vfs, k->data, &entry, info));
    uuid_print(entry.key, text);
    (void)printf("%s project=%" PRIu64 "\n", text, k->project_id);
    return ERR_OK;
}

static enum err revoke(const struct keys_command *k, struct errinfo *info)
{
    TRY(find_folder(k->data, info));
    return keyring_revoke(vfs_posix(), k->data, k->key, clock_wall_ns(), info);
}

static enum err list(const struct keys_command *k, struct errinfo *info)
{
    struct keyring *keys = NULL;
    TRY(find_folder(k->data, info));
    TRY(keyring_load(vfs_posix(), k->data, &keys, info));
    for (size_t i = 0; i < keyring_count(keys); i++) {
        const struct keyring_entry *e = keyring_entry(keys, i);
        char key[UUID_TEXT_SIZE + 1];
        char created[TIMESTAMP_TEXT_SIZE];
        char revoked[TIMESTAMP_TEXT_SIZE];
        uuid_print(e->key, key);
        size_t len = timestamp_print_rfc3339(e->created_ns, created);
        (void)printf("%s project=%" PRIu64 " organization=%" PRIu64 " created=%.*s", key,
                     e->project_id, e->organization_id, (int)len, created);
        if (e->revoked_ns != 0) {
            len = timestamp_print_rfc3339(e->revoked_ns, revoked);
            (void)printf(" revoked=%.*s", (int)len, revoked);
        }
        (void)printf("%s\n", e->initial ? " initial" : "");
    }
    keyring_destroy(keys);
    return ERR_OK;
}

int cmd_keys(int argc, char **argv)
{
    const char *data = getenv("HEARTH_DATA"); /* NOLINT(concurrency-mt-unsafe): one thread */
    struct keys_command k = {.organization_id = 1, .data = data != NULL ? data : "data"};
    struct errinfo info = {{0}};
    enum err rc = ERR_OK;
    const char *verb = argc > 1 ? argv[1] : "--help";
    if (strcmp(verb, "--help") == 0) {
        (void)fputs(usage, argc > 1 ? stdout : stderr);
        return argc > 1 ? 0 : EXIT_USAGE;
    }
    const char *problem = parse(&k, argc - 1, argv + 1);
    if (problem != NULL)
        return wrong(problem);
    if (k.help) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (strcmp(verb, "add") == 0) {
        if (!k.has_project)
            return wrong("add needs --project N");
        rc = add(&k, &info);
    } else if (strcmp(verb, "list") == 0) {
        rc = list(&k, &info);
    } else if (strcmp(verb, "revoke") == 0) {
        if (!k.has_key)
            return wrong("revoke needs --key HEX");
        rc = revoke(&k, &info);
    } else {
        return wrong("expected add, list or revoke");
    }
    if (rc == ERR_OK)
        return 0;
    (void)fprintf(stderr, "hearth keys: %s\n", info.text[0] != '\0' ? info.text : err_text(rc));
    return 1;
}
