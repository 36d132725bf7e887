/* routes.h - everything this program answers, in one list. */
#ifndef HEARTH_API_ROUTES_H
#define HEARTH_API_ROUTES_H

#include "api/router.h"

extern const struct router hearth_routes;

#endif
