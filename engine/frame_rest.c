#include "engine/frame_rest.h"

#include "engine/json_reader.h"

static struct bytes find_text(struct bytes object, const char *key)
{
    struct bytes none = {NULL, 0};
    if (object.len == 0)
        return none;
    struct bytes value = json_find(object, key);
    bool is_text = value.len > 2 && value.data[0] == '"'; /* "" counts as absent */
    return is_text ? value : none;
}

struct bytes frame_rest_symbolicator_status(struct bytes rest)
{
    if (rest.len == 0)
        return rest;
    return find_text(json_find(rest, "data"), "symbolicator_status");
}

struct bytes frame_rest_status(struct bytes rest)
{
    return find_text(rest, "status");
}

bool frame_rest_is_symbolicated(struct bytes rest)
{
    struct bytes status = frame_rest_symbolicator_status(rest);
    if (status.len == 0)
        status = frame_rest_status(rest);
    return bytes_equal(status, BYTES("\"symbolicated\""));
}

bool frame_rest_is_inline(struct bytes rest)
{
    return bytes_equal(frame_rest_status(rest), BYTES("\"symbolicated\"")) &&
           find_text(rest, "sym_addr").len == 0;
}
