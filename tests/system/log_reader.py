"""A reader of a data folder's logs, written from docs/file-format.md alone. Standard library only."""
import json
import struct
from collections import Counter

from running import check

LOW_64 = (1 << 64) - 1
CRC_TABLE = []
for crc in range(256):
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    CRC_TABLE.append(crc)


def crc32c(seed, data):
    value = seed ^ 0xFFFFFFFF
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 255] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def lz4_block(data, raw_size):
    out, at = bytearray(), 0

    def length(nibble):
        nonlocal at
        more = 255 if nibble == 15 else 0
        while more == 255:
            more, at = data[at], at + 1
            nibble += more
        return nibble

    while at < len(data):
        token, at = data[at], at + 1
        literals = length(token >> 4)
        out += data[at:at + literals]
        at += literals
        if at == len(data):
            break  # the last sequence has no match
        offset, at = data[at] | data[at + 1] << 8, at + 2
        for _ in range(length(token & 15) + 4):
            out.append(out[-offset])
    check(len(out) == raw_size, "LZ4: %d bytes, expected %d" % (len(out), raw_size))
    return bytes(out)


def zigzag(n):
    return (n >> 1) ^ -(n & 1)


class Rising:
    def __init__(self):
        self.next = 0

    def id(self, code):
        if not code & 1:
            return code >> 1
        self.next += (code >> 1) + 1
        return self.next - 1


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        self.at += size
        check(self.at <= len(self.data), "cut short at %d" % self.at)
        return self.data[self.at - size:self.at]

    def ints(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def varint(self):
        value = shift = 0
        while True:
            byte, = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        return self.take(self.varint()).decode()

    def plain(self, count):
        return [self.varint() for _ in range(count)]

    def rising(self, count):
        state = Rising()
        return [state.id(code) for code in self.plain(count)]

    def runs(self, count):
        runs = self.varint()
        values, more = self.rising(runs), self.plain(runs)
        out = [v for v, n in zip(values, more) for _ in range(n + 1)]
        check(len(out) == count, "runs: %d items, expected %d" % (len(out), count))
        return out

    def deltas(self, count):
        numbers = [zigzag(self.varint()) & LOW_64] if count else []
        if count > 1:
            step, low = zigzag(self.varint()), self.take(count - 1)
            for byte in low:
                numbers.append(numbers[-1] + step + zigzag(byte | self.varint() << 8) & LOW_64)
        return numbers


# ---- log: header, batches, records ----

def records_of(path):
    with open(path, "rb") as f:
        data = f.read()
    log = Bytes(data)
    magic, version, size, uuid = log.ints("8sII16s")
    sequence, _, _, reserved, header_crc = log.ints("QqQII")
    check((magic, version, size, reserved) == (b"HEARTHLG", 1, 64, 0), "header of " + path)
    check(header_crc == crc32c(0, data[:60]), "checksum of the header")
    check(path.endswith("log-%016x" % sequence), "sequence %d of %s" % (sequence, path))
    number = 0
    while log.at < len(data):
        seed = crc32c(crc32c(0, uuid), struct.pack("<Q", log.at))
        head = data[log.at:log.at + 44]
        magic, count, batch, facts_size, zero, blocks_size, zeros = log.ints("IIQIIQQ")
        facts_crc, head_crc = log.ints("II")
        check((magic, batch, zero, zeros) == (0x54414248, number, 0, 0), "batch %d" % number)
        check(head_crc == crc32c(seed, head), "checksum of batch %d" % number)
        facts = Bytes(log.take(facts_size))
        check(facts_crc == crc32c(seed, facts.data), "checksum of facts of batch %d" % number)
        blocks = Bytes(log.take(blocks_size))
        for _ in range(count):
            yield record_of(Bytes(facts.take(facts.varint())), blocks)
        check(blocks.at == blocks_size and facts.at == facts_size, "rest of batch %d" % number)
        number += 1


def record_of(f, blocks):
    kind, content = f.ints("B16s")
    if kind == 3:
        r = {"kind": kind, "content": content, "project": f.varint(), "trace": f.take(16)}
        r["profiler"], r["transaction_id"], r["span"], r["parent"] = f.ints("16s16sQQ")
        r["start"], r["end"], r["segment"] = f.ints("qqB")
        for name in ("name", "op", "thread", "thread_name", "environment", "release", "platform"):
            r[name] = f.text()
        r["key"] = (r["project"], r["trace"], r["span"], r["start"])
    else:
        r = {"kind": kind, "content": content, "received": f.ints("q")[0], "size": f.varint()}
        r["organization"], r["project"], r["retention"] = f.plain(3)
        r["id"], r["profiler"] = f.take(16), f.take(16)
        if kind == 2:
            r["trace"], r["profiler"], r["transaction_id"] = r["profiler"], bytes(16), f.take(16)
        r["first"], = f.ints("q")
        r["last"] = r["first"] + f.varint()
        r["samples"], r["threads"] = f.plain(2)
        r["texts"] = [f.text() for _ in range(7)]
        r["block"] = blocks.take(r["size"])
        r["key"] = (r["project"], r["profiler"], r["id"], r["first"] if kind == 1 else 0)
    check(f.at == len(f.data), "facts have a rest")
    return r


# ---- block ----

def page_of(data, seed):
    page = Bytes(data)
    stored_size, raw_size, crc = page.ints("III")
    stored = page.take(stored_size)
    check(page.at == len(data), "a page has a rest")
    check(crc == crc32c(seed, data[:8] + stored), "checksum of a page")
    return stored if stored_size == raw_size else lz4_block(stored, raw_size)


def block_of(r):
    seed = crc32c(0, struct.pack("<Q", r["project"]) + r["profiler"] + r["id"])
    return document_of(page_of(r["block"], seed), r["kind"])


def document_of(raw, kind):
    b = Bytes(raw)
    p = {"version": b.ints("B")[0], "flags": b.varint(), "head": b.plain(7), "timestamp": 0}
    if kind == 2:
        p["timestamp"], = b.ints("q")
        p["head"] += b.plain(4)
    p["rest_text"] = b.text()
    p["rest"] = json.loads(p["rest_text"] or "{}")
    p["strings"] = [b.take(size).decode() for size in b.plain(b.varint())]
    columns = [b.rising(n) for n in [b.varint()] for _ in range(11)]
    p["frames"] = list(zip(*columns))
    p["frame_list"] = b.rising(b.varint())
    nodes = b.varint()
    p["parent"] = [i - back if back else None for i, back in enumerate(b.plain(nodes))]
    p["node_frame"] = b.rising(nodes)
    p["leaves"], leaf = [], 0
    for code in b.plain(b.varint()):
        leaf += zigzag(code - 1) if code else 0
        p["leaves"].append(leaf if code else None)
    p["threads"] = list(zip(*[b.rising(n) for n in [b.varint()] for _ in range(4)]))
    p["samples"] = samples_of(b, kind)
    marks, = b.ints("B")
    p["queues"] = b.runs(len(p["samples"])) if marks & 1 else None
    p["idle"] = b.take(len(p["samples"])) if marks & 2 else None
    check(b.at == len(b.data), "a block has a rest")
    return p


def samples_of(b, kind):
    """(time, thread, stack) in document order."""
    ticks = b.varint()
    unit, = b.ints("B")
    bits = [struct.pack("<Q", number) for number in b.deltas(ticks)]
    times = [struct.unpack("<Q" if kind == 2 else "<q" if unit else "<d", eight)[0] for eight in bits]
    if unit == 1:
        times = [t / (1 << 22) for t in times]
    patterns = b.plain(b.varint())
    patterns = [b.plain(size) for size in patterns]
    threads = [(t, thread) for t, p in zip(times, b.runs(ticks)) for thread in patterns[p]]
    runs = b.varint()
    runs = list(zip(b.plain(runs), b.plain(runs)))
    waiting, at = {}, 0
    for thread, count in sorted(Counter(thread for _, thread in threads).items()):
        waiting[thread], end = [], at
        while count > 0:
            count -= runs[end][1] + 1
            end += 1
        check(count == 0, "runs of stacks do not fill thread %d" % thread)
        waiting[thread], at = runs[at:end], end
    check(at == len(runs), "%d runs of stacks too many" % (len(runs) - at))
    state, out, current = Rising(), [], {}
    for t, thread in threads:
        if current.get(thread, (0, 0))[1] == 0:
            code, more = waiting[thread].pop(0)
            current[thread] = (state.id(code), more + 1)
        stack, left = current[thread]
        current[thread] = (stack, left - 1)
        out.append((t, thread, stack))
    return out
