"""snuba_queries.py URL - the queries that Sentry builds, by an unmodified snuba-sdk; prints the answers.

One JSON line a query: {"name", "status", "answer"}. Runs in an environment that has snuba-sdk.
"""
import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta

from snuba_sdk import (And, Column, Condition, CurriedFunction, Direction, Entity, Function, Identifier, Lambda, Limit,
                       LimitBy, Op, Or, OrderBy, Query, Request, Storage)

URL = sys.argv[1]
PROJECT = int(sys.argv[2])
PROFILERS = sys.argv[3].split(",")
START = datetime.fromtimestamp(int(sys.argv[4]) // 3600 * 3600)  # functions are counted by the hour
END = datetime.fromtimestamp(int(sys.argv[5]))


def moment(seconds):
    return Function("toDateTime64", [seconds, 6])


def send(name, query, dataset="profiles"):
    request = Request(dataset=dataset, app_id="default", query=query,
                      tenant_ids={"organization_id": 1, "referrer": "api.profiling.%s" % name})
    body = json.dumps(request.to_dict()).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request("%s/%s/snql" % (URL, dataset), body)) as answer:
            status, raw = answer.status, answer.read()
    except urllib.error.HTTPError as e:
        status, raw = e.code, e.read()
    print(json.dumps({"name": name, "status": status, "answer": json.loads(raw)}))


start, end = int(sys.argv[4]), int(sys.argv[5])
overlaps = [Condition(Column("end_timestamp"), Op.GTE, moment(float(start))),
            Condition(Column("start_timestamp"), Op.LT, moment(float(end)))]

send("chunk-ids", Query(
    match=Storage("profile_chunks"), select=[Column("chunk_id")],
    where=overlaps + [Condition(Column("project_id"), Op.EQ, PROJECT),
                      Condition(Column("profiler_id"), Op.EQ, PROFILERS[0])],
    orderby=[OrderBy(Column("start_timestamp"), Direction.DESC)], limit=Limit(50)))

send("candidates", Query(
    match=Storage("profile_chunks"),
    select=[Column(c) for c in ("project_id", "profiler_id", "chunk_id", "start_timestamp", "end_timestamp")],
    where=[Condition(Column("project_id"), Op.IN, [PROJECT]),
           Or([And([Condition(Column("project_id"), Op.EQ, PROJECT), Condition(Column("profiler_id"), Op.EQ, p)] + overlaps)
               for p in PROFILERS] + [And([Condition(Column("profiler_id"), Op.EQ, "0" * 32)] + overlaps)])],
    orderby=[OrderBy(Column(c), Direction.DESC) for c in ("project_id", "profiler_id", "start_timestamp")],
    limit=Limit(10000)))

send("newest", Query(
    match=Storage("profile_chunks"), select=[Column("profiler_id"), Column("chunk_id")],
    where=overlaps + [Condition(Column("project_id"), Op.IN, [PROJECT]),
                      Condition(Column("environment"), Op.IN, ["", "production", "end-to-end"])],
    orderby=[OrderBy(Column("start_timestamp"), Direction.DESC)], limit=Limit(100)))

times = [Condition(Column("timestamp"), Op.GTE, START), Condition(Column("timestamp"), Op.LT, END + timedelta(hours=1))]
fingerprint = Function("toUInt32", [Column("fingerprint")], "fingerprint")
p95 = Function("arrayElement", [CurriedFunction("quantilesMerge", [0.95], [Column("percentiles")]), 1], "p95")

send("slowest", Query(
    match=Entity("functions"), select=[fingerprint, Column("name"), Function("countMerge", [Column("count")], "count"), p95,
                                       Function("sumMerge", [Column("sum")], "sum")],
    groupby=[fingerprint, Column("name")],
    where=times + [Condition(Column("project_id"), Op.IN, [PROJECT]), Condition(Column("is_application"), Op.EQ, 1)],
    having=[Condition(Function("countMerge", [Column("count")], "count"), Op.GT, 0)],
    orderby=[OrderBy(Function("sumMerge", [Column("sum")], "sum"), Direction.DESC)], limit=Limit(20)), "functions")

send("series", Query(
    match=Entity("functions"),
    select=[Function("countMerge", [Column("count")], "count"), p95],
    groupby=[Function("toDateTime", [Function("multiply", [Function("intDiv", [Function("toUInt32", [Column("timestamp")]), 3600]), 3600])], "time")],
    where=times + [Condition(Column("project_id"), Op.IN, [PROJECT])],
    orderby=[OrderBy(Column("time"), Direction.ASC)], limit=Limit(10000)), "functions")

send("examples", Query(
    match=Entity("functions"),
    select=[Function("arrayDistinct", [Function("arrayFilter", [
        Lambda(["x"], Function("notEquals", [Identifier("x"), "0" * 32])),
        Function("arrayMap", [
            Lambda(["x"], Function("replaceAll", [Function("toString", [Identifier("x")]), "-", ""])),
            Function("arrayPushFront", [CurriedFunction("groupUniqArrayMerge", [5], [Column("examples")]),
                                        Function("argMaxMerge", [Column("worst")])])])])], "all_examples")],
    groupby=[fingerprint],
    where=times + [Condition(Column("project_id"), Op.IN, [PROJECT])],
    limitby=LimitBy([Column("fingerprint")], 1), limit=Limit(20)), "functions")

send("no-time-range", Query(
    match=Entity("functions"), select=[Function("countMerge", [Column("count")], "count")],
    where=[Condition(Column("project_id"), Op.IN, [PROJECT])]), "functions")
