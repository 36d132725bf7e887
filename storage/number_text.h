/* number_text.h - a JSON text and its numbers, apart.
 *
 * What SDKs send besides samples is texts that all look alike, but for the numbers in them: three
 * hundred readings of memory and processor a minute. Without its numbers such a text is short once
 * compressed, or equal to another's; and numbers that stand at like places, one after another, are
 * near each other.
 *
 * A number is taken out when it stands outside of strings and is written in the shortest way,
 * without exponent: -?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?, below 2^62 without its point; a byte of 1
 * stays in its place. Numbers form series: the bytes in front of a number, back to the number
 * before (or the start), say which one it belongs to, and bytes that were not met before close all
 * series that are open.
 *
 * Errors: those of the arena; reading also ERR_CORRUPT.
 * Cost:   O(bytes).
 */
#ifndef HEARTH_STORAGE_NUMBER_TEXT_H
#define HEARTH_STORAGE_NUMBER_TEXT_H

#include "base/arena.h"
#include "storage/bits.h"

/* Larger texts are left alone: taking apart takes up to 40 bytes a byte. Recorded ones have 33 KB. */
#define NUMBER_TEXT_MAX ((size_t)1 << 18)

struct number_series {
    uint64_t *digits; /* of each number: zigzag of it without its point */
    uint8_t *points;  /* how many digits stand behind that */
    size_t count;
};

struct number_text {
    struct bytes without; /* the text without its numbers */
    struct number_series *series;
    size_t count;
};

/* *ret_any false: there is no number in it, or it cannot be taken apart. */
enum err number_text_split(struct bytes text, struct arena *arena, struct number_text *ret,
                           bool *ret_any) MUST_CHECK;
/* All series; the text without them is the caller's to keep. */
enum err number_text_put(struct bits_writer *w, const struct number_text *t,
                         struct arena *scratch) MUST_CHECK;
enum err number_text_get(struct bits_reader *r, struct arena *arena, struct number_text *ret,
                         struct errinfo *info) MUST_CHECK;
/* The whole text again. */
enum err number_text_join(const struct number_text *t, struct arena *arena, struct bytes *ret,
                          struct errinfo *info) MUST_CHECK;

#endif
