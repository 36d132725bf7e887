/* format.h - magic numbers, versions and sizes of what is on disk; docs/file-format.md and
 * docs/segment-format.md explain.
 *
 * Everything is little-endian. A change that an older reader would misread gets a new version.
 */
#ifndef HEARTH_STORAGE_FORMAT_H
#define HEARTH_STORAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_LOCK_NAME "lock"
#define FORMAT_KEYS_NAME "keys" /* text, the engine's */

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

/* ---- manifest: header, entries, checksum ---- */
#define FORMAT_MANIFEST_NAME        "manifest"
#define FORMAT_MANIFEST_NEW_NAME    "manifest.new" /* until it is whole */
#define FORMAT_MANIFEST_MAGIC       "HEARTHMF"     /* 8 bytes */
#define FORMAT_MANIFEST_VERSION     UINT32_C(1)
#define FORMAT_MANIFEST_HEADER_SIZE ((size_t)72)
#define FORMAT_MANIFEST_ENTRY_SIZE  ((size_t)72) /* its lists of hidden rows and links follow */
#define FORMAT_MANIFEST_UNFINISHED \
    "hearth backup did not finish" /* in place of one, in a copy that is being made */

/* ---- segment file: header, sections, checksums of pieces, directory, footer ---- */
#define FORMAT_SEGMENT_MAGIC       "HEARTHSG" /* 8 bytes; opens and closes the file */
#define FORMAT_SEGMENT_VERSION     UINT32_C(1)
#define FORMAT_SEGMENT_PREFIX      "segment-"
#define FORMAT_SEGMENT_HEADER_SIZE ((size_t)64)
#define FORMAT_SEGMENT_FOOTER_SIZE ((size_t)64)
#define FORMAT_SEGMENT_PIECE_SIZE  ((size_t)16384) /* what one checksum covers */
#define FORMAT_SEGMENT_FACTS_SIZE  ((size_t)96)
#define FORMAT_SEGMENT_ALIGN       ((size_t)8)   /* of sections */
#define FORMAT_SEGMENT_ENTRY_SIZE  ((size_t)24)  /* of the directory */
#define FORMAT_SEGMENT_SECTION_MAX ((size_t)256) /* of them; a reader refuses more */

/* What a section holds. A reader passes over kinds that it does not know. */
enum format_section {
    SECTION_FACTS = 1,  /* counts and bounds of the whole segment */
    SECTION_BLOCKS = 2, /* one block a row, in the order of rows, without gaps */

    /* tables that all blocks share */
    SECTION_TEXT_PAGES = 10,
    SECTION_TEXT_FIRST = 11, /* of each page: its first text id */
    SECTION_TEXT_END = 12,   /* of each page: where it ends in the pages */
    SECTION_FRAME_IDENTITY = 13,
    SECTION_FRAME_PAGES = 14,
    SECTION_FRAME_END = 15,
    SECTION_NODE_PAGES = 16,
    SECTION_NODE_END = 17,
    SECTION_THREAD_PAGES = 18,
    SECTION_THREAD_END = 19,

    /* rows: a column each */
    SECTION_ROW_ID = 30,
    SECTION_ROW_CONTENT = 31,
    SECTION_ROW_START = 32,
    SECTION_ROW_DURATION = 33,
    SECTION_ROW_BACK = 34, /* how many rows before it the largest end up to it is */
    SECTION_ROW_RECEIVED = 35,
    SECTION_ROW_ARRIVAL = 36,
    SECTION_ROW_SAMPLES = 37,
    SECTION_ROW_THREADS = 38,
    SECTION_ROW_SOURCE = 39,
    SECTION_ROW_FLAGS = 40,
    SECTION_ROW_BLOCK_END = 41,

    /* transaction profiles, which come after all chunks */
    SECTION_TRANSACTION_TRACE = 50,
    SECTION_TRANSACTION_EVENT = 51,
    SECTION_TRANSACTION_NAME = 52,
    SECTION_TRANSACTION_SLOTS = 53,

    /* runs: the chunks of a profiler, the transaction profiles of a project */
    SECTION_RUN_PROJECT = 60,
    SECTION_RUN_PROFILER = 61,
    SECTION_RUN_FIRST = 62,
    SECTION_RUN_SLOTS = 63,

    /* what many rows agree in, and the texts of that */
    SECTION_SOURCE_ORGANIZATION = 70,
    SECTION_SOURCE_PROJECT = 71,
    SECTION_SOURCE_RETENTION = 72,
    SECTION_SOURCE_TEXT = 73, /* six a source */
    SECTION_TAG_BYTES = 74,
    SECTION_TAG_END = 75,

    /* links: spans and transactions that name a profiler */
    SECTION_LINK_SPAN = 80,
    SECTION_LINK_START = 81,
    SECTION_LINK_DURATION = 82,
    SECTION_LINK_BACK = 83,
    SECTION_LINK_PAGES = 84,
    SECTION_LINK_END = 85, /* of each page: where it ends in the pages */

    /* traces of links */
    SECTION_TRACE_ID = 86,
    SECTION_TRACE_FIRST = 87,
    SECTION_TRACE_LINK = 88, /* link numbers by trace, then span */
    SECTION_TRACE_SLOTS = 89,

    /* projects, ascending */
    SECTION_PROJECT_ID = 90,
    SECTION_PROJECT_RUN = 91,  /* of each: its first run of chunks; one more: their number */
    SECTION_PROJECT_LINK = 92, /* of each: its first link; one more: their number */

    /* call trees that are summed already */
    SECTION_ROLLUP_PAGES = 100,
    SECTION_ROLLUP_FIRST = 101,
    SECTION_ROLLUP_ROWS = 102,
    SECTION_ROLLUP_OFFSET = 103,
    SECTION_ROLLUP_SIZE = 104,

    /* row sets, and what they are of */
    SECTION_BITMAP_SETS = 110,
    SECTION_BITMAP_SET_END = 111,   /* of each set: where it ends in them */
    SECTION_BITMAP_KEYS = 112,      /* behind their numbers */
    SECTION_BITMAP_KEY_FIRST = 113, /* of each page of keys: its first one */
    SECTION_BITMAP_KEY_END = 114    /* of each page: where it ends in the keys */
};

/* Items of one page of a table. */
#define FORMAT_FRAMES_A_PAGE  256
#define FORMAT_NODES_A_PAGE   1024
#define FORMAT_THREADS_A_PAGE 256
#define FORMAT_LINKS_A_PAGE   128
#define FORMAT_KEYS_A_PAGE    128
#define FORMAT_TEXT_PAGE_SIZE \
    ((size_t)16384) /* a page of texts ends with the text that passes it */
#define FORMAT_TEXT_PAGES_HEAD_SIZE ((size_t)8) /* u32: how many pages; four zeros */

#define FORMAT_KEYS_HEAD_SIZE       ((size_t)8) /* u32: how many keys; u32: how many sets */

/* ---- row set: its first byte ---- */
#define FORMAT_SET_ROWS    1 /* a bit list of steps from row to row */
#define FORMAT_SET_RUNS    2 /* bit lists of gaps and lengths */
#define FORMAT_SET_ROARING 3 /* the portable format */

/* ---- block of one profile in a segment ---- */
#define FORMAT_BLOCK_SHARED 1 /* in terms of the tables */
#define FORMAT_BLOCK_WHOLE  2 /* the block of a log */

/* What its times count, three bits. */
#define FORMAT_TIMES_RAW             0 /* each has 64 bits */
#define FORMAT_TIMES_TICKS           1 /* 2^-22 s */
#define FORMAT_TIMES_MILLI           2 /* 10^-3 s */
#define FORMAT_TIMES_TENTH_MILLI     3
#define FORMAT_TIMES_HUNDREDTH_MILLI 4
#define FORMAT_TIMES_MICRO           5

/* ---- block of one profile ---- */
#define FORMAT_PAGE_HEADER_SIZE ((size_t)12)
#define FORMAT_BLOCK_VERSION    1

/* What the times of a block count. */
#define FORMAT_TIME_RAW   0 /* the 64 bits as they are */
#define FORMAT_TIME_TICKS 1 /* binary64 seconds as multiples of 2^-22 s */

#endif
