/* web_assets.h - the files of web/ as they are compiled into the program (cmake/web.cmake). */
#ifndef HEARTH_API_WEB_ASSETS_H
#define HEARTH_API_WEB_ASSETS_H

#include "base/bytes.h"

struct web_asset {
    const char *path; /* "/", "/assets/app.js" */
    const char *type; /* Content-Type */
    const char *etag; /* quoted; one for each form, since their bytes differ */
    const char *etag_gzip;
    const uint8_t *plain;
    const uint8_t *plain_end;
    const uint8_t *gzip;
    const uint8_t *gzip_end;
};

extern const struct web_asset web_assets[];
extern const size_t web_asset_count;

#endif
