#include "storage/stable_array.h"

#include "base/mem.h"

void stable_array_init(struct stable_array *a, size_t item_size)
{
    *a = (struct stable_array){.item_size = item_size};
}

void stable_array_close(struct stable_array *a)
{
    for (size_t i = 0; i < a->page_count; i++)
        mem_free(a->pages[i]);
    stable_array_init(a, a->item_size);
}

static uint64_t items_of_pages(size_t page_count)
{
    return ((UINT64_C(1) << page_count) - 1) * STABLE_ARRAY_FIRST;
}

enum err stable_array_reserve(struct stable_array *a, size_t count)
{
    while (items_of_pages(a->page_count) < count) {
        if (a->page_count == STABLE_ARRAY_PAGES)
            return ERR_LIMIT;
        void *page = mem_array(STABLE_ARRAY_FIRST << a->page_count, a->item_size);
        if (page == NULL)
            return ERR_NOMEM;
        a->pages[a->page_count++] = page;
    }
    return ERR_OK;
}

size_t stable_array_bytes(const struct stable_array *a)
{
    return (size_t)items_of_pages(a->page_count) * a->item_size;
}
