/* uuid.h - 128-bit ids in the spelling Sentry uses: 32 lower-case hexadecimal digits. */
#ifndef HEARTH_BASE_UUID_H
#define HEARTH_BASE_UUID_H

#include "base/bytes.h"

#define UUID_TEXT_SIZE 32

struct uuid {
    uint8_t byte[16]; /* in the order of the digits */
};

/* 32 digits, or 36 with dashes at 8-4-4-4-12; letter case does not matter. Nothing else. */
bool uuid_parse(struct bytes text, struct uuid *ret);
/* Also {…} around the 36 and a urn:uuid: prefix, as vroom's routes accept. */
bool uuid_parse_lenient(struct bytes text, struct uuid *ret);
/* 32 lower-case digits and a terminator. */
void uuid_print(struct uuid id, char text[UUID_TEXT_SIZE + 1]);
/* 36 with dashes and a terminator. */
#define UUID_HYPHENS_SIZE 36
void uuid_print_hyphens(struct uuid id, char text[UUID_HYPHENS_SIZE + 1]);
int uuid_compare(struct uuid a, struct uuid b);
bool uuid_is_nil(struct uuid id);
bool uuid_equal(struct uuid a, struct uuid b);
/* Version 4 from the kernel's random source. */
struct uuid uuid_random(void);

#endif
