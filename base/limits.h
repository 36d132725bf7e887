/* limits.h - every ceiling of the program, each with its reason. */
#ifndef HEARTH_BASE_LIMITS_H
#define HEARTH_BASE_LIMITS_H

#include <stdint.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* ---- memory ---- */
#define MEMORY_MAX_DEFAULT MIB(256) /* --memory-max: a small VPS has 512 MB to 1 GB */
#define MEMORY_MAX_MIN     MIB(96)  /* below, one 50 MiB profile could never be admitted */
#define MEMORY_OWN         MIB(24) /* program, stacks, loops, malloc slack: never lent to requests */

/* ---- uploads: Relay's limits, all on decoded bytes ---- */
#define ENVELOPE_SIZE_MAX       MIB(200) /* a whole envelope */
#define ENVELOPE_HEADER_MAX     KIB(64)  /* one header line; real ones are below 1 KiB */
#define PROFILE_SIZE_MAX        MIB(50)  /* payload of a profile or profile_chunk item */
#define EVENT_SIZE_MAX          MIB(1)   /* transaction, event, ... */
#define SPAN_CONTAINER_SIZE_MAX MIB(12)
#define SPAN_SIZE_MAX           MIB(10) /* one standalone span */
#define ATTACHMENT_SIZE_MAX     MIB(200)
#define SESSIONS_SIZE_MAX       MIB(10) /* all session items together */
#define CLIENT_REPORTS_SIZE_MAX KIB(100)
#define CHECK_IN_SIZE_MAX       KIB(100)
#define STATSD_SIZE_MAX         MIB(1)
#define REPLAY_SIZE_MAX         MIB(10)
#define ATTACHMENT_COUNT_MAX    30
#define SESSION_COUNT_MAX       100
#define CLIENT_REPORT_COUNT_MAX 100
#define SPAN_COUNT_MAX          25

/* ---- profiles ---- */
#define CHUNK_DURATION_MAX_NS   INT64_C(66000000000) /* Relay's: 66 s between first and last sample */
#define PROFILE_DURATION_MAX_NS UINT64_C(30000000000)
#define JSON_DEPTH_MAX          64      /* profiles nest 5 deep; an event's contexts up to 20 */
#define JSON_STRING_MAX         MIB(1)  /* decoded; longest seen in recordings: 2 KiB */
#define INFLATE_WHOLE_MAX       MIB(16) /* decoded in one piece up to here, as a stream beyond */

/* ---- answers; what really bounds them is the memory a request may hold ---- */
#define FLAMEGRAPH_NODES_MAX  (UINT32_C(1) << 27) /* node numbers are 31 bits; 3 GiB of nodes */
#define QUERY_LIMIT_MAX       100000              /* rows of one list: about 40 MB of JSON */
#define QUERY_LIMIT_DEFAULT   10000               /* chunks, profilers: a week of one profiler */
#define QUERY_TOP_DEFAULT     100   /* functions, transactions: what a person looks at */
#define QUERY_BUCKETS_MAX     10000 /* more than pixels on any screen */
#define QUERY_BUCKETS_DEFAULT 100
#define QUERY_SPANS_MAX       1000000 /* of a flame chart: about 50 MB of JSON */
#define QUERY_SPANS_DEFAULT   20000

#endif
