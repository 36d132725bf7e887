"""Recorded requests of real SDKs and composed odd ones, byte for byte over HTTP: statuses, bodies,
headers. Whole, and cut at random places. The parts kept with the sources; all of them when the
shared recordings are there."""
import json
import os
import random
import re

from running import Hearth, Reader, arguments, check, wait_until

program, source = arguments()
HOP = {"host", "content-length", "transfer-encoding", "connection", "expect"}
seed = random.randrange(1 << 32)
print("seed", seed)
rng = random.Random(seed)


def encode(method, target, headers, body, chunked, expect):
    out = ["%s %s HTTP/1.1" % (method, target), "Host: localhost"]
    out += ["%s: %s" % (k, v) for k, v in headers if k.lower() not in HOP]
    if expect:
        out.append("Expect: 100-continue")
    if body is None:
        body = b""
        if method in ("POST", "PUT"):
            out.append("Content-Length: 0")
    elif chunked:
        out.append("Transfer-Encoding: chunked")
        parts, pos = [], 0
        while pos < len(body):
            n = rng.choice([1, 7, 100, 4096, 65536])
            piece = body[pos:pos + n]
            parts.append(b"%x\r\n%s\r\n" % (len(piece), piece))
            pos += n
        body = b"".join(parts) + b"0\r\n\r\n"
    else:
        out.append("Content-Length: %d" % len(body))
    return ("\r\n".join(out) + "\r\n\r\n").encode("latin-1") + body


class Client:
    """Keeps its connection as long as the server does."""

    def __init__(self, h, split):
        self.h, self.split, self.socket, self.reader = h, split, None, None

    def send(self, *request):
        data = encode(*request)
        for fresh in (False, True):
            if self.socket is None or fresh:
                self.close()
                self.socket = self.h.connect()
                self.reader = Reader(self.socket)
            try:
                try:
                    self.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # an early answer
                got = self.reader.answer(request[0])
                if got[1].get("connection") == "close":
                    self.close()
                return got
            except OSError:
                if fresh:
                    raise
        return None

    def write(self, data):
        pos = 0
        while pos < len(data):
            n = rng.choice([1, 3, 50, 1400, 20000, 100000]) if self.split else len(data)
            self.socket.sendall(data[pos:pos + n])
            pos += n

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def check_id(want, body):
    try:
        got = json.loads(body)
    except ValueError:
        return "not JSON: %r" % body[:80]
    if want is None:
        return None if got == {} else "want {}, got %r" % body[:80]
    if want == "generated":
        return None if re.match(r"^[0-9a-f]{32}$", str(got.get("id"))) else "want an id, got %r" % body[:80]
    return None if got.get("id") == want else "want id %s, got %r" % (want, body[:80])


def captures(client, folder):
    with open(os.path.join(folder, "EXPECTED.jsonl")) as f:
        expected = {j["request"]: j for j in map(json.loads, f)}
    count = 0
    for label in sorted(os.listdir(folder)):
        part = os.path.join(folder, label)
        if not os.path.isdir(part):
            continue
        for name in sorted(os.listdir(part)):
            if not name.endswith(".headers.json"):
                continue
            with open(os.path.join(part, name)) as f:
                m = json.load(f)
            with open(os.path.join(part, name[:-13] + ".body"), "rb") as f:
                body = f.read()
            what = label + "/" + name[:-13]
            chunked = any(k.lower() == "transfer-encoding" for k, _ in m["headers"])
            status, _, answer = client.send(m["method"], m["target"], m["headers"],
                                            body if m["method"] == "POST" else None, chunked, False)
            want = expected.get(what, {"status": 200})
            check(status == want["status"], "%s: status %d, want %d: %r" % (
                what, status, want["status"], answer[:200]))
            if status == 200 and m["method"] == "POST" and what in expected:
                error = check_id(want["id"], answer)
                check(error is None, "%s: %s" % (what, error))
            count += 1
    check(count > 0, "no recordings in %s" % folder)
    return count


def edge(client, folder, cases):
    for c in cases:
        body = None
        if c["body"]:
            with open(os.path.join(folder, c["body"]), "rb") as f:
                body = f.read()
        expect = any(k.lower() == "expect" for k, _ in c["headers"])
        status, headers, answer = client.send(c["method"], c["target"], c["headers"], body,
                                              c.get("transfer") == "chunked", expect)
        want = c["expect"]
        check(status in want["status"], "%s: status %d, want %s: %r" % (
            c["name"], status, want["status"], answer[:160]))
        if status == 200 and "id" in want:
            error = check_id(want["id"], answer)
            check(error is None, "%s: %s" % (c["name"], error))
        check(headers.get("access-control-allow-origin") == "*", "%s: CORS" % c["name"])
        check("x-sentry-rate-limits" in headers.get("access-control-expose-headers", ""),
              "%s: CORS expose" % c["name"])
        check("retry-after" not in headers, "%s: Retry-After stops JavaScript SDKs" % c["name"])
        for k, v in want.get("headers", {}).items():
            check("".join(headers.get(k, "").lower().split()) == v.lower(),
                  "%s: header %s is %r" % (c["name"], k, headers.get(k)))
        for k, values in want.get("header_contains", {}).items():
            check(all(v in headers.get(k, "").lower() for v in values),
                  "%s: header %s is %r" % (c["name"], k, headers.get(k)))
    return len(cases)


shared = os.environ.get("HEARTH_SHARED", os.path.join(source, "..", "shared"))
places = [os.path.join(source, "tests", "data")]
if os.path.isdir(os.path.join(shared, "data", "envelopes")):
    places.append(os.path.join(shared, "data"))
else:
    print("the full recordings are not here (%s): only the part kept in tests/data" % shared)

for split in (False, True):
    for place in places:
        if split and place != places[0]:
            continue
        h = Hearth(program)
        done = captures(Client(h, split), os.path.join(place, "envelopes"))
        folder = os.path.join(place, "edge")
        with open(os.path.join(folder, "manifest.json")) as f:
            manifest = json.load(f)
        for p in manifest["projects"]:
            made = h.keys("add", "--project", str(p["id"]), "--key", p["key"])
            check(made.returncode == 0, made.stderr)
        wait_until(lambda h=h: "keys_loaded" in "".join(h.errors), "the new keys")
        odd = edge(Client(h, split), folder, manifest["cases"])
        h.stop()
        print("%s%s: %d recorded requests, %d odd ones" % (
            os.path.relpath(place, source), " in random pieces" if split else "", done, odd))
print("ok")
