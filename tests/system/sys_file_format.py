"""docs/file-format.md is enough to read a data folder: the reader that was written from it alone
finds what the API answers. Whoever changes the format changes that text first."""
import glob
import os
import subprocess
from collections import Counter

from answers import compare_counts, compare_document
from log_reader import block_of, records_of
from running import Hearth, arguments, check


program, source = arguments()
hearth = Hearth(program)
done = subprocess.run([program, "import", "--quiet", "--url", hearth.url, os.path.join(source, "demo"),
                       os.path.join(source, "tests", "data", "envelopes")],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
rows = {}  # what stands later replaces what has the same key
for log in sorted(glob.glob(os.path.join(hearth.data, "log-*"))):
    rows.update(((r["kind"],) + r["key"], r) for r in records_of(log))
compare_counts(hearth, rows.values())
seen = Counter()
for row in rows.values():
    if row["kind"] != 3:
        compare_document(hearth, row, block_of(row))
    seen[row["kind"]] += 1
hearth.stop()
print("chunks %d, transaction profiles %d, links %d" % (seen[1], seen[2], seen[3]))
check(seen[1] >= 20 and seen[2] >= 5 and seen[3] >= 50, "too little was read: %s" % done.stdout)
