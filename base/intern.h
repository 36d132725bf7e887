/* intern.h - equal byte strings get one small id, in order of first appearance.
 *
 * Owns:   copies of the strings. Id 0 is always the empty string.
 * Errors: ERR_LIMIT beyond 2^32-2 strings or the ceiling; ERR_BUSY, ERR_NOMEM as buffer.h.
 * Cost:   O(len) a lookup; about len + 12 bytes a string plus a table at most 3/4 full.
 * Views returned by intern_get stay valid until the next intern_add.
 */
#ifndef HEARTH_BASE_INTERN_H
#define HEARTH_BASE_INTERN_H

#include "base/buffer.h"

struct intern {
    struct buffer text;    /* all strings, one after another */
    struct buffer offsets; /* u32 end of each string in text */
    struct buffer slots;   /* u32 id + 1, 0 free; power of two many */
    size_t count;
    uint64_t seed; /* of the hashes, for tables beside this one too */
};

void intern_init(struct intern *in, size_t text_max, struct mem_account *account);
void intern_close(struct intern *in);
enum err intern_add(struct intern *in, struct bytes text, uint32_t *ret_id) MUST_CHECK;
bool intern_find(const struct intern *in, struct bytes text, uint32_t *ret_id);
struct bytes intern_get(const struct intern *in, uint32_t id); /* id < count */

#endif
