#include "tests/support/hand_profile.h"

#include <assert.h>

static void check_room(size_t count)
{
    assert(count < HAND_ROOM);
}

uint32_t hand_string(struct hand_profile *h, const char *text)
{
    struct bytes wanted = text == NULL ? BYTES("") : bytes_of_text(text);
    for (uint32_t i = 0; i < h->profile.string_count; i++)
        if (bytes_equal(h->strings[i], wanted))
            return i;
    check_room(h->profile.string_count);
    h->strings[h->profile.string_count] = wanted;
    return (uint32_t)h->profile.string_count++;
}

void hand_profile_init(struct hand_profile *h, enum profile_kind kind, const char *platform)
{
    *h = (struct hand_profile){0};
    struct profile *p = &h->profile;
    p->strings = h->strings;
    p->frames = h->frames;
    p->frame_list = h->frame_list;
    p->node_parent = h->node_parent;
    p->node_frame = h->node_frame;
    p->stacks = h->stacks;
    p->threads = h->threads;
    p->sample_time = h->sample_time;
    p->sample_thread = h->sample_thread;
    p->sample_stack = h->sample_stack;
    p->kind = kind;
    hand_string(h, "");
    p->platform = hand_string(h, platform);
    p->version = hand_string(h, kind == PROFILE_CHUNK ? "2" : "1");
    p->organization_id = 1;
    p->project_id = 2;
    p->retention_days = 90;
}

uint32_t hand_frame(struct hand_profile *h, struct hand_frame frame)
{
    struct profile *p = &h->profile;
    check_room(p->frame_count);
    check_room(p->frame_list_count);
    h->frames[p->frame_count] = (struct profile_frame){
        .function = hand_string(h, frame.function),
        .module = hand_string(h, frame.module),
        .package = hand_string(h, frame.package),
        .filename = hand_string(h, frame.filename),
        .abs_path = hand_string(h, frame.abs_path),
        .platform = hand_string(h, frame.platform),
        .instruction_addr = hand_string(h, frame.instruction_addr),
        .rest = hand_string(h, frame.rest),
        .line = frame.line,
        .column = frame.column,
        .in_app = frame.in_app,
    };
    h->frame_list[p->frame_list_count] = (uint32_t)p->frame_count++;
    return (uint32_t)p->frame_list_count++;
}

static uint32_t frame_number(char c)
{
    return (uint32_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static uint32_t find_node(struct hand_profile *h, uint32_t parent, uint32_t frame)
{
    struct profile *p = &h->profile;
    for (uint32_t i = 0; i < p->node_count; i++)
        if (h->node_parent[i] == parent && h->node_frame[i] == frame)
            return i;
    check_room(p->node_count);
    h->node_parent[p->node_count] = parent;
    h->node_frame[p->node_count] = frame;
    return (uint32_t)p->node_count++;
}

uint32_t hand_stack(struct hand_profile *h, const char *leaf_first)
{
    struct profile *p = &h->profile;
    uint32_t node = PROFILE_NONE;
    for (size_t i = strlen(leaf_first); i-- > 0;)
        node = find_node(h, node, frame_number(leaf_first[i]));
    check_room(p->stack_count);
    h->stacks[p->stack_count] = node;
    return (uint32_t)p->stack_count++;
}

uint32_t hand_thread(struct hand_profile *h, const char *id, const char *name)
{
    struct profile *p = &h->profile;
    check_room(p->thread_count);
    h->threads[p->thread_count] = (struct profile_thread){
        .id = hand_string(h, id),
        .name = hand_string(h, name),
        .known = name != NULL,
    };
    return (uint32_t)p->thread_count++;
}

void hand_sample(struct hand_profile *h, uint32_t thread, uint32_t stack, double when)
{
    struct profile *p = &h->profile;
    check_room(p->sample_count);
    uint64_t time;
    if (p->kind == PROFILE_CHUNK)
        memcpy(&time, &when, sizeof(time)); /* any double, negative too */
    else
        time = (uint64_t)when;
    h->sample_time[p->sample_count] = time;
    h->sample_thread[p->sample_count] = thread;
    h->sample_stack[p->sample_count++] = stack;
}
