"""Recorded uploads come back through vroom's routes as the documents they should be.

What each document must be is worked out here on its own, from the upload alone: the rules an
ingest endpoint applies, then those of vroom's normalisation and of its way to write documents.
"""
import gzip
import json
import os
import sys
import zlib
from collections import defaultdict

from running import Hearth, arguments, check

TEXTS = ("abs_path", "filename", "function", "instruction_addr", "module", "package", "platform")
ZERO_TIME = "0001-01-01T00:00:00Z"


def decoded(body, coding):
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "deflate":
        return zlib.decompress(body)
    return None if coding else body  # the standard library has no brotli


def items(body):
    at = body.index(b"\n") + 1
    while at < len(body):
        line, _, _ = body[at:].partition(b"\n")
        if not line:
            break
        at += len(line) + 1
        header = json.loads(line)
        length = header.get("length", len(body[at:].partition(b"\n")[0]))
        yield header["type"], body[at:at + length]
        at += length + 1


def requests(folder):
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".headers.json"):
            continue
        with open(os.path.join(folder, name)) as f:
            request = json.load(f)
        with open(os.path.join(folder, name.replace(".headers.json", ".body")), "rb") as f:
            yield request, f.read()


def hexid(text):
    return text.replace("-", "").lower()


# ---- frames ----

def in_app(frame, platform):
    path = frame.get("abs_path") or ""
    function = frame.get("function") or ""
    if platform == "python":
        parts = path.replace("\\", "/")
        if "/site-packages/" in parts or "/dist-packages/" in parts or path.startswith("/usr/local/"):
            return False
        root = (frame.get("module") or "").split(".")[0]
        return root != "sentry_sdk" and root not in sys.stdlib_module_names
    if platform == "node":
        return not path.startswith("node:") and "node_modules" not in path
    if platform == "javascript":
        return not function.startswith("[") and "node_modules" not in path and not path.startswith(
            ("@moz-extension", "chrome-extension"))
    if platform == "php":
        return "/vendor/" not in path
    return False


def frame_of(frame, document_platform):
    platform = frame.get("platform") or document_platform
    out = {key: frame[key] for key in TEXTS if frame.get(key)}
    out.update({key: frame[key] for key in ("lineno", "colno") if frame.get(key)})
    known = frame.get("in_app")
    kept = known is not None and platform == document_platform
    out.update({"data": {}, "platform": platform,
                "in_app": known if kept else in_app(frame, platform)})
    return out


def frame_key(frame):
    return tuple(str(frame.get(key) or default) for key, default in
                 (("filename", ""), ("function", ""), ("lineno", 0), ("instruction_addr", "")))


def trim_python(document, stacks):
    frames = document["profile"]["frames"]
    found = [i for i, f in enumerate(frames)
             if f.get("filename") == "<string>" and f.get("function") == "<module>"]
    if document["platform"] != "python" or not found:
        return stacks
    return [s[:-1] if s and s[-1] == found[-1] else s for s in stacks]


# ---- chunks ----

def kept_samples(trace):
    busy = defaultdict(int)
    for s in trace["samples"]:
        if s["stack_id"] < len(trace["stacks"]) and trace["stacks"][s["stack_id"]]:
            busy[s["thread_id"]] += 1
    return sorted((s for s in trace["samples"] if busy[s["thread_id"]] >= 2),
                  key=lambda s: s["timestamp"])


def metadata(trace, threads):
    known = trace.get("thread_metadata")
    if known is None:
        return None
    return {key: {k: v for k, v in value.items() if k in ("name", "priority") and v}
            for key, value in known.items() if key in threads}


def debug_meta(document):
    keys = ("arch", "code_file", "debug_id", "debug_status", "image_addr", "image_vmaddr", "type",
            "uuid", "image_size")
    images = (document.get("debug_meta") or {}).get("images") or []
    out = [{k: image[k] for k in keys if image.get(k)} for image in images]
    return {"images": out} if out else {}


def chunk_of(document, project):
    trace = document["profile"]
    samples = kept_samples(trace)
    return {
        "chunk_id": hexid(document["chunk_id"]), "profiler_id": hexid(document["profiler_id"]),
        "environment": document.get("environment") or "", "platform": document["platform"],
        "release": document.get("release") or "", "version": "2",
        "debug_meta": debug_meta(document),
        "client_sdk": {k: document["client_sdk"][k] for k in ("name", "version")},
        "organization_id": 1, "project_id": project, "retention_days": 90, "options": None,
        "measurements": document.get("measurements"),
        "profile": {
            "frames": [frame_of(f, document["platform"]) for f in trace["frames"]],
            "stacks": trim_python(document, trace["stacks"]),
            "samples": [{k: s[k] for k in ("stack_id", "thread_id", "timestamp")} for s in samples],
            "thread_metadata": metadata(trace, {s["thread_id"] for s in samples})}}


# ---- transaction profiles ----

def active_samples(trace):
    """Without the idle ends of each thread, and without threads of one sample."""
    threads = defaultdict(list)
    for place, s in enumerate(trace["samples"]):
        threads[int(s["thread_id"])].append((place, s))
    kept = []
    for samples in threads.values():
        busy = [i for i, (_, s) in enumerate(samples) if trace["stacks"][s["stack_id"]]]
        samples = samples[busy[0]:busy[-1] + 1] if busy else []
        kept += samples if len(samples) > 1 else []
    return [s for _, s in sorted(kept, key=lambda pair: pair[0])]


def common_part(frames, before, after):
    common = []
    for a, b in zip(reversed(before), reversed(after)):
        if frame_key(frames[a]) != frame_key(frames[b]):
            break
        common.insert(0, a)
    return common


def fill_idle(frames, stacks, samples):
    for thread in sorted({s["thread_id"] for s in samples}):
        own = [s for s in samples if s["thread_id"] == thread]
        before, i = None, 0
        while i < len(own):
            if stacks[own[i]["stack_id"]]:
                before, i = stacks[own[i]["stack_id"]], i + 1
                continue
            end = i
            while end < len(own) and not stacks[own[end]["stack_id"]]:
                own[end]["state"] = "idle"
                end += 1
            if end < len(own) and before is not None:
                stacks.append(common_part(frames, before, stacks[own[end]["stack_id"]]))
                for s in own[i:end]:
                    s["stack_id"] = len(stacks) - 1
                end += 1  # and what closed the gap is forgotten
            i = end


def sample_of(s):
    out = {"stack_id": s["stack_id"], "thread_id": int(s["thread_id"]),
           "elapsed_since_start_ns": int(s["elapsed_since_start_ns"])}
    if s.get("queue_address"):
        out["queue_address"] = s["queue_address"]
    return out


def measurements(document):
    return {name: {"unit": m["unit"], "values": [
        {"elapsed_since_start_ns": int(v["elapsed_since_start_ns"]), "value": v["value"]}
        for v in m["values"]]} for name, m in (document.get("measurements") or {}).items()}


def time_of(text):
    head, _, fraction = text.replace("+00:00", "").rstrip("Z").partition(".")
    fraction = fraction.rstrip("0")
    return head + ("." + fraction if fraction else "") + "Z"


def profile_of(document, event, project):
    trace = document["profile"]
    stacks = [list(s) for s in trim_python(document, trace["stacks"])]
    samples = [sample_of(s) for s in active_samples(trace)]
    fill_idle(trace["frames"], stacks, samples)
    transaction = document.get("transaction") or document["transactions"][0]
    sdk = event.get("sdk") or {}
    texts = lambda key, names: {n: (document.get(key) or {}).get(n) or "" for n in names}
    out = {
        "event_id": hexid(document.get("event_id") or document["profile_id"]),
        "client_sdk": {"name": sdk.get("name", ""), "version": sdk.get("version", "")},
        "debug_meta": debug_meta(document), "options": None, "organization_id": 1,
        "project_id": project, "platform": document["platform"], "retention_days": 90,
        "release": document.get("release") or event.get("release") or "", "version": "1",
        "device": texts("device", ("architecture", "classification", "locale", "manufacturer",
                                   "model")),
        "os": texts("os", ("build_number", "name", "version")),
        "runtime": texts("runtime", ("name", "version")), "sampled": True,
        "timestamp": time_of(document["timestamp"]),
        "transaction": {
            "active_thread_id": int(transaction["active_thread_id"]),
            "id": hexid(transaction["id"]), "name": event.get("transaction") or transaction["name"],
            "trace_id": hexid(transaction["trace_id"]),
            "segment_id": event["contexts"]["trace"]["span_id"]},
        "transaction_metadata": {"transaction.start": ZERO_TIME, "transaction.end": ZERO_TIME},
        "profile": {
            "frames": [frame_of(f, document["platform"]) for f in trace["frames"]],
            "stacks": stacks, "samples": samples, "queue_metadata": None,
            "thread_metadata": metadata(trace, {str(s["thread_id"]) for s in samples})}}
    environment = event.get("environment") or document.get("environment")
    if environment:
        out["environment"] = environment
    if measurements(document):
        out["measurements"] = measurements(document)
    return out


# ---- comparing ----

def difference(want, got, path=""):
    """Path and values of the first difference; None when equal."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(set(want) | set(got)):
            if key not in want or key not in got:
                return "%s/%s: only %s" % (path, key, "expected" if key in want else "got")
            found = difference(want[key], got[key], "%s/%s" % (path, key))
            if found:
                return found
        return None
    if isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            return "%s: %d elements, got %d" % (path, len(want), len(got))
        for i, pair in enumerate(zip(want, got)):
            found = difference(*pair, "%s/%d" % (path, i))
            if found:
                return found
        return None
    same_kind = isinstance(want, bool) == isinstance(got, bool)
    return None if want == got and same_kind else "%s: %r, got %r" % (path, want, got)


def expectations(body, project):
    parts = [(kind, json.loads(payload)) for kind, payload in items(body)
             if kind in ("profile", "profile_chunk", "transaction")]
    event = next((p for kind, p in parts if kind == "transaction"), {})
    for kind, document in parts:
        if kind == "profile_chunk" and kept_samples(document["profile"]):
            want = chunk_of(document, project)
            yield want, "raw_chunks/%s/%s" % (want["profiler_id"], want["chunk_id"])
        elif kind == "profile" and event and active_samples(document["profile"]):
            want = profile_of(document, event, project)
            yield want, "raw_profiles/" + want["event_id"]


def replay(hearth, root, compared):
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        for request, body in requests(folder) if os.path.isdir(folder) else ():
            headers = {k.lower(): v for k, v in request["headers"]}
            plain = decoded(body, headers.get("content-encoding"))
            if request["method"] != "POST" or plain is None:
                continue
            project = int(request["target"].split("?")[0].strip("/").split("/")[1])
            sent = [(k, v) for k, v in request["headers"]
                    if k.lower() in ("content-encoding", "content-type", "x-sentry-auth")]
            status, _, _ = hearth.request("POST", request["target"], sent, body)
            if status != 200:
                continue
            for want, route in expectations(plain, project):
                got = hearth.get_json("/organizations/1/projects/%d/%s" % (project, route))
                check(got.pop("received"), "%s: received" % route)
                found = difference(want, got)
                check(found is None, "%s %s at %s" % (name, route, found))
                compared[route.split("/")[0]] += 1


def main():
    program, source = arguments()
    shared = os.environ.get("HEARTH_SHARED", os.path.join(source, "..", "shared"))
    roots = [os.path.join(source, "tests", "data", "envelopes"),
             os.path.join(shared, "data", "envelopes")]
    compared = defaultdict(int)
    hearth = Hearth(program)
    try:
        for root in roots:
            if os.path.isdir(root):
                replay(hearth, root, compared)
            else:
                print("no recordings in %s: left out" % root)
        hearth.stop()
    except BaseException:
        hearth.kill()
        raise
    print("compared", dict(compared))
    check(compared["raw_chunks"] >= 10 and compared["raw_profiles"] >= 5, "too few documents")


if __name__ == "__main__":
    main()
