#include "api/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <netdb.h>

#include "base/bytes.h"

static struct sockaddr_in *as_v4(struct listen_address *a)
{
    return (struct sockaddr_in *)&a->address;
}

static struct sockaddr_in6 *as_v6(struct listen_address *a)
{
    return (struct sockaddr_in6 *)&a->address;
}

static enum err resolve(const char *host, const char *port, struct listen_address *ret,
                        struct errinfo *info)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found);
    if (rc != 0)
        return err_set(info, ERR_NOTFOUND, "listen address '%s': %s", host, gai_strerror(rc));
    memcpy(&ret->address, found->ai_addr, found->ai_addrlen);
    ret->size = found->ai_addrlen;
    freeaddrinfo(found);
    return ERR_OK;
}

enum err listen_address_parse(const char *text, struct listen_address *ret, struct errinfo *info)
{
    char host[256];
    char port[8];
    struct bytes all = bytes_of_text(text);
    size_t colon = all.len;
    while (colon > 0 && all.data[colon - 1] != ':')
        colon--;
    struct bytes name = bytes_first(all, colon == 0 ? 0 : colon - 1);
    struct bytes number = bytes_from(all, colon);
    bool bracketed = name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';
    if (bracketed)
        name = bytes_first(bytes_from(name, 1), name.len - 2);
    uint64_t value = 0;
    if (colon == 0 || !bytes_to_u64(number, &value) || value > UINT16_MAX ||
        name.len >= sizeof(host) || (!bracketed && bytes_find_byte(name, ':') < name.len))
        return err_set(info, ERR_MALFORMED,
                       "listen address '%s': expected HOST:PORT or [IPV6]:PORT", text);
    memcpy(host, name.data, name.len);
    host[name.len] = '\0';
    (void)snprintf(port, sizeof(port), "%u", (unsigned)value);
    *ret = (struct listen_address){0};
    return resolve(host, port, ret, info);
}

bool listen_address_is_loopback(const struct listen_address *a)
{
    struct listen_address copy = *a;
    if (a->address.ss_family == AF_INET)
        return (ntohl(as_v4(&copy)->sin_addr.s_addr) >> 24) == 127;
    if (a->address.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&as_v6(&copy)->sin6_addr);
    return false;
}

uint16_t listen_address_port(const struct listen_address *a)
{
    struct listen_address copy = *a;
    return ntohs(a->address.ss_family == AF_INET6 ? as_v6(&copy)->sin6_port
                                                  : as_v4(&copy)->sin_port);
}

void listen_address_set_port(struct listen_address *a, uint16_t port)
{
    if (a->address.ss_family == AF_INET6)
        as_v6(a)->sin6_port = htons(port);
    else
        as_v4(a)->sin_port = htons(port);
}

void listen_address_print(const struct listen_address *a, char text[LISTEN_TEXT_SIZE])
{
    struct listen_address copy = *a;
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = a->address.ss_family == AF_INET6;
    if (six)
        (void)inet_ntop(AF_INET6, &as_v6(&copy)->sin6_addr, host, sizeof(host));
    else
        (void)inet_ntop(AF_INET, &as_v4(&copy)->sin_addr, host, sizeof(host));
    (void)snprintf(text, LISTEN_TEXT_SIZE, six ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)listen_address_port(a));
}
