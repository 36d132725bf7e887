/* snql_time_text.h - times as queries write them.
 *
 * One reader for both that the query API has: Snuba's own, which reads toDateTime('...') in any usual
 * form and looks at no zone, and the engine's, which applies it. Seconds may be missing, the time of
 * day as well (midnight); months, days and hours may have one digit; `2033/05/18`, `20330518T033320`.
 */
#ifndef HEARTH_ENGINE_SNQL_TIME_TEXT_H
#define HEARTH_ENGINE_SNQL_TIME_TEXT_H

#include "base/bytes.h"

struct snql_time_text {
    int64_t seconds;        /* since 1970, as if there were no zone */
    uint32_t nanoseconds;   /* digits beyond are cut */
    int32_t offset_seconds; /* east of Greenwich; 0 when it names none */
};

bool snql_time_text_parse(struct bytes text, struct snql_time_text *ret);
/* Unix seconds with an optional fraction, as the engine reads a DateTime64 from: cut to nanoseconds. */
bool snql_time_text_parse_epoch(struct bytes text, struct snql_time_text *ret);

#endif
