/* format.h - magic numbers, versions and sizes of what is on disk; docs/file-format.md explains.
 *
 * Everything is little-endian. A change that an older reader would misread gets a new version.
 */
#ifndef HEARTH_STORAGE_FORMAT_H
#define HEARTH_STORAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_LOCK_NAME "lock"

/* ---- log file: header, then batches ---- */
#define FORMAT_LOG_MAGIC         "HEARTHLG" /* 8 bytes */
#define FORMAT_LOG_VERSION       UINT32_C(1)
#define FORMAT_LOG_HEADER_SIZE   ((size_t)64)
#define FORMAT_LOG_PREFIX        "log-"
#define FORMAT_LOG_NAME_SIZE     ((size_t)20) /* "log-" and 16 hexadecimal digits */

#define FORMAT_BATCH_MAGIC       UINT32_C(0x54414248) /* "HBAT" */
#define FORMAT_BATCH_HEADER_SIZE ((size_t)48)

/* A record handed to store_append: two sizes, facts, block. */
#define FORMAT_RECORD_HEADER_SIZE ((size_t)8)

/* ---- block of one profile ---- */
#define FORMAT_PAGE_HEADER_SIZE ((size_t)12)
#define FORMAT_BLOCK_VERSION    1

/* What the times of a block count. */
#define FORMAT_TIME_RAW   0 /* the 64 bits as they are */
#define FORMAT_TIME_TICKS 1 /* binary64 seconds as multiples of 2^-22 s */

#endif
