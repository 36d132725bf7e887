#!/bin/sh
# Who may include whom: base < storage < engine < api, and each library in its own house.
# Usage: layers.sh SOURCE_DIR. Prints every line that breaks a rule; fails when there was one.
set -u
cd "${1:?source directory}" || exit 2
broken=0

# deny RULE PATTERN FILES...: no include line of these files matches the pattern
deny() {
    rule=$1 pattern=$2
    shift 2
    [ "$#" -gt 0 ] || return 0
    if grep -nEH "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@"; then
        echo "  ^ $rule"
        broken=1
    fi
}

files() { # files DIR... [-- NAME...]: sources there, except the named ones
    dirs=""
    while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
        [ -d "$1" ] && dirs="$dirs $1"
        shift
    done
    [ "$#" -gt 0 ] && shift
    [ -n "$dirs" ] || return 0
    find $dirs -name '*.[ch]' | sort | while read -r f; do
        keep=1
        for not in "$@"; do
            case $f in $not) keep=0 ;; esac
        done
        [ $keep = 1 ] && echo "$f"
    done
}

deny "base includes no other room" '(storage|engine|api)/' $(files base)
deny "storage includes base only" '(engine|api)/' $(files storage)
deny "engine includes base and storage only" 'api/' $(files engine)
deny "product code includes no tests and no benchmarks" '(tests|bench)/' $(files base storage engine api)
deny "includes are spelled from the repository root" '\.\.?/' $(files base storage engine api tests bench)
deny "only api knows sockets" '(uv\.h|llhttp\.h|sys/socket\.h|netinet/|arpa/inet\.h|netdb\.h)' $(files base storage engine)
deny "blocks are compressed in storage/page.c" 'lz4' $(files base engine api) \
    $(files storage -- 'storage/page.c')
deny "segments are compressed in storage/squeeze.c" 'zstd' $(files base) $(files storage -- 'storage/squeeze.c')
deny "only storage/bitmap.c knows roaring" 'roaring' $(files base engine api) $(files storage -- 'storage/bitmap.c')
deny "xxhash has a door: base/hash.c" 'xxhash' $(files base storage engine api -- 'base/hash.c')
deny "file calls live in storage/vfs_posix.c" '(fcntl\.h|sys/stat\.h|sys/mman\.h|dirent\.h)' \
    $(files base engine) $(files storage -- 'storage/vfs_posix.c')

# "a.c" includes its own header
for f in $(files base storage engine api); do
    case $f in *.c) ;; *) continue ;; esac
    own="${f%.c}.h"
    [ -f "$own" ] || continue
    # or the header that its parts share, which begins with it
    if ! grep -qE "^#include \"${f%.c}(_parts)?\.h\"" "$f"; then
        echo "$f: does not include its own header $own"
        broken=1
    fi
done

exit $broken
