#include "api/main/progress_bar.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define SHOW_EVERY_NS INT64_C(200000000)
#define BAR_WIDTH     30

struct progress_bar progress_bar_begin(bool quiet)
{
    return (struct progress_bar){.on = !quiet && isatty(STDERR_FILENO) == 1,
                                 .shown_ns = clock_steady_ns()};
}

void progress_bar_show(struct progress_bar *p, uint64_t bytes_done, uint64_t bytes_total)
{
    int64_t now_ns = clock_steady_ns();
    if (!p->on || now_ns - p->shown_ns < SHOW_EVERY_NS)
        return;
    double part = bytes_total == 0 ? 1.0 : (double)bytes_done / (double)bytes_total;
    int filled = (int)((part > 1.0 ? 1.0 : part) * BAR_WIDTH);
    (void)fprintf(stderr, "\r\x1b[K[%.*s%*s] %3.0f%% of %.1f MB", filled,
                  "##############################", BAR_WIDTH - filled, "", part * 100,
                  (double)bytes_total / 1e6);
    p->shown = true;
    p->shown_ns = now_ns;
}

void progress_bar_clear(struct progress_bar *p)
{
    if (p->shown)
        (void)fputs("\r\x1b[K", stderr);
    p->shown = false;
}
