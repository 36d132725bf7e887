#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"

static char caught[8192];

/* What log calls write to standard error, which is a pipe meanwhile. */
static void catch_begin(int pipes[2])
{
    cr_assert_eq(pipe(pipes), 0);
    int kept = dup(STDERR_FILENO);
    cr_assert_geq(dup2(pipes[1], STDERR_FILENO), 0);
    close(pipes[1]);
    pipes[1] = kept;
}

static void catch_end(int pipes[2])
{
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[1]);
    ssize_t got = read(pipes[0], caught, sizeof(caught) - 1);
    caught[got > 0 ? got : 0] = '\0';
    close(pipes[0]);
}

Test(log, a_line_is_time_level_subject_event_and_facts)
{
    int pipes[2];
    clock_set_wall(1795347602123456789);
    catch_begin(pipes);
    log_debug("quiet", "not at the level info");
    log_warn("segment", "checksum_mismatch id=%s offset=%d", "01f3", 7);
    log_error("peer", "text with\nline\x7f breaks\r");
    log_set_level(LOG_NONE);
    log_error("quiet", "nothing at all");
    log_set_level(LOG_DEBUG);
    log_debug("loud", "now it is");
    catch_end(pipes);
    cr_assert_str_eq(caught,
                     "2026-11-22T11:40:02.123Z warn segment checksum_mismatch id=01f3 offset=7\n"
                     "2026-11-22T11:40:02.123Z error peer text with?line? breaks?\n"
                     "2026-11-22T11:40:02.123Z debug loud now it is\n");
}

Test(log, a_long_line_is_cut_and_still_ends)
{
    int pipes[2];
    catch_begin(pipes);
    log_info("long", "%*d", 5000, 1);
    log_info("next", "line");
    catch_end(pipes);
    char *newline = strchr(caught, '\n');
    cr_assert_not_null(newline);
    cr_assert_leq(newline - caught, 1024);
    cr_assert_not_null(strstr(newline, "next line\n"));
}
