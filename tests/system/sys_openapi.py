"""Every route that the description names answers as it says, with every parameter it lists."""
import json
import os
import subprocess

from running import Hearth, arguments, check, fail
import schema


def query_values(first, last, profiler, profile, trace):
    """A good value and a bad one of each parameter; None: every text is good."""
    return {
        "profiler_id": (profiler, "123"), "profile_id": (profile, "g" * 32),
        "start": ("%d.000000001" % first, "noon"), "end": ("2100-01-01T00:00:00Z", "1e3"),
        "thread": ("1", None), "environment": ("production", None), "release": ("x@1", None),
        "platform": ("python", None), "transaction": ("GET%20/", None), "trace_id": (trace, "1"),
        "format": ("json", "svg"), "threads": ("separate", "all"), "unit": (None, "hours"),
        "limit": ("3", "0"), "buckets": ("5", "x"), "max_spans": ("10", "-1"),
        "sort": ("total", "name"),
    }


class Checker:
    def __init__(self, hearth):
        self.hearth = hearth
        self.document = hearth.get_json("/api/v1/openapi.json")
        self.answers = 0

    def check(self, operation, target, expected):
        status, headers, body = self.hearth.get(target)
        check(status == expected, "GET %s: %d, expected %d: %r"
              % (target, status, expected, body[:300]))
        response = operation["responses"].get(str(status))
        check(response is not None, "GET %s: status %d is not described" % (target, status))
        kind = headers["content-type"]
        check(kind in response["content"], "GET %s: %s is not described" % (target, kind))
        self.answers += 1
        if "json" not in kind or "$schema" in body[:200].decode("latin-1"):
            return None
        value = json.loads(body)
        wrong = schema.faults(self.document, response["content"][kind]["schema"], value)
        check(not wrong, "GET %s: %s" % (target, "; ".join(wrong[:5])))
        return value

    def parameters(self, operation):
        return [schema.resolve(self.document, p["$ref"]) for p in operation.get("parameters", ())]


def example_ids(hearth):
    """A project with chunks and one with transaction profiles, and ids of both."""
    projects = hearth.get_json("/api/v1/projects")["projects"]
    chunks = next(p for p in projects if p["chunks"] > 0)
    profiles = next(p for p in projects if p["profiles"] > 0)
    profiler = hearth.get_json("/api/v1/projects/%d/profilers" % chunks["project_id"])
    chunk = hearth.get_json("/api/v1/projects/%d/chunks?limit=1" % chunks["project_id"])
    names = hearth.get_json("/api/v1/projects/%d/transactions" % profiles["project_id"])
    example = names["transactions"][0]["examples"][0]
    return {
        "chunk_project": chunks["project_id"], "profile_project": profiles["project_id"],
        "first": int(chunks["first"]), "last": int(chunks["last"]),
        "profiler": profiler["profilers"][0]["profiler_id"],
        "chunk": chunk["chunks"][0]["chunk_id"],
        "profile": example["profile_id"], "trace": example["trace_id"],
    }


def check_path(checker, path, operation, ids):
    values = query_values(ids["first"], ids["last"], ids["profiler"], ids["profile"], ids["trace"])
    parameters = [p for p in checker.parameters(operation) if p["in"] == "query"]
    for project in (ids["chunk_project"], ids["profile_project"], 999999):
        for one in (ids["chunk"], ids["profile"]):
            target = path.replace("{project}", str(project)).replace("{profile_id}", one)
            own = (one == ids["profile"]) == (project == ids["profile_project"])
            known = "{profile_id}" not in path or (own and project != 999999)
            needs = ""
            if path.endswith("flamechart"):
                needs = "profiler_id=%s" % ids["profiler"]
            checker.check(operation, target + "?" * bool(needs) + needs, 200 if known else 404)
        if "{project}" not in path:
            break
    target = path.replace("{project}", str(ids["chunk_project"])).replace(
        "{profile_id}", ids["chunk"])
    for p in parameters:
        good, bad = values[p["name"]]
        also = "&profiler_id=%s" % ids["profiler"] if path.endswith("flamechart") else ""
        if p["name"] in ("profiler_id", "profile_id"):
            also = ""
        if good is not None:
            checker.check(operation, "%s?%s=%s%s" % (target, p["name"], good, also), 200)
        if bad is not None:
            checker.check(operation, "%s?%s=%s%s" % (target, p["name"], bad, also), 400)
    if "{project}" in path:
        checker.check(operation, target + "?no_such_parameter=1", 400)
        checker.check(operation, path.replace("{project}", "x").replace("{profile_id}",
                                                                         ids["chunk"]), 400)
    if path.endswith("flamegraph"):
        for form in ("folded", "folded&unit=microseconds", "speedscope", "pprof"):
            checker.check(operation, target + "?format=" + form, 200)


def main():
    program, source = arguments()
    hearth = Hearth(program)
    for folder in ("python-manual-orders", "browser10-txn-storefront"):
        done = subprocess.run([program, "import", "--quiet", "--url", hearth.url,
                               os.path.join(source, "demo", folder)], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(done.returncode == 0, "import: %s" % done.stderr)
    checker = Checker(hearth)
    with open(os.path.join(source, "api", "openapi.json")) as f:
        check(json.load(f) == checker.document, "the served description is another one")
    wrong = schema.faults(checker.document, {"type": "object", "required": ["a"]}, {})
    check(wrong, "the checker finds nothing wrong with anything")
    ids = example_ids(hearth)
    for path, operations in checker.document["paths"].items():
        if set(operations) != {"get"}:
            fail("%s: only GET is expected here" % path)
        check_path(checker, path, operations["get"], ids)
    hearth.stop()
    print("%d answers of %d routes fit their description"
          % (checker.answers, len(checker.document["paths"])))


if __name__ == "__main__":
    main()
