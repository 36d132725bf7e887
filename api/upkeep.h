/* upkeep.h - the thread that keeps the store small: seals closed logs, merges segments, drops what
 * is past its time, one piece after another, whenever there is something to do.
 *
 * It works at most UPKEEP_SHARE of the time, and at a lower priority, so that requests hardly
 * notice it.
 *
 * Owns:    its thread. Store and budget are borrowed and outlive it.
 * Errors:  a piece that failed is logged and tried again after UPKEEP_RETRY_MS.
 */
#ifndef HEARTH_API_UPKEEP_H
#define HEARTH_API_UPKEEP_H

#include "storage/store.h"

struct upkeep;

enum err upkeep_create(struct store *store, struct mem_budget *budget,
                       struct upkeep **ret) MUST_CHECK;
/* A piece under way is given up. NULL is fine. */
void upkeep_destroy(struct upkeep *u);

#endif
