"""sys_sdk_snuba.py HEARTH SOURCE - the queries that Sentry builds, by an unmodified snuba-sdk.

Recordings are imported; the rows of each query must be those that the own API has. Installs the SDK once,
into the build folder; skips, saying why, where that cannot be had.
"""
import json
import os
import subprocess
import sys

import running
from running import check
from sdk import harness

SDK = "snuba-sdk==3.0.43"


def main():
    program, source = sys.argv[1:3]
    home = os.path.join(os.path.dirname(os.path.abspath(program)), "sdk-snuba")
    python = os.path.join(home, "bin", "python")
    harness.install(home, SDK, [
        [sys.executable, "-m", "venv", home],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "30", SDK],
    ])
    hearth = running.Hearth(program)
    done = subprocess.run([program, "import", "--url", hearth.url, os.path.join(source, "tests/data/envelopes")],
                          capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)

    projects = hearth.get_json("/api/v1/projects")["projects"]
    project = max(projects, key=lambda p: p["chunks"])["project_id"]
    chunks = {}
    for p in hearth.get_json("/api/v1/projects/%d/profilers?limit=1000" % project)["profilers"]:
        listed = hearth.get_json("/api/v1/projects/%d/chunks?profiler_id=%s&limit=1000" % (project, p["profiler_id"]))["chunks"]
        chunks[p["profiler_id"]] = [(c["start"], c["end"], c["chunk_id"]) for c in listed]
    spans = [c for of_one in chunks.values() for c in of_one]
    start, end = int(min(c[0] for c in spans)) - 1, int(max(c[1] for c in spans)) + 1

    out = subprocess.run([python, os.path.join(source, "tests/system/sdk/snuba_queries.py"), hearth.url, str(project),
                          ",".join(sorted(chunks)), str(start), str(end)], capture_output=True, text=True,
                         env=dict(os.environ, TZ="UTC"))
    check(out.returncode == 0, out.stderr[-2000:])
    answers = {a["name"]: a for a in map(json.loads, out.stdout.splitlines())}
    data = {name: a["answer"].get("data") for name, a in answers.items()}
    for name, a in answers.items():
        check(a["status"] == (400 if name == "no-time-range" else 200), "%s: %s" % (name, str(a)[:600]))

    first = sorted(chunks)[0]
    check([r["chunk_id"] for r in data["chunk-ids"]] == [c[2] for c in sorted(chunks[first], reverse=True)], "chunk ids")
    want = [(p, c[2]) for p in sorted(chunks, reverse=True) for c in sorted(chunks[p], reverse=True)]
    check([(r["profiler_id"], r["chunk_id"]) for r in data["candidates"]] == want, "candidates")
    check(len(data["newest"]) == min(100, len(spans)), "newest")
    slowest = data["slowest"]
    check(len(slowest) > 3 and all(r["count"] > 0 and 0 < r["p95"] <= r["sum"] for r in slowest), str(slowest))
    check([r["sum"] for r in slowest] == sorted((r["sum"] for r in slowest), reverse=True), "order of functions")
    check(sum(r["count"] for r in data["series"]) >= sum(r["count"] for r in slowest), "series")
    known = set(chunks) | {r["profile_id"] for r in json.loads(hearth.request(
        "POST", "/profiles/snql", [], json.dumps({"query": "MATCH STORAGE(profiles) SELECT profile_id WHERE project_id = %d" % project}).encode())[2])["data"]}
    check(data["examples"] and all(set(r["all_examples"]) <= known and r["all_examples"] for r in data["examples"]), str(data["examples"][:3]))
    check("timestamp" in answers["no-time-range"]["answer"]["error"]["message"], str(answers["no-time-range"]))
    hearth.stop()
    print("%d queries of %s, %d chunks" % (len(answers), SDK, len(spans)))


main()
