#!/bin/sh
# Calls that have one home or none. Usage: banned.sh SOURCE_DIR.
set -u
cd "${1:?source directory}" || exit 2
rooms=""
for room in base storage engine api; do
    [ -d $room ] && rooms="$rooms $room"
done
broken=0

# Comments and strings do not call anything: blank them. Every line as "file:number: code", once.
code=$(find $rooms -name '*.[ch]' | sort | while read -r f; do
    sed -E -e 's/\\["\\]//g' -e "s/'\"'//g" -e 's/"[^"]*"/""/g' -e 's@//.*@@' -e 's@/\*[^*]*\*/@@g' "$f" |
        awk -v f="$f" '
            { if (inside) { if (i = index($0, "*/")) { inside = 0; $0 = substr($0, i + 2) } else next }
              if (i = index($0, "/*")) { inside = 1; $0 = substr($0, 1, i - 1) }
              if ($0 ~ /\(/) print f ":" FNR ": " $0 }'
done)

# ban WHY NAMES HOME...: no call of these names outside the homes
ban() {
    why=$1 names=$2
    shift 2
    found=$(printf '%s\n' "$code" | grep -E "(^|[^A-Za-z0-9_.>])($names)[[:space:]]*\(")
    for home in "$@"; do
        found=$(printf '%s\n' "$found" | grep -v "^$home:")
    done
    if [ -n "$found" ]; then
        printf '%s\n  ^ %s\n' "$found" "$why"
        broken=1
    fi
}

ban "memory has one door: base/mem.c" \
    'malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|alloca' base/mem.c
ban "no unbounded text" 'strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets'
ban "numbers are converted with checks (base/bytes.h, base/decimal.h)" \
    'atoi|atol|atoll|atof|strtol|strtoul|strtoll|strtoull|strtod|strtof|sscanf|fscanf|scanf'
ban "no parser with hidden state" 'strtok|strtok_r'
ban "no hidden state, not safe among threads" 'localtime|gmtime|ctime|asctime|rand|srand|strerror|setlocale|getpwnam'
ban "processes are not started through a shell" 'system|popen'
ban "files only through storage/vfs.h" 'fopen|open|openat|fsync|fdatasync|unlink|rename|link|linkat|mkdir|opendir|mmap|statvfs' \
    storage/vfs_posix.c
exit $broken
