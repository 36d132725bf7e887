"""sys_snql.py HEARTH SOURCE - the query API over HTTP: tables against the own API, every kind of request.

Recordings are imported; what queries say of them must be what other routes say, before and after
`hearth compact`. Requests that are refused are those of the conformance cases.
"""
import glob
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from decimal import Decimal

from running import Hearth, arguments, check


def ask(hearth, query, path="/profiles/snql", status=200, **fields):
    body = json.dumps(dict(fields, query=query)).encode()
    got, headers, raw = hearth.request("POST", path, [("Content-Type", "application/json")], body)
    check(got == status, "%s: %d %r" % (query, got, raw[:400]))
    check(headers["content-type"] == "application/json", str(headers))
    return json.loads(raw, parse_float=Decimal)


def rows(hearth, query):
    return ask(hearth, query)["data"]


def micro(text):
    """RFC 3339 with at most six digits of fraction as whole microseconds."""
    found = re.fullmatch(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(?:\.(\d{6}))?\+00:00", text)
    check(found is not None, text)
    import datetime
    parts = [int(v) for v in found.groups()[:6]]
    whole = datetime.datetime(*parts, tzinfo=datetime.timezone.utc)
    return int(whole.timestamp()) * 1000000 + int(found.group(7) or 0)


def cut(seconds):
    """Seconds of the own API as microseconds, cut."""
    return int(Decimal(str(seconds)) * 1000000)


def compare_chunks(hearth, project):
    found = rows(hearth, "MATCH STORAGE(profile_chunks) SELECT profiler_id, chunk_id, start_timestamp, "
                         "end_timestamp, environment, retention_days, partition, offset WHERE project_id = %d "
                         "LIMIT 10000" % project)
    wanted = []
    listed = json.loads(hearth.get("/api/v1/projects/%d/profilers?limit=10000" % project)[2])["profilers"]
    for profiler in listed:
        _, _, raw = hearth.get("/api/v1/projects/%d/chunks?profiler_id=%s&limit=10000" % (project, profiler["profiler_id"]))
        for c in json.loads(raw, parse_float=Decimal)["chunks"]:
            wanted.append((profiler["profiler_id"], c["chunk_id"], cut(c["start"]), cut(c["end"]), c["environment"] or ""))
    got = [(r["profiler_id"], r["chunk_id"], micro(r["start_timestamp"]), micro(r["end_timestamp"]), r["environment"])
           for r in found]
    check(sorted(got) == sorted(wanted), "chunks of project %d: %d and %d" % (project, len(got), len(wanted)))
    check(all((r["retention_days"], r["partition"], r["offset"]) == (90, 0, 0) for r in found), "retention, place")
    return wanted


def compare_ranges(hearth, project, chunks):
    """What the interval index finds, against a plain look at all of them."""
    for profiler in sorted({c[0] for c in chunks})[:4]:
        of_it = sorted(c for c in chunks if c[0] == profiler)
        edges = sorted({c[2] for c in of_it} | {c[3] for c in of_it})
        for a, b in [(edges[0], edges[-1]), (edges[len(edges) // 2], edges[-1]), (edges[0] - 5, edges[0]),
                     (edges[-1] + 1, edges[-1] + 10), (edges[0], edges[0] + 1)]:
            answer = ask(hearth, "MATCH STORAGE(profile_chunks) SELECT chunk_id WHERE "
                                 "end_timestamp >= toDateTime64('%d.%06d', 6) AND start_timestamp < toDateTime64('%d.%06d', 6) "
                                 "AND project_id = %d AND profiler_id = '%s' ORDER BY start_timestamp DESC LIMIT 10000"
                         % (a // 1000000, a % 1000000, b // 1000000, b % 1000000, project, profiler), debug=True)
            want = [c[1] for c in sorted(of_it, key=lambda c: -c[2]) if c[3] >= a and c[2] < b]
            got = [r["chunk_id"] for r in answer["data"]]
            check(sorted(got) == sorted(want), "%s in [%d, %d)" % (profiler, a, b))
            check("1 range" in answer["sql"] and answer["stats"]["rows_read"] <= len(want) + 2, answer["sql"])


def compare_profiles(hearth, project):
    found = rows(hearth, "MATCH STORAGE(profiles) SELECT profile_id, trace_id, transaction_name, duration_ns, platform, "
                         "device_os_name, architecture, version_name WHERE project_id = %d LIMIT 10000" % project)
    count = [p["profiles"] for p in hearth.get_json("/api/v1/projects")["projects"] if p["project_id"] == project][0]
    check(len(found) == count, "profiles of project %d: %d, expected %d" % (project, len(found), count))
    for r in found[:10]:
        document = hearth.get_json("/organizations/1/projects/%d/raw_profiles/%s" % (project, r["profile_id"]))
        check(document["transaction"]["name"] == r["transaction_name"] and document["platform"] == r["platform"] and
              document["transaction"]["trace_id"] == r["trace_id"] and (document.get("release") or "") == r["version_name"] and
              (document["os"].get("name") or "") == r["device_os_name"] and
              (document["device"].get("architecture") or "unknown") == r["architecture"], str(r))
        elapsed = [s["elapsed_since_start_ns"] for s in document["profile"]["samples"]]
        check(max(elapsed) - min(elapsed) == r["duration_ns"], str(r))
    return found


def compare_functions(hearth, project):
    """The two tables say the same, and of application functions what the documents' own frames say."""
    raw = rows(hearth, "MATCH STORAGE(functions_raw) SELECT fingerprint, count() AS documents, sum(arrayCount((`x`) -> "
                       "greater(`x`, 0), durations)) AS positive, sum(length(durations)) AS calls, sum(arraySum(durations)) AS total, max(arrayMax(durations)) AS longest "
                       "BY fingerprint WHERE project_id = %d LIMIT 10000" % project)
    bounds = "timestamp >= toDateTime('1970-01-01T00:00:00') AND timestamp < toDateTime('2100-01-01T00:00:00')"
    hourly = rows(hearth, "MATCH (functions) SELECT countMerge(count) AS calls, sumMerge(sum) AS total, maxMerge(max) AS longest "
                          "BY fingerprint WHERE project_id = %d AND %s LIMIT 10000" % (project, bounds))
    check({r["fingerprint"]: (r["calls"], r["total"], r["longest"]) for r in raw} ==
          {r["fingerprint"]: (r["calls"], r["total"], r["longest"]) for r in hourly}, "functions of project %d" % project)
    names = rows(hearth, "MATCH STORAGE(functions_raw) SELECT name, package, is_application BY name, package, is_application "
                         "WHERE project_id = %d LIMIT 10000" % project)
    return len(raw), Counter(r["is_application"] for r in names)


def compare_all(hearth):
    totals = Counter()
    for p in hearth.get_json("/api/v1/projects")["projects"]:
        chunks = compare_chunks(hearth, p["project_id"])
        compare_ranges(hearth, p["project_id"], chunks)
        totals["chunks"] += len(chunks)
        totals["profiles"] += len(compare_profiles(hearth, p["project_id"]))
        totals["functions"] += compare_functions(hearth, p["project_id"])[0]
    check(min(totals.values()) > 20, "the recordings have more: %s" % totals)
    return totals


def run_case(hearth, case):
    expect = case["expect"]
    text = case["raw_body"] if "raw_body" in case else json.dumps(case["body"])
    status, _, raw = hearth.request("POST", case.get("path") or "/%s/snql" % case["dataset"],
                                    [("Content-Type", "application/json")], text.encode())
    check(status == expect["status"], "%s: %d %r" % (case["name"], status, raw[:300]))
    error = json.loads(raw).get("error", {})
    for key in ("type", "code"):
        check(key not in expect["error"] or error.get(key) == expect["error"][key], "%s: %r" % (case["name"], error))
    for word in expect["error"].get("message_contains", []):
        check(word in error["message"], "%s: %r" % (case["name"], error))


def refusals(hearth, source):
    count = 0
    for name in sorted(glob.glob(os.path.join(source, "tests/data/conformance/snql/cases/error.*.json"))):
        with open(name) as f:
            case = json.load(f)
        if "aggregate" not in case["name"] and "type" not in case["name"] or case["expect"]["status"] < 500:
            run_case(hearth, case)
            count += 1
    check(count >= 40, "only %d cases" % count)
    query = "MATCH STORAGE(profile_chunks) SELECT count()"
    for path, want in (("/functions/snql", 200), ("/query", 404), ("/nope/snql", 404)):
        got = hearth.request("POST", path, [], json.dumps({"query": query}).encode())[0]
        check(got == want, "%s: %d" % (path, got))
    check(hearth.request("POST", "/query", [], json.dumps({"query": query, "dataset": "profiles"}).encode())[0] == 200, "/query")
    check(hearth.get("/health_envoy")[2] == b"{}", "/health_envoy")
    dry = ask(hearth, query, dry_run=True)
    check(dry["data"] == [] and dry["meta"] == [], "dry run")
    whole = ask(hearth, query, debug=False, tenant_ids={"organization_id": 1, "referrer": "test"}, app_id="x",
                parent_api="<missing>", turbo=True, consistent=True, legacy=False)
    check(set(whole) == {"data", "meta", "profile", "trace_output", "timing", "quota_allowance"}, str(whole.keys()))
    check(set(whole["profile"]) == {"bytes", "blocks", "rows", "elapsed", "progress_bytes"}, str(whole["profile"]))


def command(program, *args, status=0, text=None):
    done = subprocess.run([program, "query", *args], input=text, capture_output=True, text=True)
    check(done.returncode == status, "%s: %d %s" % (args, done.returncode, done.stderr))
    return done.stdout, done.stderr


def from_a_terminal(program, where):
    """hearth query prints what the API answers, of a server and of a folder."""
    query = "MATCH STORAGE(profile_chunks) SELECT project_id, profiler_id, count() AS c, avg(0 / 0) AS n BY project_id, " \
            "profiler_id ORDER BY project_id ASC, profiler_id ASC LIMIT 7"
    lines = [json.loads(line) for line in command(program, *where, "--format", "jsonl", query)[0].splitlines()]
    check(len(lines) == 7 and list(lines[0]) == ["project_id", "profiler_id", "c", "n"] and lines[0]["n"] == "NaN", str(lines))
    csv = command(program, *where, "--format", "csv", "-", text=query)[0].splitlines()
    check(csv[0] == "project_id,profiler_id,c,n" and
          csv[1] == "%d,%s,%d,NaN" % (lines[0]["project_id"], lines[0]["profiler_id"], lines[0]["c"]), str(csv))
    table, said = command(program, *where, "--explain", query)
    check(len(table.splitlines()) == 8 and "all of it" in said and "7 rows" in said, table + said)
    one = command(program, *where, "--format", "jsonl", "--project", str(lines[0]["project_id"]), "--profiler", lines[0]["profiler_id"])[0]
    chunks = [json.loads(line) for line in one.splitlines()]
    check(len(chunks) == lines[0]["c"], str(chunks))
    first = str(micro(chunks[0]["start_timestamp"]))
    first = first[:-6] + "." + first[-6:]
    few = command(program, *where, "--format", "jsonl", "--project", str(lines[0]["project_id"]), "--profiler", lines[0]["profiler_id"],
                  "--end", first)[0]
    check(len(few.splitlines()) == 0, few)
    check("unknown column 'nope'" in command(program, *where, "MATCH STORAGE(profiles) SELECT nope", status=1)[1], "refusal")
    check("--profiler" in command(program, *where, status=1)[1], "nothing asked")
    command(program, *where, "--format", "xml", query, status=2)


def main():
    program, source = arguments()
    data = tempfile.mkdtemp(prefix="hearth-snql-")
    hearth = Hearth(program, data)
    recordings = os.path.join(source, "tests/data/envelopes")
    done = subprocess.run([program, "import", "--url", hearth.url, recordings], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    refusals(hearth, source)
    from_a_terminal(program, ("--url", hearth.url))
    before = compare_all(hearth)
    hearth.stop()
    from_a_terminal(program, ("--data", data))
    done = subprocess.run([program, "compact", "--data", data], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    hearth = Hearth(program, data)
    check(compare_all(hearth) == before, "after compaction")
    hearth.stop()
    print("the tables say what the other routes say, in logs and in segments: %s" % dict(before))


main()
