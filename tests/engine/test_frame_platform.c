#include <criterion/criterion.h>

#include "engine/frame_platform.h"
#include "tests/support/hand_profile.h"

#define SYMBOLICATED "{\"data\":{\"symbolicator_status\":\"symbolicated\"}}"

Test(frame_platform, application_code_by_the_rules_of_each_platform)
{
    static const struct {
        const char *platform; /* of the document */
        struct hand_frame frame;
        bool in_app;
    } cases[] = {
        {"python", {.module = "threading", .in_app = IN_APP_TRUE}, true},
        {"python", {.module = "app", .in_app = IN_APP_FALSE}, false},
        {"python", {.module = "threading.local"}, false},
        {"python", {.module = "__phello__.foo"}, false},
        {"python", {.module = "zoneinfo"}, false},
        {"python", {.module = "__future__"}, false},
        {"python", {.module = "threadings"}, true},
        {"python", {.module = "sentry_sdk.hub"}, false},
        {"python", {.function = "f"}, true},
        {"python", {.abs_path = "/v/lib/site-packages/x.py"}, false},
        {"python", {.abs_path = "C:\\lib\\dist-packages\\x.py"}, false},
        {"python", {.abs_path = "/usr/local/app/run.py", .module = "app"}, false},
        {"node", {.abs_path = "node:fs"}, false},
        {"node", {.abs_path = "/a/node_modules/x.js"}, false},
        {"node", {.abs_path = "/a/x.js"}, true},
        {"node",
         {.abs_path = "/a.py", .platform = "python", .module = "os", .in_app = IN_APP_TRUE},
         false},
        {"javascript", {.function = "[GC]"}, false},
        {"javascript", {.function = "f"}, true},
        {"javascript", {.abs_path = "chrome-extension://x"}, false},
        {"javascript", {.abs_path = "https://x/chrome-extension/a.js"}, true},
        {"php", {.abs_path = "/app/vendor/x.php"}, false},
        {"php", {.filename = "/app/vendor/x.php"}, true},
        {"rust", {.package = "/usr/local/foo"}, true},
        {"rust", {.package = "/rustc/x"}, false},
        {"rust", {.function = "f"}, false},
        {"cocoa", {.package = "/Applications/My.app/My"}, true},
        {"cocoa", {.package = "/x/My.app/My", .function = "main"}, true},
        {"cocoa", {.package = "/x/My.app/My", .function = "main", .rest = SYMBOLICATED}, false},
        {"cocoa", {.package = "/x/My.app/Sentry"}, false},
        {"cocoa", {.package = "/usr/lib/libobjc.dylib"}, false},
        {"ruby", {.abs_path = "/app/x.rb"}, false},
        {"ruby", {.abs_path = "/app/x.rb", .in_app = IN_APP_TRUE}, true},
        {"ruby", {.abs_path = "/app/x.rb", .in_app = IN_APP_TRUE, .platform = "ruby"}, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, cases[i].platform);
        hand_frame(&h, cases[i].frame);
        cr_expect_eq(frame_is_application(&h.profile, &h.frames[0]), cases[i].in_app, "%s case %zu",
                     cases[i].platform, i);
    }
}
