/* civil.h - dates of the proleptic Gregorian calendar and days since 1970-01-01. */
#ifndef HEARTH_BASE_CIVIL_H
#define HEARTH_BASE_CIVIL_H

#include <stdint.h>

struct civil {
    int64_t year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
};

int64_t civil_to_days(struct civil c);
struct civil civil_from_days(int64_t days);
unsigned civil_days_in_month(int64_t year, unsigned month);

#endif
