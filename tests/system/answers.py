"""What a reader of the files found, beside what the API answers. Standard library only."""
from collections import Counter

from running import check


def compare_document(hearth, r, p):
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


def compare_counts(hearth, rows):
    """Chunks, transaction profiles and links of every project."""
    kinds = Counter((r["project"], r["kind"]) for r in rows)
    for project in hearth.get_json("/api/v1/projects")["projects"]:
        found = [kinds.pop((project["project_id"], kind), 0) for kind in (1, 2, 3)]
        check(found == [project[key] for key in ("chunks", "profiles", "links")],
              str((project, found)))
    check(not kinds, "rows that the API does not list: %s" % kinds)
