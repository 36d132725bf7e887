#include "api/routes.h"

#include <assert.h>

#include "api/handlers.h"
#include "api/ingest_handler.h"
#include "base/limits.h"

#define OWN(name, pattern, handler)                                          \
    {                                                                        \
        name, pattern, ROUTE_GET, FAMILY_OWN, handler, NULL, 0, false, false \
    }
#define VROOM(name, pattern, handler)                                          \
    {                                                                          \
        name, pattern, ROUTE_GET, FAMILY_VROOM, handler, NULL, 0, false, false \
    }
#define SNUBA(name, pattern, handler)                                                       \
    {                                                                                       \
        name, pattern, ROUTE_POST, FAMILY_SNUBA, handler, NULL, SNQL_BODY_MAX, false, false \
    }
/* Answered on the loop, whatever the memory is doing. */
#define VITAL(name, pattern, handler, on_loop)                                \
    {                                                                         \
        name, pattern, ROUTE_GET, FAMILY_OWN, handler, NULL, 0, on_loop, true \
    }

static const struct route routes[] = {
    {"envelope", "/api/{project}/envelope", ROUTE_POST, FAMILY_INGEST, NULL, &ingest_upload, 0,
     false, false},
    VITAL("healthz", "/healthz", handle_healthz, true),
    VITAL("readyz", "/readyz", handle_readyz, true),
    VITAL("health", "/health", handle_health, true),
    VITAL("metrics", "/metrics", handle_metrics, false),
    OWN("openapi", "/api/v1/openapi.json", handle_openapi),
    OWN("projects", "/api/v1/projects", handle_projects),
    OWN("profilers", "/api/v1/projects/{project}/profilers", handle_profilers),
    OWN("chunks", "/api/v1/projects/{project}/chunks", handle_chunks),
    OWN("flamegraph", "/api/v1/projects/{project}/flamegraph", handle_flamegraph),
    OWN("flamechart", "/api/v1/projects/{project}/flamechart", handle_flamechart),
    OWN("usage", "/api/v1/projects/{project}/usage", handle_usage),
    OWN("functions", "/api/v1/projects/{project}/functions", handle_functions),
    OWN("transactions", "/api/v1/projects/{project}/transactions", handle_transactions),
    OWN("profile", "/api/v1/projects/{project}/profiles/{profile_id}", handle_profile),
    VROOM("raw_chunk",
          "/organizations/{organization}/projects/{project}/raw_chunks/{profiler_id}/{chunk_id}",
          handle_raw_chunk),
    VROOM("raw_profile",
          "/organizations/{organization}/projects/{project}/raw_profiles/{profile_id}",
          handle_raw_profile),
    SNUBA("snql", "/{dataset}/snql", handle_dataset_query),
    SNUBA("query", "/query", handle_query),
    VITAL("health_envoy", "/health_envoy", handle_health_envoy, true),
    OWN("page", "/", handle_web),
    OWN("assets", "/assets/*", handle_web),
};

const struct router hearth_routes = {routes, sizeof(routes) / sizeof(routes[0])};

static_assert(sizeof(routes) / sizeof(routes[0]) <= ROUTE_COUNT_MAX, "metrics have a slot each");
