/* decimal.h - JSON numbers to binary64 and back, exactly.
 *
 * Parsing rounds correctly (nearest, ties to even) for any input; up to 19 digits with small
 * exponents take a fast path in integer arithmetic, the rest goes through strtod in the C locale.
 */
#ifndef HEARTH_BASE_DECIMAL_H
#define HEARTH_BASE_DECIMAL_H

#include "base/bytes.h"

#define DECIMAL_TEXT_SIZE 32

/* `text` must be a JSON number (RFC 8259 grammar); false otherwise or when it overflows. */
bool decimal_to_double(struct bytes text, double *ret);
/* The fewest digits that read back equal; whole numbers without fraction, exponent form below
 * 1e-6 and from 1e21. `value` must be finite. Returns the length, no terminator counted. */
size_t decimal_print_double(double value, char text[DECIMAL_TEXT_SIZE]);

#endif
