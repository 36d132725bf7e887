#include "tests/support/hand_export.h"

#include "base/limits.h"

static enum err add_parts(struct exporter *e, const struct hand_part *parts, size_t count,
                          struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes thread = {NULL, 0};
        if (parts[i].thread != NULL)
            thread = bytes_of_text(parts[i].thread);
        bool all = parts[i].start_ns == 0 && parts[i].end_ns == 0;
        struct export_window window = {thread, all ? INT64_MIN : parts[i].start_ns,
                                       all ? INT64_MAX : parts[i].end_ns};
        TRY(exporter_add(e, &parts[i].profile->profile, &window, 1, info));
    }
    return ERR_OK;
}

enum err hand_export(const struct export_options *options, const struct hand_part *parts,
                     size_t count, struct mem_account *account, struct buffer *out,
                     struct errinfo *info)
{
    buffer_init(out, MIB(64), NULL);
    struct exporter *e = NULL;
    TRY(exporter_create(options, account, &e));
    enum err rc = add_parts(e, parts, count, info);
    if (rc == ERR_OK)
        rc = exporter_finish(e, out, info);
    exporter_destroy(e);
    return rc;
}
