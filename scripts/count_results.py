"""count_results.py RESULTS.xml CTEST_STATUS - say what skipped and why, what failed, and how many.

The last line is "N passed, N failed". Exit status 0 only when something ran, nothing failed, and
CTest itself was content.
"""
import sys
import xml.etree.ElementTree as ElementTree


def last_line(case):
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    return next((line for line in reversed(lines) if line), "it gave no reason")


def main():
    path, ctest_status = sys.argv[1], int(sys.argv[2])
    try:
        cases = ElementTree.parse(path).getroot().findall("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print("no results: %s\n0 passed, 0 failed" % error)
        return 1
    by_status = {"run": [], "fail": [], "notrun": [], "disabled": []}
    for case in cases:
        by_status.setdefault(case.get("status"), []).append(case)
    # a program that could not be started is "notrun" as well, and that is a failure
    skipped, failed = [], by_status["fail"]
    for case in by_status["notrun"]:
        reason = case.find("skipped")
        wanted = reason is not None and "SKIP_RETURN_CODE" in (reason.get("message") or "")
        (skipped if wanted else failed).append(case)
    skipped += by_status["disabled"]

    for case in skipped:
        print("skipped %s: %s" % (case.get("name"), last_line(case)))
    for case in failed:
        print("failed %s" % case.get("name"))
    passed = len(by_status["run"])
    print("%d passed, %d failed" % (passed, len(failed)))
    return 0 if passed and not failed and ctest_status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
