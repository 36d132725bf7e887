#include "tests/support/ingesting.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/ingest_handler.h"

static const struct route routes[] = {{.name = "envelope",
                                       .pattern = "/api/{project}/envelope",
                                       .methods = ROUTE_POST,
                                       .family = FAMILY_INGEST,
                                       .upload = &ingest_upload}};

static void must(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "ingesting: %s\n", what);
    abort();
}

void ingesting_start(struct ingesting *t, size_t memory_max)
{
    struct http_limits limits = {.admission_ms = 300, .linger_ms = 500};
    struct errinfo info = {{0}};
    *t = (struct ingesting){.disk = vfs_mem_create(), .config = {.loopback = true}};
    struct vfs *vfs = vfs_mem_vfs(t->disk);
    struct keyring_entry key = {.project_id = 42, .organization_id = 1, .created_ns = 1};
    must(uuid_parse(BYTES(INGESTING_KEY), &key.key), "key");
    t->config.retention_days = 90;
    struct serving *s = &t->serving;
    serving_start(s, routes, 1, 2, &limits, memory_max);
    struct store_options options = {.vfs = vfs, .dir = "d"};
    must(store_open(&options, &s->app.store, &info) == ERR_OK, info.text);
    must(keyring_add(vfs, "d", &key, &info) == ERR_OK, info.text);
    must(key_watch_create(vfs, "d", s->metrics, &t->keys, &info) == ERR_OK, info.text);
    must(append_strand_create(s->app.store, s->metrics, 0, &s->app.strand) == ERR_OK, info.text);
    s->app.config = &t->config;
    s->app.keys = t->keys;
    s->app.vfs = vfs;
}

bool ingesting_stop(struct ingesting *t)
{
    struct serving *s = &t->serving;
    server_destroy(s->server);
    s->server = NULL;
    append_strand_destroy(s->app.strand);
    store_close(s->app.store);
    key_watch_destroy(t->keys);
    bool all_back = atomic_load(&s->budget.used) == 0;
    serving_stop(s);
    vfs_mem_destroy(t->disk);
    return all_back;
}

void ingesting_put_chunk(struct buffer *out, unsigned number, unsigned sample_count)
{
    buffer_printf(out,
                  "{}\n{\"type\":\"profile_chunk\"}\n{\"version\":\"2\",\"profiler_id\":"
                  "\"%032x\",\"chunk_id\":\"%032x\",\"platform\":\"python\",\"client_sdk\":"
                  "{\"name\":\"sentry.python\",\"version\":\"2\"},\"profile\":{\"frames\":"
                  "[{\"function\":\"f\"}],\"stacks\":[[0]],\"samples\":[",
                  1, number);
    for (unsigned i = 0; i < sample_count; i++)
        buffer_printf(out, "%s{\"timestamp\":1796229505.%06u,\"thread_id\":\"1\",\"stack_id\":0}",
                      i == 0 ? "" : ",", i);
    buffer_put(out, BYTES("]}}"));
}

uint64_t ingesting_rows(struct ingesting *t)
{
    struct store_stats stats;
    store_get_stats(t->serving.app.store, &stats);
    return stats.rows;
}
