#include "storage/counted_array.h"

void counted_array_init(struct counted_array *a, size_t item_size, struct mem_account *account)
{
    *a = (struct counted_array){.account = account};
    stable_array_init(&a->items, item_size);
}

void counted_array_close(struct counted_array *a)
{
    if (a->account != NULL)
        mem_account_release(a->account, a->reserved * a->items.item_size);
    stable_array_close(&a->items);
    a->count = a->reserved = 0;
}

size_t counted_array_bytes(const struct counted_array *a)
{
    return a->reserved * a->items.item_size;
}

enum err counted_array_reserve(struct counted_array *a)
{
    if (a->reserved > a->count)
        return ERR_OK;
    if (a->count == COUNTED_ARRAY_MAX)
        return ERR_LIMIT;
    if (a->account != NULL)
        TRY(mem_account_reserve(a->account, a->items.item_size));
    enum err rc = stable_array_reserve(&a->items, (size_t)a->count + 1);
    if (rc == ERR_OK)
        a->reserved = a->count + 1;
    else if (a->account != NULL)
        mem_account_release(a->account, a->items.item_size);
    return rc;
}

void *counted_array_add(struct counted_array *a)
{
    assert(a->reserved > a->count);
    return stable_array_at(&a->items, a->count++);
}
