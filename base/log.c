#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timestamp.h"

#define LOG_LINE_SIZE 1024 /* longer ones are cut: a line is one write */

static atomic_int least_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

static size_t cut_to(int wanted, size_t room)
{
    if (wanted < 0)
        return 0;
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

/* "2026-11-22T11:40:02.123Z warn subject " */
static size_t print_head(char *line, enum log_level level, const char *subject)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[TIMESTAMP_TEXT_SIZE];
    int64_t now_ns = clock_wall_ns();
    timestamp_print_rfc3339(now_ns / 1000000000 * 1000000000, time);
    int wanted = snprintf(line, LOG_LINE_SIZE, "%.19s.%03dZ %s %s ", time,
                          (int)(now_ns / 1000000 % 1000), names[level], subject);
    return cut_to(wanted, LOG_LINE_SIZE);
}

void log_line(enum log_level level, const char *subject, const char *format, ...)
{
    if (level >= LOG_NONE || (int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    char line[LOG_LINE_SIZE];
    size_t len = print_head(line, level, subject);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    len += cut_to(wanted, sizeof(line) - len);
    for (size_t i = 0; i < len; i++) /* one event is one line, whatever a fact contains */
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nobody to tell */
}
