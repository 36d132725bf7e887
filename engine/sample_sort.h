/* sample_sort.h - samples in time order, for whoever needs them so.
 *
 * Profiles are stored in document order: browsers send transaction profiles whose times step back
 * now and then, React Native appends native samples after the others.
 *
 * Cost: O(samples); when out of order O(n log n), and copies of the sample columns in the arena.
 */
#ifndef HEARTH_ENGINE_SAMPLE_SORT_H
#define HEARTH_ENGINE_SAMPLE_SORT_H

#include "base/arena.h"
#include "storage/profile.h"

/* Ascending times, equal ones in document order. Columns that change are copied to the arena. */
enum err profile_sort_samples(struct profile *p, struct arena *arena) MUST_CHECK;

#endif
