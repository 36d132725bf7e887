/* progress_bar.h - how far a long command is, as one line on a terminal that is written over.
 *
 * Threads: one at a time. Nothing is shown unless standard error is a terminal, nor for work that ends at once.
 */
#ifndef HEARTH_API_MAIN_PROGRESS_BAR_H
#define HEARTH_API_MAIN_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct progress_bar {
    bool on;
    bool shown; /* the line is there */
    int64_t shown_ns;
};

struct progress_bar progress_bar_begin(bool quiet);
void progress_bar_show(struct progress_bar *p, uint64_t bytes_done, uint64_t bytes_total);
/* Before another line is written to the terminal, and at the end. */
void progress_bar_clear(struct progress_bar *p);

#endif
