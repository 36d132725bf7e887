/* store_upkeep.c - what keeps a store small: sealing, merging, dropping, one piece a call.
 *
 * A piece is prepared beside appends and readers, from closed parts that do not change. Its end is
 * done while `writing` is held:
 *
 *   open the new files -> find in them what was hidden meanwhile -> write the manifest -> publish
 *   the new version -> let the old files go with their last reader
 *
 * Invariants
 *  1. A file is removed only after a manifest that does not name it is on the device.
 *  2. When it is not known which manifest is on the device, neither the old nor the new files are
 *     removed, and no other piece is begun, until a manifest was written for certain.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "storage/compaction.h"
#include "storage/store_parts.h"

#define DAY_NS INT64_C(86400000000000)

struct piece {
    struct store *s;
    const struct store_upkeep *u;
    struct version *version;   /* as it was when the piece was begun */
    const struct part **parts; /* what it replaces, of that version */
    size_t part_count;
    struct compaction_result result;
    uint64_t *aside; /* numbers of files set aside that go */
    size_t aside_count;
    struct segment **segments; /* the new ones, opened */
    struct manifest manifest;  /* as it will be */
    bool rewrites;             /* new segments are made of the old parts, else these are dropped */
    uint64_t rows;             /* made, or dropped; */
    uint64_t bytes;            /* on the disk, likewise */
    struct errinfo *info;
};

static enum err no_room(struct piece *p)
{
    return err_set(p->info, ERR_NOMEM, "upkeep: out of memory");
}

/* ---- choosing ---- */

static bool is_usable(const struct part *part)
{
    return part->segment != NULL && !segment_is_damaged(part->segment);
}

static bool is_mergeable(const struct part *part)
{
    return is_usable(part) && part->segment->facts.level < SEGMENT_LEVEL_FULL &&
           part->segment->facts.size < SEGMENT_BLOCKS_MAX / 2;
}

/* The parts of the version that `wants` says yes to. */
static enum err choose(struct piece *p,
                       bool (*wants)(const struct piece *p, const struct part *part, int64_t what),
                       int64_t what)
{
    p->parts = mem_array(p->version->count, sizeof(struct part *));
    if (p->parts == NULL)
        return no_room(p);
    for (size_t i = 0; i < p->version->count; i++)
        if (wants(p, &p->version->parts[i], what))
            p->parts[p->part_count++] = &p->version->parts[i];
    return ERR_OK;
}

static bool is_expired(const struct piece *p, const struct part *part, int64_t now_ns)
{
    (void)p;
    return part->segment != NULL && part->segment->facts.expires_ns <= now_ns;
}

static bool is_that_part(const struct piece *p, const struct part *part, int64_t uid)
{
    (void)p;
    return part->uid == (uint32_t)uid;
}

static bool is_of_day(const struct piece *p, const struct part *part, int64_t day)
{
    (void)p;
    return is_mergeable(part) && part->segment->facts.day == day;
}

/* The day and the level in one number. */
static int64_t day_level(int32_t day, uint32_t level)
{
    return (int64_t)day * (SEGMENT_LEVEL_FULL + 1) + level;
}

static bool is_of_day_and_level(const struct piece *p, const struct part *part, int64_t what)
{
    (void)p;
    return is_mergeable(part) &&
           day_level(part->segment->facts.day, part->segment->facts.level) == what;
}

static size_t count_parts(const struct piece *p,
                          bool (*wants)(const struct piece *, const struct part *, int64_t),
                          int64_t what)
{
    size_t count = 0;
    for (size_t i = 0; i < p->version->count; i++)
        count += wants(p, &p->version->parts[i], what);
    return count;
}

/* A day of which no more is expected. */
static bool is_over(int32_t day)
{
    return day < clock_wall_ns() / DAY_NS - 1;
}

/* A few late rows do not rewrite a whole day. */
static bool is_worth_it(const struct piece *p, int32_t day)
{
    uint64_t all = 0;
    uint64_t largest = 0;
    for (size_t i = 0; i < p->version->count; i++) {
        const struct part *part = &p->version->parts[i];
        if (!is_of_day(p, part, day))
            continue;
        all += part->segment->facts.size;
        largest = part->segment->facts.size > largest ? part->segment->facts.size : largest;
    }
    return (all - largest) >= largest / SEGMENT_MERGE_COUNT;
}

/* Several segments of one day that are worth being one. */
static enum err choose_merge(struct piece *p)
{
    for (size_t i = 0; i < p->version->count; i++) {
        const struct part *part = &p->version->parts[i];
        if (!is_mergeable(part))
            continue;
        int32_t day = part->segment->facts.day;
        int64_t both = day_level(day, part->segment->facts.level);
        if ((p->u->everything || (is_over(day) && is_worth_it(p, day))) &&
            count_parts(p, is_of_day, day) > 1)
            return choose(p, is_of_day, day);
        if (count_parts(p, is_of_day_and_level, both) >= SEGMENT_MERGE_COUNT)
            return choose(p, is_of_day_and_level, both);
    }
    return ERR_OK;
}

static enum err choose_sealing(struct piece *p)
{
    for (size_t i = 0; i < p->version->count; i++)
        if (p->version->parts[i].log != NULL)
            return choose(p, is_that_part, p->version->parts[i].uid);
    return ERR_OK;
}

/* ---- rows hidden while the piece was prepared ---- */

struct key_in_new {
    size_t segment; /* of p->segments */
    uint32_t id;
};

static enum err find_in_new(struct piece *p, const struct record *key, struct key_in_new *ret)
{
    for (size_t i = 0; i < p->result.count; i++) {
        enum err rc = key->kind == RECORD_LINK
                          ? segment_rows_find_span(p->segments[i]->rows, &key->link, &ret->id)
                          : segment_rows_find_key(p->segments[i]->rows, key, &ret->id);
        ret->segment = i;
        if (rc != ERR_NOTFOUND)
            return rc;
    }
    return ERR_NOTFOUND;
}

/* Where that row or link of an old part is in the new segments. */
static enum err follow(struct piece *p, struct part_view *view, uint32_t id, bool link,
                       struct key_in_new *ret)
{
    struct record key = {.kind = RECORD_LINK};
    struct part_link found;
    enum err rc = link ? part_link(view, id, &found, NULL) : part_record(view, id, &key);
    if (rc == ERR_OK && link)
        key.link = found.link;
    if (rc == ERR_OK)
        rc = find_in_new(p, &key, ret);
    return rc == ERR_OK || rc == ERR_NOTFOUND
               ? rc
               : err_set(p->info, rc, "upkeep: cannot follow a hidden row");
}

/* Where rows or links of an old part are in new segments that closed sets have hidden meanwhile. */
static enum err follow_new_ids(struct piece *p, struct part_view *view,
                               const struct manifest_hidden *before,
                               const struct manifest_hidden *now, bool link,
                               struct key_in_new *found, size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < now->count; i++) {
        if (hidden_has(before, now->ids[i]))
            continue;
        enum err rc = follow(p, view, now->ids[i], link, &found[*ret_count]);
        if (rc != ERR_OK && rc != ERR_NOTFOUND)
            return rc;
        *ret_count += rc == ERR_OK;
    }
    return ERR_OK;
}

static enum err hide_in_new(struct piece *p, const struct key_in_new *found, size_t count,
                            bool link)
{
    uint32_t *ids = mem_array(count, sizeof *ids);
    enum err rc = ids == NULL ? no_room(p) : ERR_OK;
    for (size_t at = 0; at < p->result.count && rc == ERR_OK; at++) {
        struct manifest_segment *to = &p->result.segments[at];
        size_t of_this = 0;
        for (size_t i = 0; i < count; i++)
            if (found[i].segment == at)
                ids[of_this++] = found[i].id;
        if (hidden_add(link ? &to->links : &to->rows, ids, of_this) != ERR_OK)
            rc = no_room(p);
    }
    mem_free(ids);
    return rc;
}

static enum err hide_new_ids(struct piece *p, struct part_view *view,
                             const struct manifest_hidden *before,
                             const struct manifest_hidden *now, bool link)
{
    size_t count;
    if (now->count == before->count)
        return ERR_OK;
    struct key_in_new *found = mem_array(now->count, sizeof *found);
    if (found == NULL)
        return no_room(p);
    enum err rc = follow_new_ids(p, view, before, now, link, found, &count);
    if (rc == ERR_OK)
        rc = hide_in_new(p, found, count, link);
    mem_free(found);
    return rc;
}

/* What closed sets have hidden of the old parts goes to the lists of the new ones. */
static enum err carry_hidden(struct piece *p)
{
    for (size_t i = 0; i < p->part_count; i++) {
        const struct part *before = p->parts[i];
        const struct part *now = version_find(p->s->version, before->uid);
        struct part_view view;
        if (now == NULL)
            continue;
        part_view_init(&view, before, NULL);
        enum err rc = hide_new_ids(p, &view, &before->rows, &now->rows, false);
        if (rc == ERR_OK)
            rc = hide_new_ids(p, &view, &before->links, &now->links, true);
        part_view_close(&view);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static bool is_aside(const struct piece *p, uint64_t number)
{
    for (size_t i = 0; i < p->aside_count; i++)
        if (p->aside[i] == number)
            return true;
    return false;
}

static bool is_replaced(const struct piece *p, uint32_t uid, size_t *ret)
{
    for (size_t i = 0; i < p->part_count; i++) {
        *ret = i;
        if (p->parts[i]->uid == uid)
            return true;
    }
    return false;
}

/* Parts that are dropped take along what the open set hides of them. How many rows that were. */
static size_t forget_hidden(struct piece *p)
{
    struct log_index *open = p->s->open->index;
    size_t rows = 0;
    size_t links = 0;
    size_t old;
    for (size_t i = 0; i < log_index_hide_count(open); i++) {
        struct log_hidden hide = log_index_hidden(open, i);
        bool gone = is_replaced(p, hide.part, &old);
        rows += gone && !hide.link;
        links += gone && hide.link;
    }
    log_index_forget_hidden(open, rows, links);
    return rows;
}

/* What goes: rows that somebody could see until now, and files. */
static void count_dropped(struct piece *p)
{
    const struct version *v = p->s->version;
    uint64_t hidden = forget_hidden(p);
    for (size_t i = 0; i < p->part_count; i++) {
        const struct part *part = version_find(v, p->parts[i]->uid);
        p->rows += segment_row_count(part->segment) - part->rows.count;
        p->bytes += part->segment->facts.size;
    }
    p->rows -= hidden;
    for (size_t i = 0; i < v->aside_count; i++)
        if (is_aside(p, v->aside[i].number))
            p->bytes += v->aside[i].size;
}

static void count_made(struct piece *p)
{
    p->rows = p->result.rows;
    for (size_t i = 0; i < p->result.count; i++)
        p->bytes += p->result.segments[i].size;
}

static size_t count_to_carry(const struct piece *p)
{
    const struct log_index *open = p->s->open->index;
    size_t count = 0;
    size_t old;
    for (size_t i = 0; i < log_index_hide_count(open); i++)
        count += is_replaced(p, log_index_hidden(open, i).part, &old);
    return count;
}

/* What the open set hides of the old parts, it hides of the new ones as well. `first_uid` is the
 * first new segment's. */
static enum err carry_open(struct piece *p, uint32_t first_uid)
{
    struct log_index *open = p->s->open->index;
    size_t count = log_index_hide_count(open);
    enum err rc = log_index_reserve_carried(open, count_to_carry(p));
    if (rc != ERR_OK)
        return err_set(p->info, rc, "upkeep: no room to carry hidden rows");
    for (size_t i = 0; i < count; i++) {
        struct log_hidden hide = log_index_hidden(open, i);
        struct key_in_new at = {0};
        size_t old;
        if (!is_replaced(p, hide.part, &old))
            continue;
        struct part_view view;
        part_view_init(&view, p->parts[old], NULL);
        rc = follow(p, &view, hide.id, hide.link, &at);
        part_view_close(&view);
        if (rc == ERR_OK)
            log_index_carry_hidden(open, i, first_uid + (uint32_t)at.segment, at.id);
        else if (rc != ERR_NOTFOUND)
            return rc;
    }
    return ERR_OK;
}

/* ---- the end of a piece ---- */

static enum err open_new(struct piece *p)
{
    p->segments = mem_array(p->result.count, sizeof(struct segment *));
    if (p->segments == NULL)
        return no_room(p);
    memset(p->segments, 0, p->result.count * sizeof(struct segment *));
    for (size_t i = 0; i < p->result.count; i++)
        TRY(segment_open(p->s->vfs, p->s->dir, &p->result.segments[i], &p->segments[i], p->info));
    return ERR_OK;
}

static uint64_t max_count(const struct log_set *set)
{
    size_t rows = log_index_row_count(set->index);
    size_t links = log_index_link_count(set->index);
    return rows > links ? rows : links;
}

/* The logs of a set are in segments now. */
static void note_sealed(struct manifest *m, const struct log_set *set)
{
    for (uint32_t i = 0; i < set->log_count; i++) {
        struct log_facts facts = log_file_facts(log_set_log(set, i));
        if (facts.sequence <= m->sealed_through)
            continue;
        m->sealed_through = facts.sequence;
        m->sealed_size = facts.size;
    }
    m->next_arrival = set->first_arrival + max_count(set);
}

/* What a set that is sealed has hidden of segments. Before, its logs said so: a later arrival whose
 * block turns out to be damaged when they are read again is not to have hidden a row for ever. */
static enum err note_hidden(struct piece *p, const struct log_set *set)
{
    const struct version *v = p->s->version;
    for (size_t i = 0; i < v->count; i++) {
        struct manifest_segment *named =
            v->parts[i].segment == NULL
                ? NULL
                : manifest_find(&p->manifest, v->parts[i].segment->facts.number);
        if (named == NULL)
            continue;
        struct part hidden = {.uid = v->parts[i].uid, .rows = named->rows, .links = named->links};
        enum err rc = part_hide_by(&hidden, set->index);
        named->rows = hidden.rows;
        named->links = hidden.links;
        if (rc != ERR_OK)
            return no_room(p);
    }
    return ERR_OK;
}

static enum err make_manifest(struct piece *p)
{
    struct manifest *m = &p->manifest;
    if (manifest_copy(&p->s->manifest, m) != ERR_OK)
        return no_room(p);
    for (size_t i = 0; i < p->part_count; i++) {
        const struct log_set *set = p->parts[i]->log;
        if (set == NULL) {
            manifest_remove(m, p->parts[i]->segment->facts.number);
            continue;
        }
        note_sealed(m, set);
        TRY(note_hidden(p, set));
    }
    for (size_t i = 0; i < p->aside_count; i++)
        manifest_remove(m, p->aside[i]);
    for (size_t i = 0; i < p->result.count; i++) {
        struct manifest_segment copy = p->result.segments[i];
        copy.rows = copy.links = (struct manifest_hidden){0};
        if (hidden_add(&copy.rows, p->result.segments[i].rows.ids,
                       p->result.segments[i].rows.count) != ERR_OK ||
            hidden_add(&copy.links, p->result.segments[i].links.ids,
                       p->result.segments[i].links.count) != ERR_OK ||
            manifest_add(m, &copy) != ERR_OK) {
            mem_free(copy.rows.ids);
            mem_free(copy.links.ids);
            return no_room(p);
        }
    }
    m->generation++;
    m->next_number = p->s->next_number;
    return ERR_OK;
}

/* All parts but the old ones, then the new ones. */
static enum err make_version(struct piece *p, uint32_t first_uid, struct version **ret)
{
    const struct version *old = p->s->version;
    struct version *v = NULL;
    size_t at = 0;
    size_t unused;
    if (version_create(old->count + p->result.count, old->aside_count, &v) != ERR_OK)
        return no_room(p);
    v->aside_count = 0;
    for (size_t i = 0; i < old->aside_count; i++)
        if (!is_aside(p, old->aside[i].number))
            v->aside[v->aside_count++] = old->aside[i];
    enum err rc = ERR_OK;
    for (size_t i = 0; i < old->count && rc == ERR_OK; i++)
        if (!is_replaced(p, old->parts[i].uid, &unused))
            rc = version_put_part(v, at++, &old->parts[i]);
    for (size_t i = 0; i < p->result.count && rc == ERR_OK; i++) {
        struct part part = {.uid = first_uid + (uint32_t)i,
                            .segment = p->segments[i],
                            .rows = p->result.segments[i].rows,
                            .links = p->result.segments[i].links};
        rc = version_put_part(v, at++, &part);
    }
    v->count = at;
    if (rc != ERR_OK) {
        version_release(v);
        return no_room(p);
    }
    *ret = v;
    return ERR_OK;
}

/* Nobody reads it. */
static void remove_aside(struct piece *p)
{
    for (size_t i = 0; i < p->aside_count; i++) {
        struct errinfo reason = {0};
        enum err rc = segment_remove_file(p->s->vfs, p->s->dir, p->aside[i], &reason);
        if (rc != ERR_OK && rc != ERR_NOTFOUND)
            log_warn("store", "segment_not_removed %s (the next start tries again)", reason.text);
    }
}

static void retire_old(struct piece *p)
{
    for (size_t i = 0; i < p->part_count; i++) {
        if (p->parts[i]->log != NULL)
            log_set_retire(p->parts[i]->log);
        else
            segment_retire(p->parts[i]->segment);
    }
}

/* Bytes of the old and of the new files. */
static void count_bytes(struct piece *p)
{
    struct store_stats *stats = &p->s->stats;
    for (size_t i = 0; i < p->part_count; i++) {
        const struct log_set *set = p->parts[i]->log;
        for (uint32_t k = 0; set != NULL && k < set->log_count; k++) {
            struct log_facts facts = log_file_facts(log_set_log(set, k));
            stats->log_bytes -= facts.size > facts.file_size ? facts.size : facts.file_size;
        }
        if (set == NULL && p->rewrites)
            stats->segment_bytes -= p->parts[i]->segment->facts.size;
    }
    if (p->rewrites) {
        stats->segment_bytes += p->bytes;
        return;
    }
    stats->segment_bytes -= p->bytes;
    stats->dropped_rows += p->rows;
    stats->dropped_bytes += p->bytes;
}

static void publish(struct piece *p, struct version *v)
{
    struct store *s = p->s;
    (void)pthread_mutex_lock(&s->lock);
    struct version *old = s->version;
    s->version = v;
    count_bytes(p);
    (void)pthread_mutex_unlock(&s->lock);
    manifest_close(&s->manifest);
    s->manifest = p->manifest;
    p->manifest = (struct manifest){0};
    retire_old(p);
    remove_aside(p);
    version_release(old);
}

/* A page of an old segment that was lost meanwhile reads as zeros: what was made of it is not kept. */
static enum err check_inputs(struct piece *p)
{
    for (size_t i = 0; i < p->part_count; i++) {
        struct segment *segment = p->parts[i]->segment;
        if (segment == NULL || !segment_is_damaged(segment))
            continue;
        store_note_damaged_segment(p->s, segment, "it cannot be read");
        return err_set(p->info, ERR_IO, "upkeep: a segment cannot be read");
    }
    return ERR_OK;
}

/* `writing` is held. */
static enum err end_piece(struct piece *p)
{
    struct store *s = p->s;
    struct version *v = NULL;
    uint32_t first_uid = s->next_uid;
    TRY(carry_hidden(p));
    TRY(make_manifest(p));
    TRY(make_version(p, first_uid, &v));
    s->next_uid += (uint32_t)p->result.count;
    enum err rc = carry_open(p, first_uid);
    if (rc == ERR_OK && p->rewrites)
        rc = check_inputs(p);
    if (rc == ERR_OK) {
        s->manifest_unsure = true;
        rc = manifest_write(s->vfs, s->dir, &p->manifest, p->info);
    }
    if (rc != ERR_OK) {
        version_release(v);
        return rc;
    }
    s->manifest_unsure = false;
    if (p->rewrites)
        count_made(p);
    else
        count_dropped(p);
    log_index_publish(s->open->index); /* what it hides of the new parts */
    publish(p, v);
    return ERR_OK;
}

/* Make it known which manifest is there, after one could not be written to the end. */
static enum err settle_manifest(struct store *s, struct errinfo *info)
{
    if (!s->manifest_unsure)
        return ERR_OK;
    s->manifest.generation += 2; /* above the one that may be there */
    TRY(manifest_write(s->vfs, s->dir, &s->manifest, info));
    s->manifest_unsure = false;
    return store_remove_left_overs(s, info); /* what the piece had made */
}

static void close_piece(struct piece *p, bool failed)
{
    const struct compaction c = {.vfs = p->s->vfs, .dir = p->s->dir};
    for (size_t i = 0; i < p->result.count; i++) {
        if (p->segments != NULL)
            segment_release(p->segments[i]);
        mem_free(p->result.segments[i].rows.ids);
        mem_free(p->result.segments[i].links.ids);
    }
    mem_free(p->segments);
    /* files that a manifest may name stay; the next start knows */
    compaction_result_close(&p->result, &c, failed && !p->s->manifest_unsure);
    manifest_close(&p->manifest);
    mem_free(p->parts);
    mem_free(p->aside);
    version_release(p->version);
}

static enum err compact(struct piece *p, uint32_t level)
{
    struct store *s = p->s;
    struct compaction c = {.vfs = s->vfs,
                           .dir = s->dir,
                           .rules = s->options.frame_rules,
                           .retention_days = s->options.retention_days,
                           .level = level,
                           .account = p->u->account,
                           .parts = p->parts,
                           .part_count = p->part_count,
                           .next_number = &s->next_number,
                           .self = p->u->self,
                           .keep_going = p->u->keep_going};
    TRY(compaction_run(&c, &p->result, p->info));
    return open_new(p);
}

/* Segments whose index turned out to be damaged; true when there was one. */
static bool set_inputs_aside(struct piece *p)
{
    bool any = false;
    for (size_t i = 0; i < p->part_count; i++) {
        struct segment *segment = p->parts[i]->segment;
        if (segment == NULL || !segment_file_is_damaged(segment->file))
            continue;
        store_note_damaged_segment(p->s, segment, "its index cannot be read");
        any = true;
    }
    return any;
}

static uint32_t level_above(const struct piece *p)
{
    uint32_t level = 0;
    for (size_t i = 0; i < p->part_count; i++)
        if (p->parts[i]->segment != NULL && p->parts[i]->segment->facts.level >= level)
            level = p->parts[i]->segment->facts.level + 1;
    return level < SEGMENT_LEVEL_FULL ? level : SEGMENT_LEVEL_FULL - 1;
}

static void tell(const struct piece *p, const char *what)
{
    size_t old = p->part_count + p->aside_count;
    if (p->rewrites)
        log_info("store", "%s parts=%zu segments=%zu rows=%" PRIu64 " bytes=%" PRIu64, what, old,
                 p->result.count, p->rows, p->bytes);
    else
        log_info("store", "%s segments=%zu rows=%" PRIu64 " bytes=%" PRIu64, what, old, p->rows,
                 p->bytes);
}

/* Choose, prepare, end. *ret_did: there was something to do. */
static enum err run_piece(struct store *s, const struct store_upkeep *u,
                          enum err (*choose_parts)(struct piece *p), bool rewrites,
                          const char *what, bool *ret_did, struct errinfo *info)
{
    struct piece p = {.s = s, .u = u, .rewrites = rewrites, .info = info};
    (void)pthread_mutex_lock(&s->lock);
    p.version = version_acquire(s->version);
    (void)pthread_mutex_unlock(&s->lock);
    enum err rc = choose_parts(&p);
    bool any = rc == ERR_OK && p.part_count + p.aside_count > 0;
    if (any && rewrites)
        rc = compact(&p, level_above(&p));
    if (rc == ERR_CORRUPT && set_inputs_aside(&p)) { /* without them there may be more to do */
        *ret_did = true;
        close_piece(&p, true);
        return ERR_OK;
    }
    if (any && rc == ERR_OK) {
        (void)pthread_mutex_lock(&s->writing);
        rc = end_piece(&p);
        (void)pthread_mutex_unlock(&s->writing);
    }
    if (any && rc == ERR_OK) {
        tell(&p, what);
        *ret_did = true;
    }
    close_piece(&p, rc != ERR_OK);
    return rc;
}

/* ---- dropping ---- */

static enum err choose_expired(struct piece *p)
{
    const struct version *v = p->version;
    int64_t now_ns = clock_wall_ns();
    p->aside = mem_array(v->aside_count, sizeof *p->aside);
    if (p->aside == NULL)
        return no_room(p);
    for (size_t i = 0; i < v->aside_count; i++)
        if (v->aside[i].expires_ns <= now_ns)
            p->aside[p->aside_count++] = v->aside[i].number;
    return choose(p, is_expired, now_ns);
}

/* The one that would be past its retention first, whether it is served or not. */
static enum err choose_oldest(struct piece *p)
{
    const struct version *v = p->version;
    const struct part *oldest = NULL;
    const struct part_aside *aside = NULL;
    for (size_t i = 0; i < v->count; i++) {
        const struct part *part = &v->parts[i];
        if (part->segment != NULL &&
            (oldest == NULL || part->segment->facts.expires_ns < oldest->segment->facts.expires_ns))
            oldest = part;
    }
    for (size_t i = 0; i < v->aside_count; i++)
        if (aside == NULL || v->aside[i].expires_ns < aside->expires_ns)
            aside = &v->aside[i];
    if (aside == NULL || (oldest != NULL && oldest->segment->facts.expires_ns < aside->expires_ns))
        return oldest == NULL ? ERR_OK : choose(p, is_that_part, oldest->uid);
    p->aside = mem_array(1, sizeof *p->aside);
    if (p->aside == NULL)
        return no_room(p);
    p->aside[p->aside_count++] = aside->number;
    return ERR_OK;
}

static bool is_over_size(struct store *s)
{
    struct store_stats stats;
    store_get_stats(s, &stats);
    (void)pthread_mutex_lock(&s->lock);
    uint64_t disk_max = s->disk_max;
    (void)pthread_mutex_unlock(&s->lock);
    return disk_max != 0 && stats.disk_bytes > disk_max;
}

/* ---- the door ---- */

/* The open log takes no more, or is more than a day old: its rows could not be dropped when their
 * time comes. */
static bool wants_closing(struct store *s)
{
    bool wants = false;
    (void)pthread_mutex_lock(&s->writing);
    if (s->open->log_count > 0) {
        struct log_facts facts = log_file_facts(log_set_log(s->open, 0));
        wants = facts.size >= s->options.log_size_max ||
                facts.created_ns < clock_wall_ns() - LOG_AGE_MAX_NS;
    }
    (void)pthread_mutex_unlock(&s->writing);
    return wants;
}

static enum err seal(struct store *s, const struct store_upkeep *u, bool *ret_did,
                     struct errinfo *info)
{
    if (u->everything || wants_closing(s))
        TRY(store_close_set(s, info));
    return run_piece(s, u, choose_sealing, true, "sealed", ret_did, info);
}

/* Sealed logs take less: over the ceiling they come first. What is over it goes also when they
 * cannot be sealed. */
static enum err do_one(struct store *s, const struct store_upkeep *u, bool *ret_did,
                       struct errinfo *info)
{
    TRY(run_piece(s, u, choose_expired, false, "dropped_by_age", ret_did, info));
    if (*ret_did)
        return ERR_OK;
    struct errinfo reason = {0};
    enum err sealed = seal(s, u, ret_did, &reason);
    if (sealed != ERR_CANCELED && !*ret_did && is_over_size(s))
        TRY(run_piece(s, u, choose_oldest, false, "dropped_by_size", ret_did, info));
    if (*ret_did)
        return ERR_OK;
    if (sealed != ERR_OK)
        return err_set(info, sealed, "%s", reason.text);
    return run_piece(s, u, choose_merge, true, "merged", ret_did, info);
}

enum err store_upkeep(struct store *s, const struct store_upkeep *u, bool *ret_did,
                      struct errinfo *info)
{
    *ret_did = false;
    if (s->options.read_only)
        return err_set(info, ERR_UNSUPPORTED, "store: opened for reading only");
    if (s->options.frame_rules == NULL)
        return err_set(info, ERR_UNSUPPORTED, "store: opened without the rules of frames");
    (void)pthread_mutex_lock(&s->writing);
    enum err rc = settle_manifest(s, info);
    (void)pthread_mutex_unlock(&s->writing);
    return rc == ERR_OK ? do_one(s, u, ret_did, info) : rc;
}
