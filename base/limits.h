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
#define SPAN_CONTAINER_SIZE_MAX MIB(12)  /* one item of many spans, log entries or trace metrics */
#define SPAN_SIZE_MAX           MIB(10)  /* one standalone span; on average, one of a container */
#define LOG_ENTRY_SIZE_MAX      MIB(2)   /* on average, of a container */
#define TRACE_METRIC_SIZE_MAX   MIB(1)   /* on average, of a container */
#define ATTACHMENT_SIZE_MAX     MIB(200) /* all of them together; they pass uncopied */
#define SESSIONS_SIZE_MAX       MIB(10)  /* all session items together */
#define CLIENT_REPORTS_SIZE_MAX KIB(100) /* all together: counts of what an SDK dropped */
#define CHECK_IN_SIZE_MAX       KIB(100) /* a sign of life of a cron job */
#define STATSD_SIZE_MAX         MIB(1)   /* metrics of old SDKs, as lines or as buckets */
#define REPLAY_SIZE_MAX         MIB(10)  /* a segment of a recording, or its video */
#define ATTACHMENT_COUNT_MAX    30       /* user reports count as such */
#define SESSION_COUNT_MAX       100      /* single ones and aggregates alike */
#define CLIENT_REPORT_COUNT_MAX 100      /* counts of what an SDK dropped; it sends one at a time */
#define SPAN_COUNT_MAX          25       /* standalone ones; SDKs that have more send a container */
#define ENVELOPE_ITEMS_LISTED   1000   /* items without a limit of Relay's; beyond, counted only */
#define EVENT_MEMORY_MAX        MIB(8) /* texts of one transaction item, which has at most 1 MiB */
#define RECORDS_MEMORY_MAX      MIB(256) /* of one upload, encoded; as PAGE_RAW_MAX */
#define ZSTD_WINDOW_LOG_MAX     23       /* 8 MiB: what a decoder must support by RFC 8878 */

/* ---- profiles ---- */
#define CHUNK_DURATION_MAX_NS   INT64_C(66000000000) /* Relay's: 66 s between first and last sample */
#define PROFILE_DURATION_MAX_NS UINT64_C(30000000000) /* Relay's, of a transaction profile: 30 s */
#define JSON_DEPTH_MAX          64      /* profiles nest 5 deep; an event's contexts up to 20 */
#define JSON_WRITER_DEPTH_MAX   64      /* one bit a level; what we write nests below 10 deep */
#define JSON_STRING_MAX         MIB(1)  /* decoded; longest seen in recordings: 2 KiB */
#define INFLATE_WHOLE_MAX       MIB(16) /* decoded in one piece up to here, as a stream beyond */

/* ---- answers; what really bounds them is the memory a request may hold ---- */
#define FLAMEGRAPH_NODES_MAX  (UINT32_C(1) << 27) /* node numbers are 31 bits; 3 GiB of nodes */
#define QUERY_LIMIT_MAX       100000              /* rows of one list: about 40 MB of JSON */
#define QUERY_LIMIT_DEFAULT   10000               /* chunks, profilers: a week of one profiler */
#define QUERY_TOP_DEFAULT     100     /* functions, transactions: what a person looks at */
#define QUERY_BUCKETS_MAX     10000   /* more than pixels on any screen */
#define QUERY_BUCKETS_DEFAULT 100     /* bars that can be told apart */
#define QUERY_SPANS_MAX       1000000 /* of a flame chart: about 50 MB of JSON */
#define QUERY_SPANS_DEFAULT   20000   /* about 1 MB of JSON */
#define TRANSACTION_EXAMPLES  5       /* of each name, the latest: places to look at next */
#define LEFT_OUT_MAX          8       /* reasons of one answer: seven of those we have can meet */
#define THREAD_KEY_MAX        MIB(4)  /* id and name of a thread, each of at most JSON_STRING_MAX */
#define THREAD_TEXT_MAX       MIB(64) /* ids and names of all threads: a million of 64 bytes */
#define THREAD_SUMS_MAX       MIB(64) /* 16 bytes a thread: four million */
#define PIECES_SIZE_MAX       MIB(512) /* of one profile: 24 bytes a sample, more where windows cut */
#define GROUP_NAMES_MAX       MIB(64)  /* names of all transactions: a million of 64 bytes */
#define GROUPS_SIZE_MAX       MIB(512) /* what is known of them: 500 bytes each, a million again */
#define EXPORT_TABLE_MAX      MIB(256) /* 100,000 stacks of 50 frames take a tenth of it */
#define GAP_COUNT_MAX         100000 /* of a coverage: 10 weeks of a chunk a minute, 5 MB of JSON */

/* ---- serving ---- */
#define CONNECTION_COUNT_MAX   1024 /* each may hold PARSE_AHEAD_MAX outside the budget */
#define BACKLOG_MAX            511  /* waiting to be accepted, of each socket: half of those open */
#define FILES_RESERVED         256 /* descriptors kept from connections: logs, loops, standard ones */
#define TARGET_SIZE_MAX        KIB(16) /* a path and some hundred ids */
#define HEADER_SIZE_MAX        KIB(32) /* all names and values; proxies stop between 8 and 64 KiB */
#define RESPONSE_HEAD_MAX      KIB(8)  /* our own headers; a Location has TARGET_SIZE_MAX more */
#define RESPONSE_HEADERS_MAX   12      /* beside the usual ones; the page's files have seven */
#define HEADER_COUNT_MAX       100     /* real requests have below 30 */
#define PARAM_COUNT_MAX        512     /* of a query string: repeated ids */
#define PATH_SEGMENT_COUNT_MAX 16      /* the longest route has 8 */
#define REQUEST_HEAD_MAX       KIB(160) /* arena of one request before its handler runs */
#define REQUEST_MEMORY_MAX     MIB(160) /* one request in all: 50 MiB of JSON, its columns, block */
#define RESPONSE_SIZE_MAX      MIB(64)  /* an answer in one piece; larger ones are pulled */
#define RESPONSE_OWN_MAX       KIB(64)  /* of answers that must not fail for want of budget */
#define RESPONSE_PIECE_SIZE    KIB(64)  /* of a pulled answer: one write */
#define PARSE_AHEAD_MAX        KIB(16)  /* bytes read beyond the request being answered */
#define READ_HEAD_SIZE         KIB(8)   /* one read while headers are awaited */
#define READ_PEEK_SIZE         KIB(2) /* one read while a request is worked on: is the client there? */
#define READ_CHUNKED_SIZE      KIB(16) /* one read of a body of unknown length: few bytes behind it */
#define READ_BODY_SIZE         KIB(64)  /* one read of a body of known length */
#define UPLOAD_PIECE_SIZE      MIB(1)   /* coded bytes gathered before a job takes them */
#define UPLOAD_PLAIN_PIECE     KIB(256) /* the same without a coding: there is no whole to inflate */
#define UPLOAD_SEATLESS_MAX    KIB(256) /* kept of a streamed upload before it needs a seat */
#define UPLOAD_SEAT_SIZE       MIB(72) /* what a profile of 50 MiB holds at most, columns included */
#define APPEND_RECORDS_MAX     4096    /* of one batch: some envelopes of many spans */
#define APPEND_BATCH_MAX       MIB(8)  /* what one sync is worth waiting for */
#define HEAD_BUDGET            MIB(8)  /* all request heads together: uploads cannot starve them */
#define UPLOAD_CODED_MAX       MIB(201) /* codings grow what they cannot shrink by below 0.5 % */
#define REFUSED_BODY_MAX       KIB(256) /* read and dropped to keep a refused client's connection */
#define LINGER_BODY_MAX        MIB(4)   /* read and dropped so that the answer is not reset away */
#define COMPRESS_SIZE_MIN      KIB(1)   /* below, headers outweigh what compression saves */
#define COMPRESS_VROOM_MIN     200      /* that family's own threshold */
#define LISTEN_COUNT_MAX       4  /* every loop has a socket for each: two interfaces, IPv4 and 6 */
#define THREAD_COUNT_MAX       64 /* loops: a stack and READ_BODY_SIZE each come out of MEMORY_OWN */
#define ROUTE_COUNT_MAX        64    /* the metrics keep counters of each; there are twenty */
#define HEADERS_TIMEOUT_MS     10000 /* first byte to end of headers: ends slow loris */
#define BODY_TIMEOUT_MS        30000 /* silence inside a body: a mobile network's hand-over */
#define BODY_RATE_MIN          KIB(1) /* per second, of a body: below, a client holds memory for nothing */
#define IDLE_TIMEOUT_MS        75000 /* between requests: above the 60 s of a chunk's cadence */
#define WRITE_TIMEOUT_MS       30000 /* a client that does not read its answer */
#define LINGER_TIMEOUT_MS      2000  /* for a client to read its answer and end what it sends */
#define ADMISSION_WAIT_MS      2000  /* an SDK at process exit waits about as long */
#define ADMISSION_RETRY_MS     20    /* memory may have come free: a hundred looks in that time */
#define DRAIN_TIMEOUT_MS       10000 /* below the 30 s orchestrators grant */
#define DRAIN_IDLE_MS          100 /* a request that was under way when draining began still arrives */
#define RATE_LIMIT_SECONDS     60     /* announced with a 503: SDKs pause profiles that long */
#define ACCEPT_COMPLAIN_MS     10000  /* between two lines about connections that cannot be taken */
#define RETENTION_DAYS_DEFAULT 90     /* as Sentry keeps profiles */
#define RETENTION_DAYS_MAX     3650   /* ten years: beyond, a number is a mistake */
#define KEYS_POLL_MS           500    /* a key added by command counts within a second */
#define KEYS_FILE_MAX          MIB(4) /* some 30,000 keys */

/* ---- storage ---- */
#define PAGE_RAW_MAX MIB(256) /* one profile as columns; a 50 MiB document makes about 60 MiB */
#define SAMPLE_COUNT_MAX \
    (KIB(1) << 14)               /* in one profile; 50 MiB of the shortest samples hold 3 M */
#define FACTS_SIZE_MAX   MIB(8)  /* of one record: seven texts of at most 1 MiB each */
#define LOG_SIZE_DEFAULT MIB(64) /* a closed log; start-up verifies the last one in full */
#define LOG_SIZE_MAX     (MIB(1) << 10) /* offsets in the index are 32 bits; one batch beyond fits */
#define LOG_AGE_MAX_NS \
    INT64_C(86400000000000)                  /* a day: rows of a log that fills slowly expire too */
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 38) /* 256 GiB: writing it holds 64 MiB of checksums */
#define SEGMENT_BLOCKS_MAX \
    (MIB(1) << 10) /* of one that is made of others: a merge ends some time */
#define SEGMENT_MEMORY_MAX \
    MIB(48) /* tables and rows of one being built: what --memory-max leaves */
#define SEGMENT_MERGE_COUNT \
    4 /* segments of one day and level become one: each row moves log4 times */
#define DISK_PERCENT_DEFAULT  80       /* the rest stays for logs of others and for merging */
#define DISK_MAX_MIN          MIB(256) /* below, what a merge needs beside the old segments is missing */
#define ROLLUP_THREADS_FACTOR 4 /* telling threads apart may make a stored tree so much longer */
#define ROLLUP_WEIGHTS_MAX    (KIB(1) << 6) /* of one while it is made: 2 MB, at eleven levels */
#define UPKEEP_POLL_MS        1000  /* a log that is full is sealed soon, and nobody waits for it */
#define UPKEEP_RETRY_MS       30000 /* a full disk is not emptied sooner */
#define UPKEEP_STRETCH_MS     4     /* worked at a time: about what the scheduler gives a thread */
#define UPKEEP_SHARE          2     /* of the time, 1 / this: of two cores a quarter */
#define UPKEEP_NICE           10    /* requests come first */
#define PARTITION_PAST_DAYS   7  /* SDKs and relays keep what they could not send for some days */
#define PARTITION_ROWS_MIN    64 /* fewer rows of a far day do not make a file of their own */
#define CLOSED_SETS_MAX \
    1 /* logs that wait to be sealed beside the open one, when memory is short */
#define INDEX_SHARE      2        /* of the memory for requests, 1 / this: the rest stays theirs */
#define BATCH_SIZE_MAX   MIB(512) /* one group commit, facts and blocks */
#define BATCH_RECORD_MAX (KIB(1) << 6) /* the tables of a batch take 32 MB when it is full */

/* ---- files of a data folder ---- */
#define SEGMENT_COUNT_MAX 16384   /* ten years of four a day; each is a mapped file */
#define MANIFEST_SIZE_MAX MIB(16) /* all segments and millions of hidden rows; read as a whole */
#define MAPPING_COUNT_MAX 32768   /* segments and what replaces them: half of what Linux allows */
#define CHECK_NAMES_MAX   MIB(64) /* of all files of a folder that is checked: a million */
#define BACKUP_TRIES_MAX \
    100 /* to see a folder in one state: files are exchanged every few seconds, a try takes less */

/* ---- SnQL ---- */
#define SNQL_TEXT_MAX KIB(128) /* bytes of a query: Snuba's max_query_size */
#define SNQL_DEPTH_MAX \
    256 /* of nested expressions: recursion is this deep; people write below ten */
#define SNQL_NODE_MAX      200000 /* after aliases are replaced; a text of 128 KiB has at most 65,536 */
#define SNQL_ITEMS_MAX     4096 /* of SELECT, BY, ORDER BY each, and aliases; people write below 50 */
#define SNQL_LIMIT_MAX     10000 /* rows of an answer, as in Snuba */
#define SNQL_LIMIT_DEFAULT 1000
#define SNQL_BOX_MAX       4096 /* ranges that a condition is cut into; Sentry sends up to 250 */
#define SNQL_BATCH_ROWS    ((size_t)8192) /* rows at a time: a column of them fits in the cache */

#define SNQL_BODY_MAX      MIB(2) /* of a request: a query of 128 KiB, every byte of it escaped */
#define SNQL_TIME_MS       25000  /* of a query: who asks gives up after 30 s */

/* ---- the client commands ---- */
#define CLIENT_FIELD_COUNT_MAX   64 /* of an answer or a recorded request; real ones have below 30 */
#define CLIENT_HEAD_MAX          KIB(32)        /* as HEADER_SIZE_MAX */
#define CLIENT_TIMEOUT_MS        30000          /* without progress, as BODY_TIMEOUT_MS */
#define CLIENT_PARAM_COUNT_MAX   256            /* of a question, half of what a server takes */
#define CLIENT_ANSWER_TIMEOUT_MS 120000         /* a flame graph of everything may take its time */
#define CLIENT_ANSWER_MAX        MIB(64)        /* kept in one piece, as RESPONSE_SIZE_MAX */
#define CLIENT_REFUSAL_MAX       MIB(1)         /* an answer that is not the one hoped for */
#define CLIENT_MEMORY_MAX        (MIB(1) << 11) /* --data: a tool may use more than a server */
#define IMPORT_DEPTH_MAX         8        /* of folders: a link to one above must end somewhere */
#define IMPORT_LIST_MAX          MIB(256) /* paths: about a million files */
#define IMPORT_HEADERS_MAX       MIB(1)   /* a .headers.json; those of real requests have 1 KiB */
#define IMPORT_BATCH_COUNT_MAX   64       /* uploads that share a sync: its price is a 64th */
#define IMPORT_BATCH_SIZE_MAX    MIB(32)  /* their bodies and records */
#define IMPORT_RECORDS_MAX       MIB(16)  /* 16 bytes for each of their records: a million */
#define IMPORT_ANSWER_MAX        KIB(64) /* ours have below 1 KiB; a proxy in between may say more */
#define IMPORT_RETRY_COUNT_MAX   8       /* of a server that has no room at the moment */
#define IMPORT_RETRY_SECONDS_MAX 10      /* a pause is as long as the server says, up to here */

#endif
