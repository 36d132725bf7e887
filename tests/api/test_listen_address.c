#include <criterion/criterion.h>

#include "api/listen_address.h"
#include "base/bytes.h"

Test(listen_address, is_read_and_written)
{
    static const struct {
        const char *text;
        const char *printed; /* NULL: refused */
        bool loopback;
    } cases[] = {
        {"127.0.0.1:1218", "127.0.0.1:1218", true},
        {"127.9.9.9:0", "127.9.9.9:0", true},
        {"0.0.0.0:80", "0.0.0.0:80", false},
        {"10.1.2.3:80", "10.1.2.3:80", false},
        {"[::1]:80", "[::1]:80", true},
        {"[::]:80", "[::]:80", false},
        {"[fe80::1]:80", "[fe80::1]:80", false},
        {"", NULL, false},
        {":", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:x", NULL, false},
        {"127.0.0.1:-1", NULL, false},
        {"127.0.0.1:70000", NULL, false},
        {"::1:80", NULL, false},
        {"no.such.host.invalid:80", NULL, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listen_address a;
        struct errinfo info = {{0}};
        char text[LISTEN_TEXT_SIZE];
        enum err rc = listen_address_parse(cases[i].text, &a, &info);
        cr_assert_eq(rc == ERR_OK, cases[i].printed != NULL, "'%s': %s", cases[i].text, info.text);
        if (rc != ERR_OK) {
            cr_expect(strstr(info.text, "listen address") != NULL, "%s", info.text);
            continue;
        }
        listen_address_print(&a, text);
        cr_expect_str_eq(text, cases[i].printed);
        cr_expect_eq(listen_address_is_loopback(&a), cases[i].loopback, "%s", text);
        listen_address_set_port(&a, 9);
        cr_expect_eq(listen_address_port(&a), 9);
    }
    struct listen_address a;
    cr_assert_eq(listen_address_parse("localhost:5", &a, NULL), ERR_OK);
    cr_expect(listen_address_is_loopback(&a));
}
