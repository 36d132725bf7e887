#include <criterion/criterion.h>

#include "engine/auth.h"

#define KEY "df17aa723bdea468a13becb9733ba43b"

static struct bytes maybe(const char *text)
{
    return text == NULL ? (struct bytes){NULL, 0} : bytes_of_text(text);
}

Test(auth, each_way_names_the_key_and_two_are_too_many)
{
    static const struct {
        const char *header, *authorization, *query;
        enum auth_result result;
    } cases[] = {
        {NULL, NULL, NULL, AUTH_ABSENT},
        {"", NULL, "", AUTH_ABSENT},
        {"", "Bearer x", "a=b", AUTH_ABSENT},
        {"Sentry sentry_key=" KEY, NULL, NULL, AUTH_OK},
        {"sentry sentry_key=" KEY ", sentry_version=7", NULL, NULL, AUTH_OK},
        {"SENTRY sentry_version=7,sentry_client=a/1,sentry_key=" KEY, NULL, NULL, AUTH_OK},
        {"Sentry sentry_timestamp=1, sentry_secret=x, sentry_key=" KEY, NULL, NULL, AUTH_OK},
        {"Sentry sentry_key=" KEY ".no-cache", NULL, NULL, AUTH_OK},
        {"Sentry  sentry_key = " KEY " ,", NULL, NULL, AUTH_OK},
        {"Sentry sentry_version=7", NULL, NULL, AUTH_MALFORMED},
        {"Sentry ", NULL, NULL, AUTH_MALFORMED},
        {"Sentry", NULL, NULL, AUTH_ABSENT},
        {"Sentry sentry_key=" KEY ", sentry_version=8", NULL, NULL, AUTH_BAD_VERSION},
        {"Sentry sentry_key=" KEY ", sentry_version=x", NULL, NULL, AUTH_BAD_VERSION},
        {"Sentry sentry_key=short", NULL, NULL, AUTH_BAD_KEY},
        {"Sentry sentry_key=" KEY "0", NULL, NULL, AUTH_BAD_KEY},
        {"Sentry sentry_key=df17aa72-3bde-a468-a13b-ecb9733ba43b", NULL, NULL, AUTH_BAD_KEY},
        {NULL, "Sentry sentry_key=" KEY, NULL, AUTH_OK},
        {NULL, "Basic ZGYxN2FhNzIzYmRlYTQ2OGExM2JlY2I5NzMzYmE0M2I6c2VjcmV0", NULL, AUTH_OK},
        {NULL, "basic ZGYxN2FhNzIzYmRlYTQ2OGExM2JlY2I5NzMzYmE0M2I6", NULL, AUTH_OK},
        {NULL, "Basic ZGYxN2FhNzIzYmRlYTQ2OGExM2JlY2I5NzMzYmE0M2I=", NULL, AUTH_OK},
        {NULL, "Basic eDp5", NULL, AUTH_BAD_KEY},
        {NULL, "Basic !", NULL, AUTH_MALFORMED},
        {NULL, NULL, "sentry_key=" KEY, AUTH_OK},
        {NULL, NULL, "a=1&sentry_version=7&sentry_key=" KEY "&sentry_client=x%2F1", AUTH_OK},
        {NULL, NULL, "sentry_key=%64f17aa723bdea468a13becb9733ba43b", AUTH_OK},
        {NULL, NULL, "sentry_version=7", AUTH_MALFORMED},
        {NULL, NULL, "sentry_key=%zz", AUTH_BAD_KEY},
        {NULL, NULL, "sentry_key=" KEY "&sentry_version=9", AUTH_BAD_VERSION},
        {"Sentry sentry_key=" KEY, "Sentry sentry_key=" KEY, NULL, AUTH_MULTIPLE},
        {"Sentry sentry_key=" KEY, NULL, "sentry_key=" KEY, AUTH_MULTIPLE},
        {NULL, "Basic eDp5", "sentry_client=x", AUTH_MULTIPLE},
        {"", NULL, "sentry_key=" KEY, AUTH_OK}};
    struct uuid wanted;
    cr_assert(uuid_parse(BYTES(KEY), &wanted));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uuid key = {{0}};
        enum auth_result result = auth_of_request(
            maybe(cases[i].header), maybe(cases[i].authorization), maybe(cases[i].query), &key);
        cr_expect_eq(result, cases[i].result, "case %zu: %s", i, auth_text(result));
        cr_expect_eq(result == AUTH_OK, uuid_equal(key, wanted), "case %zu", i);
        cr_expect_eq(result == AUTH_OK, auth_status(result) == 200);
        cr_expect_eq(result == AUTH_OK, auth_text(result)[0] == 0);
    }
}

Test(auth, a_dsn_holds_key_and_project)
{
    static const struct {
        const char *text;
        uint64_t project; /* 0: none */
    } cases[] = {{"http://" KEY "@localhost/42", 42},
                 {"https://" KEY "@o1.ingest.example.com:9000/42", 42},
                 {"https://" KEY ":@host/42", 42},
                 {"https://" KEY ":secret@host/a/b/42", 42},
                 {"http://" KEY "@[::1]:80/18446744073709551615", UINT64_MAX},
                 {"http://" KEY "@host/18446744073709551616", 0},
                 {"http://" KEY "@host/", 0},
                 {"http://" KEY "@host", 0},
                 {"http://" KEY "@/42", 0},
                 {"http://" KEY "@host/x", 0},
                 {"http://short@host/42", 0},
                 {"http://host/42", 0},
                 {"ftp://" KEY "@host/42", 0},
                 {"", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dsn dsn = {.project_id = 0};
        bool ok = dsn_parse(bytes_of_text(cases[i].text), &dsn);
        cr_expect_eq(ok, cases[i].project != 0, "%s", cases[i].text);
        cr_expect_eq(dsn.project_id, cases[i].project, "%s", cases[i].text);
    }
}
