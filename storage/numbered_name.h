/* numbered_name.h - names of files that carry a number: a prefix, then 16 hexadecimal digits in
 * lower case, so that names sort as their numbers do.
 *
 *   "log-000000000000002a" <-> 42
 */
#ifndef HEARTH_STORAGE_NUMBERED_NAME_H
#define HEARTH_STORAGE_NUMBERED_NAME_H

#include "base/bytes.h"

#define NUMBERED_NAME_DIGITS ((size_t)16)

/* `name` has room for prefix, digits and a terminator. */
void numbered_name_print(struct bytes prefix, uint64_t number, char *name);
/* False for everything that print does not give. */
bool numbered_name_parse(struct bytes prefix, struct bytes name, uint64_t *ret_number);

#endif
