#include "engine/frame_platform.h"

#include <stdlib.h>

#include "engine/frame_rest.h"
#include "engine/identity.h"

/* Top-level modules of the standard library, CPython 3.3 to 3.11 together; sorted by bytes. */
static const char *const python_modules[] = {
    "__future__",
    "__hello__",
    "__phello__",
    "_aix_support",
    "_ast",
    "_bootlocale",
    "_bootsubprocess",
    "_collections_abc",
    "_compat_pickle",
    "_compression",
    "_dummy_thread",
    "_markupbase",
    "_osx_support",
    "_py_abc",
    "_pydecimal",
    "_pyio",
    "_sitebuiltins",
    "_strptime",
    "_thread",
    "_threading_local",
    "_weakrefset",
    "abc",
    "aifc",
    "antigravity",
    "argparse",
    "array",
    "ast",
    "asynchat",
    "asyncio",
    "asyncore",
    "atexit",
    "audioop",
    "base64",
    "bdb",
    "binascii",
    "binhex",
    "bisect",
    "builtins",
    "bz2",
    "cProfile",
    "calendar",
    "cgi",
    "cgitb",
    "chunk",
    "cmath",
    "cmd",
    "code",
    "codecs",
    "codeop",
    "collections",
    "colorsys",
    "compileall",
    "concurrent",
    "configparser",
    "contextlib",
    "contextvars",
    "copy",
    "copyreg",
    "crypt",
    "csv",
    "ctypes",
    "curses",
    "dataclasses",
    "datetime",
    "dbm",
    "decimal",
    "difflib",
    "dis",
    "distutils",
    "doctest",
    "dummy_threading",
    "email",
    "encodings",
    "ensurepip",
    "enum",
    "errno",
    "faulthandler",
    "fcntl",
    "filecmp",
    "fileinput",
    "fnmatch",
    "formatter",
    "fpectl",
    "fractions",
    "ftplib",
    "functools",
    "gc",
    "genericpath",
    "getopt",
    "getpass",
    "gettext",
    "glob",
    "graphlib",
    "grp",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "http",
    "idlelib",
    "imaplib",
    "imghdr",
    "imp",
    "importlib",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "lib2to3",
    "linecache",
    "locale",
    "logging",
    "lzma",
    "macpath",
    "macurl2path",
    "mailbox",
    "mailcap",
    "marshal",
    "math",
    "mimetypes",
    "mmap",
    "modulefinder",
    "msilib",
    "msvcrt",
    "multiprocessing",
    "netrc",
    "nis",
    "nntplib",
    "ntpath",
    "nturl2path",
    "numbers",
    "opcode",
    "operator",
    "optparse",
    "os",
    "os2emxpath",
    "ossaudiodev",
    "parser",
    "pathlib",
    "pdb",
    "pickle",
    "pickletools",
    "pipes",
    "pkgutil",
    "platform",
    "plistlib",
    "poplib",
    "posix",
    "posixpath",
    "pprint",
    "profile",
    "pstats",
    "pty",
    "pwd",
    "py_compile",
    "pyclbr",
    "pydoc",
    "pydoc_data",
    "queue",
    "quopri",
    "random",
    "re",
    "readline",
    "reprlib",
    "resource",
    "rlcompleter",
    "runpy",
    "sched",
    "secrets",
    "select",
    "selectors",
    "shelve",
    "shlex",
    "shutil",
    "signal",
    "site",
    "smtpd",
    "smtplib",
    "sndhdr",
    "socket",
    "socketserver",
    "spwd",
    "sqlite3",
    "sre",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "ssl",
    "stat",
    "statistics",
    "string",
    "stringprep",
    "struct",
    "subprocess",
    "sunau",
    "symbol",
    "symtable",
    "sys",
    "sysconfig",
    "syslog",
    "tabnanny",
    "tarfile",
    "telnetlib",
    "tempfile",
    "termios",
    "test",
    "textwrap",
    "this",
    "threading",
    "time",
    "timeit",
    "tkinter",
    "token",
    "tokenize",
    "tomllib",
    "trace",
    "traceback",
    "tracemalloc",
    "tty",
    "turtle",
    "turtledemo",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "urllib",
    "uu",
    "uuid",
    "venv",
    "warnings",
    "wave",
    "weakref",
    "webbrowser",
    "winreg",
    "winsound",
    "wsgiref",
    "xdrlib",
    "xml",
    "xmlrpc",
    "zipapp",
    "zipfile",
    "zipimport",
    "zlib",
    "zoneinfo",
};

static int compare_module(const void *key, const void *element)
{
    const struct bytes *name = key;
    const char *const *module = element;
    return bytes_compare(*name, bytes_of_text(*module));
}

static bool is_python_module(struct bytes name)
{
    size_t count = sizeof(python_modules) / sizeof(python_modules[0]);
    return bsearch(&name, python_modules, count, sizeof(python_modules[0]), compare_module) != NULL;
}

static bool contains(struct bytes text, const char *needle)
{
    return bytes_contains(text, bytes_of_text(needle));
}

static bool starts_with(struct bytes text, const char *prefix)
{
    return bytes_starts_with(text, bytes_of_text(prefix));
}

static bool python_in_app(struct bytes path, struct bytes module)
{
    if (contains(path, "/site-packages/") || contains(path, "/dist-packages/") ||
        contains(path, "\\site-packages\\") || contains(path, "\\dist-packages\\") ||
        starts_with(path, "/usr/local/"))
        return false;
    struct bytes root = bytes_first(module, bytes_find_byte(module, '.'));
    return !bytes_equal(root, BYTES("sentry_sdk")) && !is_python_module(root);
}

static bool javascript_in_app(struct bytes function, struct bytes path)
{
    if (starts_with(function, "["))
        return false; /* [GC Young Gen], [HostFunction] ... */
    return !contains(path, "node_modules") && !starts_with(path, "@moz-extension") &&
           !starts_with(path, "chrome-extension");
}

static bool rust_in_app(struct bytes package)
{
    return package.len > 0 && !contains(package, "/library/std/src/") &&
           !starts_with(package, "/usr/lib/system/") && !starts_with(package, "/rustc/") &&
           !starts_with(package, "/usr/local/rustup/") &&
           !starts_with(package, "/usr/local/cargo/");
}

static bool is_cocoa_main(const struct profile *p, const struct profile_frame *f)
{
    struct bytes function = profile_string(p, f->function);
    if (!bytes_equal(function, BYTES("main")) && !bytes_equal(function, BYTES("UIApplicationMain")))
        return false;
    return frame_rest_is_symbolicated(profile_string(p, f->rest));
}

static bool cocoa_in_app(const struct profile *p, const struct profile_frame *f)
{
    struct bytes origin = frame_module_or_package(p, f);
    if (bytes_equal(origin, BYTES("Sentry")) || bytes_equal(origin, BYTES("hermes")) ||
        is_cocoa_main(p, f))
        return false;
    struct bytes package = profile_string(p, f->package);
    return starts_with(package, "/private/var/containers") ||
           starts_with(package, "/var/containers") ||
           contains(package, "/Developer/Xcode/DerivedData") ||
           contains(package, "/data/Containers/Bundle/Application") || contains(package, ".app");
}

/* Application code by the rules of `platform`; platforms without rules say no. */
static bool platform_in_app(const struct profile *p, const struct profile_frame *f,
                            struct bytes platform)
{
    struct bytes path = profile_string(p, f->abs_path);
    if (bytes_equal(platform, BYTES("node")))
        return !starts_with(path, "node:") && !contains(path, "node_modules");
    if (bytes_equal(platform, BYTES("javascript")))
        return javascript_in_app(profile_string(p, f->function), path);
    if (bytes_equal(platform, BYTES("cocoa")))
        return cocoa_in_app(p, f);
    if (bytes_equal(platform, BYTES("rust")))
        return rust_in_app(profile_string(p, f->package));
    if (bytes_equal(platform, BYTES("python")))
        return python_in_app(path, profile_string(p, f->module));
    if (bytes_equal(platform, BYTES("php")))
        return !contains(path, "/vendor/");
    return false;
}

bool frame_is_application(const struct profile *p, const struct profile_frame *f)
{
    struct bytes document = profile_string(p, p->platform);
    struct bytes platform = f->platform == 0 ? document : profile_string(p, f->platform);
    if (f->in_app != IN_APP_ABSENT && bytes_equal(platform, document))
        return f->in_app == IN_APP_TRUE;
    return platform_in_app(p, f, platform);
}
