/* replay.c - run a fuzz target over saved inputs: every file of the folder given, once. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>

#include "tests/support/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    unsigned count = 0;
    if (dir == NULL) {
        fprintf(stderr, "no folder of inputs: %s\n", argc == 2 ? argv[1] : "(none given)");
        return 1;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        struct bytes content;
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (len >= (int)sizeof path || !file_read(path, &content)) {
            fprintf(stderr, "cannot read %s\n", entry->d_name);
            return 1;
        }
        uint8_t *copy = (uint8_t *)(uintptr_t)content.data;
        printf("%s\n", entry->d_name);
        fflush(stdout); /* a crash is blamed on the right file */
        (void)LLVMFuzzerTestOneInput(copy, content.len);
        file_free(&content);
        count++;
    }
    (void)closedir(dir);
    printf("%u inputs\n", count);
    return count == 0;
}
