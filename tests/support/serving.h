/* serving.h - a server of a test's own routes on a free loopback port, and raw bytes to and from it. */
#ifndef HEARTH_TESTS_SERVING_H
#define HEARTH_TESTS_SERVING_H

#include "api/app.h"
#include "api/server.h"

struct serving {
    struct mem_budget budget;
    struct metrics *metrics;
    struct app app;
    struct router router;
    struct server *server;
    uint16_t port;
};

/* Zeroed limits: the product's. Aborts the test when it cannot start. */
void serving_start(struct serving *s, const struct route *routes, size_t count, unsigned threads,
                   const struct http_limits *limits, size_t memory_max);
void serving_stop(struct serving *s);

/* A connected socket with a receive timeout of 10 s. */
int serving_connect(const struct serving *s);
void serving_send(int fd, struct bytes data);
void serving_send_text(int fd, const char *text);
/* Everything until the peer closes (or the time-out), at most size - 1 bytes, terminated. */
size_t serving_read_all(int fd, char *to, size_t size);
/* Read until `text` has been seen (terminated, in `to`); false when the peer closed before. */
bool serving_read_until(int fd, char *to, size_t size, const char *text);
/* Send, half-close, read everything. */
size_t serving_exchange(const struct serving *s, const char *request, char *to, size_t size);
/* How often `needle` occurs in `text`. */
unsigned serving_count(const char *text, const char *needle);

#endif
