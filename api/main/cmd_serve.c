/* cmd_serve.c - hearth serve: wiring, start, signals, an orderly end. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <malloc.h>

#include "api/admission.h"
#include "api/app.h"
#include "api/append_strand.h"
#include "api/config.h"
#include "api/job.h"
#include "api/key_watch.h"
#include "api/main/command.h"
#include "api/metrics.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/upkeep.h"
#include "base/clock.h"
#include "base/size.h"
#include "engine/identity.h"

#define PROJECT_FIRST      1
#define INTERVAL_SYNC_MS   1000
#define TRIM_EVERY         4                    /* key polls */
#define REFUSED_EVERY_NS   INT64_C(60000000000) /* a line about refused uploads, at most */
#define VARIABLE_SHOWN_MAX 100

struct serve {
    struct config config;
    struct mem_budget budget;
    struct metrics *metrics;
    struct key_watch *keys;
    struct app app;
    struct upkeep *upkeep;
    struct server *server;
    uv_loop_t loop; /* of the main thread: signals and chores; it serves nobody */
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t chores;
    struct job wait;
    unsigned chore_count;
    uint64_t refused_told; /* METRIC_AUTH_REFUSED when it was last logged */
    int64_t refused_told_ns;
    bool draining;
};

/* Keep what malloc holds back small and bounded: big blocks are mapped and go
 * at once, few arenas, the top is trimmed. Files: as many as we may. */
static void prepare_process(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): before the first thread */
    (void)mallopt(M_MMAP_THRESHOLD, (int)KIB(128));
    (void)mallopt(M_TRIM_THRESHOLD, (int)KIB(256));
    (void)mallopt(M_ARENA_MAX, 2);
    /* NOLINTEND(concurrency-mt-unsafe) */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that left is an error code */
}

static const char *keys_in_words(const struct config *c)
{
    if (c->strict_keys)
        return "only those added (--strict-keys)";
    if (!c->loopback)
        return "only those added (the address is not loopback)";
    return "any, from this machine, until the first is added";
}

#define WORDS_SIZE 48

static const char *disk_max_in_words(const struct config *c, char words[WORDS_SIZE])
{
    if (c->disk_max != 0)
        (void)snprintf(words, WORDS_SIZE, "%zuM", c->disk_max >> 20);
    else
        (void)snprintf(words, WORDS_SIZE, "%u%% of what is free or ours", c->disk_percent);
    return words;
}

static void print_config(const struct config *c)
{
    char disk[WORDS_SIZE];
    (void)printf("hearth %s\n", HEARTH_VERSION);
    for (size_t i = 0; i < c->listen_count; i++)
        (void)printf("  listen          %s\n", c->listen_text[i]);
    (void)printf("  data            %s\n"
                 "  durability      %s\n"
                 "  threads         %u\n"
                 "  memory-max      %zuM\n"
                 "  keys            %s\n"
                 "  retention-days  %u\n"
                 "  disk-max        %s\n",
                 c->data, durability_name(c->durability), c->thread_count, c->memory_max >> 20,
                 keys_in_words(c), (unsigned)c->retention_days, disk_max_in_words(c, disk));
    (void)fflush(stdout);
}

/* The first start makes a key for project 1. */
static enum err ensure_first_key(struct serve *s, struct errinfo *info)
{
    struct keyring *keys = NULL;
    TRY(keyring_load(s->app.vfs, s->config.data, &keys, info));
    size_t count = keyring_count(keys);
    keyring_destroy(keys);
    if (count > 0)
        return ERR_OK;
    struct keyring_entry entry = {.key = uuid_random(),
                                  .project_id = PROJECT_FIRST,
                                  .organization_id = 1,
                                  .created_ns = clock_wall_ns(),
                                  .initial = true};
    return keyring_add(s->app.vfs, s->config.data, &entry, info);
}

/* A share of what is free and what is ours already: the same at every start, as long as others take
 * no more of the disk. */
static enum err limit_disk(struct serve *s, struct errinfo *info)
{
    struct store_stats stats;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    if (s->config.disk_max != 0)
        return ERR_OK;
    TRY(s->app.vfs->space(s->app.vfs, s->config.data, &free_bytes, &total_bytes, info));
    store_get_stats(s->app.store, &stats);
    uint64_t ours = (free_bytes + stats.disk_bytes) / 100 * s->config.disk_percent;
    store_set_disk_max(s->app.store, ours);
    return ERR_OK;
}

static enum err open_parts(struct serve *s, struct errinfo *info)
{
    const struct config *c = &s->config;
    s->app.config = c;
    s->app.vfs = vfs_posix();
    mem_budget_init(&s->budget, c->memory_max - MEMORY_OWN);
    s->app.budget = &s->budget;
    TRY(metrics_create(&hearth_routes, &s->metrics));
    s->app.metrics = s->metrics;
    TRY(admission_create(&s->budget, &s->app.admission));
    struct store_options store = {.vfs = s->app.vfs,
                                  .dir = c->data,
                                  .durability = c->durability,
                                  .log_size_max = c->log_size,
                                  .disk_max = c->disk_max,
                                  .retention_days = c->retention_days,
                                  .frame_rules = &engine_frame_rules,
                                  .mem_budget = &s->budget};
    TRY(store_open(&store, &s->app.store, info));
    TRY(limit_disk(s, info));
    TRY(ensure_first_key(s, info));
    TRY(key_watch_create(s->app.vfs, c->data, s->metrics, &s->keys, info));
    s->app.keys = s->keys;
    TRY(upkeep_create(s->app.store, &s->budget, &s->upkeep));
    unsigned interval = c->durability == DURABILITY_INTERVAL ? INTERVAL_SYNC_MS : 0;
    TRY(append_strand_create(s->app.store, s->metrics, interval, &s->app.strand));
    struct server_options options = {.router = &hearth_routes,
                                     .app = &s->app,
                                     .listen = c->listen,
                                     .listen_count = c->listen_count,
                                     .thread_count = c->thread_count};
    return server_start(&options, &s->server, info);
}

/* What has to be on the device is, before this returns. */
static enum err close_parts(struct serve *s)
{
    struct errinfo info = {{0}};
    enum err rc = ERR_OK;
    server_destroy(s->server);
    append_strand_destroy(s->app.strand);
    upkeep_destroy(s->upkeep);
    if (s->app.store != NULL)
        rc = store_sync(s->app.store, &info);
    if (rc != ERR_OK)
        log_error("serve", "last_sync_failed error=\"%s\"", info.text);
    store_close(s->app.store);
    key_watch_destroy(s->keys);
    admission_destroy(s->app.admission);
    metrics_destroy(s->metrics);
    return rc;
}

/* An address that clients on this machine can use: "any address" is none. */
static void print_reachable(const struct listen_address *a, char text[LISTEN_TEXT_SIZE])
{
    listen_address_print(a, text);
    struct bytes shown = bytes_of_text(text);
    if (bytes_starts_with(shown, BYTES("0.0.0.0:")) || bytes_starts_with(shown, BYTES("[::]:")))
        (void)snprintf(text, LISTEN_TEXT_SIZE, "localhost:%u", (unsigned)listen_address_port(a));
}

static void print_warnings(const struct config *c)
{
    size_t at = 0;
    for (;;) {
        struct bytes name = config_unknown_variable((const char *const *)environ, &at);
        if (name.len == 0)
            break;
        (void)fprintf(stderr,
                      "hearth serve: warning: nothing reads the environment variable %.*s\n",
                      (int)size_min(name.len, VARIABLE_SHOWN_MAX), (const char *)name.data);
    }
    if (!c->loopback)
        (void)fputs("hearth serve: warning: the address is not loopback, and reading is not "
                    "guarded:\n"
                    "  whoever reaches it sees every profile. Put a proxy that asks who they are "
                    "before it.\n",
                    stderr);
}

static void print_ready(struct serve *s)
{
    char where[LISTEN_TEXT_SIZE];
    char key[UUID_TEXT_SIZE + 1];
    struct listen_address first = server_address(s->server, 0);
    print_reachable(&first, where);
    (void)printf("listening on http://%s/\n", where);
    if (!s->config.loopback)
        (void)printf("from other machines, this one's name or address instead of localhost\n");
    const struct keyring *keys = key_watch_acquire(s->keys);
    for (size_t i = 0; i < keyring_count(keys); i++) {
        const struct keyring_entry *e = keyring_entry(keys, i);
        if (e->project_id != PROJECT_FIRST || e->revoked_ns != 0)
            continue;
        uuid_print(e->key, key);
        (void)printf("DSN of project 1: http://%s@%s/1\n", key, where);
        break;
    }
    key_watch_release(s->keys, keys);
    (void)fflush(stdout);
}

/* ---- the main thread's loop ---- */

static void on_wait(struct job *job)
{
    struct serve *s = job->work.loop->data;
    server_wait(s->server);
}

static void on_waited(struct job *job)
{
    struct serve *s = job->work.loop->data;
    uv_close((uv_handle_t *)&s->terminate, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->chores, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serve *s = handle->data;
    if (s->draining)
        _exit(128 + number); /* asked twice: all that was acknowledged is on the device */
    s->draining = true;
    log_info("serve", "draining signal=%d", number);
    server_drain(s->server);
    job_start(&s->loop, &s->wait, on_wait, on_waited);
}

/* A wrong key in some DSN is the operator's to find: said, but not once an upload. */
static void tell_refused(struct serve *s)
{
    uint64_t refused = metrics_get(s->metrics, METRIC_AUTH_REFUSED);
    int64_t now = clock_steady_ns();
    if (refused == s->refused_told ||
        (s->refused_told > 0 && now - s->refused_told_ns < REFUSED_EVERY_NS))
        return;
    log_warn("ingest",
             "uploads_refused count=%" PRIu64 " reason=\"unknown, revoked or missing key\"",
             refused - s->refused_told);
    s->refused_told = refused;
    s->refused_told_ns = now;
}

static void on_chores(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    key_watch_poll(s->keys);
    tell_refused(s);
    if (++s->chore_count % TRIM_EVERY == 0)
        (void)malloc_trim(0);
}

static enum err start_chores(struct serve *s)
{
    if (uv_loop_init(&s->loop) != 0)
        return ERR_NOMEM;
    s->loop.data = s;
    (void)uv_signal_init(&s->loop, &s->terminate);
    (void)uv_signal_init(&s->loop, &s->interrupt);
    (void)uv_timer_init(&s->loop, &s->chores);
    s->terminate.data = s;
    s->interrupt.data = s;
    s->chores.data = s;
    (void)uv_signal_start(&s->terminate, on_signal, SIGTERM);
    (void)uv_signal_start(&s->interrupt, on_signal, SIGINT);
    (void)uv_timer_start(&s->chores, on_chores, KEYS_POLL_MS, KEYS_POLL_MS);
    return ERR_OK;
}

static int serve_run(struct serve *s)
{
    struct errinfo info = {{0}};
    enum err rc = open_parts(s, &info);
    if (rc == ERR_OK)
        rc = start_chores(s);
    if (rc != ERR_OK) {
        (void)fprintf(stderr, "hearth serve: %s\n",
                      info.text[0] != '\0' ? info.text : err_text(rc));
        (void)close_parts(s);
        return 1;
    }
    print_ready(s);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s->loop);
    rc = close_parts(s);
    log_info("serve", "stopped");
    return rc == ERR_OK ? 0 : 1;
}

int cmd_serve(int argc, char **argv)
{
    struct serve s = {0};
    struct errinfo info = {{0}};
    switch (config_parse(argc, argv, &s.config, &info)) {
    case CONFIG_HELP: (void)fputs(config_usage, stdout); return 0;
    case CONFIG_WRONG:
        (void)fprintf(stderr, "hearth serve: %s\n\n%s", info.text, config_usage);
        return EXIT_USAGE;
    case CONFIG_READY: break;
    }
    log_set_level(s.config.log_level);
    prepare_process();
    if (job_pool_size(s.config.thread_count + 2) != ERR_OK)
        return 1;
    print_config(&s.config);
    print_warnings(&s.config);
    return serve_run(&s);
}
