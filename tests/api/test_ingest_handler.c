/* The whole way of an upload over loopback: memory that is not there, pieces, refusals, a full disk. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "api/http_encoding.h"
#include "api/ingest_handler.h"
#include "api/metrics.h"
#include "base/clock.h"
#include "base/limits.h"
#include "tests/support/ingesting.h"

static int post(struct ingesting *t, struct bytes body, const char *headers, char *answer,
                size_t size)
{
    char head[512];
    int fd = serving_connect(&t->serving);
    int len = snprintf(head, sizeof(head),
                       "POST /api/42/envelope/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s"
                       "Content-Length: %zu\r\n\r\n",
                       headers, body.len);
    serving_send(fd, bytes_of(head, (size_t)len));
    serving_send(fd, body);
    serving_read_all(fd, answer, size);
    close(fd);
    uint64_t status = 0;
    cr_assert(bytes_to_u64(bytes_first(bytes_from(bytes_of_text(answer), 9), 3), &status), "%s",
              answer);
    cr_expect(strstr(answer, "Access-Control-Allow-Origin: *\r\n") != NULL, "%s", answer);
    cr_expect(strstr(answer, "Retry-After") == NULL, "%s", answer);
    return (int)status;
}

/* Bodies of every way of arriving: whole, in pieces, coded, larger than one piece decoded. */
Test(ingest_handler, every_way_of_arriving_is_stored)
{
    struct ingesting t;
    struct buffer body, coded;
    static char answer[4096];
    ingesting_start(&t, MIB(128));
    buffer_init(&body, MIB(32), NULL);
    buffer_init(&coded, MIB(32), NULL);
    static const unsigned samples[] = {3, 30000, 300000}; /* 0.2 KB, 1.6 MB, 16.5 MB */
    uint64_t stored = 0;
    for (unsigned i = 0; i < 3; i++) {
        buffer_clear(&body);
        ingesting_put_chunk(&body, i * 10, samples[i]);
        cr_expect_eq(post(&t, buffer_bytes(&body), INGESTING_AUTH, answer, sizeof(answer)), 200,
                     "%s", answer);
        for (enum http_coding c = HTTP_CODING_GZIP; c <= HTTP_CODING_ZSTD; c++) {
            struct http_encoder *e = NULL;
            char headers[200];
            buffer_clear(&body);
            buffer_clear(&coded);
            ingesting_put_chunk(&body, i * 10 + c, samples[i]);
            cr_assert_eq(http_encoder_create(c, NULL, &e), ERR_OK);
            cr_assert_eq(http_encoder_feed(e, buffer_bytes(&body), true, &coded), ERR_OK);
            http_encoder_destroy(e);
            snprintf(headers, sizeof(headers), INGESTING_AUTH "Content-Encoding: %s\r\n",
                     http_coding_name(c));
            cr_expect_eq(post(&t, buffer_bytes(&coded), headers, answer, sizeof(answer)), 200, "%s",
                         answer);
        }
        stored += 3;
        cr_expect_eq(ingesting_rows(&t), stored);
    }
    cr_expect_geq(metrics_get(t.serving.metrics, METRIC_UPLOADS_STREAMED), 2);
    cr_expect_eq(metrics_get(t.serving.metrics, METRIC_SAMPLES), 3 * (3 + 30000 + 300000));
    buffer_close(&body);
    buffer_close(&coded);
    cr_expect(ingesting_stop(&t), "all memory was given back");
}

struct lender {
    struct mem_account account;
    unsigned after_ms;
};

static void *give_back(void *argument)
{
    struct lender *l = argument;
    usleep(l->after_ms * 1000);
    mem_account_close(&l->account);
    return NULL;
}

Test(ingest_handler, an_upload_waits_for_memory_and_then_gives_up)
{
    struct ingesting t;
    struct buffer body;
    static char answer[4096];
    ingesting_start(&t, MIB(16));
    buffer_init(&body, MIB(4), NULL);
    ingesting_put_chunk(&body, 1, 30000);
    struct lender lender = {.after_ms = 100};
    for (int round = 0; round < 2; round++) { /* room comes after 100 ms; it does not come */
        mem_account_init(&lender.account, &t.serving.budget, MIB(16));
        cr_assert_eq(mem_account_reserve(&lender.account, MIB(16)), ERR_OK);
        pthread_t thread;
        int64_t from = clock_steady_ns();
        lender.after_ms = round == 0 ? 100 : 2000;
        cr_assert_eq(pthread_create(&thread, NULL, give_back, &lender), 0);
        int status = post(&t, buffer_bytes(&body), INGESTING_AUTH, answer, sizeof(answer));
        int64_t took_ms = (clock_steady_ns() - from) / 1000000;
        cr_expect_eq(status, round == 0 ? 200 : 503, "%s", answer);
        cr_expect_geq(took_ms, round == 0 ? 100 : 300);
        cr_expect_lt(took_ms, round == 0 ? 1500 : 1900);
        cr_expect_eq(strstr(answer, "X-Sentry-Rate-Limits: 60:profile;profile_chunk;") != NULL,
                     round == 1, "%s", answer);
        pthread_join(thread, NULL);
    }
    cr_expect_eq(ingesting_rows(&t), 1);
    cr_expect_eq(metrics_get(t.serving.metrics, METRIC_ADMISSION_WAITS), 2);
    cr_expect_eq(metrics_get(t.serving.metrics, METRIC_ADMISSION_REFUSED), 1);
    buffer_close(&body);
    cr_expect(ingesting_stop(&t), "all memory was given back");
}

struct half_sender {
    const struct ingesting *t;
    struct bytes body;
    pthread_barrier_t *halves;
    int status;
};

static void *send_halves(void *argument)
{
    struct half_sender *h = argument;
    char text[4096];
    int fd = serving_connect(&h->t->serving);
    int len = snprintf(
        text, sizeof(text),
        "POST /api/42/envelope/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" INGESTING_AUTH
        "Content-Length: %zu\r\n\r\n",
        h->body.len);
    serving_send(fd, bytes_of(text, (size_t)len));
    serving_send(fd, bytes_first(h->body, h->body.len / 2));
    (void)pthread_barrier_wait(h->halves);
    serving_send(fd, bytes_from(h->body, h->body.len / 2));
    serving_read_all(fd, text, sizeof(text));
    close(fd);
    uint64_t status = 0;
    (void)bytes_to_u64(bytes_first(bytes_from(bytes_of_text(text), 9), 3), &status);
    h->status = (int)status;
    return NULL;
}

#define HALVES 4

/* Room for four halves, not for three: without an order all wait for the others' memory. */
Test(ingest_handler, half_read_uploads_do_not_block_each_other)
{
    struct ingesting t;
    struct buffer body;
    pthread_barrier_t halves;
    buffer_init(&body, MIB(16), NULL);
    ingesting_put_chunk(&body, 1, 100000);
    ingesting_start(&t, body.len * 5 / 2);
    cr_assert_eq(pthread_barrier_init(&halves, NULL, HALVES), 0);
    struct half_sender senders[HALVES];
    pthread_t threads[HALVES];
    unsigned stored = 0;
    for (int i = 0; i < HALVES; i++) {
        senders[i] = (struct half_sender){&t, buffer_bytes(&body), &halves, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, send_halves, &senders[i]), 0);
    }
    for (int i = 0; i < HALVES; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < HALVES; i++)
        stored += senders[i].status == 200;
    cr_expect_geq(stored, 1, "somebody's turn came");
    pthread_barrier_destroy(&halves);
    buffer_close(&body);
    cr_expect(ingesting_stop(&t), "all memory was given back");
}

Test(ingest_handler, refusals_do_not_wait_for_the_body)
{
    struct ingesting t;
    static char answer[4096];
    ingesting_start(&t, MIB(64));
    static const struct {
        const char *path;
        const char *headers;
        int status;
    } cases[] = {
        /* without any key the envelope's own header may still have it */
        {"/api/42/envelope/",
         "X-Sentry-Auth: Sentry sentry_key=00000000000000000000000000000001\r\n", 403},
        {"/api/43/envelope/", INGESTING_AUTH, 403},
        {"/api/x/envelope/", INGESTING_AUTH, 400},
        {"/api/42/envelope/?sentry_key=" INGESTING_KEY, INGESTING_AUTH, 401},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int large = 0; large < 2; large++) {
            char request[600];
            char want[32];
            int fd = serving_connect(&t.serving);
            snprintf(request, sizeof(request),
                     "POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: 100000000\r\n%s\r\n",
                     cases[i].path, cases[i].headers, large ? "" : "Expect: 100-continue\r\n");
            serving_send_text(fd, request);
            if (large) { /* a client that sends and sends without asking */
                static uint8_t piece[1 << 16];
                for (int k = 0; k < 16; k++)
                    serving_send(fd, bytes_of(piece, sizeof(piece)));
            }
            snprintf(want, sizeof(want), "HTTP/1.1 %d ", cases[i].status);
            cr_expect(serving_read_until(fd, answer, sizeof(answer), "\r\n\r\n"), "%zu", i);
            cr_expect(strstr(answer, want) == answer, "%s\n%s", request, answer);
            cr_expect(strstr(answer, "Connection: close") != NULL);
            close(fd);
        }
    /* a small one is read to its end, and the connection kept */
    int fd = serving_connect(&t.serving);
    for (int i = 0; i < 3; i++) {
        serving_send_text(fd, "POST /api/43/envelope/ HTTP/1.1\r\nHost: h\r\n" INGESTING_AUTH
                              "Content-Length: 5\r\n\r\nhello");
        cr_expect(serving_read_until(fd, answer, sizeof(answer), "}"), "%s", answer);
        cr_expect(strstr(answer, "HTTP/1.1 403 ") == answer, "%s", answer);
        cr_expect(strstr(answer, "Connection: close") == NULL);
    }
    close(fd);
    serving_exchange(&t.serving,
                     "POST /api/42/envelope/ HTTP/1.1\r\nHost: h\r\n" INGESTING_AUTH
                     "Content-Length: 300000000\r\nExpect: 100-continue\r\n\r\n",
                     answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 413 ") == answer, "%s", answer);
    cr_expect_eq(ingesting_rows(&t), 0);
    cr_expect(ingesting_stop(&t), "all memory was given back");
}

Test(ingest_handler, a_full_disk_is_503_and_heals)
{
    struct ingesting t;
    struct buffer body;
    static char answer[4096];
    ingesting_start(&t, MIB(64));
    buffer_init(&body, MIB(4), NULL);
    ingesting_put_chunk(&body, 1, 100);
    vfs_mem_set_space(t.disk, 1);
    int status = post(&t, buffer_bytes(&body), INGESTING_AUTH, answer, sizeof(answer));
    cr_expect_eq(status, 503, "%s", answer);
    cr_expect(strstr(answer, "X-Sentry-Rate-Limits: 60:profile;") != NULL, "%s", answer);
    cr_expect_eq(ingesting_rows(&t), 0);
    cr_expect_eq(metrics_get(t.serving.metrics, METRIC_BATCHES_FAILED), 1);
    vfs_mem_set_space(t.disk, 0);
    cr_expect_eq(post(&t, buffer_bytes(&body), INGESTING_AUTH, answer, sizeof(answer)), 200, "%s",
                 answer);
    cr_expect_eq(ingesting_rows(&t), 1);
    buffer_close(&body);
    cr_expect(ingesting_stop(&t), "all memory was given back");
}

Test(ingest_handler, loopback_names_are_few)
{
    static const char *const yes[] = {"localhost",   "LOCALHOST:80", "127.0.0.1",
                                      "127.1.2.3:9", "[::1]",        "[::1]:80"};
    static const char *const no[] = {"",        "localhost.x", "xlocalhost", "127.0.0.1.x",
                                     "127.0.0", "128.0.0.1",   "[::1",       "[::1]x",
                                     "[::2]",   "127.0.0.1x"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        cr_expect(host_is_loopback(bytes_of_text(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        cr_expect_not(host_is_loopback(bytes_of_text(no[i])), "%s", no[i]);
}
