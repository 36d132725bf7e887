"""docs/segment-format.md is enough to read segments: the reader that was written from it alone finds
in them what stood in the logs before, what the recordings are known to hold, and what the API
answers. Whoever changes the format changes that text first."""
import glob
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
import time
import uuid
from collections import defaultdict

from answers import compare_counts, compare_document
from log_reader import block_of, records_of
from running import Hearth, arguments, auth, check, chunk_envelope, wait_until
from segment_reader import manifest_of, segments_of

program, source = arguments()
recordings = [os.path.join(source, "tests", "data", "envelopes")]
shared = os.path.join(os.environ.get("HEARTH_SHARED", os.path.join(source, "..", "shared")),
                      "data", "envelopes")


def run(*command):
    done = subprocess.run([program, *command], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    check(done.returncode in (0, 1), "%s: %d %s" % (command, done.returncode, done.stderr[-2000:]))
    check("Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-4000:])


def new_folder():
    return tempfile.mkdtemp(prefix="hearth-test-")


# ---- what a folder holds ----

def segment_rows(folder):
    """Visible rows and links of all segments by key, each with its segment and number there."""
    rows = {}
    for named, segment in segments_of(folder):
        for kind, items, hidden in (("rows", segment.rows, named["hidden_rows"]),
                                    ("links", segment.links, named["hidden_links"])):
            check(all(number < len(items) for number in hidden), "hidden %s" % kind)
            for number, r in enumerate(items):
                if number not in hidden:
                    key = (r["kind"],) + r["key"]
                    check(key not in rows, "two visible rows of one key: %r" % (key,))
                    rows[key] = dict(r, place=(segment, number))
    return rows


def log_rows(folder):
    """Of the logs that are in no segment; what stands later replaces what has the same key."""
    sealed = (manifest_of(folder) or {"sealed_through": 0})["sealed_through"]
    rows = {}
    for log in sorted(glob.glob(os.path.join(folder, "log-" + "?" * 16))):
        if int(log[-16:], 16) > sealed:
            rows.update(((r["kind"],) + r["key"], r) for r in records_of(log))
    return rows


def document(r):
    if "place" not in r:
        return block_of(r)
    segment, number = r["place"]
    return segment.document(number)


# ---- one document, however it was stored ----

def plain(p):
    """Everything that a document has, without numbers that are a block's own."""
    text = p["strings"]
    frames = [p["frames"][i] for i in p["frame_list"]]
    stacks = []
    for leaf in p["leaves"]:
        stacks.append([])
        while leaf is not None:
            stacks[-1].append(p["node_frame"][leaf])
            leaf = p["parent"][leaf]
    return {"flags": p["flags"], "head": [text[i] for i in p["head"]], "rest": p["rest_text"],
            "timestamp": p["timestamp"], "stacks": stacks,
            "frames": [[text[i] for i in f[:8]] + list(f[8:]) for f in frames],
            "threads": [(text[t[0]], text[t[1]], t[2], t[3]) for t in p["threads"]],
            "samples": [(struct.pack("<d", t) if isinstance(t, float) else t, thread, stack)
                        for t, thread, stack in p["samples"]],
            "queues": p["queues"] and [text[i] for i in p["queues"]],
            "idle": p["idle"] and list(p["idle"])}


def compare_rows(before, after):
    """Of logs and of segments: facts and documents."""
    check(set(before) == set(after), "%d rows before, %d after" % (len(before), len(after)))
    kinds = defaultdict(int)
    for key, old in before.items():
        new = after[key]
        for name, value in old.items():
            if name in new and name != "block" and not (name == "content" and new[name] is None):
                check(new[name] == value, "%s of %r: %r, was %r" % (name, key, new[name], value))
        if old["kind"] != 3:
            was, got = plain(block_of(old)), plain(document(new))
            for name, value in was.items():
                check(got[name] == value, "%s of the document %r" % (name, key))
            kinds[new["block"][0]] += 1
    return dict(kinds)


# ---- sums ----

def weights_of(p):
    """(thread, leaf) of the tables: samples and nanoseconds."""
    last, weights = {}, defaultdict(lambda: (0, 0))
    span = []
    for t, thread, stack in p["samples"]:
        ns = int(t * 1e9) if isinstance(t, float) else p["timestamp"] + t
        if thread in last:
            before, leaf = last[thread]
            key = (p["table_threads"][thread], leaf)
            samples, weight = weights[key]
            weights[key] = (samples + 1, weight + ns - before)
            span += [before, ns]
        last[thread] = (ns, p["table_leaves"][stack])
    return weights, span


def check_rollups(segment):
    cache = {}
    for r in segment.rollups:
        check(r["merged"] == r["flag_merged"], "threads of a rollup")
        check(0 < r["rows"] <= segment.count - r["first"], "rows of a rollup")
        sums, threads, span = defaultdict(lambda: (0, 0)), set(), []
        run = {segment.rows[r["first"] + i]["key"][:2] for i in range(r["rows"])}
        check(len(run) == 1, "a rollup of %d runs" % len(run))
        for row in range(r["first"], r["first"] + r["rows"]):
            check(segment.rows[row]["flags"] & 1, "a rollup of a row that cannot be summed")
            if row not in cache:
                cache[row] = weights_of(segment.document(row))
            for (thread, leaf), (samples, ns) in cache[row][0].items():
                threads.add(thread)
                key = (None if r["merged"] else thread, leaf)
                sums[key] = (sums[key][0] + samples, sums[key][1] + ns)
            span += cache[row][1]
        check(r["weights"] == dict(sums), "weights of rows %d+%d" % (r["first"], r["rows"]))
        check(r["threads"] == sorted(threads), "threads of rows %d+%d" % (r["first"], r["rows"]))
        check((r["samples"], r["ns"]) == tuple(map(sum, zip(*sums.values()))), "sums of a rollup")
        check(r["any"] and r["span"] == (min(span), max(span)), "span of a rollup")
    return len(segment.rollups), sum(r["merged"] for r in segment.rollups)


# ---- what recordings hold ----

def digest_of(r, p):
    text, lines = p["strings"], hashlib.sha256()
    names = []
    for leaf in p["leaves"]:
        stack = []
        while leaf is not None:
            f = p["frames"][p["frame_list"][p["node_frame"][leaf]]]
            stack.append("%s@%d" % (text[f[0]], f[8]))
            leaf = p["parent"][leaf]
        names.append(";".join(stack))
    for t, thread, stack in p["samples"]:
        moment = int(t * 1e9) if r["kind"] == 1 else t
        line = "%d\t%s\t%s\n" % (moment, text[p["threads"][thread][0]], names[stack])
        lines.update(line.encode())
    return lines.hexdigest()


def check_digests(place, rows):
    with open(os.path.join(place, "PROJECTS.json")) as f:
        projects = {p["set"]: p["id"] for p in json.load(f)}
    by_id = {(r["project"], r["profiler"].hex(), r["id"].hex()): r
             for r in rows.values() if r["kind"] != 3}
    count = 0
    with open(os.path.join(place, "EXPECTED.jsonl")) as f:
        items = [(json.loads(line)["request"], item) for line in f
                 for item in json.loads(line).get("items", [])]
    for request, item in items:
        if item.get("outcome") != "stored" or "digest" not in item:
            continue
        ids = ((item["profiler_id"], item["chunk_id"]) if "chunk_id" in item
               else (bytes(16).hex(), item["profile_id"]))
        r = by_id[(projects[request.split("/")[0]],) + ids]
        check(r["samples"] == item["samples"], "samples of %s" % request)
        check(digest_of(r, document(r)) == item["digest"], "digest of %s" % request)
        count += 1
    return count


def recorded(places, ask):
    """All recordings: logs and segments hold the same, and what EXPECTED.jsonl names; `ask`: documents
    are compared with the API's as well."""
    folder = new_folder()
    for place in places:
        run("import", "--quiet", "--data", folder, place)
    before = log_rows(folder)
    check(manifest_of(folder) is None, "a folder that was never sealed has a manifest")
    run("compact", "--quiet", "--data", folder)
    check(not log_rows(folder), "a log has rows still")
    after = segment_rows(folder)
    kinds = compare_rows(before, after)
    digests = sum(check_digests(place, after) for place in places if "demo" not in place)
    rollups = [check_rollups(segment) for _, segment in segments_of(folder)]
    hearth = Hearth(program, data=folder)
    compare_counts(hearth, after.values())
    for r in after.values():
        if ask and r["kind"] != 3:
            compare_document(hearth, r, document(r))
    hearth.stop()
    shutil.rmtree(folder)
    print("%d rows and links, blocks by kind %s, %d digests, rollups %s" % (
        len(after), kinds, digests, rollups))
    return len(after), digests


# ---- rows that others replace ----

def hidden():
    """Chunks that come again with other content, when they are sealed already: once into a segment of
    its own, once into a log."""
    profiler, start = uuid.UUID(int=5).hex, time.time()
    chunks = [uuid.UUID(int=100 + n).hex for n in range(75)]

    def upload(h, n, seed):
        body = chunk_envelope(profiler, chunks[n], start + n, samples=8, threads=40 if n < 40 else 3,
                              functions=4, seed=seed)
        status, _, answer = h.request("POST", "/api/1/envelope/", auth(), body)
        check(status == 200, "chunk %d: %d %r" % (n, status, answer))

    def sealed(h, count):
        wait_until(lambda: h.metric("hearth_store_segments") == count and
                   h.metric("hearth_store_logs") == 1, "%d segments" % count, 60)

    folder = new_folder()
    h = Hearth(program, data=folder)
    for n in range(len(chunks)):
        upload(h, n, n % 3)
    h.stop()
    run("compact", "--quiet", "--data", folder)
    h = Hearth(program, data=folder, args=["--log-size", "1"])
    upload(h, 7, 20)
    sealed(h, 2)
    h.stop()
    check([s["hidden_rows"] for s in manifest_of(folder)["segments"]] == [[7], []], "hidden rows")
    h = Hearth(program, data=folder)
    upload(h, 8, 21)
    upload(h, 7, 22)
    h.stop()

    rows = segment_rows(folder)
    check(len(rows) == len(chunks), "%d rows in segments" % len(rows))
    late = log_rows(folder)
    check(len(late) == 2 and set(late) <= set(rows), "what came last")
    rows.update(late)
    h = Hearth(program, data=folder)
    compare_counts(h, rows.values())
    for r in rows.values():
        compare_document(h, r, document(r))
    h.stop()
    sums = [check_rollups(segment) for _, segment in segments_of(folder)]
    check(sums[0][0] >= 9 and 0 < sums[0][1] < sums[0][0], "rollups of 75 chunks: %s" % sums)
    shutil.rmtree(folder)
    print("hidden rows: ok, rollups %s" % sums)


def golden():
    """The segments that stay in the sources, beside the logs that they were made from."""
    place = os.path.join(source, "tests", "golden")
    folder = os.path.join(place, "segment-v1")
    kinds = compare_rows(log_rows(os.path.join(place, "segment-v1-logs")), segment_rows(folder))
    for _, segment in segments_of(folder):
        check_rollups(segment)
    print("golden: blocks by kind %s" % kinds)
    check(set(kinds) == {1, 2}, "blocks of both kinds")


golden()
hidden()
found, digests = recorded(recordings + [os.path.join(source, "demo")], True)
check(found > 200 and digests > 50, "too little was read")
if os.path.isdir(shared):
    recorded([shared], False)
