/* err.h - one vocabulary for what can go wrong.
 *
 * Every function that can fail returns `enum err` and is MUST_CHECK. `struct errinfo` is the
 * caller's text: nullable, written on failure only, prefixed on the way up by err_wrap.
 */
#ifndef HEARTH_BASE_ERR_H
#define HEARTH_BASE_ERR_H

#include <stdarg.h>

#define MUST_CHECK            __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, arg) __attribute__((format(printf, fmt, arg)))

/* code, text for people */
#define ERR_CODES(X)                          \
    X(OK, "no error")                         \
    X(NOMEM, "out of memory")                 \
    X(IO, "input/output error")               \
    X(NOSPACE, "no space left on the device") \
    X(CORRUPT, "stored data is damaged")      \
    X(UNSUPPORTED, "not supported")           \
    X(MALFORMED, "malformed input")           \
    X(LIMIT, "over a limit")                  \
    X(NOTFOUND, "not found")                  \
    X(BUSY, "no room at the moment")          \
    X(CANCELED, "canceled")

enum err {
#define ERR_ENUM(code, text) ERR_##code,
    ERR_CODES(ERR_ENUM)
#undef ERR_ENUM
};

#define ERRINFO_SIZE 240

struct errinfo {
    char text[ERRINFO_SIZE]; /* always terminated once written; cut with "..." when too long */
};

/* Text of a code; never NULL. */
const char *err_text(enum err code);
/* Write the text, return `code`: `return err_set(info, ERR_CORRUPT, "page: ...")`. */
enum err err_set(struct errinfo *info, enum err code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with the arguments of a caller that takes a format itself. */
enum err err_set_args(struct errinfo *info, enum err code, const char *format, va_list args)
    PRINTF_LIKE(3, 0);
/* Put "prefix: " before what `info` says, return `code`. */
enum err err_wrap(struct errinfo *info, enum err code, const char *prefix);

/* Nothing to undo: hand a failure straight up. */
#define TRY(expression)                  \
    do {                                 \
        enum err try_rc_ = (expression); \
        if (try_rc_ != ERR_OK)           \
            return try_rc_;              \
    } while (0)

#endif
