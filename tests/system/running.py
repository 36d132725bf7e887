"""A hearth process of a test's own, and requests to it. Standard library only."""
import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from lifetime import bound

SCALE = int(os.environ.get("HEARTH_TEST_SCALE", "1"))
KEY = "df17aa723bdea468a13becb9733ba43b"


def arguments():
    """Path of the program and of the sources, as CTest hands them over."""
    if len(sys.argv) != 3:
        sys.exit("usage: %s HEARTH SOURCE_DIR" % sys.argv[0])
    return sys.argv[1], sys.argv[2]


def plain_program(program):
    """The program without sanitizers, where memory can be measured."""
    return os.environ.get("HEARTH_PLAIN", program)


def fail(text):
    print("FAIL", text)
    sys.exit(1)


def check(held, text):
    if not held:
        fail(text)


def skip(why):
    print("SKIP", why)
    sys.exit(77)


class Hearth:
    """One `hearth serve` on a free loopback port; its data folder goes with it unless given."""

    def __init__(self, program, data=None, args=(), host="127.0.0.1", port=0, env=None):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="hearth-test-")
        self.program = program
        self.lines = []
        self.process = subprocess.Popen(
            bound([program, "serve", "--listen", "%s:%d" % (host, port), "--data", self.data, *args]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, **(env or {})))
        atexit.register(self._clean_up)
        self.errors = []
        self.reader = threading.Thread(target=self._read_errors, daemon=True)
        self.reader.start()
        self.dsn = None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            found = re.match(r"DSN of project 1: (\S+)", line)
            if found:
                self.dsn = found.group(1)
                break
        if self.dsn is None:
            self.process.wait(30)
            self.reader.join(5)
            raise RuntimeError("hearth did not start: %s %s" % (self.lines, "".join(self.errors)))
        self.port = int(re.search(r":(\d+)/1$", self.dsn).group(1))
        self.host = host
        self.url = "http://%s:%d" % (host, self.port)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def _clean_up(self):
        """A test that fails leaves neither the process nor its folder."""
        if self.process.poll() is None:
            self.kill()
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def connect(self, timeout=30):
        s = socket.create_connection((self.host.strip("[]"), self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def request(self, method, target, headers=(), body=None, timeout=30, host=None):
        with self.connect(timeout) as s:
            send(s, method, target, headers, body, host or "%s:%d" % (self.host, self.port))
            return answer(s, method)

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def get_json(self, target):
        status, _, body = self.get(target)
        check(status == 200, "GET %s: %d %r" % (target, status, body[:200]))
        return json.loads(body)

    def metric(self, name):
        _, _, body = self.get("/metrics")
        found = re.search(r"^%s (\d+)$" % re.escape(name), body.decode(), re.M)
        return int(found.group(1)) if found else 0

    def keys(self, *args):
        return subprocess.run([self.program, "keys", *args, "--data", self.data], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def anonymous_memory(self):
        try:
            with open("/proc/%d/status" % self.process.pid) as f:
                return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) << 10
        except (OSError, AttributeError):
            return 0

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=60):
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End it in an orderly way; sanitizers may have something to say."""
        if self.process.poll() is None:
            self.signal()
        status = self.wait()
        self.reader.join(5)
        text = "".join(self.errors)
        check(status == 0, "exit status %d\n%s" % (status, text[-4000:]))
        check("Sanitizer" not in text and "runtime error" not in text, text[-4000:])
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)
        return text


def send(s, method, target, headers, body, host):
    out = ["%s %s HTTP/1.1" % (method, target), "Host: " + host]
    out += ["%s: %s" % pair for pair in headers]
    if body is not None:
        out.append("Content-Length: %d" % len(body))
    try:
        s.sendall(("\r\n".join(out) + "\r\n\r\n").encode("latin-1") + (body or b""))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may answer early and close


class Reader:
    """Answers of one connection, one after another."""

    def __init__(self, s):
        self.socket = s
        self.rest = b""

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise OSError("closed after %d bytes" % len(self.rest))
        self.rest += data

    def _line(self):
        while b"\r\n" not in self.rest:
            self._more()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _take(self, n):
        while len(self.rest) < n:
            self._more()
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    def answer(self, method="GET"):
        while True:
            status = int(self._line().split()[1])
            headers = {}
            while True:
                line = self._line().decode("latin-1")
                if not line:
                    break
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if status != 100:
                break
        if method == "HEAD" or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while True:
                n = int(self._line(), 16)
                parts.append(self._take(n))
                self._take(2)
                if n == 0:
                    return status, headers, b"".join(parts)
        return status, headers, self._take(int(headers.get("content-length", 0)))


def answer(s, method="GET"):
    return Reader(s).answer(method)


def chunk(profiler_id, chunk_id, start, samples=40, threads=2, functions=8, seed=0):
    """A small valid profile chunk as a document."""
    frames = [{"function": "f%d_%d" % (seed, i), "module": "m", "lineno": i + 1, "in_app": True}
              for i in range(functions)]
    stacks = [list(range(i, -1, -1)) for i in range(functions)]
    rows = [{"timestamp": start + i * 0.01, "thread_id": str(t), "stack_id": (i + t) % functions}
            for i in range(samples) for t in range(threads)]
    return {"version": "2", "profiler_id": profiler_id, "chunk_id": chunk_id, "platform": "python",
            "client_sdk": {"name": "sentry.python", "version": "2.0.0"}, "release": "r",
            "environment": "test",
            "profile": {"samples": rows, "stacks": stacks, "frames": frames,
                        "thread_metadata": {str(t): {"name": "T%d" % t} for t in range(threads)}}}


def envelope(items, header=None):
    """items: (type, payload bytes)"""
    out = [json.dumps(header or {}).encode()]
    for kind, payload in items:
        out.append(json.dumps({"type": kind, "length": len(payload)}).encode())
        out.append(payload)
    return b"\n".join(out) + b"\n"


def chunk_envelope(*args, **kwargs):
    return envelope([("profile_chunk", json.dumps(chunk(*args, **kwargs)).encode())])


def auth(key=KEY):
    return [("X-Sentry-Auth", "Sentry sentry_key=%s, sentry_version=7" % key)]


def wait_until(condition, text, timeout=10):
    end = time.time() + timeout
    while not condition():
        if time.time() > end:
            fail("waited %d s for: %s" % (timeout, text))
        time.sleep(0.02)
