#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "api/config.h"

struct config_case {
    const char *arguments[6];
    enum config_outcome outcome;
    const char *says; /* when wrong */
};

static const struct config_case cases[] = {
    {{NULL}, CONFIG_READY, NULL},
    {{"--help"}, CONFIG_HELP, NULL},
    {{"--listen", "127.0.0.1:0", "--listen", "[::1]:0"}, CONFIG_READY, NULL},
    {{"--listen", "127.0.0.1"}, CONFIG_WRONG, "HOST:PORT"},
    {{"--listen", "127.0.0.1:65536"}, CONFIG_WRONG, "HOST:PORT"},
    {{"--listen", "::1:80"}, CONFIG_WRONG, "HOST:PORT"},
    {{"--listen"}, CONFIG_WRONG, "--listen"},
    {{"--durability", "interval"}, CONFIG_READY, NULL},
    {{"--durability", "always"}, CONFIG_WRONG, "batch, interval or none"},
    {{"--threads", "0"}, CONFIG_WRONG, "1 to 64"},
    {{"--threads", "65"}, CONFIG_WRONG, "1 to 64"},
    {{"--threads", "+1"}, CONFIG_WRONG, "1 to 64"},
    {{"--memory-max", "95M"}, CONFIG_WRONG, "at least 96M"},
    {{"--memory-max", "1x"}, CONFIG_WRONG, "like 256M"},
    {{"--memory-max", "96M"}, CONFIG_READY, NULL},
    {{"--memory-max", "999999G"}, CONFIG_WRONG, "this machine has"},
    {{"--retention-days", "0"}, CONFIG_WRONG, "1 to 3650"},
    {{"--data", ""}, CONFIG_WRONG, "folder"},
    {{"--log-level", "loud"}, CONFIG_WRONG, "debug"},
    {{"--nonsense"}, CONFIG_WRONG, "--nonsense"},
    {{"extra"}, CONFIG_WRONG, "extra"},
};

static enum config_outcome parse(const char *const arguments[6], struct config *c,
                                 struct errinfo *info)
{
    static char texts[7][64];
    char *argv[8] = {texts[0]};
    int argc = 1;
    snprintf(texts[0], sizeof(texts[0]), "serve");
    for (int i = 0; i < 6 && arguments[i] != NULL; i++) {
        snprintf(texts[argc], sizeof(texts[argc]), "%s", arguments[i]);
        argv[argc] = texts[argc];
        argc++;
    }
    return config_parse(argc, argv, c, info);
}

Test(config, says_what_is_wrong)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config c;
        struct errinfo info = {{0}};
        enum config_outcome got = parse(cases[i].arguments, &c, &info);
        cr_expect_eq(got, cases[i].outcome, "case %zu: %s", i, info.text);
        if (got == CONFIG_WRONG)
            cr_expect(strstr(info.text, cases[i].says) != NULL, "case %zu says '%s'", i, info.text);
    }
}

Test(config, flags_go_over_environment_over_defaults)
{
    struct config c;
    struct errinfo info = {{0}};
    static const char *const none[6] = {NULL};
    cr_assert_eq(parse(none, &c, &info), CONFIG_READY);
    cr_expect_eq(c.listen_count, 1);
    cr_expect_eq(listen_address_port(&c.listen[0]), 1218);
    cr_expect(c.loopback);
    cr_expect_eq(c.memory_max, MIB(256));
    cr_expect_eq(c.retention_days, 90);
    cr_expect_geq(c.thread_count, 1);
    setenv("HEARTH_MEMORY_MAX", "1G", 1);
    setenv("HEARTH_LISTEN", "0.0.0.0:7", 1);
    setenv("HEARTH_STRICT_KEYS", "1", 1);
    static const char *const some[6] = {"--memory-max", "128m"};
    cr_assert_eq(parse(some, &c, &info), CONFIG_READY);
    cr_expect_eq(c.memory_max, MIB(128));
    cr_expect_eq(listen_address_port(&c.listen[0]), 7);
    cr_expect_not(c.loopback);
    cr_expect(c.strict_keys);
    setenv("HEARTH_STRICT_KEYS", "perhaps", 1);
    cr_expect_eq(parse(none, &c, &info), CONFIG_WRONG);
}

Test(config, variables_that_nobody_reads_are_found)
{
    static const char *const environment[] = {
        "HOME=/",       "HEARTH_STRICT_KEY=1", "HEARTH_STRICT_KEYS=1", "HEARTH_URL=x",
        "HEARTH=house", "HEARTH_LISTENS",      "XHEARTH_A=1",          NULL};
    size_t at = 0;
    struct bytes first = config_unknown_variable(environment, &at);
    struct bytes second = config_unknown_variable(environment, &at);
    cr_expect(bytes_equal(first, BYTES("HEARTH_STRICT_KEY")));
    cr_expect(bytes_equal(second, BYTES("HEARTH_LISTENS")));
    cr_expect_eq(config_unknown_variable(environment, &at).len, 0);
    cr_expect_eq(config_unknown_variable(environment, &at).len, 0);
}

Test(config, sizes_have_units)
{
    static const struct {
        const char *text;
        size_t want; /* 0: refused */
    } sizes[] = {{"1", 1},   {"2k", 2048}, {"3M", MIB(3)}, {"1G", MIB(1024)}, {"1GB", MIB(1024)},
                 {"", 0},    {"M", 0},     {"-1", 0},      {"1.5M", 0},       {"99999999999G", 0},
                 {"1 M", 0}, {"1MM", 0}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t got = 0;
        bool held = config_parse_size(bytes_of_text(sizes[i].text), &got);
        cr_expect_eq(held, sizes[i].want != 0, "'%s'", sizes[i].text);
        if (held)
            cr_expect_eq(got, sizes[i].want, "'%s'", sizes[i].text);
    }
}
