/* selection_export.h - a selection in the formats of other tools (export.h); pprof has the coverage
 * as its comment.
 *
 * Owns:   nothing; `out` gets the whole file.
 * Errors: as selection_visit and the exporter's.
 */
#ifndef HEARTH_ENGINE_SELECTION_EXPORT_H
#define HEARTH_ENGINE_SELECTION_EXPORT_H

#include "engine/export.h"
#include "engine/selection.h"

enum err selection_export(struct selection *s, const struct export_options *options,
                          const atomic_bool *canceled, struct buffer *out,
                          struct errinfo *info) MUST_CHECK;

#endif
