/* ingest_handler.h - POST /api/{project}/envelope/: an upload from coded bytes to a verdict. */
#ifndef HEARTH_API_INGEST_HANDLER_H
#define HEARTH_API_INGEST_HANDLER_H

#include "api/upload.h"

extern const struct upload_ops ingest_upload;

/* Whether a Host header names this machine only: localhost, 127.x.x.x, [::1], any port. */
bool host_is_loopback(struct bytes host);
/* Whether unknown keys may write: nobody stands between the client and us, and it says so. */
bool request_is_direct(const struct http_request *q);

#endif
