#!/bin/sh
# What the documents point to exists: relative links, and paths of the checkout named in `quotes`
# (those with a capital word or dots in them stand for something else). Usage: links.sh SOURCE_DIR.
set -u
cd "${1:?source directory}" || exit 2
broken=0
seen=0
set -f # a path with a star is a pattern, below and nowhere else

documents=$(find . -name '*.md' -not -path './build/*' -not -path './data*' -not -path './.*/*' \
    -not -path '*/node_modules/*' | sort)
for document in $documents; do
    folder=$(dirname "$document")
    for link in $(grep -oE '\]\([^) ]+\)' "$document" | sed -E 's/^\]\(//; s/\)$//; s/#.*//'); do
        case $link in *://* | mailto:*) continue ;; esac
        seen=$((seen + 1))
        [ -e "$folder/$link" ] || { echo "$document: the link $link leads nowhere"; broken=1; }
    done
    for path in $(grep -oE '`(\./)?(\.ci|api|base|bench|cmake|demo|docs|engine|scripts|storage|tests|web)/[^` ]*`' \
        "$document" | tr -d '`'); do
        case $path in *[A-Z][A-Z]* | *…* | *...* | *'{'* | *'<'*) continue ;; esac
        seen=$((seen + 1))
        found=$(set +f; for one in $path; do [ -e "$one" ] && echo yes && break; done)
        [ "$found" = yes ] || { echo "$document: $path does not exist"; broken=1; }
    done
done

[ "$seen" -gt 20 ] || { echo "only $seen links found: wrong folder"; exit 2; }
exit $broken
