#include "tests/support/scale.h"

#include <limits.h>
#include <stdlib.h>

#include "base/bytes.h"

unsigned test_scale(unsigned base)
{
    const char *given = getenv("HEARTH_TEST_SCALE");
    uint64_t scale;
    if (given == NULL || !bytes_to_u64(bytes_of_text(given), &scale) || scale == 0)
        return base;
    return scale > UINT_MAX / (base + 1u) ? UINT_MAX : (unsigned)(base * scale);
}
