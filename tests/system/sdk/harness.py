"""harness.py - a freshly started hearth, and what must be true after a real SDK has sent to it."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from lifetime import bound

START_SECONDS = 30
ARRIVE_SECONDS = 20
SKIPPED = 77


def skip(reason):
    print("skipped: %s" % reason)
    sys.exit(SKIPPED)


def install(folder, stamp, commands):
    """Runs `commands` once in `folder`; a later run finds `stamp` there and does nothing."""
    done = os.path.join(folder, "installed")
    if os.path.exists(done) and open(done).read() == stamp:
        return
    os.makedirs(folder, exist_ok=True)
    for command in commands:
        run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if run.returncode != 0:
            errors = [line for line in run.stdout.splitlines()
                      if "err" in line.lower() and not line.startswith("WARNING")]
            skip("%s: %s" % (" ".join(command[:4]), (errors or ["no reason given"])[0]))
    with open(done, "w") as file:
        file.write(stamp)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hearth:
    """One server with an empty folder; its output is kept, so that its printed DSN can be used."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="hearth-sdk-")
        self.url = "http://127.0.0.1:%d" % free_port()
        self.output = open(os.path.join(self.folder.name, "output"), "w+")
        self.process = subprocess.Popen(
            bound([program, "serve", "--listen", self.url[7:], "--data", self.folder.name + "/data"]),
            stdout=self.output, stderr=subprocess.STDOUT)

    def __enter__(self):
        wait_for("the server to be ready", START_SECONDS, self.is_ready)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if status != 0:
            print(self.said())
        assert status == 0, "the server ended with status %d" % status
        self.folder.cleanup()

    def said(self):
        with open(self.output.name) as file:
            return file.read()

    def is_ready(self):
        assert self.process.poll() is None, "the server ended early:\n" + self.said()
        try:
            ready = urllib.request.urlopen(self.url + "/readyz", timeout=5).status == 200
        except OSError:
            return False
        return ready and self.dsn() is not None  # said last: from then on it ends in order, too

    def dsn(self):
        found = re.search(r"http://[0-9a-f]{32}@127\.0\.0\.1:\d+/1\b", self.said())
        return found.group() if found else None

    def get(self, path, **parameters):
        url = self.url + "/api/v1/projects/1/" + path
        if parameters:
            url += "?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError("%s: %d %s" % (url, error.code, error.read()[:500]))


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited %d s for %s" % (seconds, what)
        time.sleep(0.05)


def send(command, seconds):
    """One SDK program, which flushes before it ends."""
    run = subprocess.run(command + [str(seconds)], stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert run.returncode == 0, "%s ended with %d:\n%s" % (command[0], run.returncode, run.stdout)


def self_ns_by_function(flamegraph):
    """Sums the nodes of a flame graph answer by function name, and checks that they add up."""
    nodes, frames = flamegraph["nodes"], flamegraph["frames"]
    sums = {}
    below = [0] * len(nodes["parent"])
    for parent, total in zip(nodes["parent"], nodes["total_ns"]):
        if parent >= 0:
            below[parent] += total
    for frame, own, total, children in zip(nodes["frame"], nodes["self_ns"], nodes["total_ns"],
                                           below):
        assert own + children == total, "a node of %d ns holds %d + %d" % (total, own, children)
        name = frames[frame]["function"]
        sums[name] = sums.get(name, 0) + own
    return sums


def check_burner(hearth, burner, seconds, **selection):
    """The hottest function of the selection is the one that burned, by every answer."""
    graph = hearth.get("flamegraph", **selection)
    sums = self_ns_by_function(graph)
    hottest = max(sums, key=sums.get)
    print("%s: %s of %d ms in %d functions" % (
        selection, hottest, sum(sums.values()) // 1000000, len(sums)))
    assert burner in hottest, "hottest is %s, not %s: %s" % (hottest, burner, sums)
    # nine tenths were burned; a busy machine stretches the run, and only that
    assert sums[hottest] > 0.8e9 * seconds, "only %d ns of %g s" % (sums[hottest], seconds)
    assert graph["coverage"]["left_out"] == [], graph["coverage"]
    functions = hearth.get("functions", **selection)["functions"]
    first = max(functions, key=lambda row: row["self_ns"])
    assert burner in first["function"], "functions names %s" % first
    assert first["self_ns"] == sums[hottest], "%s against %d" % (first, sums[hottest])
