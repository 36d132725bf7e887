/* snql_error.c - refusals with a type, a code and a text. */
#include "engine/snql_error.h"

void snql_error_write(struct snql_error *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    e->type = SNQL_ERROR_INVALID_QUERY;
    e->code = SNQL_CODE_NONE;
    e->offset = SNQL_NO_OFFSET;
    (void)err_set_args(&e->info, ERR_MALFORMED, format, args);
    va_end(args);
}

void snql_error_write_code(struct snql_error *e, enum snql_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    e->type = SNQL_ERROR_ENGINE;
    e->code = code;
    e->offset = SNQL_NO_OFFSET;
    (void)err_set_args(&e->info, ERR_MALFORMED, format, args);
    va_end(args);
}
