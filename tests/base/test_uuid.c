#include <criterion/criterion.h>

#include "base/uuid.h"
#include "tests/support/rng.h"

#define PLAIN  "0123456789abcdef0123456789abcdef"
#define DASHED "01234567-89ab-cdef-0123-456789abcdef"

Test(uuid, spellings)
{
    static const struct {
        const char *text;
        bool strict;
        bool lenient;
    } cases[] = {
        {PLAIN, true, true},
        {DASHED, true, true},
        {"0123456789ABCDEF0123456789ABCDEF", true, true},
        {"{" DASHED "}", false, true},
        {"urn:uuid:" DASHED, false, true},
        {"URN:UUID:" DASHED, false, true},
        {"", false, false},
        {"{" PLAIN "}", false, false},
        {"[" DASHED "]", false, false},
        {"urn:uuix:" DASHED, false, false},
        {"0123456789abcdef0123456789abcde", false, false},
        {"0123456789abcdef0123456789abcdef0", false, false},
        {"0123456789abcdeg0123456789abcdef", false, false},
        {"0123456789abcde/0123456789abcdef", false, false},
        {"0123456789abcde:0123456789abcdef", false, false},
        {"0123456789abcde@0123456789abcdef", false, false},
        {"0123456-789ab-cdef-0123-456789abcdef", false, false},
        {"01234567-89ab-cdef-0123-456789abcde-", false, false},
        {"01234567089ab-cdef-0123-456789abcdef", false, false},
        {" 123456789abcdef0123456789abcdef", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uuid id = {{0}};
        char text[UUID_TEXT_SIZE + 1];
        struct bytes given = bytes_of_text(cases[i].text);
        cr_assert_eq(uuid_parse(given, &id), cases[i].strict, "%s", cases[i].text);
        cr_assert_eq(uuid_parse_lenient(given, &id), cases[i].lenient, "%s", cases[i].text);
        cr_assert_eq(uuid_is_nil(id), !cases[i].lenient, "%s", cases[i].text);
        uuid_print(id, text);
        cr_assert(!cases[i].lenient || strcmp(text, PLAIN) == 0, "%s gave %s", cases[i].text, text);
    }
}

Test(uuid, print_parse_and_order_are_those_of_the_digits)
{
    struct rng rng = test_rng();
    for (unsigned i = 0; i < 5000; i++) {
        struct uuid a, b, back;
        char a_text[UUID_TEXT_SIZE + 1], b_text[UUID_TEXT_SIZE + 1];
        rng_bytes(&rng, a.byte, sizeof(a.byte));
        rng_bytes(&rng, b.byte, sizeof(b.byte));
        memcpy(b.byte, a.byte, rng_below(&rng, 17));
        uuid_print(a, a_text);
        uuid_print(b, b_text);
        cr_assert(uuid_parse(bytes_of_text(a_text), &back) && uuid_equal(a, back));
        int by_text = strcmp(a_text, b_text);
        int by_id = uuid_compare(a, b);
        cr_assert_eq((by_text > 0) - (by_text < 0), (by_id > 0) - (by_id < 0));
        cr_assert_eq(uuid_equal(a, b), by_text == 0);
    }
}

Test(uuid, random_ones_are_version_4_and_differ)
{
    struct uuid last = {{0}};
    for (unsigned i = 0; i < 100; i++) {
        struct uuid id = uuid_random();
        cr_assert_eq(id.byte[6] >> 4, 4);
        cr_assert_eq(id.byte[8] >> 6, 2);
        cr_assert(!uuid_equal(id, last));
        last = id;
    }
}
