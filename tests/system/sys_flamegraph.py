"""Flame graphs over HTTP against brute force from the envelopes that were sent.

The recordings are parsed here on their own, down to samples; windows fall on samples, between
them, and anywhere else.
"""
import gzip
import json
import os
import random
import subprocess
import urllib.parse
from decimal import Decimal

from running import SCALE, Hearth, arguments, check

SETS = ("python-manual-orders", "node11-manual-api", "browser10-txn-storefront", "ruby-txn-bookings")
SUFFIXES = (".dylib", ".so", ".a", ".dll", ".exe")


def payloads(folder):
    """(project, item type, payload) of every profile in a recorded folder."""
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".headers.json"):
            continue
        with open(os.path.join(folder, name)) as f:
            request = json.load(f)
        with open(os.path.join(folder, name.replace(".headers.json", ".body")), "rb") as f:
            body = f.read()
        if request["method"] != "POST":
            continue
        headers = {k.lower(): v for k, v in request["headers"]}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        project = int(request["target"].split("?")[0].strip("/").split("/")[1])
        at = body.index(b"\n") + 1
        while at < len(body):
            line, _, _ = body[at:].partition(b"\n")
            if not line:
                break
            at += len(line) + 1
            item = json.loads(line)
            length = item.get("length", len(body[at:].partition(b"\n")[0]))
            if item["type"] in ("profile_chunk", "profile"):
                yield project, item["type"], json.loads(body[at:at + length])
            at += length + 1


def trim(package):
    last = package.rsplit("/", 1)[-1]
    for suffix in SUFFIXES:
        if last.endswith(suffix):
            return last[:-len(suffix)]
    return last


def identity(frame):
    where = frame.get("module") or trim(frame.get("package") or "") or frame.get("filename") or ""
    return (where, frame.get("function") or "", frame.get("instruction_addr") or "")


def base_ns(text):
    """Nanoseconds of an RFC 3339 moment in UTC."""
    import datetime
    whole, _, fraction = text.rstrip("Z").replace("+00:00", "").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0")[:9])


class Profile:
    """One document: per thread a list of (start, end, path of identities)."""

    def __init__(self, kind, document):
        data = document["profile"]
        frames = [identity(f) for f in data["frames"]]
        self.key = document["profiler_id"] if kind == "profile_chunk" else document["event_id"]
        self.kind = kind
        paths = [tuple(frames[i] for i in reversed(s)) for s in data["stacks"]]
        threads = {}
        for s in data["samples"]:
            if kind == "profile_chunk":
                when = int(s["timestamp"] * 1e9)
            else:
                when = base_ns(document["timestamp"]) + int(s["elapsed_since_start_ns"])
            threads.setdefault(str(s["thread_id"]), []).append((when, paths[s["stack_id"]]))
        self.threads = {}
        for thread, samples in threads.items():
            if kind == "profile":
                while samples and not samples[0][1]:
                    samples.pop(0)
                while samples and not samples[-1][1]:
                    samples.pop()
            if sum(bool(p) for _, p in samples) < 2:
                continue
            samples.sort(key=lambda s: s[0])
            self.threads[thread] = [(a[0], b[0], a[1]) for a, b in zip(samples, samples[1:])]


def brute_force(profiles, start, end, thread, key):
    """{path: [self ns, total ns, self samples, total samples]}, idle ns, all ns."""
    nodes = {}
    idle = total = 0
    for p in profiles:
        if key is not None and p.key.replace("-", "") != key:
            continue
        for name, runs in p.threads.items():
            if thread is not None and name != thread:
                continue
            for a, b, path in runs:
                if b < start or a >= end:
                    continue
                weight = max(0, min(b, end) - max(a, start))
                counted = start <= a < end
                if weight == 0 and not counted:
                    continue
                total += weight
                idle += weight if not path else 0
                for depth in range(1, len(path) + 1):
                    node = nodes.setdefault(path[:depth], [0, 0, 0, 0])
                    node[1] += weight
                    node[3] += counted
                    if depth == len(path):
                        node[0] += weight
                        node[2] += counted
    return nodes, idle, total


def answered(answer):
    nodes = answer["nodes"]
    frames = [identity(f) for f in answer["frames"]]
    paths = []
    found = {}
    for i, (parent, frame) in enumerate(zip(nodes["parent"], nodes["frame"])):
        path = (paths[parent] if parent >= 0 else ()) + (frames[frame],)
        paths.append(path)
        check(path not in found, "two nodes for one path: %s" % (path,))
        found[path] = [nodes["self_ns"][i], nodes["total_ns"][i], nodes["self_samples"][i],
                       nodes["total_samples"][i]]
    return found


def seconds(ns):
    return "%d.%09d" % divmod(ns, 10**9)


def random_question(rng, profiles):
    moments = [run[0] for p in profiles for runs in p.threads.values() for run in runs]
    low, high = min(moments), max(moments)
    start, end = sorted(rng.choice(moments) + rng.choice((-1, 0, 0, 1))
                        if rng.random() < 0.6 else rng.randint(low - 10**9, high + 10**9)
                        for _ in range(2))
    if rng.random() < 0.5:
        end = min(end, start + rng.randint(0, 20 * 10**9))
    one = rng.choice([p for p in profiles if p.threads])
    thread = rng.choice(sorted(one.threads)) if rng.random() < 0.4 else None
    key = one.key.replace("-", "") if rng.random() < 0.4 else None
    return start, end, thread, key, one.kind


def ask(hearth, project, profiles, question):
    start, end, thread, key, kind = question
    query = {"start": seconds(start), "end": seconds(end)}
    if thread is not None:
        query["thread"] = thread
    if key is not None:
        query["profiler_id" if kind == "profile_chunk" else "profile_id"] = key
    target = "/api/v1/projects/%d/flamegraph?%s" % (project, urllib.parse.urlencode(query))
    _, _, body = hearth.get(target)
    answer = json.loads(body, parse_float=Decimal)
    check("nodes" in answer, "%s: %s" % (target, answer))
    want, idle, total = brute_force(profiles, start, end, thread, key)
    found = answered(answer)
    check(set(found) == set(want), "%s: paths differ: %s" % (
        target, list(set(found) ^ set(want))[:2]))
    for path, figures in want.items():
        check(found[path] == figures, "%s: %s is %s, expected %s"
              % (target, path, found[path], figures))
    check((answer["idle_ns"], answer["total_ns"]) == (idle, total), "%s: idle %d total %d, "
          "expected %d %d" % (target, answer["idle_ns"], answer["total_ns"], idle, total))
    check(answer["coverage"]["left_out"] == [], target)
    return len(found)


def main():
    program, source = arguments()
    seed = int(os.environ.get("HEARTH_SEED", random.randrange(2**32)))
    print("HEARTH_SEED=%d" % seed)
    rng = random.Random(seed)
    hearth = Hearth(program)
    nodes = questions = 0
    for name in SETS:
        folder = os.path.join(source, "demo", name)
        done = subprocess.run([program, "import", "--quiet", "--url", hearth.url, folder],
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        check(done.returncode == 0, "import: %s" % done.stderr)
        recorded = list(payloads(folder))
        check(recorded, "%s holds no profiles" % folder)
        project = recorded[0][0]
        profiles = [Profile(kind, document) for _, kind, document in recorded]
        for _ in range(10 * SCALE):
            nodes += ask(hearth, project, profiles, random_question(rng, profiles))
            questions += 1
    check(nodes > questions, "the questions hit nothing")
    hearth.stop()
    print("%d flame graphs with %d nodes equal brute force" % (questions, nodes))


if __name__ == "__main__":
    main()
