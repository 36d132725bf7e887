#include "api/config.h"

#include <stdlib.h>
#include <unistd.h>

#include <getopt.h>

#include "base/size.h"

const char config_usage[] =
    "usage: hearth serve [OPTIONS]\n"
    "\n"
    "Takes profiles from Sentry SDKs, keeps them, and answers for them.\n"
    "\n"
    "  --listen HOST:PORT   where to listen, default 127.0.0.1:1218; may be repeated (4 at most)\n"
    "  --data DIR           data folder, default ./data; made when missing\n"
    "  --durability HOW     batch: a 200 means that the bytes are on the device (default);\n"
    "                       interval: synced about once a second; none: when the kernel likes\n"
    "  --threads N          event loops, default one a core\n"
    "  --memory-max SIZE    ceiling of anonymous memory, default 256M\n"
    "  --strict-keys        only keys added by `hearth keys add`, also on a loopback address\n"
    "  --retention-days N   how long profiles are kept after they end, or came; default 90\n"
    "  --disk-max SIZE      ceiling of the data folder, default 80%: beyond, the oldest segments are\n"
    "                       removed. A size like 20G, or a share of what is free or hearth's\n"
    "  --log-size SIZE      a log is closed and sealed into segments beyond this; default 64M\n"
    "  --log-level LEVEL    debug, info (default), warn, error, none\n"
    "\n"
    "Every option can be given as an environment variable: HEARTH_LISTEN, HEARTH_DATA,\n"
    "HEARTH_DURABILITY, HEARTH_THREADS, HEARTH_MEMORY_MAX, HEARTH_STRICT_KEYS (1),\n"
    "HEARTH_RETENTION_DAYS, HEARTH_DISK_MAX, HEARTH_LOG_SIZE, HEARTH_LOG_LEVEL.\n";

struct setting {
    const char *flag; /* as getopt knows it */
    const char *variable;
    enum err (*set)(struct config *c, const char *text, struct errinfo *info);
};

static enum err set_listen(struct config *c, const char *text, struct errinfo *info)
{
    if (c->listen_count == LISTEN_COUNT_MAX)
        return err_set(info, ERR_LIMIT, "--listen: at most %d addresses", LISTEN_COUNT_MAX);
    c->listen_text[c->listen_count] = text;
    TRY(listen_address_parse(text, &c->listen[c->listen_count], info));
    c->listen_count++;
    return ERR_OK;
}

static enum err set_data(struct config *c, const char *text, struct errinfo *info)
{
    if (text[0] == '\0')
        return err_set(info, ERR_MALFORMED, "--data: expected a folder");
    c->data = text;
    return ERR_OK;
}

const char *durability_name(enum durability d)
{
    static const char *const names[] = {"batch", "interval", "none"};
    return names[d];
}

static enum err set_durability(struct config *c, const char *text, struct errinfo *info)
{
    for (unsigned d = DURABILITY_BATCH; d <= DURABILITY_NONE; d++)
        if (bytes_equal(bytes_of_text(text), bytes_of_text(durability_name((enum durability)d)))) {
            c->durability = (enum durability)d;
            return ERR_OK;
        }
    return err_set(info, ERR_MALFORMED, "--durability %s: expected batch, interval or none", text);
}

static enum err parse_range(const char *flag, const char *text, uint64_t min, uint64_t max,
                            uint64_t *ret, struct errinfo *info)
{
    if (!bytes_to_u64(bytes_of_text(text), ret) || *ret < min || *ret > max)
        return err_set(info, ERR_MALFORMED, "%s %s: expected a number from %llu to %llu", flag,
                       text, (unsigned long long)min, (unsigned long long)max);
    return ERR_OK;
}

static enum err set_threads(struct config *c, const char *text, struct errinfo *info)
{
    uint64_t n = 0;
    TRY(parse_range("--threads", text, 1, THREAD_COUNT_MAX, &n, info));
    c->thread_count = (unsigned)n;
    return ERR_OK;
}

bool config_parse_size(struct bytes text, size_t *ret)
{
    static const char units[] = "KMG";
    size_t unit = 1;
    if (text.len > 0 && (text.data[text.len - 1] | 0x20) == 'b')
        text.len--;
    if (text.len > 0)
        for (unsigned i = 0; i < 3; i++)
            if ((text.data[text.len - 1] & ~0x20) == units[i]) {
                unit = (size_t)1 << (10 * (i + 1));
                text.len--;
                break;
            }
    uint64_t n = 0;
    return bytes_to_u64(text, &n) && size_mul(n, unit, ret);
}

/* Bytes of memory, 0 where the system does not say. */
static size_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_size = sysconf(_SC_PAGESIZE);
    size_t size;
    return pages > 0 && page_size > 0 && size_mul((size_t)pages, (size_t)page_size, &size) ? size
                                                                                           : 0;
}

static enum err set_memory_max(struct config *c, const char *text, struct errinfo *info)
{
    if (!config_parse_size(bytes_of_text(text), &c->memory_max) || c->memory_max < MEMORY_MAX_MIN)
        return err_set(info, ERR_MALFORMED,
                       "--memory-max %s: expected a size like 256M, at least %zuM", text,
                       MEMORY_MAX_MIN >> 20);
    size_t machine = machine_memory();
    if (machine > 0 && c->memory_max > machine)
        return err_set(info, ERR_MALFORMED, "--memory-max %s: this machine has %zuM", text,
                       machine >> 20);
    return ERR_OK;
}

static enum err set_strict_keys(struct config *c, const char *text, struct errinfo *info)
{
    struct bytes t = bytes_of_text(text);
    if (!bytes_equal(t, BYTES("1")) && !bytes_equal(t, BYTES("0")))
        return err_set(info, ERR_MALFORMED, "HEARTH_STRICT_KEYS=%s: expected 1 or 0", text);
    c->strict_keys = t.data[0] == '1';
    return ERR_OK;
}

static enum err set_retention_days(struct config *c, const char *text, struct errinfo *info)
{
    uint64_t n = 0;
    TRY(parse_range("--retention-days", text, 1, RETENTION_DAYS_MAX, &n, info));
    c->retention_days = (uint32_t)n;
    return ERR_OK;
}

/* "20G" or "80%" */
static enum err set_disk_max(struct config *c, const char *text, struct errinfo *info)
{
    struct bytes t = bytes_of_text(text);
    uint64_t percent = 0;
    c->disk_max = 0;
    if (bytes_ends_with(t, BYTES("%")) && bytes_to_u64(bytes_first(t, t.len - 1), &percent) &&
        percent >= 1 && percent <= 100) {
        c->disk_percent = (unsigned)percent;
        return ERR_OK;
    }
    if (config_parse_size(t, &c->disk_max) && c->disk_max >= DISK_MAX_MIN)
        return ERR_OK;
    return err_set(info, ERR_MALFORMED,
                   "--disk-max %s: expected a size like 20G, at least %zuM, or 1%% to 100%%", text,
                   DISK_MAX_MIN >> 20);
}

static enum err set_log_size(struct config *c, const char *text, struct errinfo *info)
{
    if (config_parse_size(bytes_of_text(text), &c->log_size) && c->log_size > 0 &&
        c->log_size <= LOG_SIZE_MAX)
        return ERR_OK;
    return err_set(info, ERR_MALFORMED, "--log-size %s: expected a size like 64M, at most %zuM",
                   text, LOG_SIZE_MAX >> 20);
}

static enum err set_log_level(struct config *c, const char *text, struct errinfo *info)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "none"};
    for (unsigned i = 0; i < 5; i++)
        if (bytes_equal(bytes_of_text(text), bytes_of_text(names[i]))) {
            c->log_level = (enum log_level)i;
            return ERR_OK;
        }
    return err_set(info, ERR_MALFORMED, "--log-level %s: expected debug, info, warn, error or none",
                   text);
}

static const struct setting settings[] = {
    {"listen", "HEARTH_LISTEN", set_listen},
    {"data", "HEARTH_DATA", set_data},
    {"durability", "HEARTH_DURABILITY", set_durability},
    {"threads", "HEARTH_THREADS", set_threads},
    {"memory-max", "HEARTH_MEMORY_MAX", set_memory_max},
    {"strict-keys", "HEARTH_STRICT_KEYS", set_strict_keys},
    {"retention-days", "HEARTH_RETENTION_DAYS", set_retention_days},
    {"disk-max", "HEARTH_DISK_MAX", set_disk_max},
    {"log-size", "HEARTH_LOG_SIZE", set_log_size},
    {"log-level", "HEARTH_LOG_LEVEL", set_log_level},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))
#define OPTION_HELP   ((int)SETTING_COUNT + 1)

/* Ours, though serve does not read them: the other commands' and those of scripts and tests. */
static const char *const other_variables[] = {
    "HEARTH_URL",     "HEARTH_PROJECT",    "HEARTH_PROFILER", "HEARTH_PROFILE",
    "HEARTH_START",   "HEARTH_END",        "HEARTH_THREAD",   "HEARTH_ENVIRONMENT",
    "HEARTH_RELEASE", "HEARTH_PLATFORM",   "HEARTH_TRACE",    "HEARTH_TRANSACTION",
    "HEARTH_LIMIT",   "HEARTH_BY",         "HEARTH_JSON",     "HEARTH_FORMAT",
    "HEARTH_OUTPUT",  "HEARTH_KEY",        "HEARTH_QUIET",    "HEARTH_SEED",
    "HEARTH_SHARED",  "HEARTH_TEST_SCALE", "HEARTH_PLAIN",
};

static bool is_known_variable(struct bytes name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (bytes_equal(name, bytes_of_text(settings[i].variable)))
            return true;
    for (size_t i = 0; i < sizeof(other_variables) / sizeof(other_variables[0]); i++)
        if (bytes_equal(name, bytes_of_text(other_variables[i])))
            return true;
    return false;
}

struct bytes config_unknown_variable(const char *const *environment, size_t *at)
{
    for (; environment[*at] != NULL; (*at)++) {
        struct bytes text = bytes_of_text(environment[*at]);
        struct bytes name = bytes_first(text, bytes_find_byte(text, '='));
        if (!bytes_starts_with(name, BYTES("HEARTH_")) || is_known_variable(name))
            continue;
        (*at)++;
        return name;
    }
    return (struct bytes){0};
}

static enum err from_environment(struct config *c, const bool given[], struct errinfo *info)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *text =
            getenv(settings[i].variable); /* NOLINT(concurrency-mt-unsafe): at start */
        if (text != NULL && !given[i])
            TRY(settings[i].set(c, text, info));
    }
    return ERR_OK;
}

static enum err finish(struct config *c, struct errinfo *info)
{
    if (c->listen_count == 0)
        TRY(set_listen(c, "127.0.0.1:1218", info));
    c->loopback = true;
    for (size_t i = 0; i < c->listen_count; i++)
        c->loopback &= listen_address_is_loopback(&c->listen[i]);
    if (c->thread_count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        c->thread_count = cores < 1                  ? 1
                          : cores > THREAD_COUNT_MAX ? THREAD_COUNT_MAX
                                                     : (unsigned)cores;
    }
    return ERR_OK;
}

enum config_outcome config_parse(int argc, char **argv, struct config *ret, struct errinfo *info)
{
    struct option options[SETTING_COUNT + 2] = {0};
    bool given[SETTING_COUNT] = {0};
    struct config c = {.data = "data",
                       .memory_max = MEMORY_MAX_DEFAULT,
                       .retention_days = RETENTION_DAYS_DEFAULT,
                       .disk_percent = DISK_PERCENT_DEFAULT,
                       .log_size = LOG_SIZE_DEFAULT,
                       .log_level = LOG_INFO};
    for (size_t i = 0; i < SETTING_COUNT; i++)
        options[i] = (struct option){settings[i].flag, required_argument, NULL, (int)i + 1};
    options[5].has_arg = no_argument; /* --strict-keys */
    options[SETTING_COUNT] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    optind = 1;
    opterr = 0;
    int option;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return CONFIG_HELP;
        if (option < 1 || option > (int)SETTING_COUNT) {
            (void)err_set(info, ERR_MALFORMED, "%s: unknown, or without its value",
                          argv[optind - 1]);
            return CONFIG_WRONG;
        }
        given[option - 1] = true;
        if (settings[option - 1].set(&c, optarg == NULL ? "1" : optarg, info) != ERR_OK)
            return CONFIG_WRONG;
    }
    if (optind < argc) {
        (void)err_set(info, ERR_MALFORMED, "unexpected argument '%s'", argv[optind]);
        return CONFIG_WRONG;
    }
    if (from_environment(&c, given, info) != ERR_OK || finish(&c, info) != ERR_OK)
        return CONFIG_WRONG;
    *ret = c;
    return CONFIG_READY;
}
