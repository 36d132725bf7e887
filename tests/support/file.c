#include "tests/support/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static bool read_into(FILE *f, uint8_t **data, size_t *len)
{
    size_t room = 0;
    for (;;) {
        if (*len == room) {
            room = room == 0 ? 64 << 10 : room * 2;
            uint8_t *bigger = mem_resize(*data, room, 1);
            if (bigger == NULL)
                return false;
            *data = bigger;
        }
        size_t got = fread(*data + *len, 1, room - *len, f);
        *len += got;
        if (got == 0)
            return ferror(f) == 0;
    }
}

bool file_read(const char *path, struct bytes *ret)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    uint8_t *data = NULL;
    size_t len = 0;
    bool good = read_into(f, &data, &len);
    (void)fclose(f);
    if (!good) {
        mem_free(data);
        return false;
    }
    *ret = bytes_of(data, len);
    return true;
}

void file_free(struct bytes *b)
{
    mem_free((void *)(uintptr_t)b->data);
    *b = (struct bytes){0};
}

bool file_write(const char *path, struct bytes b)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return false;
    bool good = b.len == 0 || fwrite(b.data, 1, b.len, f) == b.len;
    return fclose(f) == 0 && good;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool join(char *out, size_t size, const char *dir, const char *rel)
{
    int len = snprintf(out, size, "%s/%s", dir, rel);
    return len >= 0 && (size_t)len < size && file_exists(out);
}

bool shared_path(char *out, size_t size, const char *rel)
{
    const char *given = getenv("HEARTH_SHARED");
    return join(out, size, given != NULL ? given : HEARTH_SOURCE_DIR "/../shared", rel);
}

bool source_path(char *out, size_t size, const char *rel)
{
    return join(out, size, HEARTH_SOURCE_DIR, rel);
}
