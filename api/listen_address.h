/* listen_address.h - "127.0.0.1:1218", "[::1]:0", "localhost:8080" as socket addresses. */
#ifndef HEARTH_API_LISTEN_ADDRESS_H
#define HEARTH_API_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define LISTEN_TEXT_SIZE 80

struct listen_address {
    struct sockaddr_storage address;
    socklen_t size;
};

/* Resolves names (blocks): at start only. Port 0: any free one. */
enum err listen_address_parse(const char *text, struct listen_address *ret,
                              struct errinfo *info) MUST_CHECK;
bool listen_address_is_loopback(const struct listen_address *a);
uint16_t listen_address_port(const struct listen_address *a);
void listen_address_set_port(struct listen_address *a, uint16_t port);
/* "127.0.0.1:1218" or "[::1]:1218" */
void listen_address_print(const struct listen_address *a, char text[LISTEN_TEXT_SIZE]);

#endif
