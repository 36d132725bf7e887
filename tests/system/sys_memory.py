"""Anonymous memory stays below --memory-max whatever 100 clients send, and the server goes on
answering: profiles of 50 MiB, envelopes of 200 MiB of attachments, a bomb in each coding, and all
codings at once.

Measured on the program without sanitizers: theirs is not its memory."""
import gzip
import json
import os
import shutil
import subprocess
import threading
import time
import zlib

from running import Hearth, Reader, arguments, auth, check, chunk, envelope, plain_program

program, _ = arguments()
program = plain_program(program)
MIB = 1 << 20
MAX = 256 * MIB
CLIENTS = 100
BOMB_MIB = 260


def big_profile(size):
    """A valid chunk of about `size` bytes: many samples, as real ones."""
    one = chunk("a" * 32, "c" * 32, 1796229505.5, samples=2, threads=2, functions=60)
    samples, n = [], 0
    total = len(json.dumps(one))
    while total < size:
        text = '{"timestamp": %.6f, "thread_id": "%d", "stack_id": %d}' % (
            1796229505.5 + n * 0.0001, n % 12, n % 60)
        samples.append(text)
        total += len(text) + 2
        n += 1
    document = json.dumps(one)
    at = document.index('"samples": [') + len('"samples": [')
    end = document.index("]", at)
    return (document[:at] + ", ".join(samples) + document[end:]).encode()


def bombs():
    """Small bodies that inflate beyond every limit, one for each coding a tool is there for: an
    item without a length, which may only be given up after 50 MiB."""
    head, zeros = b'{}\n{"type":"profile_chunk"}\n', b"0" * MIB
    c = zlib.compressobj(9)
    deflate = c.compress(head) + b"".join(c.compress(zeros) for _ in range(BOMB_MIB)) + c.flush()
    g = zlib.compressobj(9, zlib.DEFLATED, 31)
    gz = g.compress(head) + b"".join(g.compress(zeros) for _ in range(BOMB_MIB)) + g.flush()
    made = {"gzip": gz, "deflate": deflate}
    for name, command in (("br", ["brotli", "-c", "-q", "9", "--lgwin=24"]),
                          ("zstd", ["zstd", "-c", "-q", "-19", "--long=23"])):
        if shutil.which(command[0]) is None:
            print("no program '%s': no bomb in that coding" % command[0])
            continue
        p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        feeder = threading.Thread(target=lambda p=p: ([p.stdin.write(x) for x in [head] + [zeros] * BOMB_MIB], p.stdin.close()))
        feeder.start()
        made[name] = p.stdout.read()
        feeder.join()
        p.wait()
    return made


class Watch(threading.Thread):
    def __init__(self, h):
        super().__init__(daemon=True)
        self.h, self.peak, self.alive, self.slowest, self.stop = h, 0, 0, 0, False

    def run(self):
        while not self.stop:
            self.peak = max(self.peak, self.h.anonymous_memory())
            start = time.time()
            status, _, _ = self.h.get("/healthz")
            self.slowest = max(self.slowest, time.time() - start)
            self.alive += status == 200
            time.sleep(0.01)


def upload(h, body, statuses, lock):
    parts, total, headers = body
    head = "POST /api/1/envelope/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % total
    headers = list(headers)
    head += "".join("%s: %s\r\n" % p for p in headers + auth())
    status = 0
    try:
        with h.connect(120) as s:
            try:
                s.sendall(head.encode() + b"\r\n")
                for part in parts():
                    s.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                pass
            status = Reader(s).answer()[0]
    except OSError:
        status = -1
    with lock:
        statuses[status] = statuses.get(status, 0) + 1


def storm(h, name, bodies, allowed, wanted):
    """`bodies`: (parts, total size, headers) each; client i sends the i-th, round and round."""
    statuses, lock, start = {}, threading.Lock(), time.time()
    watch = Watch(h)
    watch.start()
    threads = [threading.Thread(target=upload, args=(h, bodies[i % len(bodies)], statuses, lock))
               for i in range(CLIENTS)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    watch.stop = True
    watch.join()
    print("%-12s %.1f s, peak %.1f MiB, statuses %s, %d health checks, slowest %.3f s" % (
        name, time.time() - start, watch.peak / MIB, statuses, watch.alive, watch.slowest))
    check(watch.peak < MAX, "%s: %d bytes of anonymous memory" % (name, watch.peak))
    check(watch.peak > 0, "anonymous memory can be read")
    check(watch.alive > 0 and watch.slowest < 5, "%s: alive all the time" % name)
    check(set(statuses) <= set(allowed), "%s: statuses %s" % (name, statuses))
    check(any(statuses.get(w, 0) > 0 for w in wanted), "%s: statuses %s" % (name, statuses))


h = Hearth(program, args=["--memory-max", "256M"])
idle = h.anonymous_memory()
print("idle: %.1f MiB" % (idle / MIB))
check(idle < 20 * MIB, "idle memory")

profile = envelope([("profile_chunk", big_profile(50 * MIB - 4096))])
print("profile: %.1f MiB" % (len(profile) / MIB))
storm(h, "profile", [(lambda: [profile], len(profile), [])], {200, 503, -1}, {200})
attachment = os.urandom(MIB)
count, size = 25, 8 * MIB - 200
item = json.dumps({"type": "attachment", "length": size, "filename": "x"}).encode() + b"\n"


def attachments():
    yield b"{}\n"
    for _ in range(count):
        yield item
        for left in range(size, 0, -MIB):
            yield attachment[:min(left, MIB)]
        yield b"\n"


storm(h, "attachments", [(attachments, 3 + count * (len(item) + size + 1), [])], {200}, {200})
made = {name: (lambda body=body: [body], len(body), [("Content-Encoding", name)])
        for name, body in bombs().items()}
for name, bomb in made.items():
    storm(h, name, [bomb], {413, 503}, {413})
squeezed = gzip.compress(profile, 1)
mixed = [*made.values(), (lambda: [squeezed], len(squeezed), [("Content-Encoding", "gzip")])]
storm(h, "all codings", mixed, {200, 413, 503}, {413})

body = envelope([("profile_chunk", json.dumps(chunk("d" * 32, "e" * 32, 1796229505.5)).encode())])
check(h.request("POST", "/api/1/envelope/", auth(), body)[0] == 200, "ordinary uploads go on")
used = h.metric("hearth_memory_budget_used_bytes")
check(used < 64 * 1024, "all memory was given back: %d bytes" % used)
time.sleep(2.5)
after = h.anonymous_memory()
print("afterwards: %.1f MiB" % (after / MIB))
check(after < 64 * MIB, "and to the system")
h.stop()
print("ok")
