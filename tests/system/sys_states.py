"""The same questions, whatever state the store is in: all in logs, half sealed, all in segments,
reopened, and while upkeep is at work. Every answer must be the same, byte for byte, but for the
room that a chunk takes."""
import json
import os
import random
import re
import subprocess
import tempfile
import threading
from urllib.parse import urlencode

from running import Hearth, arguments, check

program, source = arguments()
recordings = os.path.join(source, "tests", "data", "envelopes")
folders = sorted(f for f in os.listdir(recordings)
                 if os.path.isdir(os.path.join(recordings, f)))
seed = random.randrange(1 << 32)
print("seed", seed)
rng = random.Random(seed)


def run(*command):
    done = subprocess.run([program, *command], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    check(done.returncode in (0, 1), "%s: %d %s" % (command, done.returncode, done.stderr[-2000:]))
    check("Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-4000:])
    return done.stdout


def stamp(ns):
    return "%d.%09d" % divmod(ns, 10**9)


def targets_of(h):
    """Questions about every project: whole, cut at random times, by thread, by tag."""
    out = ["/api/v1/projects"]
    for project in h.get_json("/api/v1/projects")["projects"]:
        base = "/api/v1/projects/%s/" % project["project_id"]
        out += [base + "profilers", base + "chunks", base + "transactions", base + "functions",
                base + "flamegraph?threads=separate", base + "flamegraph?format=folded"]
        out.append(base + "usage?buckets=7")
        profilers = h.get_json(base + "profilers")["profilers"]
        for p in profilers[:2]:
            ids = {"profiler_id": p["profiler_id"]}
            chunks = h.get_json(base + "chunks?" + urlencode(ids))["chunks"]
            first = min(float(c["start"]) for c in chunks)
            last = max(float(c["end"]) for c in chunks)
            for _ in range(3):
                a, b = sorted(rng.uniform(first, last) for _ in range(2))
                window = dict(ids, start=stamp(int(a * 1e9)), end=stamp(int(b * 1e9)))
                out.append(base + "flamegraph?" + urlencode(window))
                out.append(base + "chunks?" + urlencode(window))
            out.append(base + "flamegraph?" + urlencode(ids))
            out.append(base + "flamechart?" + urlencode(dict(ids, max_spans=500)))
            for c in chunks[:2]:
                out.append("/organizations/1/projects/%s/raw_chunks/%s/%s" %
                           (project["project_id"], p["profiler_id"], c["chunk_id"]))
        out.append(base + "flamegraph?environment=production")
        out.append(base + "flamegraph?platform=node")
    return out


def ask_all(h, targets):
    answers = {}
    for target in targets:
        try:
            status, _, body = h.get(target)
        except OSError as e:
            check(False, "GET %s: %s\n%s" % (target, e, "".join(h.errors)[-4000:]))
        answers[target] = (status, re.sub(rb'"(size|received)":[\d.]+', b"", body))
    return answers


def same(before, after, state):
    for target, (status, body) in before.items():
        got = after[target]
        if got == (status, body):
            continue
        path = tempfile.mkdtemp(prefix="hearth-states-")
        for name, content in (("expected", body), ("got", got[1])):
            with open(os.path.join(path, name), "wb") as f:
                f.write(content)
        check(False, "%s: GET %s: %d, %d bytes, expected %d, %d bytes: %s" %
              (state, target, got[0], len(got[1]), status, len(body), path))


def load(data, names):
    for name in names:
        run("import", "--quiet", "--data", data, os.path.join(recordings, name))


logs = tempfile.mkdtemp(prefix="hearth-test-")
load(logs, folders)
h = Hearth(program, data=logs)
targets = targets_of(h)
expected = ask_all(h, targets)
good = sum(status == 200 for status, _ in expected.values())
check(good > len(targets) * 9 // 10, "%d of %d answers are good" % (good, len(targets)))
h.stop()

run("compact", "--quiet", "--data", logs)
names = os.listdir(logs)
check(any(n.startswith("segment-") for n in names) and "manifest" in names, str(names))
h = Hearth(program, data=logs)
same(expected, ask_all(h, targets), "all in segments")
h.stop()
h = Hearth(program, data=logs)
same(expected, ask_all(h, targets), "reopened")
h.stop()

# Another order of arrival changes nothing either: half of it is sealed before the other comes, and
# a part comes twice.
mixed = tempfile.mkdtemp(prefix="hearth-test-")
half = len(folders) // 2
load(mixed, folders[:half])
run("compact", "--quiet", "--data", mixed)
load(mixed, folders[half - 3:])
h = Hearth(program, data=mixed)
same(expected, ask_all(h, targets), "half sealed, three sets sent twice")
h.stop()

# While upkeep is at work: a server whose logs are tiny seals and merges all the time.
busy = tempfile.mkdtemp(prefix="hearth-test-")
load(busy, folders)
h = Hearth(program, data=busy, args=["--log-size", "64K"])
wrong = []


def ask_again():
    for _ in range(2):
        try:
            same(expected, ask_all(h, targets), "while upkeep is at work")
        except SystemExit:
            wrong.append(1)
            raise


threads = [threading.Thread(target=ask_again) for _ in range(2)]
for t in threads:
    t.start()
run("import", "--quiet", "--url", h.url, os.path.join(recordings, folders[0]))  # all there already
for t in threads:
    t.join()
check(not wrong, "answers differ while upkeep is at work")
h.stop()
print("ok: %d questions, %d good answers, five states" % (len(targets), good))
