/* segment_file.h - one sealed file: sections of bytes, a checksum for every piece of them, a
 * directory at the end. What sections mean is others' business (storage/format.h lists them).
 *
 *   header | sections, each from a multiple of 8 on | checksums | directory | footer
 *
 * A writer appends sections one after another. A reader maps the file and gives views into it; the
 * checksum of a piece (16 KiB) is compared when the piece is first looked at, once a life of the
 * opened file, so that opening reads only the ends and a lookup verifies only what it touches.
 *
 * Owns:    its file and memory. The vfs and the account (NULL: nothing is counted) are borrowed and
 *          outlive it.
 * Threads: a writer has one caller at a time. A reader has any number, without a lock; who opens
 *          and closes it has the account to itself meanwhile.
 * Units:   offsets and sizes are bytes; offsets count from the start of the file.
 * Errors:  opening gives ERR_CORRUPT with what was expected, ERR_UNSUPPORTED for another version.
 *          A view of a piece that fails its checksum is ERR_CORRUPT, from then on always.
 * Cost:    opening is O(sections + checksums): 4 bytes a piece are read; a view is a bit test a
 *          piece, the first one of a piece some microseconds. Memory: two bits a piece. A writer
 *          holds 256 KiB and 4 bytes a piece.
 *
 * Invariants
 *  1. No byte between header and checksums is believed before its checksum was compared.
 *  2. A checksum starts from the file's id and the number of the piece: a piece at any other place
 *     fails.
 *  3. Sections lie between header and checksums, do not overlap, and each kind is there once.
 */
#ifndef HEARTH_STORAGE_SEGMENT_FILE_H
#define HEARTH_STORAGE_SEGMENT_FILE_H

#include <stdatomic.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "storage/format.h"
#include "storage/vfs.h"

/* ---- writing ---- */

struct segment_file_writer;

/* `path` must not exist. */
enum err segment_file_create(struct vfs *vfs, const char *path, struct uuid id, int64_t created_ns,
                             struct mem_account *account, struct segment_file_writer **ret,
                             struct errinfo *info) MUST_CHECK;
/* The next section starts here, and the one before ends. Each kind once. */
void segment_file_begin(struct segment_file_writer *w, enum format_section kind);
/* A failure sticks and is told by segment_file_finish. */
void segment_file_put(struct segment_file_writer *w, struct bytes data);
/* Bytes put into the section so far. */
uint64_t segment_file_put_size(const struct segment_file_writer *w);
/* Failed already: what follows is in vain. */
bool segment_file_writer_failed(const struct segment_file_writer *w);
/* Checksums, directory, footer, one sync of the file; its name is the caller's to make last. Only
 * destroy may follow. */
enum err segment_file_finish(struct segment_file_writer *w, uint64_t *ret_size,
                             struct errinfo *info) MUST_CHECK;
void segment_file_writer_destroy(struct segment_file_writer *w); /* the file stays; NULL is fine */

/* ---- reading ---- */

struct segment_file {
    const uint8_t *data; /* the whole file, mapped */
    uint64_t size;
    uint64_t checked_size;      /* how much of it checksums cover: header and sections */
    _Atomic uint64_t *verified; /* a bit a piece: its checksum was right, and never wrong */
    struct segment_file_rest *rest;
};

struct segment_section {
    uint64_t offset;
    uint64_t size;
};

enum err segment_file_open(struct vfs *vfs, const char *path, struct mem_account *account,
                           struct segment_file **ret, struct errinfo *info) MUST_CHECK;
void segment_file_close(struct segment_file *f); /* NULL is fine */
struct uuid segment_file_id(const struct segment_file *f);
int64_t segment_file_created_ns(const struct segment_file *f);
/* False when there is none of that kind. */
bool segment_file_section(const struct segment_file *f, enum format_section kind,
                          struct segment_section *ret);
/* Some piece has failed since it was opened: what was answered from the file meanwhile may be
 * wrong where it relied on segment_file_at. */
bool segment_file_is_damaged(const struct segment_file *f);
/* A page could not be read when it was looked at, and reads as zeros since (storage/vfs.h): asked
 * after reading, before an answer counts. */
bool segment_file_lost_pages(const struct segment_file *f);
/* Compare every checksum, again where it was right before. ERR_CORRUPT says how many pieces are
 * wrong and where the first is. */
enum err segment_file_verify(const struct segment_file *f, struct errinfo *info) MUST_CHECK;

/* Verify one piece; false when it is damaged. */
bool segment_file_verify_piece(const struct segment_file *f, uint64_t piece);

/* The bytes [offset, offset + size), which lie in a section; NULL when a piece of them is damaged. */
static inline const uint8_t *segment_file_at(const struct segment_file *f, uint64_t offset,
                                             size_t size)
{
    uint64_t piece = offset / FORMAT_SEGMENT_PIECE_SIZE;
    for (; piece * FORMAT_SEGMENT_PIECE_SIZE < offset + size; piece++) {
        uint64_t word = atomic_load_explicit(&f->verified[piece / 64], memory_order_acquire);
        if ((word >> (piece % 64) & 1) == 0 && !segment_file_verify_piece(f, piece))
            return NULL;
    }
    return f->data + offset;
}

/* The same with a reason. ERR_CORRUPT also when the bytes do not lie in the sections. */
enum err segment_file_view(const struct segment_file *f, uint64_t offset, uint64_t size,
                           struct bytes *ret, struct errinfo *info) MUST_CHECK;

#endif
