"""A backup of a server that is being written to, as docs/operations.md says it is made: everything that
was acknowledged before is in it. `hearth check` finds nothing wrong with it, and names the file once
something is; a server on it then says what it lacks, wherever one may look."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import uuid

from lifetime import bound
from running import Hearth, arguments, auth, check, chunk_envelope, wait_until

program, source = arguments()
folder = tempfile.mkdtemp(prefix="hearth-backup-")
data = os.path.join(folder, "data")
START = 1796229505
PROFILERS = 3
acked = []
stop = threading.Event()
failures = []


def run(*command, status=0):
    done = subprocess.run([program, *command], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120)
    check("Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-4000:])
    check(done.returncode == status, "%s: status %d, expected %d\n%s%s"
          % (command, done.returncode, status, done.stdout[-2000:], done.stderr[-2000:]))
    return done


def documented(name):
    """The words of a command of the section on backups, its folders replaced by ours."""
    with open(os.path.join(source, "docs", "operations.md"), encoding="utf-8") as f:
        section = f.read().split("### Backup\n")[1].split("\n## ")[0]
    found = re.search(r"^hearth (%s .*)$" % name, section, re.M)
    check(found is not None, "docs/operations.md has no command hearth %s" % name)
    return found.group(1).split()


def placed(words, target):
    places = {"/var/lib/hearth": data, "/backup/monday": target}
    return [places.get(word, word) for word in words]


def load(h, which):
    """Chunks of one profiler, one after another, until told to stop."""
    n = 0
    try:
        while not stop.is_set():
            key = (uuid.UUID(int=which + 1).hex, uuid.UUID(int=1000 * (which + 1) + n).hex)
            body = chunk_envelope(*key, START + 60 * n, samples=300, seed=n % 50)
            status, _, _ = h.request("POST", "/api/1/envelope/", auth(), body)
            check(status == 200, "upload: %d" % status)
            acked.append(key)
            n += 1
    except BaseException as e:  # pylint: disable=broad-except
        failures.append(repr(e))
        raise


def chunks_of(h):
    found = set()
    for p in range(PROFILERS):
        profiler = uuid.UUID(int=p + 1).hex
        answer = h.get_json("/api/v1/projects/1/chunks?profiler_id=%s&start=%d&end=%d&limit=100000"
                            % (profiler, START - 60, START + 10**7))
        found |= {(profiler, c["chunk_id"].replace("-", "")) for c in answer["chunks"]}
    return found


def coverage(h, profiler, route="flamegraph"):
    return h.get_json("/api/v1/projects/1/%s?profiler_id=%s&start=%d&end=%d"
                      % (route, profiler, START - 60, START + 10**7))["coverage"]


def segments_of(path):
    return sorted(n for n in os.listdir(path) if n.startswith("segment-"))


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        place = f.tell()
        byte = f.read(1)[0]
        f.seek(place)
        f.write(bytes([byte ^ 0x55]))


# ---- while a server is written to: it seals and merges all the time
h = Hearth(program, data=data, args=["--log-size", "64K"])
threads = [threading.Thread(target=load, args=(h, p)) for p in range(PROFILERS)]
for t in threads:
    t.start()
wait_until(lambda: h.metric("hearth_store_segments") >= 2 and len(acked) >= 100, "segments", 120)
done = run("check", "--data", data, status=1)
check("is in use by another hearth" in done.stderr and "hearth backup" in done.stderr, done.stderr)

copies = []
for n in range(4):
    target = os.path.join(folder, "copy%d" % n)
    before = set(acked)
    words = placed(documented("backup"), target)
    run(*words, *(["--copy"] if n == 3 else []))
    check(not stop.is_set() and not failures, str(failures))
    copies.append((target, before))
    time.sleep(0.5)
stop.set()
for t in threads:
    t.join()
check(not failures, str(failures))
everything = set(acked)
check(chunks_of(h) >= everything, "the server has all")
h.stop()
run("check", "--data", data)

for target, before in copies:
    report = json.loads(run("check", "--data", target, "--json").stdout)
    check(report["ok"] is True and report["damaged_files"] == 0, str(report)[:2000])
    check(sum(f["kind"] == "segment" for f in report["files"]) == len(segments_of(target)), "kinds")
    run(*placed(documented("check"), target))
    h = Hearth(program, data=target)
    found = chunks_of(h)
    check(found >= before, "%d chunks that were acknowledged are missing" % len(before - found))
    check(h.get("/readyz")[2] == b"ok\n", "nothing to say")
    for p in range(PROFILERS):
        c = coverage(h, uuid.UUID(int=p + 1).hex)
        check(c["left_out"] == [] and c["chunks_used"] == c["chunks_found"] > 0, str(c))
    h.stop()
check(os.stat(os.path.join(copies[3][0], segments_of(copies[3][0])[0])).st_nlink == 1, "--copy copies")
run("backup", "--data", data, copies[0][0], status=1)
run("backup", "--data", data, status=2)
run("check", status=2)

# ---- restoring, by the command of the text
words = [word.replace(":1218", ":0") for word in placed(documented("serve"), copies[0][0])]
with subprocess.Popen(bound([program, *words]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                      text=True) as restored:
    check(any(line.startswith("DSN of project 1: ") for line in restored.stdout), "it serves")
    restored.terminate()
    check(restored.wait(60) == 0, "and ends")

# ---- a copy that broke off is refused
broken = os.path.join(folder, "broken")
shutil.copytree(copies[3][0], broken)
with open(os.path.join(broken, "manifest"), "w", encoding="utf-8") as f:
    f.write("hearth backup did not finish\n")
done = run("check", "--data", broken, status=1)
check("manifest: this folder is a copy that was not finished" in done.stdout, done.stdout)
done = run("top", "--data", broken, "--project", "1", status=1)
check("not finished" in done.stderr, done.stderr)

# ---- damage at the end of a segment, without which nothing of it can be found
target = copies[3][0]
name = max(segments_of(target), key=lambda n: os.path.getsize(os.path.join(target, n)))
h = Hearth(program, data=target)
whole = len(chunks_of(h))
h.stop()
flip(os.path.join(target, name), -20)
done = run("check", "--data", target, status=1)
check(re.search(r"^%s: checksum of the footer does not match$" % name, done.stdout, re.M),
      done.stdout)
report = json.loads(run("check", "--data", target, "--json", status=1).stdout)
bad = [f["name"] for f in report["files"] if f["problems"]]
check(report["ok"] is False and bad == [name], str(report)[:2000])
h = Hearth(program, data=target)
check(h.get("/readyz")[0] == 200, "the rest is served")
check(b"segments set aside as damaged: 1" in h.get("/readyz")[2], "/readyz says so")
check(h.metric("hearth_store_segments_set_aside") == 1, "/metrics says so")
check(0 < len(chunks_of(h)) < whole, "the rest is there")
left_out = [coverage(h, uuid.UUID(int=p + 1).hex)["left_out"] for p in range(PROFILERS)]
check({"what": "segments", "count": 1, "reason": "damaged"} in sum(left_out, []), str(left_out))
text = h.stop()
check(re.search(r"error store segment_set_aside .*%s" % name, text), text)

# ---- damage inside one: a profile cannot be read, the others can
flip(os.path.join(target, name), -20)
run("check", "--data", target)
flip(os.path.join(target, name), 16484)
done = run("check", "--data", target, status=1)
check(re.search(r"^%s: checksums of 1 of \d+ pieces do not match, the first at 16384$" % name,
                done.stdout, re.M), done.stdout)
check(re.search(r"^%s: row \d+: " % name, done.stdout, re.M), done.stdout)
h = Hearth(program, data=target)
check(len(chunks_of(h)) == whole, "the rows are found")
lost = sum(entry["count"] for p in range(PROFILERS)  # sums of many are stored, charts read each
           for entry in coverage(h, uuid.UUID(int=p + 1).hex, "flamechart")["left_out"]
           if entry["reason"] == "unreadable")
check(0 < lost < whole, "%d of %d are left out" % (lost, whole))
h.stop()
shutil.rmtree(folder)
