#include "tests/support/sealed_tables.h"

#include <stdio.h>
#include <stdlib.h>

static struct hash128 identity(const struct profile *p, const struct profile_frame *f)
{
    struct bytes function = profile_string(p, f->function);
    return hash_bytes128(function, hash_bytes(profile_string(p, p->platform), 7));
}

static uint32_t fingerprint(const struct profile *p, const struct profile_frame *f)
{
    return (uint32_t)identity(p, f).lo;
}

const struct frame_rules sealed_rules = {.identity = identity, .fingerprint = fingerprint};

static void must(enum err rc, const struct errinfo *info)
{
    if (rc == ERR_OK)
        return;
    fprintf(stderr, "sealed tables: %s\n", info->text);
    abort();
}

void sealed_tables_open(struct sealed_tables *s, const struct tables_builder *b)
{
    struct errinfo info = {0};
    struct segment_file_writer *w = NULL;
    uint64_t size = 0;
    *s = (struct sealed_tables){.disk = vfs_mem_create()};
    struct vfs *vfs = vfs_mem_vfs(s->disk);
    must(segment_file_create(vfs, SEALED_PATH, (struct uuid){{1}}, 0, NULL, &w, &info), &info);
    must(tables_builder_write(b, w, &info), &info);
    must(segment_file_finish(w, &size, &info), &info);
    segment_file_writer_destroy(w);
    must(segment_file_open(vfs, SEALED_PATH, NULL, &s->file, &info), &info);
    must(segment_tables_open(s->file, tables_builder_counts(b), &s->tables, &info), &info);
    must(tables_cursor_create(&s->tables, NULL, &s->cursor), &info);
}

void sealed_tables_close(struct sealed_tables *s)
{
    tables_cursor_destroy(s->cursor);
    segment_file_close(s->file);
    vfs_mem_destroy(s->disk);
}
