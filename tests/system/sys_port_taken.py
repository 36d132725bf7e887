"""A port that anybody has is refused at start, another hearth's included; so is a data folder."""
import socket
import subprocess
import tempfile

from running import Hearth, arguments, check

program, _ = arguments()


def refused(listen, data, *words):
    p = subprocess.run([program, "serve", "--listen", listen, "--data", data], timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    check(p.returncode == 1, "%s: exit %d\n%s" % (listen, p.returncode, p.stdout + p.stderr))
    check(all(w in p.stderr for w in words), "%s: says %r" % (listen, p.stderr))
    check("listening" not in p.stdout, p.stdout)


with tempfile.TemporaryDirectory() as other:
    h = Hearth(program)
    refused("127.0.0.1:%d" % h.port, other, "taken", str(h.port))
    refused("0.0.0.0:%d" % h.port, other, "taken")
    refused("127.0.0.1:0", h.data, "in use")
    check(h.get("/healthz")[0] == 200, "the first one goes on")
    h.stop()

    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            s = socket.socket(family)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind((address, 0))
            s.listen()
        except OSError as e:
            print("no %s here: %s" % (address, e))
            continue
        shown = "[%s]" % address if ":" in address else address
        refused("%s:%d" % (shown, s.getsockname()[1]), other, "taken")
        s.close()
    bad = subprocess.run([program, "serve", "--listen", "127.0.0.1", "--data", other], check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(bad.returncode == 2 and "HOST:PORT" in bad.stderr, bad.stderr)

try:
    h = Hearth(program, host="[::1]")
    check(h.get("/healthz")[0] == 200, "IPv6")
    h.stop()
except RuntimeError as e:
    print("no IPv6 here:", e)
print("ok")
