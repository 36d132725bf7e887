"""Keys made by the command count in a running server within a second, and revoked ones no more."""
import os
import re
import subprocess
import time

from running import Hearth, arguments, auth, check, chunk_envelope, wait_until

program, _ = arguments()
h = Hearth(program)
body = chunk_envelope("a" * 32, "b" * 32, 1796229505.5)


def post(key, project):
    return h.request("POST", "/api/%d/envelope/" % project, auth(key), body)[0]


first = re.match(r"http://([0-9a-f]{32})@127\.0\.0\.1:\d+/1$", h.dsn)
check(first is not None, "the DSN that serve prints: %s" % h.dsn)
listed = h.keys("list").stdout
check(first.group(1) in listed and "initial" in listed, listed)
check(post(first.group(1), 1) == 200, "the printed DSN works")

made = h.keys("add", "--project", "7", "--organization", "3")
check(made.returncode == 0, made.stderr)
key = made.stdout.split()[0]
start = time.time()
wait_until(lambda: post("0" * 31 + "1", 9) == 403, "open mode ends with the first added key", 3)
check(time.time() - start < 1.5, "seen within about a second")
check(post(key, 7) == 200, "the new key works")
check(post(key, 8) == 403, "for its own project only")
check(post(first.group(1), 1) == 200, "the first key still works")
check(h.keys("add", "--project", "8", "--key", "1234").returncode == 2, "half a key is refused")
check(h.keys("add").returncode == 2, "a key needs a project")
check(h.keys("add", "--project", "0").returncode == 2, "project 0 is none")

again = h.keys("add", "--project", "8", "--key", key)
check(again.returncode == 1, "one key cannot have two projects: %s" % again.stdout)
gone = h.keys("revoke", "--key", key)
check(gone.returncode == 0, gone.stderr)
wait_until(lambda: post(key, 7) == 403, "a revoked key is refused", 3)
check("revoked=" in h.keys("list").stdout, "list shows it")

nowhere = h.data + "-typo"
for verb in (["list"], ["revoke", "--key", key]):
    done = subprocess.run([program, "keys"] + verb + ["--data", nowhere], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    check(done.returncode == 1 and nowhere in done.stderr, "%s of no folder: %s" % (verb, done))
check(not os.path.exists(nowhere), "looking at keys makes no folder")
done = subprocess.run([program, "keys", "add", "--project", "1", "--data", nowhere],
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
check(done.returncode == 0 and "made the data folder " + nowhere in done.stderr, done.stderr)

with open(h.data + "/keys", "a") as f:
    f.write("this is no key\n")
time.sleep(1.2)
check(post(first.group(1), 1) == 200, "a damaged keys file leaves the keys as they were")
text = h.stop()
check("keys_not_read" in text, "and it is said: " + text)
check(text.count("uploads_refused count=") == 1, "refused keys are said, once a minute: " + text)
print("ok")
