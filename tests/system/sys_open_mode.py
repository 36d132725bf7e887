"""Unknown keys are taken only by a loopback server nobody configured, from a direct request."""
import re
import subprocess

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
names = {"HEARTH_STRICT_KEY": "1", "HEARTH_LISTENS": "::"}
others = {"HEARTH_URL": "x", "HEARTH_PROJECT": "7", "HEARTH_SEED": "1"}
h = Hearth(program, host="0.0.0.0", env=dict(names, **others))
h.host = "127.0.0.1"
check(post(h) == 403, "an address that others reach")
check(any("only those added" in line for line in h.lines), "keys count there: %s" % h.lines)
text = h.stop()
check("not loopback" in text, "everybody may read there, and it is said: " + text)
for name in names:
    check("warning: nothing reads the environment variable %s\n" % name in text, "%s: %s" % (name, text))
check(text.count("warning: nothing reads") == len(names), "those of other commands are known: " + text)

# every flag of a client command may be set without a warning
flags = set()
for command in ("serve", "import", "top", "flamegraph"):
    said = subprocess.run([program, command, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    flags |= set(re.findall(r"--([a-z-]+)", said)) - {"help"}
check(len(flags) > 20, "flags: %s" % flags)
own = {"listen", "data", "durability", "threads", "memory-max", "strict-keys", "retention-days", "disk-max", "log-size", "log-level"}
h = Hearth(program, env={"HEARTH_" + f.replace("-", "_").upper(): "1" for f in flags - own})
text = h.stop()
check("warning" not in text, text)
print("ok")
