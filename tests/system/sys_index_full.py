"""When the index has its share of --memory-max, uploads are refused so that SDKs pause, questions go
on, nothing acknowledged is lost, and more memory is all it takes to go on."""
import json

from running import Hearth, arguments, auth, check, chunk, envelope

program, _ = arguments()
PROFILER = "a" * 32
START = 1796229505.5
SMALL, LARGE = "96M", "256M"
SHARE = (96 - 24) // 2 << 20
RELEASE_SIZE = 128 << 10  # the index keeps texts: a few hundred of these fill it


def upload(h, number):
    document = chunk(PROFILER, "%032x" % number, START + number, samples=3, threads=1)
    document["release"] = "%08d" % number + "r" * RELEASE_SIZE
    body = envelope([("profile_chunk", json.dumps(document).encode())])
    return h.request("POST", "/api/1/envelope/", auth(), body)


def check_questions(h, stored, when):
    """All that was acknowledged is listed and summed."""
    listed = h.get_json("/api/v1/projects/1/chunks?profiler_id=%s&limit=100000" % PROFILER)
    check(sorted(int(c["chunk_id"], 16) for c in listed["chunks"]) == stored,
          "%s: %d chunks of %d" % (when, len(listed["chunks"]), len(stored)))
    graph = h.get_json("/api/v1/projects/1/flamegraph?profiler_id=%s" % PROFILER)
    coverage = graph["coverage"]
    check(coverage["chunks_used"] == len(stored) and coverage["left_out"] == [],
          "%s: %s" % (when, {k: v for k, v in coverage.items() if k != "gaps"}))
    check(h.get("/readyz")[0] == 200, when + ": ready")


h = Hearth(program, args=["--memory-max", SMALL])
stored = []
status, headers, body = 200, {}, b""
while status == 200 and len(stored) < 4000:
    status, headers, body = upload(h, len(stored) + 1)
    if status == 200:
        stored.append(len(stored) + 1)
print("%d chunks stored, index of %.1f MiB, then %d %s" % (
    len(stored), h.metric("hearth_store_index_bytes") / (1 << 20), status, body))
check(status == 503, "the index is never full: %d" % status)
check(SHARE * 3 // 4 < h.metric("hearth_store_index_bytes") <= SHARE,
      "index of %d bytes, a share of %d" % (h.metric("hearth_store_index_bytes"), SHARE))
check(headers.get("x-sentry-rate-limits") ==
      "60:profile;profile_chunk;profile_chunk_ui:organization:overloaded", "headers %s" % headers)
check("retry-after" not in headers, "errors and transactions are not to be held back, too")
check(b"index" in body, "the reason: %r" % body)

for number in range(len(stored) + 1, len(stored) + 21):
    check(upload(h, number)[0] == 503, "chunk %d" % number)
check(upload(h, stored[0])[0] == 200, "what is stored already needs no room")
check_questions(h, stored, "full")
data, h.own_data = h.data, False
h.kill()

h = Hearth(program, data=data, args=["--memory-max", SMALL])
check_questions(h, stored, "after a power cut")
check(upload(h, len(stored) + 1)[0] == 503, "still full")
h.stop()

h = Hearth(program, data=data, args=["--memory-max", LARGE])
h.own_data = True
stored.append(len(stored) + 1)
check(upload(h, stored[-1])[0] == 200, "with more memory it goes on")
check_questions(h, stored, "with more memory")
h.stop()
print("ok")
