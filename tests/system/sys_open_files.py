"""A limit on open files is no reason to spin, to flood the log, or to lose those who are served."""
import os
import resource
import time

from running import Hearth, arguments, check, wait_until

LIMIT = 64
program, _ = arguments()


def processor_seconds(h):
    with open("/proc/%d/stat" % h.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


h = Hearth(program, args=["--threads", "2"])
# after its start: what it knew about the limit then does not help
resource.prlimit(h.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
clients = [h.connect(5) for _ in range(3 * LIMIT)]
files = os.listdir("/proc/%d/fd" % h.process.pid)
time.sleep(0.2)
for _ in range(3):  # newcomers, while the last descriptors are fought over
    clients += [h.connect(5) for _ in range(LIMIT)]
before = processor_seconds(h)
time.sleep(1)
spent = processor_seconds(h) - before
print("%d clients, %d files: %.2f s of processor in a second, %d lines logged" % (
    len(clients), LIMIT, spent, len(h.errors)))
check(spent < 0.5, "no busy loop")
check(len(h.errors) < 10, "one line now and then: %d" % len(h.errors))
for c in clients:
    c.close()


def answers():
    try:
        return h.get("/healthz")[0] == 200
    except OSError:
        return False


wait_until(answers, "an answer once files are free again")
h.stop()
print("ok")
