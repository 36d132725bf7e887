/* openapi.h - the description of the own API (api/openapi.json), compiled into the program. */
#ifndef HEARTH_API_OPENAPI_H
#define HEARTH_API_OPENAPI_H

#include "base/bytes.h"

struct bytes openapi_document(void);

#endif
