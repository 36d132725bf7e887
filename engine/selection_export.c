/* selection_export.c - every window of every row through an exporter. */
#include "engine/selection_export.h"

struct exporting {
    struct exporter *exporter;
    const struct bytes *threads; /* none: all of them */
    size_t thread_count;
};

/* Threads that were asked for, each once. */
static enum err distinct_threads(struct exporting *x, const struct selection *s)
{
    const struct selection_texts *asked = &s->request->threads;
    struct bytes *threads = ARENA_ARRAY(s->arena, asked->count, struct bytes);

    if (threads == NULL)
        return s->arena->failed;
    for (size_t i = 0; i < asked->count; i++) {
        bool again = false;
        for (size_t k = 0; k < x->thread_count && !again; k++)
            again = bytes_equal(threads[k], asked->texts[i]);
        if (!again)
            threads[x->thread_count++] = asked->texts[i];
    }
    x->threads = threads;
    return ERR_OK;
}

/* The windows of a row, those for every thread once for each thread that was asked for. */
static size_t export_windows(const struct exporting *x, const struct selection_row *row,
                             struct export_window *to)
{
    size_t count = 0;

    for (uint32_t i = 0; i < row->window_count; i++) {
        const struct selection_window *w = &row->windows[i];
        if (w->thread.data != NULL || x->thread_count == 0)
            to[count++] = (struct export_window){w->thread, w->start_ns, w->end_ns};
        for (size_t t = 0; w->thread.data == NULL && t < x->thread_count; t++)
            to[count++] = (struct export_window){x->threads[t], w->start_ns, w->end_ns};
    }
    return count;
}

static enum err on_part(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct exporting *x = self;
    size_t each = x->thread_count > 0 ? x->thread_count : 1;
    struct export_window *windows =
        ARENA_ARRAY(part->scratch, part->row->window_count * each, struct export_window);

    if (windows == NULL)
        return err_set(info, part->scratch->failed, "export: %s", err_text(part->scratch->failed));
    size_t count = export_windows(x, part->row, windows);
    return exporter_add(x->exporter, part->profile, windows, count, info);
}

enum err selection_export(struct selection *s, const struct export_options *options,
                          const atomic_bool *canceled, struct buffer *out, struct errinfo *info)
{
    struct exporting x = {0};
    char text[COVERAGE_TEXT_SIZE];

    enum err rc = exporter_create(options, s->arena->account, &x.exporter);
    if (rc != ERR_OK)
        return err_set(info, rc, "export: %s", err_text(rc));
    rc = distinct_threads(&x, s);
    if (rc == ERR_OK)
        rc = selection_visit(s, canceled, on_part, &x, info);
    size_t len = coverage_print(&s->coverage, text);
    exporter_comment(x.exporter, bytes_of(text, len));
    if (rc == ERR_OK)
        rc = exporter_finish(x.exporter, out, info);
    exporter_destroy(x.exporter);
    return rc;
}
