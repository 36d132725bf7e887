"""A process started here ends with the test that started it, however the test ends."""
import shutil

WRAPPER = shutil.which("setpriv")


def bound(command):
    """`command`, to be started by the main thread: the kernel kills it when that thread is gone,
    after `kill -9` of the test too. setpriv becomes the command, so the process id stays."""
    return [WRAPPER, "--pdeathsig", "KILL", "--", *command] if WRAPPER else list(command)
