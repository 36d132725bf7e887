/* status.h - which HTTP status a failure has, and what statuses are called. */
#ifndef HEARTH_API_STATUS_H
#define HEARTH_API_STATUS_H

#include "base/err.h"

/* Status of a failure that reached a handler; 200 for ERR_OK. */
int status_of(enum err rc);
/* The stable word of problem+json for it. */
const char *status_reason_of(enum err rc);
/* "Not Found" for 404; "Unknown" for what we never send. */
const char *status_phrase(int status);

#endif
