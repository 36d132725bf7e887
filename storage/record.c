#include "storage/record.h"

#include <inttypes.h>

#include "base/limits.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "storage/page.h"
#include "storage/profile_block.h"

uint32_t record_page_seed(uint64_t project_id, struct uuid profiler_id, struct uuid id)
{
    uint8_t project[8];
    put_u64(project, project_id);
    uint32_t seed = crc32c(0, bytes_of(project, sizeof project));
    seed = crc32c(seed, bytes_of(profiler_id.byte, sizeof profiler_id.byte));
    return crc32c(seed, bytes_of(id.byte, sizeof id.byte));
}

/* ---- facts ---- */

static void put_uuid(struct buffer *out, struct uuid id)
{
    buffer_put(out, bytes_of(id.byte, sizeof id.byte));
}

static void put_text(struct buffer *out, struct bytes text)
{
    buffer_put_varint(out, text.len);
    buffer_put(out, text);
}

static struct uuid get_uuid(struct reader *r)
{
    struct uuid id = {0};
    struct bytes raw = reader_take(r, sizeof id.byte);
    if (!r->failed)
        memcpy(id.byte, raw.data, sizeof id.byte);
    return id;
}

static struct bytes get_text(struct reader *r)
{
    uint64_t len = reader_varint(r);
    if (len > reader_left(r))
        r->failed = true;
    return reader_take(r, r->failed ? 0 : (size_t)len);
}

static uint32_t get_u32(struct reader *r)
{
    uint64_t value = reader_varint(r);
    if (value > UINT32_MAX)
        r->failed = true;
    return r->failed ? 0 : (uint32_t)value;
}

/* Everything that the content hash covers of a profile's facts. */
static void put_profile_facts(struct buffer *out, const struct record *facts)
{
    buffer_put_varint(out, facts->organization_id);
    buffer_put_varint(out, facts->project_id);
    buffer_put_varint(out, facts->retention_days);
    put_uuid(out, facts->id);
    if (facts->kind == RECORD_CHUNK) {
        put_uuid(out, facts->profiler_id);
    } else {
        put_uuid(out, facts->trace_id);
        put_uuid(out, facts->transaction_id);
    }
    buffer_put_u64(out, (uint64_t)facts->start_ns);
    buffer_put_varint(out, (uint64_t)facts->end_ns - (uint64_t)facts->start_ns);
    buffer_put_varint(out, facts->sample_count);
    buffer_put_varint(out, facts->thread_count);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        put_text(out, facts->text[i]);
}

static void get_profile_facts(struct reader *r, struct record *ret)
{
    ret->organization_id = reader_varint(r);
    ret->project_id = reader_varint(r);
    ret->retention_days = get_u32(r);
    ret->id = get_uuid(r);
    if (ret->kind == RECORD_CHUNK) {
        ret->profiler_id = get_uuid(r);
    } else {
        ret->trace_id = get_uuid(r);
        ret->transaction_id = get_uuid(r);
    }
    ret->start_ns = (int64_t)reader_u64(r);
    ret->end_ns = (int64_t)((uint64_t)ret->start_ns + reader_varint(r));
    if (ret->end_ns < ret->start_ns)
        r->failed = true;
    ret->sample_count = get_u32(r);
    ret->thread_count = get_u32(r);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        ret->text[i] = get_text(r);
}

void record_get_link_texts(const struct link *link, struct bytes ret[LINK_TEXT_COUNT])
{
    ret[LINK_NAME] = link->name;
    ret[LINK_OP] = link->op;
    ret[LINK_THREAD_ID] = link->thread_id;
    ret[LINK_THREAD_NAME] = link->thread_name;
    ret[LINK_ENVIRONMENT] = link->environment;
    ret[LINK_RELEASE] = link->release;
    ret[LINK_PLATFORM] = link->platform;
}

void record_set_link_texts(struct link *link, const struct bytes text[LINK_TEXT_COUNT])
{
    link->name = text[LINK_NAME];
    link->op = text[LINK_OP];
    link->thread_id = text[LINK_THREAD_ID];
    link->thread_name = text[LINK_THREAD_NAME];
    link->environment = text[LINK_ENVIRONMENT];
    link->release = text[LINK_RELEASE];
    link->platform = text[LINK_PLATFORM];
}

static void put_link_facts(struct buffer *out, const struct link *link)
{
    buffer_put_varint(out, link->project_id);
    put_uuid(out, link->trace_id);
    put_uuid(out, link->profiler_id);
    put_uuid(out, link->transaction_id);
    buffer_put_u64(out, link->span_id);
    buffer_put_u64(out, link->parent_span_id);
    buffer_put_u64(out, (uint64_t)link->start_ns);
    buffer_put_u64(out, (uint64_t)link->end_ns);
    buffer_put_u8(out, link->is_segment);
    struct bytes text[LINK_TEXT_COUNT];
    record_get_link_texts(link, text);
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        put_text(out, text[i]);
}

static void get_link_facts(struct reader *r, struct link *ret)
{
    ret->project_id = reader_varint(r);
    ret->trace_id = get_uuid(r);
    ret->profiler_id = get_uuid(r);
    ret->transaction_id = get_uuid(r);
    ret->span_id = reader_u64(r);
    ret->parent_span_id = reader_u64(r);
    ret->start_ns = (int64_t)reader_u64(r);
    ret->end_ns = (int64_t)reader_u64(r);
    uint8_t is_segment = reader_u8(r);
    if (is_segment > 1)
        r->failed = true;
    ret->is_segment = is_segment == 1;
    struct bytes text[LINK_TEXT_COUNT];
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        text[i] = get_text(r);
    record_set_link_texts(ret, text);
}

enum err record_parse(struct bytes facts, struct record *ret, struct errinfo *info)
{
    struct reader r = reader_of(facts);
    struct record rec = {0};
    uint8_t kind = reader_u8(&r);
    rec.content.lo = reader_u64(&r);
    rec.content.hi = reader_u64(&r);
    if (!r.failed && (kind < RECORD_CHUNK || kind > RECORD_LINK))
        return err_set(info, ERR_UNSUPPORTED, "record: unknown kind %u", kind);
    rec.kind = (enum record_kind)kind;
    if (rec.kind == RECORD_LINK) {
        get_link_facts(&r, &rec.link);
    } else {
        rec.received_ns = (int64_t)reader_u64(&r);
        rec.block_size = get_u32(&r);
        get_profile_facts(&r, &rec);
    }
    if (r.failed || reader_left(&r) > 0)
        return err_set(info, ERR_CORRUPT, "record: %zu bytes of facts do not fit kind %u",
                       facts.len, kind);
    *ret = rec;
    return ERR_OK;
}

enum err record_split(struct bytes record, struct bytes *ret_facts, struct bytes *ret_block,
                      struct errinfo *info)
{
    struct reader r = reader_of(record);
    uint32_t facts_size = reader_u32(&r);
    uint32_t block_size = reader_u32(&r);
    struct bytes facts = reader_take(&r, facts_size);
    struct bytes block = reader_take(&r, block_size);
    if (r.failed || reader_left(&r) > 0)
        return err_set(info, ERR_CORRUPT, "record: sizes do not add up to %zu bytes", record.len);
    *ret_facts = facts;
    *ret_block = block;
    return ERR_OK;
}

/* ---- encoding ---- */

/* Hash of the facts and of the hash of the block. */
static struct hash128 content_of(struct bytes facts, struct bytes block)
{
    struct hash128 inner = hash_bytes128(block, 0);
    struct hash128 outer = hash_bytes128(facts, inner.lo);
    return (struct hash128){.lo = outer.lo, .hi = outer.hi + inner.hi};
}

/* A profile without samples stands at its own start. */
static void find_span(const struct profile *p, struct record *facts)
{
    facts->start_ns = facts->end_ns = p->timestamp_ns;
    if (p->sample_count == 0)
        return;
    facts->start_ns = facts->end_ns = profile_sample_ns(p, 0);
    for (size_t i = 1; i < p->sample_count; i++) {
        if (p->sample_time[i] == p->sample_time[i - 1])
            continue;
        int64_t ns = profile_sample_ns(p, i);
        facts->start_ns = ns < facts->start_ns ? ns : facts->start_ns;
        facts->end_ns = ns > facts->end_ns ? ns : facts->end_ns;
    }
}

/* Threads with samples come first: one more than the largest thread that a sample names. */
static uint32_t sampled_threads(const struct profile *p)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->sample_count; i++) {
        if (p->sample_thread[i] >= count)
            count = p->sample_thread[i] + 1;
    }
    return count;
}

static struct record facts_of(const struct profile *p)
{
    struct record facts = {
        .kind = (enum record_kind)p->kind,
        .organization_id = p->organization_id,
        .project_id = p->project_id,
        .retention_days = p->retention_days,
        .received_ns = p->received_ns,
        .id = p->id,
        .sample_count = (uint32_t)p->sample_count,
        .thread_count = sampled_threads(p),
        .text = {[TEXT_PLATFORM] = profile_string(p, p->platform),
                 [TEXT_ENVIRONMENT] = profile_string(p, p->environment),
                 [TEXT_RELEASE] = profile_string(p, p->release),
                 [TEXT_DIST] = profile_string(p, p->dist),
                 [TEXT_SDK_NAME] = profile_string(p, p->sdk_name),
                 [TEXT_SDK_VERSION] = profile_string(p, p->sdk_version),
                 [TEXT_TRANSACTION] = profile_string(p, p->transaction)},
    };
    if (p->kind == PROFILE_CHUNK) {
        facts.profiler_id = p->profiler_id;
    } else {
        facts.trace_id = p->trace_id;
        facts.transaction_id = p->transaction_id;
    }
    find_span(p, &facts);
    return facts;
}

static void put_facts_head(struct buffer *out, enum record_kind kind, struct hash128 content)
{
    buffer_put_u8(out, (uint8_t)kind);
    buffer_put_u64(out, content.lo);
    buffer_put_u64(out, content.hi);
}

/* The facts go in front of the page, whose size they tell: both are put, then the two sizes. */
static enum err put_profile_record(const struct record *facts, struct bytes raw,
                                   struct bytes hashed, struct buffer *out, struct errinfo *info)
{
    struct buffer page;
    buffer_init(&page, SIZE_MAX, out->account);
    enum err rc = page_seal(raw, record_page_seed(facts->project_id, facts->profiler_id, facts->id),
                            &page, info);
    if (rc == ERR_OK) {
        size_t start = out->len;
        buffer_put_u32(out, 0);
        buffer_put_u32(out, (uint32_t)page.len);
        size_t facts_start = out->len;
        put_facts_head(out, facts->kind, content_of(hashed, raw));
        buffer_put_u64(out, (uint64_t)facts->received_ns);
        buffer_put_varint(out, page.len);
        buffer_put(out, hashed);
        if (out->failed == ERR_OK)
            put_u32(out->data + start, (uint32_t)(out->len - facts_start));
        buffer_put(out, buffer_bytes(&page));
        rc = out->failed;
    }
    buffer_close(&page);
    return rc;
}

enum err record_encode_profile(const struct profile *p, struct buffer *out, struct errinfo *info)
{
    struct buffer raw;
    struct buffer hashed;
    size_t start = out->len;
    buffer_init(&raw, PAGE_RAW_MAX, out->account);
    buffer_init(&hashed, FACTS_SIZE_MAX, out->account);
    enum err rc = profile_block_encode(p, &raw, info);
    if (rc == ERR_OK) {
        struct record facts = facts_of(p);
        put_profile_facts(&hashed, &facts);
        rc = hashed.failed;
        if (rc == ERR_OK)
            rc = put_profile_record(&facts, buffer_bytes(&raw), buffer_bytes(&hashed), out, info);
        if (rc != ERR_OK)
            rc = err_set(info, rc, "record: no room to encode a profile");
    }
    buffer_close(&hashed);
    buffer_close(&raw);
    if (rc != ERR_OK)
        out->len = start;
    return rc;
}

enum err record_link_content(const struct link *link, struct buffer *scratch, struct hash128 *ret)
{
    buffer_clear(scratch);
    put_link_facts(scratch, link);
    TRY(scratch->failed);
    *ret = content_of(buffer_bytes(scratch), (struct bytes){0});
    return ERR_OK;
}

enum err record_encode_link(const struct link *link, struct buffer *out, struct errinfo *info)
{
    struct buffer hashed;
    size_t start = out->len;
    buffer_init(&hashed, FACTS_SIZE_MAX, out->account);
    struct hash128 content;
    enum err rc = record_link_content(link, &hashed, &content);
    if (rc == ERR_OK) {
        buffer_put_u32(out, (uint32_t)(1 + 16 + hashed.len));
        buffer_put_u32(out, 0);
        put_facts_head(out, RECORD_LINK, content);
        buffer_put(out, buffer_bytes(&hashed));
        rc = out->failed;
    }
    buffer_close(&hashed);
    if (rc == ERR_OK)
        return ERR_OK;
    out->len = start;
    return err_set(info, rc, "record: no room to encode a link");
}
