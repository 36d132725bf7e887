/* config.h - what `hearth serve` was told: flags over HEARTH_* over defaults.
 *
 * --memory-max is HEARTH_MEMORY_MAX and so on. Immutable after config_parse. The texts point into
 * argv and the environment.
 */
#ifndef HEARTH_API_CONFIG_H
#define HEARTH_API_CONFIG_H

#include "api/listen_address.h"
#include "base/limits.h"
#include "base/log.h"
#include "storage/store.h"

struct config {
    const char *listen_text[LISTEN_COUNT_MAX];
    struct listen_address listen[LISTEN_COUNT_MAX];
    size_t listen_count;
    bool loopback; /* every address is */
    const char *data;
    enum durability durability;
    unsigned thread_count;
    size_t memory_max;
    bool strict_keys;
    uint32_t retention_days;
    size_t disk_max;       /* 0: disk_percent counts */
    unsigned disk_percent; /* of what is free and what the folder holds */
    size_t log_size;
    enum log_level log_level;
};

extern const char config_usage[];

enum config_outcome { CONFIG_READY, CONFIG_HELP, CONFIG_WRONG };

/* CONFIG_WRONG: info says what. Resolves the listen addresses. */
enum config_outcome config_parse(int argc, char **argv, struct config *ret,
                                 struct errinfo *info) MUST_CHECK;
/* The next name in `environment`, from *at on, that begins with HEARTH_ and is nobody's: a typo
 * that would leave a default in force unseen. Empty at the end. */
struct bytes config_unknown_variable(const char *const *environment, size_t *at);
const char *durability_name(enum durability d);
/* "256M", "1G", "96000K", plain bytes. */
bool config_parse_size(struct bytes text, size_t *ret);

#endif
