#include "storage/tick_times.h"

#include "storage/format.h"
#include "storage/gap_list.h"
#include "storage/number_list.h"

#define TICKS_A_SECOND 4194304.0          /* 2^22 */
#define TICKS_EXACT    9007199254740992.0 /* 2^53: whole numbers a binary64 tells apart */
#define TICKS_SAFE     4611686018427387904.0
#define SECONDS_SAFE   8589934592.0 /* 2^33: their microseconds are exact */
#define DECIMALS_MAX   15           /* of the power of ten that elapsed times are multiples of */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static enum err no_room(const struct arena *arena)
{
    return arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
}

/* ---- units ---- */

struct unit {
    uint8_t code;    /* FORMAT_TIMES_... */
    double a_second; /* how many are one */
};

static const struct unit tick_unit = {FORMAT_TIMES_TICKS, TICKS_A_SECOND};
static const struct unit decimal_units[] = {{FORMAT_TIMES_MILLI, 1e3},
                                            {FORMAT_TIMES_TENTH_MILLI, 1e4},
                                            {FORMAT_TIMES_HUNDREDTH_MILLI, 1e5},
                                            {FORMAT_TIMES_MICRO, 1e6}};

static double ticks_of_units(int64_t units, double a_second)
{
    return (double)units / a_second * TICKS_A_SECOND;
}

/* Whether the binary64 is a whole number of ticks that gives the same bits back. */
static bool to_ticks(uint64_t bits, uint64_t *ret)
{
    double ticks = double_of(bits) * TICKS_A_SECOND;
    if (!(ticks > -TICKS_EXACT && ticks < TICKS_EXACT))
        return false;
    int64_t whole = (int64_t)ticks;
    *ret = (uint64_t)whole;
    return bits_of((double)whole / TICKS_A_SECOND) == bits;
}

/* A time in a unit: the nearest whole number of them, and how many ticks that is off. */
struct counted {
    uint64_t units;
    uint64_t error; /* zigzag */
};

static struct counted count_units(uint64_t ticks, struct unit unit)
{
    if (unit.code == FORMAT_TIMES_TICKS)
        return (struct counted){.units = ticks};
    double seconds = (double)(int64_t)ticks / TICKS_A_SECOND;
    int64_t units = (int64_t)(seconds * unit.a_second + (seconds < 0 ? -0.5 : 0.5));
    int64_t error = (int64_t)ticks - (int64_t)ticks_of_units(units, unit.a_second);
    return (struct counted){.units = (uint64_t)units, .error = zigzag_encode(error)};
}

/* Off by one tick at most, everywhere: then the clock was of that unit. Mostly the first ones tell. */
static bool unit_fits(const uint64_t *ticks, size_t count, struct unit unit)
{
    for (size_t i = 0; i < count; i++) {
        double seconds = (double)(int64_t)ticks[i] / TICKS_A_SECOND;
        if (!(seconds > -SECONDS_SAFE && seconds < SECONDS_SAFE) ||
            count_units(ticks[i], unit).error > 2)
            return false;
    }
    return true;
}

/* ---- how to write them: tried on some of the gaps ---- */

struct plan {
    struct unit unit;
    struct gap_base gaps;
    uint64_t size; /* bits, about */
};

/* Gaps here and there, and the error of the time that ends each. */
struct sample_gaps {
    int64_t gap[GAP_SAMPLES];
    uint64_t error[GAP_SAMPLES];
    size_t count;
    size_t stride;
};

static void sample_gaps(const uint64_t *ticks, size_t count, struct unit unit,
                        struct sample_gaps *ret)
{
    ret->stride = count < 2 ? 1 : 1 + (count - 2) / GAP_SAMPLES;
    ret->count = 0;
    for (size_t i = 1; i < count; i += ret->stride) {
        struct counted before = count_units(ticks[i - 1], unit);
        struct counted after = count_units(ticks[i], unit);
        ret->gap[ret->count] = (int64_t)(after.units - before.units);
        ret->error[ret->count++] = after.error;
    }
}

/* No list is written when there is nothing in it. */
static uint64_t errors_size(const struct sample_gaps *s)
{
    uint64_t any = 0;
    for (size_t i = 0; i < s->count; i++)
        any |= s->error[i];
    return any == 0 ? 0 : number_list_size(NUMBERS_PLAIN, s->error, s->count);
}

static enum err plan_unit(const uint64_t *ticks, size_t count, struct unit unit,
                          struct mem_account *account, struct plan *ret)
{
    struct sample_gaps s;
    struct counted first = count_units(ticks[0], unit);
    ret->unit = unit;
    sample_gaps(ticks, count, unit, &s);
    TRY(gap_list_find_base(s.gap, s.count, account, &ret->gaps));
    ret->size = gap_list_number_size(zigzag_encode((int64_t)first.units));
    ret->size += s.stride * (ret->gaps.size + errors_size(&s));
    return ERR_OK;
}

/* ---- chunks ---- */

static void put_raw(struct bits_writer *w, const uint64_t *times, size_t count)
{
    bits_put(w, FORMAT_TIMES_RAW, 3);
    for (size_t i = 0; i < count; i++)
        bits_put(w, times[i], 64);
}

/* `ticks` is used up. */
static enum err put_decimal(struct bits_writer *w, const struct plan *plan, uint64_t *ticks,
                            size_t count, struct arena *scratch)
{
    bool exact = true;
    uint64_t *errors = ARENA_ARRAY(scratch, count, uint64_t);
    if (errors == NULL)
        return no_room(scratch);
    for (size_t i = 0; i < count; i++) {
        struct counted c = count_units(ticks[i], plan->unit);
        ticks[i] = c.units;
        errors[i] = c.error;
        exact &= c.error == 0;
    }
    gap_list_put(w, plan->gaps.base, ticks, count);
    bits_put(w, !exact, 1);
    if (!exact)
        number_list_put(w, NUMBERS_PLAIN, errors, count);
    return ERR_OK;
}

static enum err put_chunk(struct bits_writer *w, const uint64_t *times, size_t count,
                          struct arena *scratch)
{
    struct plan best;
    uint64_t *ticks = ARENA_ARRAY(scratch, count, uint64_t);
    if (ticks == NULL)
        return no_room(scratch);
    for (size_t i = 0; i < count; i++) {
        if (!to_ticks(times[i], &ticks[i])) {
            put_raw(w, times, count);
            return ERR_OK;
        }
    }
    TRY(plan_unit(ticks, count, tick_unit, scratch->account, &best));
    for (size_t i = 0; i < sizeof decimal_units / sizeof decimal_units[0]; i++) {
        struct plan plan;
        if (!unit_fits(ticks, count, decimal_units[i]))
            continue;
        TRY(plan_unit(ticks, count, decimal_units[i], scratch->account, &plan));
        best = plan.size < best.size ? plan : best;
    }
    bits_put(w, best.unit.code, 3);
    if (best.unit.code != FORMAT_TIMES_TICKS)
        return put_decimal(w, &best, ticks, count, scratch);
    gap_list_put(w, best.gaps.base, ticks, count);
    return ERR_OK;
}

/* From units to ticks, in place. */
static void get_decimal(struct bits_reader *r, double a_second, uint64_t *times, size_t count,
                        struct arena *scratch)
{
    gap_list_get(r, times, count);
    for (size_t i = 0; i < count; i++) {
        double ticks = ticks_of_units((int64_t)times[i], a_second);
        bool safe = ticks > -TICKS_SAFE && ticks < TICKS_SAFE;
        r->failed |= !safe;
        times[i] = safe ? (uint64_t)(int64_t)ticks : 0;
    }
    if (bits_get(r, 1) == 0)
        return;
    uint64_t *errors = ARENA_ARRAY(scratch, count, uint64_t);
    if (errors == NULL)
        return;
    number_list_get(r, NUMBERS_PLAIN, errors, count);
    for (size_t i = 0; i < count; i++)
        times[i] += (uint64_t)zigzag_decode(errors[i]);
}

static void get_chunk(struct bits_reader *r, uint64_t *times, size_t count, struct arena *scratch)
{
    unsigned unit = (unsigned)bits_get(r, 3);
    if (unit > FORMAT_TIMES_MICRO)
        r->failed = true;
    if (unit == FORMAT_TIMES_RAW || r->failed) {
        for (size_t i = 0; i < count; i++)
            times[i] = bits_get(r, 64);
        return;
    }
    if (unit == FORMAT_TIMES_TICKS)
        gap_list_get(r, times, count);
    else
        get_decimal(r, decimal_units[unit - FORMAT_TIMES_MILLI].a_second, times, count, scratch);
    for (size_t i = 0; i < count; i++)
        times[i] = bits_of((double)(int64_t)times[i] / TICKS_A_SECOND);
}

/* ---- transaction profiles ---- */

static const uint64_t powers_of_ten[DECIMALS_MAX + 1] = {1,
                                                         10,
                                                         100,
                                                         1000,
                                                         10000,
                                                         100000,
                                                         1000000,
                                                         10000000,
                                                         100000000,
                                                         1000000000,
                                                         10000000000,
                                                         100000000000,
                                                         1000000000000,
                                                         10000000000000,
                                                         100000000000000,
                                                         1000000000000000};

/* The largest power of ten that divides all. */
static unsigned common_decimals(const uint64_t *times, size_t count)
{
    unsigned decimals = DECIMALS_MAX;
    for (size_t i = 0; i < count; i++)
        while (times[i] % powers_of_ten[decimals] != 0)
            decimals--;
    return decimals;
}

static enum err put_elapsed(struct bits_writer *w, const uint64_t *times, size_t count,
                            struct arena *scratch)
{
    unsigned decimals = common_decimals(times, count);
    uint64_t *numbers = ARENA_ARRAY(scratch, count, uint64_t);
    struct plan plan;
    if (numbers == NULL)
        return no_room(scratch);
    for (size_t i = 0; i < count; i++)
        numbers[i] = times[i] / powers_of_ten[decimals];
    TRY(plan_unit(numbers, count, tick_unit, scratch->account, &plan)); /* as they are */
    bits_put(w, decimals, 4);
    gap_list_put(w, plan.gaps.base, numbers, count);
    return ERR_OK;
}

static void get_elapsed(struct bits_reader *r, uint64_t *times, size_t count)
{
    uint64_t unit = powers_of_ten[bits_get(r, 4)];
    gap_list_get(r, times, count);
    for (size_t i = 0; i < count; i++)
        times[i] *= unit; /* wraps where somebody made it up */
}

/* ---- either ---- */

enum err tick_times_put(struct bits_writer *w, enum profile_kind kind, const uint64_t *times,
                        size_t count, struct arena *scratch)
{
    if (count == 0)
        return ERR_OK;
    return kind == PROFILE_CHUNK ? put_chunk(w, times, count, scratch)
                                 : put_elapsed(w, times, count, scratch);
}

void tick_times_get(struct bits_reader *r, enum profile_kind kind, uint64_t *times, size_t count,
                    struct arena *scratch)
{
    if (count == 0)
        return;
    if (kind == PROFILE_CHUNK)
        get_chunk(r, times, count, scratch);
    else
        get_elapsed(r, times, count);
}
