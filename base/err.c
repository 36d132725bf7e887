#include "base/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *err_text(enum err code)
{
    switch (code) {
#define ERR_CASE(name, text) \
    case ERR_##name: return text;
        ERR_CODES(ERR_CASE)
#undef ERR_CASE
    }
    return "unknown error";
}

/* `wanted` is what vsnprintf would have written: longer than the room means it was cut. */
static void mark_cut(struct errinfo *info, int wanted)
{
    if (wanted >= ERRINFO_SIZE)
        memcpy(info->text + ERRINFO_SIZE - 4, "...", 4);
    if (wanted < 0) /* a format vsnprintf refuses: still a terminated text */
        info->text[0] = '\0';
}

enum err err_set_args(struct errinfo *info, enum err code, const char *format, va_list args)
{
    assert(code != ERR_OK);
    if (info != NULL)
        mark_cut(info, vsnprintf(info->text, sizeof(info->text), format, args));
    return code;
}

enum err err_set(struct errinfo *info, enum err code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    code = err_set_args(info, code, format, args);
    va_end(args);
    return code;
}

enum err err_wrap(struct errinfo *info, enum err code, const char *prefix)
{
    if (info == NULL || code == ERR_OK)
        return code;
    struct errinfo before = *info;
    before.text[ERRINFO_SIZE - 1] = '\0';
    /* who failed without a text (out of memory, mostly) still gets a readable line */
    const char *what = before.text[0] == '\0' ? err_text(code) : before.text;
    mark_cut(info, snprintf(info->text, sizeof(info->text), "%s: %s", prefix, what));
    return code;
}
