/* slots.h - a hash table in a segment file: from a hash to numbers, whose keys stand elsewhere.
 *
 *   u32 slots: 0 free, else in the low bits a number + 1, in those above as many bits of its hash
 *
 * Numbers are below `limit`, so the low part has as many bits as `limit` itself; the bits above are
 * the lowest of the hash. A search for hash h starts at slot (h >> 32) * slots >> 32 and goes on
 * slot by slot, behind the last one at the first, to a free one: a third of them is. With the bits
 * of the hash beside it, hardly any number is looked at in vain.
 *
 * Keys are strangers' ids: whoever knew the seed of the hash could choose ids that fall into one
 * place. It is made from the random id of the file, which is drawn when everything that goes into
 * the file is there already. And a search ends after as many steps as there are slots, whatever
 * their bytes say.
 *
 * Threads: a builder has one caller at a time; struct slots any number.
 * Errors:  ERR_CORRUPT when a piece of the file is damaged or a slot says what cannot be.
 * Cost:    six bytes an entry; O(1).
 */
#ifndef HEARTH_STORAGE_SLOTS_H
#define HEARTH_STORAGE_SLOTS_H

#include "base/buffer.h"
#include "storage/segment_file.h"

/* Where a search is: the next slot, how many are left, and what a slot has above its number. */
struct slots_search {
    uint32_t at;
    uint32_t left;
    uint32_t above;
};

/* ---- building ---- */

struct slots_builder {
    struct buffer slots; /* as on disk */
    uint32_t count;
    uint32_t limit;
};

/* Room for `entries` numbers below `limit`. ERR_LIMIT, ERR_BUSY, ERR_NOMEM. */
enum err slots_builder_init(struct slots_builder *b, uint32_t entries, uint32_t limit,
                            struct mem_account *account) MUST_CHECK;
void slots_builder_close(struct slots_builder *b); /* a zeroed one is fine */
/* Not more than there is room for; number < limit. */
void slots_builder_add(struct slots_builder *b, uint64_t hash, uint32_t number);
struct slots_search slots_builder_begin(const struct slots_builder *b, uint64_t hash);
/* The next number that may have that hash; false: there is none. */
bool slots_builder_next(const struct slots_builder *b, struct slots_search *search, uint32_t *ret);
void slots_builder_write(const struct slots_builder *b, struct segment_file_writer *w,
                         enum format_section kind);

/* ---- reading ---- */

struct slots {
    const struct segment_file *file;
    uint64_t offset;
    uint32_t count;
    uint32_t limit;
};

/* ERR_CORRUPT when there is no such section, or it does not hold a whole number of slots. */
enum err slots_open(const struct segment_file *f, enum format_section kind, uint32_t limit,
                    struct slots *ret, struct errinfo *info) MUST_CHECK;
struct slots_search slots_begin(const struct slots *s, uint64_t hash);
/* The next number that may have that hash; ERR_NOTFOUND: there is none. */
enum err slots_next(const struct slots *s, struct slots_search *search, uint32_t *ret) MUST_CHECK;

#endif
