#include "storage/numbered_name.h"

void numbered_name_print(struct bytes prefix, uint64_t number, char *name)
{
    memcpy(name, prefix.data, prefix.len);
    char *digits = name + prefix.len;
    for (size_t i = 0; i < NUMBERED_NAME_DIGITS; i++)
        digits[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    digits[NUMBERED_NAME_DIGITS] = '\0';
}

bool numbered_name_parse(struct bytes prefix, struct bytes name, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (!bytes_starts_with(name, prefix) || name.len - prefix.len != NUMBERED_NAME_DIGITS)
        return false;
    for (size_t i = prefix.len; i < name.len; i++) {
        uint8_t c = name.data[i];
        unsigned digit = c - (c <= '9' ? '0' : 'a' - 10);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        number = number << 4 | digit;
    }
    *ret_number = number;
    return true;
}
