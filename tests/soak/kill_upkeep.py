"""kill -9 in the middle of sealing, merging and dropping, round after round on one data folder.

    kill_upkeep.py HEARTH [--rounds N] [--seed N] [--log-size SIZE] [--disk-max SIZE] [--keep]

Clients upload chunks, some of them again as they were, some again with other samples; logs are so
small that the background work never rests. After each kill and start: what was acknowledged is
there, once, with the samples of its last acknowledged version (or of a later one whose answer never
came), and reads the same as before. With --disk-max the oldest may be gone, but nothing of the last
rounds. Not among the tests that run by themselves: a thousand rounds take an hour."""
import argparse
import collections
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from running import Hearth, Reader, auth, check, chunk_envelope, send  # noqa: E402

CLIENTS = 4
ROUND_SECONDS = (0.5, 2.5)  # background work looks for something to do once a second
PIECE_SECONDS = 20          # every other round waits so long for it to end a piece, ...
AFTER_PIECE_SECONDS = 0.4   # and up to this into the next one
DENSE_ROUNDS = 4            # whose profilers are read in full, ...
OLD_PROFILERS = 8           # beside so many from before
OLD_DOCUMENTS = 40
LIST_LIMIT = 100000
SAMPLES = (5, 40, 200)

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--rounds", type=int, default=1000)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
parser.add_argument("--log-size", default="64K")
parser.add_argument("--disk-max", default=None)
parser.add_argument("--keep", action="store_true", help="leave the folder of a failed run")
args = parser.parse_args()


class Chunk:
    """What may be there under one id."""

    def __init__(self, round_number, start):
        self.start = start
        self.acked = False
        self.allowed = []  # counts of samples: of the last acknowledged version and of later ones
        self.last_round = round_number
        self.answer = None  # the document, once it was read; None again when it may have changed


class Model:
    def __init__(self):
        self.lock = threading.Lock()
        self.profilers = collections.defaultdict(dict)  # profiler -> chunk id -> Chunk
        self.rounds_of = {}  # profiler -> last round that wrote to it
        self.uploads = 0

    def begin(self, profiler, one, start, samples, round_number):
        with self.lock:
            c = self.profilers[profiler].setdefault(one, Chunk(round_number, start))
            c.allowed.append(samples)
            c.answer = None
            c.last_round = round_number
            self.rounds_of[profiler] = round_number

    def acknowledge(self, profiler, one, samples):
        with self.lock:
            c = self.profilers[profiler][one]
            c.acked = True
            c.allowed = [samples]
            self.uploads += 1


def client(h, model, profiler, round_number, stop, rng):
    """One connection that uploads to one profiler until the server is gone. Only this thread writes
    to the profiler."""
    try:
        with h.connect(10) as s:
            reader = Reader(s)
            while not stop.is_set():
                known = model.profilers.get(profiler)
                again = known and rng.random() < 0.15
                one = rng.choice(list(known)[-50:]) if again else uuid.UUID(int=rng.getrandbits(128)).hex
                # within some days: several partitions, a few of them busy
                start = known[one].start if again else (
                    time.time() - rng.choice([0, 0, 0, 0, 1, 3]) * 86400 - rng.random() * 100)
                samples = (known[one].allowed[-1] if again and rng.random() < 0.7
                           else rng.choice(SAMPLES))
                body = chunk_envelope(profiler, one, start, samples=samples, functions=12,
                                      seed=rng.randrange(200))
                model.begin(profiler, one, start, samples, round_number)
                send(s, "POST", "/api/1/envelope/", auth(), body, "localhost")
                status = reader.answer()[0]
                check(status in (200, 503), "upload answered %d" % status)
                if status == 200:
                    model.acknowledge(profiler, one, samples)
                time.sleep(0.003)
    except OSError:
        pass


def list_chunks(h, profiler):
    answer = h.get_json("/api/v1/projects/1/chunks?profiler_id=%s&limit=%d" % (profiler, LIST_LIMIT))
    return answer["chunks"]


def verify_profiler(h, model, profiler, round_number, dropping):
    """Returns how many acknowledged chunks are gone."""
    found = collections.Counter()
    gone = 0
    expected = model.profilers[profiler]
    for c in list_chunks(h, profiler):
        one = c["chunk_id"].replace("-", "")
        found[one] += 1
        check(one in expected, "chunk %s of %s was never sent" % (one, profiler))
        check(c["samples"] in [2 * n for n in expected[one].allowed],  # two threads
              "chunk %s has %d samples, expected one of %r times two" %
              (one, c["samples"], expected[one].allowed))
    for one, count in found.items():
        check(count == 1, "chunk %s is there %d times" % (one, count))
    for one, c in expected.items():
        if c.acked and found[one] == 0:
            check(dropping and c.last_round < round_number - DENSE_ROUNDS,
                  "chunk %s of profiler %s was acknowledged in round %d and is not there" %
                  (one, profiler, c.last_round))
            gone += 1
    return gone


def verify_documents(h, model, some, dropping):
    with h.connect(60) as s:
        reader = Reader(s)
        for profiler, one in some:
            c = model.profilers[profiler][one]
            send(s, "GET", "/organizations/1/projects/1/raw_chunks/%s/%s" % (profiler, one), [], None,
                 "localhost")
            status, _, body = reader.answer()
            if status == 404 and (dropping or not c.acked):
                continue
            check(status == 200, "chunk %s cannot be read: %d %r" % (one, status, body[:200]))
            check(c.answer in (None, body), "chunk %s reads differently after a restart" % one)
            c.answer = body


def pick_profilers(model, round_number, rng):
    near = [p for p, r in model.rounds_of.items() if r >= round_number - DENSE_ROUNDS]
    far = [p for p, r in model.rounds_of.items() if r < round_number - DENSE_ROUNDS]
    return near + rng.sample(far, min(OLD_PROFILERS, len(far)))


def start_server(data):
    options = ["--log-level", "info", "--log-size", args.log_size]
    if args.disk_max:
        options += ["--disk-max", args.disk_max]
    before = time.monotonic()
    h = Hearth(args.program, data=data, args=options)
    return h, time.monotonic() - before


def upkeep_done(h):
    text = "".join(list(h.errors))
    return [len(re.findall(r" %s parts=" % what, text))
            for what in ("sealed", "merged", "dropped_by_age|dropped_by_size")]


def await_moment(h, rng):
    """At any time, or while a piece that follows another one is under way: all of the work is
    reached, also when the machine is too slow to do it in a short round."""
    if rng.random() < 0.5:
        time.sleep(rng.uniform(*ROUND_SECONDS))
        return
    end = time.monotonic() + PIECE_SECONDS
    while time.monotonic() < end and sum(upkeep_done(h)) == 0:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, AFTER_PIECE_SECONDS))


def complain(h):
    """Of the server itself: nothing may be damaged or lost by a kill."""
    for line in list(h.errors):
        check(" error " not in line and "aside" not in line and "damaged" not in line, line)


def main():
    rng = random.Random(args.seed)
    model = Model()
    data = tempfile.mkdtemp(prefix="hearth-soak-")
    starts, gone, done = [], 0, [0, 0, 0]
    profilers = []
    print("seed %d, %s" % (args.seed, data), flush=True)
    for round_number in range(args.rounds + 1):
        h, seconds = start_server(data)
        starts.append(seconds)
        if round_number < args.rounds:
            stop = threading.Event()
            writing = set()
            threads = []
            for _ in range(CLIENTS):
                fresh = len(profilers) < CLIENTS or rng.random() < 0.2
                profiler = (uuid.UUID(int=rng.getrandbits(128)).hex if fresh else
                            rng.choice([p for p in profilers[-40:] if p not in writing]))
                if fresh:
                    profilers.append(profiler)
                writing.add(profiler)
        # before the load, so that nothing changes meanwhile but by the background work
        checked = (list(model.profilers) if round_number == args.rounds else
                   pick_profilers(model, round_number, rng))
        gone = sum(verify_profiler(h, model, p, round_number, bool(args.disk_max)) for p in checked)
        known = [(p, one) for p in rng.sample(checked, min(20, len(checked)))
                 for one in model.profilers[p]]
        verify_documents(h, model, rng.sample(known, min(OLD_DOCUMENTS, len(known))),
                         bool(args.disk_max))
        if round_number == args.rounds:
            break
        for profiler in writing:
            threads.append(threading.Thread(target=client, args=(
                h, model, profiler, round_number, stop, random.Random(rng.getrandbits(64)))))
        [t.start() for t in threads]
        await_moment(h, rng)
        h.kill()
        stop.set()
        [t.join() for t in threads]
        h.reader.join(5)
        complain(h)
        done = [a + b for a, b in zip(done, upkeep_done(h))]
        if round_number % 10 == 9:
            size = sum(e.stat().st_size for e in os.scandir(data))
            print("round %d: %d uploads, %d profilers, %d sealed, %d merged, %d dropped; %.1f MB in %d"
                  " files; start %.0f ms, at most %.0f ms" %
                  (round_number + 1, model.uploads, len(profilers), *done, size / 1e6,
                   len(os.listdir(data)), 1e3 * statistics.median(starts[-10:]), 1e3 * max(starts)),
                  flush=True)
    chunks = sum(len(p) for p in model.profilers.values())
    segments, logs = h.metric("hearth_store_segments"), h.metric("hearth_store_logs")
    h.stop()
    complain(h)
    check(done[0] > args.rounds // 10, "the background work was real: %r" % (done,))
    print("ok: %d rounds, %d uploads of %d chunks, %d gone by size; %d segments, %d logs; %d sealed,"
          " %d merged, %d dropped; start median %.0f ms, max %.0f ms" %
          (args.rounds, model.uploads, chunks, gone, segments, logs, *done,
           1e3 * statistics.median(starts), 1e3 * max(starts)))
    return data


folder = None
try:
    folder = main()
finally:
    if folder and not args.keep:
        shutil.rmtree(folder)
