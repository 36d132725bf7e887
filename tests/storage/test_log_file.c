#include <criterion/criterion.h>

#include "storage/log_file.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_fault.h"
#include "tests/support/vfs_mem.h"

static void append(struct log_file *f, unsigned n, enum err expected)
{
    struct buffer out;
    struct errinfo info = {0};
    uint64_t offset;
    cr_assert_eq(small_chunk_encode((struct small_chunk){n, 1}, &out, NULL), ERR_OK);
    struct bytes records[] = {buffer_bytes(&out), buffer_bytes(&out)};
    cr_assert_eq(log_file_append(f, records, 2, true, &offset, &info), expected, "%s", info.text);
    buffer_close(&out);
}

static enum err count_batch(void *self, const struct log_batch *batch, struct errinfo *info)
{
    (void)info;
    struct reader facts = reader_of(batch->facts);
    for (uint32_t i = 0; i < batch->record_count; i++)
        (void)log_batch_next(&facts);
    cr_assert(!facts.failed && reader_left(&facts) == 0);
    *(unsigned *)self += batch->record_count;
    return ERR_OK;
}

static unsigned scan(struct vfs *v, uint64_t size_max, struct log_damage *damage)
{
    struct log_file *f = NULL;
    struct errinfo info = {0};
    unsigned records = 0;
    struct log_scan scan = {
        .size_max = size_max, .verify_blocks = true, .self = &records, .on_batch = count_batch};
    cr_assert_eq(log_file_open(v, "/d", 3, VFS_APPEND, &f, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(log_file_scan(f, &scan, damage, &info), ERR_OK, "%s", info.text);
    log_file_close(f);
    return records;
}

Test(log_file, batches_come_back_up_to_what_counts)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct log_file *f = NULL;
    struct log_damage damage;
    cr_assert_eq(log_file_create(v, "/d", 3, 77, &f, NULL), ERR_OK);
    cr_assert_eq(log_file_create(v, "/d", 3, 77, &f, NULL), ERR_IO, "it exists");
    append(f, 1, ERR_OK);
    uint64_t middle = log_file_facts(f).size;
    append(f, 2, ERR_OK);
    uint64_t end = log_file_facts(f).size;
    cr_assert_eq(log_file_facts(f).previous_size, 77);
    log_file_close(f);
    cr_assert_eq(scan(v, 0, &damage), 4);
    cr_assert_eq(damage.tail_size, 0);
    cr_assert_eq(scan(v, middle, &damage), 2);
    cr_assert_eq(damage.tail_size, 0);
    cr_assert_eq(scan(v, end - 1, &damage), 2);
    cr_assert(damage.tail_offset == middle && damage.tail_size == end - 1 - middle);
    cr_assert_eq(scan(v, end + 5, &damage), 4); /* the successor promised more */
    cr_assert_eq(damage.tail_size, 5);
    cr_assert_str_eq(damage.tail_reason.text, "the file ends early");
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(log_file, a_batch_at_another_place_is_no_batch)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct log_file *f = NULL;
    struct log_damage damage;
    static uint8_t raw[1 << 14];
    cr_assert_eq(log_file_create(v, "/d", 3, 0, &f, NULL), ERR_OK);
    append(f, 1, ERR_OK);
    log_file_close(f);
    struct bytes whole = vfs_mem_get(disk, "/d/log-0000000000000003");
    size_t size = whole.len;
    size_t batch_size = size - FORMAT_LOG_HEADER_SIZE;
    memcpy(raw, whole.data, size);
    memcpy(raw + size, raw + FORMAT_LOG_HEADER_SIZE, batch_size); /* the same batch again */
    vfs_mem_put(disk, "/d/log-0000000000000003", bytes_of(raw, size + batch_size));
    cr_assert_eq(scan(v, 0, &damage), 2);
    cr_assert(damage.tail_offset == size && damage.tail_torn);
    cr_assert_str_eq(damage.tail_reason.text, "batch: checksum of the header does not match");

    vfs_mem_put(disk, "/d/log-0000000000000004", bytes_of(raw, size)); /* another name */
    struct errinfo info = {0};
    cr_assert_eq(log_file_open(v, "/d", 4, VFS_READ, &f, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "log-0000000000000004: holds log 3, expected 4");
    vfs_mem_destroy(disk);
}

Test(log_file, takes_no_more_after_a_failed_sync)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs_fault fault;
    struct log_file *f = NULL;
    struct log_damage damage;
    vfs_fault_init(&fault, vfs_mem_vfs(disk), 0, ERR_IO, FAULT_ONCE);
    cr_assert_eq(log_file_create(&fault.vfs, "/d", 3, 0, &f, NULL), ERR_OK);
    append(f, 1, ERR_OK);
    fault.left = 2; /* append, sync */
    append(f, 2, ERR_IO);
    cr_assert(fault.fired && log_file_facts(f).broken);
    append(f, 3, ERR_IO);
    log_file_close(f);
    cr_assert_eq(scan(vfs_mem_vfs(disk), 0, &damage), 2);
    cr_assert_eq(damage.tail_size, 0);
    vfs_mem_destroy(disk);
}

Test(log_file, names_and_nothing_else_are_read_as_sequences)
{
    char name[FORMAT_LOG_NAME_SIZE + 1];
    uint64_t sequence;
    const uint64_t good[] = {1, 42, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        log_file_print_name(good[i], name);
        cr_assert(log_file_parse_name(bytes_of_text(name), &sequence));
        cr_assert_eq(sequence, good[i]);
    }
    const char *bad[] = {"log-",
                         "log-000000000000002A",
                         "log-00000000000002a",
                         "log-00000000000000002a",
                         "log-000000000000002/",
                         "log-000000000000002:",
                         "seg-000000000000002a",
                         "lock"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(log_file_parse_name(bytes_of_text(bad[i]), &sequence), "%s", bad[i]);
}
