"""A damaged byte in the middle of a log: the rest is served, answers, metrics and the log say what is
missing, what is sent again is there again. Tools read a folder without changing it, also one that
they may not write."""
import json
import os
import shutil
import subprocess
import tempfile
import uuid

from running import Hearth, arguments, auth, check, chunk_envelope

program, _ = arguments()
data = tempfile.mkdtemp(prefix="hearth-damage-")
log = os.path.join(data, "log-0000000000000001")
COUNT = 6
START = 1796229505.5
profiler = uuid.UUID(int=7).hex
ends = []


def upload(h, n):
    body = chunk_envelope(profiler, uuid.UUID(int=100 + n).hex, START + 60 * n, samples=50, seed=n)
    status, _, answer = h.request("POST", "/api/1/envelope/", auth(), body)
    check(status == 200, "chunk %d: %d %r" % (n, status, answer))


def coverage(h):
    answer = h.get_json("/api/v1/projects/1/flamegraph?profiler_id=%s&start=%d&end=%d"
                        % (profiler, START - 1, START + 60 * COUNT))
    return answer["coverage"]


def flip(at):
    with open(log, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x55]))


def folder():
    found = {}
    for name in sorted(os.listdir(data)):
        with open(os.path.join(data, name), "rb") as f:
            found[name] = f.read()
    return found


def tool(*args):
    return subprocess.run([program, *args, "--data", data], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


h = Hearth(program, data=data)
for n in range(COUNT):
    upload(h, n)
    ends.append(os.path.getsize(log))
check(coverage(h)["chunks_used"] == COUNT and coverage(h)["left_out"] == [], "all are there")
done = tool("top", "--project", "1")
check(done.returncode == 1 and "another process holds it" in done.stderr, done.stderr)
h.stop()

flip(ends[2] - 5)   # the block of chunk 2
flip(ends[3] + 20)  # the header of chunk 4's batch
h = Hearth(program, data=data)
c = coverage(h)
check(c["chunks_found"] == 5 and c["chunks_used"] == 4, "%r" % c)
check(c["left_out"] == [{"what": "chunks", "count": 1, "reason": "unreadable"}], "%r" % c)
check(h.metric("hearth_store_damaged_batches") == 2, "two batches are damaged")
check(h.metric("hearth_store_damaged_bytes") > ends[4] - ends[3], "bytes are counted")
check(h.metric("hearth_store_disk_bytes") == ends[-1], "the files are as large as they were")
check(sum("log_damaged" in line for line in h.errors) == 1, "%r" % h.errors)
upload(h, 2)
upload(h, 4)
c = coverage(h)
check(c["chunks_used"] == COUNT and c["left_out"] == [], "sent again, there again: %r" % c)
h.stop()

# A torn end is not served, and stays as it is.
shutil.copy(log, log + ".whole")
newest = os.path.join(data, "log-0000000000000002")
with open(newest, "ab") as f:
    f.write(b"HBAT" + bytes(60))
before = folder()
for mode in (0o750, 0o550):
    os.chmod(data, mode)
    done = tool("flamegraph", "--project", "1", "--profiler", profiler, "--start",
                str(START - 1), "--end", str(START + 60 * COUNT))
    check(done.returncode == 0 and len(done.stdout) > 0, done.stderr)
    done = tool("top", "--project", "1", "--json", "--start", str(START - 1), "--end",
                str(START + 60 * COUNT))
    check(done.returncode == 0 and json.loads(done.stdout), done.stderr)
    check("log_end_not_served" in done.stderr, done.stderr)
    check(folder() == before, "a tool that reads changed the folder")
os.chmod(data, 0o750)
os.remove(os.path.join(data, "lock"))
before = folder()
os.chmod(data, 0o550)
done = tool("top", "--project", "1")
check(done.returncode == 0 and folder() == before, "a copy without a lock: " + done.stderr)
os.chmod(data, 0o750)
shutil.rmtree(data)

# A sealed file that does not hold: every answer says that something is missing, and so do the readiness
# check and the query API.
data = tempfile.mkdtemp(prefix="hearth-damage-")
h = Hearth(program, data=data)
for n in range(COUNT):
    upload(h, n)
ROUTES = ("profilers", "transactions", "chunks?profiler_id=" + profiler, "flamegraph?profiler_id=" + profiler)
DAMAGED = [{"what": "segments", "count": 1, "reason": "damaged"}]
query = json.dumps({"query": "MATCH STORAGE(profile_chunks) SELECT count() AS c"}).encode()
for route in ROUTES:
    check(h.get_json("/api/v1/projects/1/" + route)["coverage"]["left_out"] == [], route)
check("left_out" not in json.loads(h.request("POST", "/profiles/snql", [], query)[2]), "nothing is missing")
h.stop()
check(tool("compact").returncode == 0, "compact")
sealed = [name for name in os.listdir(data) if name.startswith("segment-")]
check(len(sealed) == 1, "%r" % sealed)
log = os.path.join(data, sealed[0])
flip(20)
h = Hearth(program, data=data)
for route in ROUTES:
    check(h.get_json("/api/v1/projects/1/" + route)["coverage"]["left_out"] == DAMAGED, route)
answer = json.loads(h.request("POST", "/profiles/snql", [], query)[2])
check(answer["data"] == [{"c": 0}] and answer["left_out"] == DAMAGED, "%r" % answer)
check(b"segments set aside as damaged: 1" in h.get("/readyz")[2], "readyz")
h.stop()
shutil.rmtree(data)
