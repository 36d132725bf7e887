/* segment_mend.h - make the checksums of a segment file's bytes right again after they were changed,
 * as far as its sizes make sense, so that what stands behind the checksums is reached.
 */
#ifndef HEARTH_TESTS_SUPPORT_SEGMENT_MEND_H
#define HEARTH_TESTS_SUPPORT_SEGMENT_MEND_H

#include <stddef.h>
#include <stdint.h>

/* All of them. */
void segment_mend(uint8_t *file, size_t size);
/* Those of checksums, directory and footer alone. */
void segment_mend_index(uint8_t *file, size_t size);

#endif
