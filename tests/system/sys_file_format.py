"""docs/file-format.md is enough to read a data folder: the reader that was written from it alone
finds what the API answers. Whoever changes the format changes that text first."""
import glob
import os
import subprocess
from collections import Counter

from log_reader import block_of, records_of
from running import Hearth, arguments, check

def compare(hearth, r, p):
    chunk = r["kind"] == 1
    route = "raw_chunks/%s/%s" % (r["profiler"].hex(), r["id"].hex()) if chunk else (
        "raw_profiles/" + r["id"].hex())
    want = hearth.get_json("/organizations/%d/projects/%d/%s" % (r["organization"], r["project"], route))
    trace, strings = want["profile"], p["strings"]
    name = lambda thread: strings[p["threads"][thread][0]]
    got = [(t, name(thread), stack) for t, thread, stack in p["samples"]]
    time = "timestamp" if chunk else "elapsed_since_start_ns"
    documents = [(s[time], str(s["thread_id"]), s["stack_id"]) for s in trace["samples"]]
    if not chunk:  # reading gives idle samples other stacks
        got, documents = [s[:2] for s in got], [s[:2] for s in documents]
    check(got == documents, "samples of " + route)
    moments = [int(t * 1e9) if chunk else p["timestamp"] + t for t, _, _ in p["samples"]]
    check((min(moments), max(moments), len(moments), len({t for _, t, _ in p["samples"]})) ==
          (r["first"], r["last"], r["samples"], r["threads"]), "facts of " + route)
    check([strings[i] for i in p["head"][1:7]] == r["texts"][:6], "what the head repeats of " + route)
    frames = [p["frames"][i] for i in p["frame_list"]]
    check([(strings[f[0]], f[8]) for f in frames] ==
          [(f.get("function", ""), f.get("lineno", 0)) for f in trace["frames"]], "frames of " + route)
    if not chunk or any(f.get("filename") == "<string>" for f in trace["frames"]):
        return  # stacks that normalisation changed
    for number, leaf in enumerate(p["leaves"]):
        stack = []
        while leaf is not None:
            stack.append(p["node_frame"][leaf])
            leaf = p["parent"][leaf]
        check(stack == trace["stacks"][number], "stack %d of %s" % (number, route))


program, source = arguments()
hearth = Hearth(program)
done = subprocess.run([program, "import", "--quiet", "--url", hearth.url, os.path.join(source, "demo"),
                       os.path.join(source, "tests", "data", "envelopes")],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
rows = {}  # what stands later replaces what has the same key
for log in sorted(glob.glob(os.path.join(hearth.data, "log-*"))):
    rows.update(((r["kind"],) + r["key"], r) for r in records_of(log))
kinds = Counter((r["project"], r["kind"]) for r in rows.values())
for project in hearth.get_json("/api/v1/projects")["projects"]:
    found = [kinds.pop((project["project_id"], kind), 0) for kind in (1, 2, 3)]
    check(found == [project[key] for key in ("chunks", "profiles", "links")], str((project, found)))
check(not kinds, "rows that the API does not list: %s" % kinds)
seen = Counter()
for row in rows.values():
    if row["kind"] != 3:
        compare(hearth, row, block_of(row))
    seen[row["kind"]] += 1
hearth.stop()
print("chunks %d, transaction profiles %d, links %d" % (seen[1], seen[2], seen[3]))
check(seen[1] >= 20 and seen[2] >= 5 and seen[3] >= 50, "too little was read: %s" % done.stdout)
