"""sys_sdk_python.py HEARTH SOURCE - an unmodified sentry-sdk, from its DSN to the flame graph.

Installs the SDK once, into the build folder; skips, saying why, where that cannot be had.
"""
import os
import sys

from sdk import harness

SDK = "sentry-sdk==2.68.0"
SECONDS = 2


def main():
    program, source = sys.argv[1:3]
    home = os.path.join(os.path.dirname(os.path.abspath(program)), "sdk-python")
    python = os.path.join(home, "bin", "python")
    harness.install(home, SDK, [
        [sys.executable, "-m", "venv", home],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--retries", "1", "--timeout", "30", SDK],
    ])
    burn = [python, os.path.join(source, "tests", "system", "sdk", "burn.py")]

    with harness.Hearth(program) as hearth:
        harness.send(burn + ["continuous", hearth.dsn()], SECONDS)
        harness.wait_for("the profiler to appear", harness.ARRIVE_SECONDS,
                         lambda: hearth.get("profilers")["profilers"])
        profilers = hearth.get("profilers")["profilers"]
        assert len(profilers) == 1, profilers
        assert profilers[0]["platform"] == "python", profilers
        assert profilers[0]["environment"] == "end-to-end", profilers
        harness.check_burner(hearth, "burn_here", SECONDS,
                             profiler_id=profilers[0]["profiler_id"])

        harness.send(burn + ["transaction", hearth.dsn()], SECONDS)
        harness.wait_for("the transaction to appear", harness.ARRIVE_SECONDS,
                         lambda: hearth.get("transactions")["transactions"])
        harness.check_burner(hearth, "burn_here", SECONDS, transaction="burn")


if __name__ == "__main__":
    main()
