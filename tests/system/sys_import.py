"""sys_import.py HEARTH SOURCE - import over HTTP and into a folder say the same; refusals are named."""
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

from sdk import harness

PROJECTS = {"41": "python", "71": "node", "102": "php", "105": "javascript", "141": "ruby"}


def run(program, *arguments):
    """(status, standard output as bytes, standard error as text)"""
    done = subprocess.run([program] + list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode()


def good(program, *arguments):
    status, output, errors = run(program, *arguments)
    assert status == 0, "%s: status %d\n%s%s" % (arguments, status, output.decode(), errors)
    return output


def outcomes(summary):
    return {name: int(count) for count, name in re.findall(r"^\s+(\d+) items? (\w+)\b", summary.decode(), re.M)}


def items(path):
    """(header, payload) of each item of a recorded body; items without length end with their line."""
    body = open(path, "rb").read()
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    at = body.index(b"\n") + 1
    found = []
    while at < len(body):
        line, _, _ = body[at:].partition(b"\n")
        header = json.loads(line)
        at += len(line) + 1
        size = header.get("length")
        if size is None:
            size = len(body[at:].partition(b"\n")[0])
        found.append((header, body[at:at + size]))
        at += size + 1
    return found


def first_payload(folder, kind):
    for name in sorted(os.listdir(folder)):
        if name.endswith(".body"):
            for header, payload in items(os.path.join(folder, name)):
                if header["type"] == kind:
                    return payload
    raise AssertionError("no %s in %s" % (kind, folder))


def same_answers(program, url, data, projects, formats):
    for project in projects:
        for question in [["flamegraph", "--format", f] for f in formats] + [
                ["top", "--json"], ["top", "--by", "total", "--limit", "5"]]:
            question += ["--project", project]
            served = good(program, *question, "--url", url)
            alone = good(program, *question, "--data", data)
            if question[:3] == ["flamegraph", "--format", "pprof"]:
                served, alone = gzip.decompress(served), gzip.decompress(alone)
            assert served == alone, "%s differs: %d and %d bytes" % (question, len(served), len(alone))
            assert len(served) > 60, (question, served)


def check_recordings(program, source, hearth, data):
    demo = os.path.join(source, "demo")
    served = good(program, "import", "--url", hearth.url, demo)
    alone = good(program, "import", "--data", data, demo)
    assert outcomes(served) == outcomes(alone) and outcomes(served)["stored"] > 20, (served, alone)
    assert set(outcomes(served)) <= {"stored", "read_for_linking", "accepted_and_dropped"}, served
    same_answers(program, hearth.url, data, PROJECTS, ["json", "folded", "speedscope", "pprof"])
    again = good(program, "import", "--data", data, demo)
    assert outcomes(again) == outcomes(alone), again
    same_answers(program, hearth.url, data, ["41"], ["folded"])  # retries change nothing


def check_documents(program, source, hearth, data, folder):
    """A chunk, a transaction profile and a bare envelope, each alone in a project of its own."""
    demo = os.path.join(source, "demo")
    chunk = os.path.join(folder, "chunk.json")
    profile = os.path.join(folder, "profile.json")
    envelope = os.path.join(folder, "one.envelope")
    with open(chunk, "wb") as file:
        file.write(first_payload(os.path.join(demo, "python-manual-orders"), "profile_chunk"))
    with open(profile, "wb") as file:
        file.write(first_payload(os.path.join(demo, "php-txn-cms"), "profile"))
    with open(envelope, "wb") as file:
        with open(chunk, "rb") as inner:
            payload = inner.read()
        file.write(gzip.compress(b'{}\n{"type":"profile_chunk","platform":"python","length":%d}\n%s'
                                 % (len(payload), payload)))
    for project, path in [("901", chunk), ("902", profile), ("903", envelope)]:
        for place in (["--url", hearth.url], ["--data", data]):
            found = outcomes(good(program, "import", *place, "--project", project, path))
            assert found["stored"] == 1, (path, place, found)
    same_answers(program, hearth.url, data, ["901", "902", "903"], ["json", "folded"])
    graphs = [json.loads(good(program, "flamegraph", "--format", "json", "--data", data, "--project", p))
              for p in ("901", "903")]
    assert graphs[0] == graphs[1], "the same chunk, once as document and once in an envelope"


def refusals(folder):
    """name -> (bytes, words that the complaint must hold)"""
    chunk = {"version": "2", "profiler_id": "a" * 32, "chunk_id": "b" * 32, "platform": "python",
             "client_sdk": {"name": "x", "version": "1"},
             "profile": {"frames": [{"function": "f"}], "stacks": [[0]],
                         "samples": [{"timestamp": 1795334400.0, "stack_id": 0, "thread_id": "1"}]}}
    files = {
        "lonely.json": (json.dumps(chunk).encode(), "profiling_not_enough_samples"),
        "broken.json": (b'{"version": "2", "profile": ', "offset"),
        "strange.json": (b'{"version": "7", "profile": {}}', "expected"),
        "torn.envelope": (b'{}\n{"type":"profile_chunk","length":99}\n{}', "400"),
        "coded.envelope": (gzip.compress(b"{}\n")[:-3], "400"),
        "empty.envelope": (b"", "400"),
    }
    for name, (content, _) in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    return files


def check_refusals(program, hearth, data, folder):
    files = refusals(folder)
    with open(os.path.join(folder, "notes.json"), "w") as file:
        file.write('{"not": "a profile"}')
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write("passed over")
    for place in (["--url", hearth.url], ["--data", data]):
        status, output, errors = run(program, "import", *place, "--project", "904", folder)
        assert status == 1, (status, output, errors)
        for name, (_, words) in files.items():
            lines = [line for line in errors.splitlines() if name in line]
            assert len(lines) == 1 and words in lines[0], (name, words, errors)
        assert "README" not in errors and "notes" not in errors, errors
        status, _, errors = run(program, "import", *place, os.path.join(folder, "notes.json"))
        assert status == 1 and "notes.json" in errors and "profile" in errors, errors


def check_failures(program, hearth, folder):
    """What cannot even begin, and what it is called."""
    held = hearth.folder.name + "/data"
    nobody = "http://127.0.0.1:%d" % harness.free_port()
    some = os.path.join(folder, "lonely.json")
    for arguments, status, words in [
            (["import", "--data", held, some], 1, "another process"),
            (["import", "--url", nobody, some], 1, nobody[7:]),
            (["import", "--url", "https://x", some], 1, "https"),
            (["import", "--url", hearth.url, folder + "/missing"], 1, "missing"),
            (["import", "--url", hearth.url], 2, "expected a file"),
            (["import", "--project", "x", some], 2, "--project"),
            (["import", "--url", nobody, some], 1, "refused"),
            (["import", "--url", hearth.url, "--data", folder, some], 2, "exclude each other"),
            (["top", "--url", hearth.url, "--data", folder], 2, "exclude each other"),
            (["top", "--url", hearth.url, "--project", "999"], 1, "project 999 has no data; projects that have: 41, 71"),
            (["flamegraph", "--url", hearth.url, "--output", folder], 1, "is a folder"),
            (["top", "--data", folder + "/nowhere"], 1, "nowhere"),
            (["top", "--url", hearth.url, "--start", "noon"], 1, "RFC 3339"),
            (["flamegraph", "--url", hearth.url, "--profiler", "xyz"], 1, "32 hexadecimal"),
            (["flamegraph", "--format", "svg"], 2, "folded")]:
        found, _, errors = run(program, *arguments)
        assert found == status and words in errors, (arguments, found, errors)
    _, summary, _ = run(program, "import", "--url", nobody, some)
    assert b"1 file not delivered" in summary and b"profiling data" not in summary, summary
    assert not os.path.exists(folder + ".part"), "a refused output left its beginning behind"
    assert not os.path.exists(folder + "/nowhere"), "a question made a data folder"


def check_output(program, hearth, folder):
    path = os.path.join(folder, "graph.txt")
    for _ in range(2):  # the second one replaces the first
        good(program, "flamegraph", "--url", hearth.url, "--project", "41", "--output", path)
        assert open(path, "rb").read() == good(program, "flamegraph", "--url", hearth.url, "--project", "41")
    status, _, _ = run(program, "flamegraph", "--url", hearth.url, "--project", "41", "--start", "x",
                       "--output", path)
    assert status == 1 and os.path.getsize(path) > 0, "a failure took the older file away"
    assert os.listdir(folder) == ["graph.txt"], os.listdir(folder)
    table = good(program, "top", "--url", hearth.url, "--project", "41", "--limit", "3").decode()
    assert len(table.splitlines()) == 7 and "SocketIO.readinto" in table, table
    assert "4 of 4 chunks" in table and "199 more functions" in table, table


def check_variables(program, hearth):
    """Flags that are not given come from HEARTH_*; HEARTH_DATA does not."""
    whole = good(program, "top", "--url", hearth.url, "--project", "41", "--limit", "2", "--json")
    variables = {"HEARTH_URL": hearth.url, "HEARTH_PROJECT": "41", "HEARTH_LIMIT": "2", "HEARTH_JSON": "1",
                 "HEARTH_DATA": "/nonexistent"}
    try:
        os.environ.update(variables)
        assert good(program, "top") == whole
        assert good(program, "top", "--project", "71") != whole, "a flag goes over its variable"
        os.environ["HEARTH_JSON"] = "perhaps"
        status, _, errors = run(program, "top")
        assert status == 2 and "HEARTH_JSON" in errors, errors
        os.environ.update({"HEARTH_JSON": "0", "HEARTH_PROJECT": "x"})
        status, _, errors = run(program, "flamegraph")
        assert status == 2 and "HEARTH_PROJECT" in errors, errors
    finally:
        for name in variables:
            del os.environ[name]


def main():
    program, source = sys.argv[1:3]
    with harness.Hearth(program) as hearth, tempfile.TemporaryDirectory(prefix="hearth-import-") as home:
        for name in ("documents", "refused", "output"):
            os.mkdir(os.path.join(home, name))
        data = os.path.join(home, "data")
        check_recordings(program, source, hearth, data)
        check_documents(program, source, hearth, data, os.path.join(home, "documents"))
        check_refusals(program, hearth, data, os.path.join(home, "refused"))
        check_failures(program, hearth, os.path.join(home, "refused"))
        check_output(program, hearth, os.path.join(home, "output"))
        check_variables(program, hearth)


if __name__ == "__main__":
    main()
