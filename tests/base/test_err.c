#include <string.h>

#include <criterion/criterion.h>

#include "base/err.h"

Test(err, every_code_has_a_text_of_its_own)
{
    const enum err codes[] = {
#define ERR_LISTED(code, text) ERR_##code,
        ERR_CODES(ERR_LISTED)
#undef ERR_LISTED
    };
    size_t count = sizeof(codes) / sizeof(codes[0]);
    cr_assert_eq(codes[0], ERR_OK);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(err_text(codes[i]), err_text(codes[j]));
    cr_assert_not_null(err_text((enum err)999));
}

static enum err fails(struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "page: %d bytes", 7);
}

static enum err hands_up(struct errinfo *info)
{
    TRY(fails(info));
    return ERR_OK;
}

Test(err, text_is_set_wrapped_and_cut_with_dots)
{
    struct errinfo info = {0};
    cr_assert_eq(hands_up(&info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "page: 7 bytes");
    cr_assert_eq(err_wrap(&info, ERR_CORRUPT, "seg-01"), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "seg-01: page: 7 bytes");

    char just[ERRINFO_SIZE], over[ERRINFO_SIZE + 1];
    memset(just, 'x', sizeof(just));
    just[sizeof(just) - 1] = '\0';
    memset(over, 'x', sizeof(over));
    over[sizeof(over) - 1] = '\0';
    cr_assert_eq(err_set(&info, ERR_IO, "%s", just), ERR_IO);
    cr_assert_str_eq(info.text, just);
    cr_assert_eq(err_set(&info, ERR_IO, "%s", over), ERR_IO);
    cr_assert_eq(strlen(info.text), ERRINFO_SIZE - 1);
    cr_assert_str_eq(info.text + ERRINFO_SIZE - 5, "x...");
    (void)err_wrap(&info, ERR_IO, "log");
    cr_assert_eq(strncmp(info.text, "log: xxx", 8), 0);
    cr_assert_str_eq(info.text + ERRINFO_SIZE - 4, "...");
}

Test(err, no_text_is_fine)
{
    struct errinfo silent = {0};
    cr_assert_eq(err_set(NULL, ERR_IO, "lost"), ERR_IO);
    cr_assert_eq(err_wrap(NULL, ERR_IO, "lost"), ERR_IO);
    cr_assert_eq(err_wrap(&silent, ERR_NOMEM, "block"), ERR_NOMEM);
    cr_assert_str_eq(silent.text, "block: out of memory");
}
