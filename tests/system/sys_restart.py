"""kill -9 at random moments under load: every acknowledged chunk is there, byte for byte the same
before and after, round after round on one data folder."""
import random
import shutil
import tempfile
import threading
import time
import uuid

from running import SCALE, Hearth, Reader, arguments, auth, check, chunk_envelope, send

program, _ = arguments()
seed = random.randrange(1 << 32)
print("seed", seed)
rng = random.Random(seed)
data = tempfile.mkdtemp(prefix="hearth-restart-")
ROUNDS = 8 * SCALE
acked = {}  # chunk id -> profiler id
answers = {}  # chunk id -> the raw document
lock = threading.Lock()


def raw_target(profiler, one):
    return "/organizations/1/projects/1/raw_chunks/%s/%s" % (profiler, one)


def client(h, n, stop, local):
    """One connection that uploads until the server is gone."""
    profiler = uuid.UUID(int=local.getrandbits(128)).hex
    try:
        with h.connect(5) as s:
            reader = Reader(s)
            while not stop.is_set():
                one = uuid.UUID(int=local.getrandbits(128)).hex
                body = chunk_envelope(profiler, one, 1796229505.5 + local.random() * 1e6,
                                      samples=local.choice([5, 40, 400]), seed=n)
                send(s, "POST", "/api/1/envelope/", auth(), body, "localhost")
                if reader.answer()[0] == 200:
                    with lock:
                        acked[one] = profiler
    except OSError:
        pass


def verify(h, some):
    with h.connect(60) as s:
        reader = Reader(s)
        for one in some:
            send(s, "GET", raw_target(acked[one], one), [], None, "localhost")
            status, _, body = reader.answer()
            check(status == 200, "chunk %s was acknowledged and is not there: %d" % (one, status))
            if answers.setdefault(one, body) != body:
                check(False, "chunk %s reads differently after a restart" % one)


probe = Hearth(program, data=data)
has_raw = probe.get(raw_target("a" * 32, "b" * 32))[0:3]
probe.stop()
check(has_raw[1].get("content-type") is None, "raw_chunks is served: %r" % (has_raw,))

for round_number in range(ROUNDS):
    h = Hearth(program, data=data, args=["--log-level", "warn"])
    verify(h, list(acked) if len(acked) < 300 else rng.sample(sorted(acked), 300))
    stop = threading.Event()
    before = len(acked)
    threads = [threading.Thread(target=client, args=(h, n, stop, random.Random(rng.getrandbits(64))))
               for n in range(4)]
    [t.start() for t in threads]
    time.sleep(rng.uniform(0.02, 0.5))
    h.kill()
    stop.set()
    [t.join() for t in threads]
    print("round %d: %d acknowledged, %d in all" % (round_number, len(acked) - before, len(acked)))

h = Hearth(program, data=data)
verify(h, sorted(acked))
rows = h.get_json("/api/v1/projects")["projects"]
check(rows[0]["chunks"] >= len(acked), "%r" % rows)
check(len(acked) > 10 * ROUNDS, "the load was real: %d" % len(acked))
h.stop()
shutil.rmtree(data)
print("ok: %d rounds, %d chunks" % (ROUNDS, len(acked)))
