"""sys_sdk_node.py HEARTH SOURCE - unmodified @sentry/node and @sentry/profiling-node.

Version 11 sends continuous profiles only, so transaction profiles come from version 10. Both are
installed once, into the build folder; skips, saying why, where they cannot be had.
"""
import json
import os
import shutil
import sys

from sdk import harness

CONTINUOUS, TRANSACTION = "11.1.0", "10.75.3"
SECONDS = 2


def install(folder, source, version):
    """A folder with burn.js beside the packages it requires; returns the program's path."""
    os.makedirs(folder, exist_ok=True)
    packages = ["@sentry/node", "@sentry/profiling-node"]
    with open(os.path.join(folder, "package.json"), "w") as file:
        json.dump({"private": True, "dependencies": {name: version for name in packages}}, file)
    harness.install(folder, version, [
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error",
         "--fetch-retries=1", "--fetch-timeout=30000"]])
    return shutil.copy(os.path.join(source, "tests", "system", "sdk", "burn.js"), folder)


def main():
    program, source = sys.argv[1:3]
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            harness.skip("this machine has no %s" % tool)
    home = os.path.join(os.path.dirname(os.path.abspath(program)), "sdk-node")
    continuous = install(os.path.join(home, CONTINUOUS), source, CONTINUOUS)
    transaction = install(os.path.join(home, TRANSACTION), source, TRANSACTION)

    with harness.Hearth(program) as hearth:
        harness.send(["node", continuous, "continuous", hearth.dsn()], SECONDS)
        harness.wait_for("the profiler to appear", harness.ARRIVE_SECONDS,
                         lambda: hearth.get("profilers")["profilers"])
        profilers = hearth.get("profilers")["profilers"]
        assert len(profilers) == 1, profilers
        assert profilers[0]["platform"] == "node", profilers
        harness.check_burner(hearth, "burnHere", SECONDS,
                             profiler_id=profilers[0]["profiler_id"])

        harness.send(["node", transaction, "transaction", hearth.dsn()], SECONDS)
        harness.wait_for("the transaction to appear", harness.ARRIVE_SECONDS,
                         lambda: hearth.get("transactions")["transactions"])
        harness.check_burner(hearth, "burnHere", SECONDS, transaction="burn")


if __name__ == "__main__":
    main()
