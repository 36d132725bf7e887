#!/bin/sh
# Packages are named, the hosts that serve them are the machine's own business; and no file knows
# the folders of the machine it was written on. Usage: hosts.sh SOURCE_DIR.
set -u
cd "${1:?source directory}" || exit 2

# brackets, so that this file does not find itself
pattern='registry[.]npmjs|npmjs[.]org|pypi[.]org|python[h]osted|deb[.]debian|ftp[.][a-z.]*debian|archive[.]ubuntu|snapshot[.]debian|"resolved": "[h]ttp|[^.a-z][/]home/[a-z]|[[:space:]"=][/]work/'

if found=$(grep -rnIE "$pattern" --exclude=.git --exclude-dir=.git --exclude-dir=build --exclude-dir=data \
    --exclude-dir=demo --exclude-dir=.tools --exclude-dir=node_modules --exclude-dir=corpus .); then
    printf '%s\n  ^ a registry host or a path of one machine\n' "$found" | cut -c1-200
    exit 1
fi
[ -f CMakeLists.txt ] || { echo 'no CMakeLists.txt here: wrong folder'; exit 2; }
