#!/bin/sh
# The scripts parse as plain sh, and the closing line of scripts/test counts truthfully.
# Usage: scripts.sh SOURCE_DIR.
set -u
cd "${1:?source directory}" || exit 2
broken=0
fail() {
    echo "$*"
    broken=1
}

for script in scripts/setup scripts/run scripts/test .ci/run tests/lint/*.sh; do
    sh -n "$script" || fail "$script: is no plain sh"
done

# a wrong address is found before anything is installed, built or asked
for address in 1322 :1322 localhost localhost: localhost:http; do
    said=$(HEARTH_LISTEN=$address timeout 5 scripts/run 2>&1)
    case $? in
    1) echo "$said" | grep -q 'expected HOST:PORT' || fail "HEARTH_LISTEN=$address: $said" ;;
    *) fail "HEARTH_LISTEN=$address is not refused: $said" ;;
    esac
done

results=$(mktemp)
trap 'rm -f "$results"' EXIT
# expect "LAST LINE" EXIT_STATUS CTEST_STATUS < testcases
expect() {
    { echo '<testsuite>'; cat; echo '</testsuite>'; } >"$results"
    said=$(python3 scripts/count_results.py "$results" "$3")
    status=$?
    [ "$(echo "$said" | tail -n 1)" = "$1" ] && [ "$status" = "$2" ] ||
        fail "expected '$1' and exit $2, got exit $status: $said"
}
good='<testcase name="good" status="run"><system-out/></testcase>'
bad='<testcase name="bad" status="fail"><failure message=""/></testcase>'
skipped='<testcase name="skipped" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>no npm</system-out></testcase>'
gone='<testcase name="gone" status="notrun"><skipped message="Unable to find executable"/></testcase>'

expect '2 passed, 0 failed' 0 0 <<END
$good $good $skipped
END
echo "$said" | grep -q '^skipped skipped: no npm$' || fail "the reason of a skip is missing: $said"
expect '1 passed, 2 failed' 1 8 <<END
$good $bad $gone
END
expect '0 passed, 0 failed' 1 0 <<END
$skipped
END
expect '1 passed, 0 failed' 1 8 <<END
$good
END
exit $broken
