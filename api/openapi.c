/* openapi.c - the embedded bytes; cmake/openapi.cmake brings them in. */
#include "api/openapi.h"

extern const uint8_t hearth_openapi_start[];
extern const uint8_t hearth_openapi_end[];

struct bytes openapi_document(void)
{
    return bytes_of(hearth_openapi_start, (size_t)(hearth_openapi_end - hearth_openapi_start));
}
