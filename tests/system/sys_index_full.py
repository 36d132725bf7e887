"""When the index has its share of --memory-max, its logs are sealed and uploads go on. Those that
come faster than that are refused so that SDKs pause; questions go on, nothing acknowledged is lost,
and the index keeps to its share."""
import json
import time

from running import Hearth, arguments, auth, check, chunk, envelope

program, _ = arguments()
PROFILER = "a" * 32
START = time.time() - 3600
SHARE = (96 - 24) // 2 << 20
RELEASE_SIZE = 128 << 10  # the index keeps texts: a few hundred of these fill it
CHUNKS = 600


def upload(h, number):
    document = chunk(PROFILER, "%032x" % (number + 1), START + number, samples=3, threads=1)
    document["release"] = "%08d" % number + "r" * RELEASE_SIZE
    body = envelope([("profile_chunk", json.dumps(document).encode())])
    return h.request("POST", "/api/1/envelope/", auth(), body)


def check_refusal(status, headers, body):
    check(status == 503, "%d %r" % (status, body))
    check(headers.get("x-sentry-rate-limits") ==
          "60:profile;profile_chunk;profile_chunk_ui:organization:overloaded", "headers %s" % headers)
    check("retry-after" not in headers, "errors and transactions are not to be held back, too")
    check(b"index" in body or b"memory" in body, "the reason: %r" % body)


def check_questions(h, count, when):
    """All that was acknowledged is listed and summed."""
    listed = []
    for first in range(0, count, 40):  # all of them at once would not fit
        window = "start=%.3f&end=%.3f" % (START + first - 0.5, START + first + 39.5)
        listed += h.get_json("/api/v1/projects/1/chunks?profiler_id=%s&%s" % (PROFILER, window))["chunks"]
    check(sorted(int(c["chunk_id"], 16) for c in listed) == list(range(1, count + 1)),
          "%s: %d chunks of %d" % (when, len(listed), count))
    graph = h.get_json("/api/v1/projects/1/flamegraph?profiler_id=%s" % PROFILER)
    coverage = graph["coverage"]
    check(coverage["chunks_used"] == count and coverage["left_out"] == [],
          "%s: %s" % (when, {k: v for k, v in coverage.items() if k != "gaps"}))
    check(h.get("/readyz")[0] == 200, when + ": ready")


h = Hearth(program, args=["--memory-max", "96M"])
refused, most, stored = 0, 0, 0
end = time.time() + 200
while stored < CHUNKS:
    check(time.time() < end, "%d of %d chunks stored, %d refused" % (stored, CHUNKS, refused))
    status, headers, body = upload(h, stored)
    if status == 200:
        stored += 1
        continue
    check_refusal(status, headers, body)
    refused += 1
    most = max(most, h.metric("hearth_store_index_bytes"))
    check(upload(h, 0)[0] == 200, "what is stored already needs no room")
    time.sleep(0.05)
check_questions(h, CHUNKS, "at the end")
segments = h.metric("hearth_store_segments")
print("%d chunks stored, %d times refused, %d segments, index of at most %.1f MiB when it was full" %
      (stored, refused, segments, most / (1 << 20)))
check(segments > 0, "nothing was sealed")
check(refused > 0, "the index was never full")
check(most <= SHARE, "index of %d bytes, a share of %d" % (most, SHARE))
data, h.own_data = h.data, False
h.kill()

h = Hearth(program, data=data, args=["--memory-max", "96M"])
h.own_data = True
check_questions(h, CHUNKS, "after a kill")
check(upload(h, 5)[0] == 200, "still there")
h.stop()
print("ok")
