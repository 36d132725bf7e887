"""burn.py continuous|transaction DSN SECONDS - a program that spends its time in one function.

Run by sys_sdk_python.py in an environment of its own, with sentry-sdk as it comes.
"""
import sys
import threading
import time

import sentry_sdk


def burn_here(until):
    value = 1
    while time.monotonic() < until:
        for _ in range(1000):
            value = (value * 1103515245 + 12345) % 2147483648
    return value


def stroll(seconds):
    """A tenth of the time goes elsewhere, so that a wrong winner is possible.

    Two threads burn: the SDK's own thread is in its profiles, at its work in every sample.
    """
    time.sleep(seconds / 10)
    until = time.monotonic() + seconds * 9 / 10
    other = threading.Thread(target=burn_here, args=(until,))
    other.start()
    burn_here(until)
    other.join()


def continuous(dsn, seconds):
    sentry_sdk.init(dsn=dsn, profile_session_sample_rate=1.0, profile_lifecycle="manual",
                    environment="end-to-end", release="burn@1")
    sentry_sdk.profiler.start_profiler()
    stroll(seconds)
    sentry_sdk.profiler.stop_profiler()


def transaction(dsn, seconds):
    sentry_sdk.init(dsn=dsn, traces_sample_rate=1.0, profiles_sample_rate=1.0,
                    environment="end-to-end", release="burn@1")
    with sentry_sdk.start_transaction(name="burn", op="test"):
        stroll(seconds)


if __name__ == "__main__":
    {"continuous": continuous, "transaction": transaction}[sys.argv[1]](
        sys.argv[2], float(sys.argv[3]))
    sentry_sdk.flush(timeout=20)
