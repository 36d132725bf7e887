"""SIGTERM: what was begun is answered, what was answered is stored; a second signal ends at once."""
import signal
import threading
import time

from running import Hearth, Reader, arguments, auth, check, chunk_envelope, send, wait_until

program, _ = arguments()

# An upload half sent when the signal comes is taken whole; new connections are not.
h = Hearth(program)
body = chunk_envelope("a" * 32, "b" * 32, 1796229505.5)
head = ("POST /api/1/envelope/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
        "Expect: 100-continue\r\nX-Sentry-Auth: %s\r\n\r\n" % (len(body), auth()[0][1]))
busy = h.connect()
busy.sendall(head.encode())
check(busy.recv(100).startswith(b"HTTP/1.1 100"), "the server waits for the body")
idle = h.connect()
send(idle, "GET", "/healthz", [], None, "localhost")
check(Reader(idle).answer()[0] == 200, "an idle connection")
busy.sendall(body[:100])
h.signal()
check(idle.recv(100) == b"", "idle connections are closed soon")


def refuses():
    try:
        h.connect(1).close()
        return False
    except OSError:
        return True


wait_until(refuses, "no new connections")
check(h.process.poll() is None, "it waits for the upload")
busy.sendall(body[100:])
status, headers, _ = Reader(busy).answer()
check(status == 200 and headers.get("connection") == "close", "answered: %d" % status)
check(h.wait(10) == 0, "ends well")
again = Hearth(program, data=h.data)
rows = again.get_json("/api/v1/projects")["projects"]
check(rows and rows[0]["chunks"] == 1, "stored: %r" % rows)
again.stop()

# Under load: every 200 that was seen is there afterwards.
h = Hearth(program)
acked, lock, stop = [], threading.Lock(), threading.Event()


def client(n):
    i = 0
    while not stop.is_set():
        i += 1
        one = "%032x" % (n * 100000 + i)
        try:
            if h.request("POST", "/api/1/envelope/", auth(),
                         chunk_envelope("%032x" % (n + 1), one, 1796229505.5 + i))[0] == 200:
                with lock:
                    acked.append(one)
        except OSError:
            return


threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
[t.start() for t in threads]
wait_until(lambda: len(acked) > 50, "some uploads", 30)
h.signal()
check(h.wait(20) == 0, "ends well under load")
stop.set()
[t.join() for t in threads]
again = Hearth(program, data=h.data)
rows = again.get_json("/api/v1/projects")["projects"]
check(rows[0]["chunks"] >= len(acked), "%d acknowledged, %r" % (len(acked), rows))
again.stop()

# A second signal does not wait for anybody.
h = Hearth(program)
slow = h.connect()
slow.sendall(head.encode())
check(slow.recv(100).startswith(b"HTTP/1.1 100"), "waits")
h.signal(signal.SIGINT)
time.sleep(0.3)
check(h.process.poll() is None, "draining")
h.signal(signal.SIGINT)
check(h.wait(5) == 128 + signal.SIGINT, "ended at once")
print("ok")
