/* crc32c.h - the checksum of everything on disk (Castagnoli, as iSCSI and ext4 use it).
 *
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b. Uses the processor's instruction
 * where the build's baseline has one.
 */
#ifndef HEARTH_STORAGE_CRC32C_H
#define HEARTH_STORAGE_CRC32C_H

#include "base/bytes.h"

uint32_t crc32c(uint32_t crc, struct bytes b);
/* The same from a table; what crc32c is where there is no instruction. */
uint32_t crc32c_portable(uint32_t crc, struct bytes b);

#endif
