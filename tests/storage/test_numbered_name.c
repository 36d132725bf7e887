#include <criterion/criterion.h>

#include "storage/numbered_name.h"

#define NAME_SIZE (2 + NUMBERED_NAME_DIGITS)

Test(numbered_name, what_is_printed_is_read_back)
{
    const struct {
        uint64_t number;
        const char *name;
    } cases[] = {{0, "n-0000000000000000"},
                 {42, "n-000000000000002a"},
                 {UINT64_C(0x0123456789abcdef), "n-0123456789abcdef"},
                 {UINT64_MAX, "n-ffffffffffffffff"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[NAME_SIZE + 1];
        uint64_t number;
        numbered_name_print(BYTES("n-"), cases[i].number, name);
        cr_assert_str_eq(name, cases[i].name);
        cr_assert(numbered_name_parse(BYTES("n-"), bytes_of_text(name), &number));
        cr_assert_eq(number, cases[i].number);
    }
}

Test(numbered_name, nothing_else_is_read)
{
    const char *bad[] = {"",
                         "n-",
                         "n-000000000000002A",
                         "n-00000000000002a",
                         "n-00000000000000002a",
                         "n-000000000000002/",
                         "n-000000000000002:",
                         "n-000000000000002`",
                         "n-000000000000002g",
                         "m-000000000000002a",
                         "000000000000002a"};
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(numbered_name_parse(BYTES("n-"), bytes_of_text(bad[i]), &number), "%s",
                      bad[i]);
    cr_assert_eq(number, 7);
}
