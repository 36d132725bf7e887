/* selection_export.c - every window of every row through an exporter. */
#include "engine/selection_export.h"

struct exporting {
    struct exporter *exporter;
    const struct selection_request *request;
};

static enum err export_window(struct exporting *x, const struct selection_part *part,
                              const struct selection_window *w, struct errinfo *info)
{
    const struct selection_texts *threads = &x->request->threads;

    if (w->thread.data != NULL || threads->count == 0)
        return exporter_add(x->exporter, part->profile, w->thread, w->start_ns, w->end_ns, info);
    for (size_t i = 0; i < threads->count; i++) {
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = bytes_equal(threads->texts[k], threads->texts[i]);
        if (!again)
            TRY(exporter_add(x->exporter, part->profile, threads->texts[i], w->start_ns, w->end_ns,
                             info));
    }
    return ERR_OK;
}

static enum err on_part(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct exporting *x = self;

    for (size_t i = 0; i < part->row->window_count; i++)
        TRY(export_window(x, part, &part->row->windows[i], info));
    return ERR_OK;
}

enum err selection_export(struct selection *s, const struct export_options *options,
                          const atomic_bool *canceled, struct buffer *out, struct errinfo *info)
{
    struct exporting x = {.request = s->request};
    char text[COVERAGE_TEXT_SIZE];

    enum err rc = exporter_create(options, s->arena->account, &x.exporter);
    if (rc != ERR_OK)
        return err_set(info, rc, "export: %s", err_text(rc));
    rc = selection_visit(s, canceled, on_part, &x, info);
    size_t len = coverage_print(&s->coverage, text);
    exporter_comment(x.exporter, bytes_of(text, len));
    if (rc == ERR_OK)
        rc = exporter_finish(x.exporter, out, info);
    exporter_destroy(x.exporter);
    return rc;
}
