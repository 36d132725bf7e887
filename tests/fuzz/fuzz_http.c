/* Any bytes as requests of one connection, cut anywhere: never a crash, within the ceilings, and the
 * same requests however they were cut. The first byte seeds the cuts. */
#include <assert.h>
#include <stdlib.h>

#include "api/http_request.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/size.h"

#define REQUESTS_MAX 64

struct seen {
    uint64_t hash; /* of every request, in order */
    unsigned requests;
    int refusal;
};

static uint64_t mix(uint64_t hash, struct bytes b)
{
    return hash_bytes(b, hash + b.len);
}

static void note_head(struct seen *s, const struct http_parser *p)
{
    const struct http_request *q = &p->request;
    assert(q->target.len <= TARGET_SIZE_MAX);
    assert(q->header_count <= HEADER_COUNT_MAX && q->param_count <= PARAM_COUNT_MAX);
    s->refusal = p->refusal;
    s->hash = mix(s->hash, q->target);
    s->hash = mix(s->hash, q->path);
    for (size_t i = 0; i < q->header_count; i++)
        s->hash = mix(mix(s->hash, q->headers[i].name), q->headers[i].value);
    for (size_t i = 0; i < q->param_count; i++)
        s->hash = mix(mix(s->hash, q->params[i].name), q->params[i].value);
}

/* One request of the connection; false when nothing more can be read from it. */
static bool run_request(struct http_parser *p, struct bytes *input, uint64_t *cuts, struct seen *s)
{
    struct arena arena;
    struct buffer body;
    bool again = false;
    bool going = true;
    arena_init(&arena, REQUEST_HEAD_MAX, NULL);
    buffer_init(&body, MIB(4), NULL);
    http_parser_reset(p, &arena, NULL);
    p->body = &body;
    for (bool open = true; open && (input->len > 0 || again);) {
        *cuts = hash_u64(*cuts + 1);
        size_t len = *cuts == 0 ? input->len : size_min(input->len, 1 + (size_t)(*cuts % 40));
        struct bytes piece = bytes_first(*input, again ? 0 : len);
        struct bytes rest = piece;
        again = false;
        enum http_step step = http_parser_step(p, &rest);
        assert(rest.len <= piece.len);
        *input = bytes_from(*input, piece.len - rest.len);
        switch (step) {
        case HTTP_MORE: assert(rest.len == 0); break;
        case HTTP_HEADERS:
            note_head(s, p);
            again = true;
            break;
        case HTTP_END:
            s->hash = mix(s->hash, buffer_bytes(&body));
            s->requests++;
            open = false;
            break;
        case HTTP_BAD:
            assert(p->refusal >= 400 && p->why != NULL && p->reason != NULL);
            s->refusal = p->refusal;
            open = going = false;
            break;
        }
    }
    http_parser_close(p);
    buffer_close(&body);
    arena_close(&arena);
    return going && input->len > 0;
}

static struct seen run(struct bytes input, uint64_t cuts)
{
    struct http_parser p;
    struct seen s = {0};
    http_parser_init(&p);
    while (s.requests < REQUESTS_MAX && run_request(&p, &input, &cuts, &s))
        ;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    struct seen one = run(input, data[0]);
    struct seen two = run(input, (uint64_t)data[0] + 1000);
    /* of two faults close to each other, the cut decides which is met first */
    assert(one.requests == two.requests && one.hash == two.hash);
    assert((one.refusal == 0) == (two.refusal == 0));
    (void)one;
    (void)two;
    return 0;
}
