"""Unknown keys are taken only by a loopback server nobody configured, from a direct request."""
from running import Hearth, arguments, auth, check, chunk_envelope

program, _ = arguments()
body = chunk_envelope("a" * 32, "b" * 32, 1796229505.5)
unknown = "0123456789abcdef0123456789abcdef"


def post(h, headers=(), host=None):
    return h.request("POST", "/api/5/envelope/", auth(unknown) + list(headers), body, host=host)[0]


h = Hearth(program)
for host in ("127.0.0.1:%d" % h.port, "localhost", "localhost:1", "LocalHost", "127.9.9.9", "[::1]", "[::1]:5"):
    check(post(h, host=host) == 200, "open for Host " + host)
for host in ("example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "[::2]", "[::1]x", "0.0.0.0"):
    check(post(h, host=host) == 403, "closed for Host " + host)
for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X-Real-IP"):
    check(post(h, [(name, "127.0.0.1")]) == 403, "closed behind " + name)
check(h.request("POST", "/api/5/envelope/", auth("xyz"), body)[0] in (400, 401, 403), "well-formed keys only")
h.stop()

h = Hearth(program, args=["--strict-keys"])
check(post(h) == 403, "--strict-keys")
h.stop()
h = Hearth(program, env={"HEARTH_STRICT_KEYS": "1"})
check(post(h) == 403, "HEARTH_STRICT_KEYS")
h.stop()
h = Hearth(program, host="0.0.0.0")
h.host = "127.0.0.1"
check(post(h) == 403, "an address that others reach")
h.stop()
print("ok")
