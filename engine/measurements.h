/* measurements.h - what a profile measured beside its samples, checked and written anew.
 *
 *   {"cpu_usage": {"unit": "percent", "values": [{"timestamp": 1795336832.5, "value": 3.5}]}}
 *
 * Texts that are numbers become numbers, unknown keys go; a unit or a type that is not known fails.
 */
#ifndef HEARTH_ENGINE_MEASUREMENTS_H
#define HEARTH_ENGINE_MEASUREMENTS_H

#include "engine/json_reader.h"
#include "storage/profile.h"

/* Chunks have `timestamp`, transaction profiles `elapsed_since_start_ns`. Failures, those of `out`
 * too, stick in the reader; what `out` holds is then of no use. */
void measurements_copy(struct json_reader *r, enum profile_kind kind, struct buffer *out);

#endif
