#include "api/status.h"

#include <stddef.h>

/* No default: a new code asks to be mapped here. */
int status_of(enum err rc)
{
    switch (rc) {
    case ERR_OK: return 200;
    case ERR_NOMEM: return 503;
    case ERR_IO: return 500;
    case ERR_NOSPACE: return 507;
    case ERR_CORRUPT: return 500;
    case ERR_UNSUPPORTED: return 501;
    case ERR_MALFORMED: return 400;
    case ERR_LIMIT: return 413;
    case ERR_NOTFOUND: return 404;
    case ERR_BUSY: return 503;
    case ERR_CANCELED: return 499;
    }
    return 500;
}

const char *status_reason_of(enum err rc)
{
    switch (rc) {
    case ERR_OK: return "ok";
    case ERR_NOMEM: return "out_of_memory";
    case ERR_IO: return "input_output_error";
    case ERR_NOSPACE: return "no_space_on_device";
    case ERR_CORRUPT: return "stored_data_damaged";
    case ERR_UNSUPPORTED: return "not_supported";
    case ERR_MALFORMED: return "malformed_input";
    case ERR_LIMIT: return "over_a_limit";
    case ERR_NOTFOUND: return "not_found";
    case ERR_BUSY: return "no_room_at_the_moment";
    case ERR_CANCELED: return "canceled";
    }
    return "unknown";
}

const char *status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}
