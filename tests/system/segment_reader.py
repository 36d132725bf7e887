"""A reader of manifests and segments, written from docs/file-format.md and docs/segment-format.md
alone. Standard library only."""
import json
import os
import struct
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta, timezone

from log_reader import LOW_64, Bytes, Rising, crc32c, document_of, page_of, zigzag
from running import check
from zstd_reader import zstd_frame

PIECE = 16384


def squeezed(data):
    b = Bytes(data)
    code = b.varint()
    raw = data[b.at:]
    if code & 1:
        return zstd_frame(raw, code >> 1)
    check(len(raw) == code >> 1, "squeezed: %d bytes" % len(raw))
    return raw


# ---- bits ----

class Bits:
    def __init__(self, data):
        self.data, self.at, self.end = data, 0, 8 * len(data)

    def get(self, count):
        check(count <= self.end - self.at, "bits are cut short")
        first, last = self.at >> 3, (self.at + count + 7) >> 3
        some = int.from_bytes(self.data[first:last], "little") >> (self.at & 7)
        self.at += count
        return some & ((1 << count) - 1)

    def code(self, order):
        more = order
        while self.get(1) == 0:
            more += 1
            check(more <= 64, "a code of too many bits")
        number = (1 << more) + self.get(more) - (1 << order)
        check(number <= LOW_64, "a number over 64 bits")
        return number

    def lone(self):
        size = self.get(7)
        check(size <= 64, "a number of %d bits" % size)
        return self.get(size)

    def bit_list(self, count):
        order = self.get(6) if count else 0
        return [self.code(order) for _ in range(count)]

    def number_list(self, count, signed=False):
        if count == 0 or self.get(1) == 0:
            return self.bit_list(count)
        low, span = self.get(8), self.get(8) + 1
        lengths = [self.get(4) for _ in range(span)]
        codes, following = {}, 0
        for length in range(1, 13):
            for i, wanted in enumerate(lengths):
                if wanted == length:
                    check(following >> length == 0, "a class has no code")
                    codes[length, following] = low + i
                    following += 1
            following <<= 1
        return [self.in_class(codes, signed) for _ in range(count)]

    def in_class(self, codes, signed):
        code = length = 0
        while (length, code) not in codes:
            check(length < 12, "the code of no class")
            code, length = code << 1 | self.get(1), length + 1
        which = codes[length, code]
        if not signed:
            return which if which < 2 else 1 << (which - 1) | self.get(which - 1)
        size = (which + 1) // 2
        if size < 2:
            return size
        return 1 << (size - 1) | self.get(size - 2) << 1 | (which + 1) % 2

    def rising(self, count):
        state = Rising()
        return [state.id(code) for code in self.number_list(count)]

    def gap_list(self, count):
        numbers = [zigzag(self.lone()) & LOW_64]
        step = self.lone() if count > 1 else 0
        for code in self.number_list(count - 1, True):
            numbers.append(numbers[-1] + step + zigzag(code) & LOW_64)
        return numbers

    def alike(self, count):
        """A list of codes of the tables: one for all, or a list."""
        return [self.code(3)] * count if self.get(1) else self.number_list(count)

    def steps(self, codes, before=-1):
        """Each number from one above the one before."""
        out = []
        for code in codes:
            before += 1 + zigzag(code)
            check(0 <= before < 1 << 32, "a step out of range")
            out.append(before)
        return out

    def rest(self):
        check(self.get(-self.at % 8) == 0, "bits behind the last one")
        return self.data[self.at // 8:]


def signed(number):
    return number - (1 << 64) if number >> 63 else number


# ---- the container ----

class Container:
    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        head, end = Bytes(data[:64]), Bytes(data[-64:])
        magic, version, size, self.uuid = head.ints("8sII16s")
        self.made, zeros, crc = head.ints("q20sI")
        check(magic == b"HEARTHSG" and crc == crc32c(0, data[:60]), "header of " + path)
        check((version, size, zeros) == (1, 64, bytes(20)), "version of " + path)
        seed = crc32c(0, self.uuid)
        sums_at, sums, directory_at, entries, crc, size, zeros, magic, own = end.ints("QQQIIQ12s8sI")
        check(magic == b"HEARTHSG" and own == crc32c(seed, data[-64:-4]), "footer of " + path)
        check(size == len(data) and zeros == bytes(12) and sums_at % 8 == 0, "ends of " + path)
        check(sums == -(-sums_at // PIECE) and directory_at == sums_at + 4 * sums, "checksums")
        check(directory_at + 24 * entries + 64 == size, "directory")
        check(crc == crc32c(seed, data[sums_at:-64]), "crc of checksums and directory")
        for i, wanted in enumerate(struct.unpack("<%dI" % sums, data[sums_at:directory_at])):
            piece = data[i * PIECE:min((i + 1) * PIECE, sums_at)]
            check(wanted == crc32c(crc32c(seed, struct.pack("<Q", i)), piece), "piece %d" % i)
        self.sections, last, covered = {}, -1, bytearray(sums_at)
        directory = Bytes(data[directory_at:-64])
        for _ in range(entries):
            kind, zero, offset, size = directory.ints("IIQQ")
            check(kind > last and zero == 0 and offset % 8 == 0, "section %d" % kind)
            check(64 <= offset and offset + size <= sums_at, "place of section %d" % kind)
            self.sections[kind], last = data[offset:offset + size], kind
            check(not any(covered[offset:offset + size]), "section %d overlaps" % kind)
            covered[offset:offset + size] = b"\1" * size
        between = [data[i] for i in range(64, sums_at) if not covered[i]]
        check(not any(between) and len(between) <= 7 * (entries + 1), "what is between sections")

    def column(self, kind, count, form="plain"):
        b = Bytes(self.sections[kind])
        base, width, zeros = b.ints("QB7s")
        check(width <= 8 and zeros == bytes(7), "head of column %d" % kind)
        check(len(b.data) == 16 + count * width + 8 and not any(b.data[-8:]), "column %d" % kind)
        numbers = [base + int.from_bytes(b.take(width), "little") & LOW_64 for _ in range(count)]
        if form == "signed":
            return [number - (1 << 63) for number in numbers]
        return [n + i for i, n in enumerate(numbers)] if form == "first" else numbers

    def sixteens(self, kind, count):
        data = self.sections[kind]
        check(len(data) == 16 * count, "section %d has %d bytes" % (kind, len(data)))
        return [data[i:i + 16] for i in range(0, len(data), 16)]

    def parts(self, data, ends):
        check(all(a <= b for a, b in zip([0] + ends, ends)), "parts do not ascend")
        check((ends[-1] if ends else 0) == len(data), "parts do not end with the section")
        return [data[a:b] for a, b in zip([0] + ends, ends)]

    def pages(self, kind, items, a_page):
        counts = [min(a_page, items - first) for first in range(0, items, a_page)]
        return zip(counts, self.parts(self.sections[kind], self.column(kind + 1, len(counts))))


# ---- tables ----

FRAME_TEXTS, THREAD_TEXTS = 9, 2


def table_rows(page, count, texts, numbers):
    """Items of one page of frames or threads: their fields, in the order of the file."""
    b = Bits(page)
    following = b.get(32)
    codes = list(zip(*[b.alike(count) for _ in range(texts + numbers)]))
    check(b.rest() == b"", "a page has a rest")
    rows, last_with = [], {}
    none = (0,) * (texts + numbers)
    for line in codes:
        row, before = [], rows[-1] if rows else none
        for field, code in enumerate(line):
            old = before[field]
            if field >= texts:
                value = old + zigzag(code)
            elif code == 0:
                value = old
            elif code % 2 == 0:
                value = following - 1 - (code - 2) // 2
            else:
                value = following + (0 if code == 1 else 1 + (code - 3) // 2)
                following = value + 1
            check(0 <= value < 1 << 32, "a field out of range")
            row.append(value)
            if field == 0:
                before = last_with.get(value, before)
        rows.append(tuple(row))
        last_with[row[0]] = rows[-1]
    return rows


class Tables:
    def __init__(self, c, texts, frames, nodes, threads):
        head = Bytes(c.sections[10][:8])
        count, zero = head.ints("II")
        check(zero == 0, "head of the texts")
        firsts = c.column(11, count) + [texts]
        self.texts = []
        for page, data in enumerate(c.parts(c.sections[10][8:], c.column(12, count))):
            check(len(self.texts) == firsts[page], "first text of page %d" % page)
            b = Bytes(squeezed(data))
            sizes = b.plain(firsts[page + 1] - firsts[page])
            self.texts += [b.take(size) for size in sizes]
            check(b.at == len(b.data), "a page of texts has a rest")
        check(len(self.texts) == texts and self.texts[0] == b"", "texts")
        self.identities = c.sixteens(13, frames)
        self.frames = [row for n, page in c.pages(14, frames, 256)
                       for row in table_rows(page, n, FRAME_TEXTS, 3)]
        self.parent, self.frame = [], []
        for count, page in c.pages(16, nodes, 1024):
            b, frame = Bits(page), 0
            first = len(self.parent)
            for i, back in enumerate(b.alike(count)):
                check(back <= first + i, "a parent behind its child")
                self.parent.append(first + i - back if back else None)
            for step in b.alike(count):
                frame += zigzag(step)
                check(0 <= frame < frames, "a node's frame")
                self.frame.append(frame)
            check(b.rest() == b"", "a page of nodes has a rest")
        self.threads = [row for n, page in c.pages(18, threads, 256)
                        for row in table_rows(page, n, THREAD_TEXTS, 2)]

    def text(self, number):
        return self.texts[number].decode()


# ---- the times of a block ----

def times_of(b, chunk, count):
    """Seconds as floats, or elapsed nanoseconds."""
    if not chunk:
        unit = 10 ** b.get(4)
        return [number * unit & LOW_64 for number in b.gap_list(count)]
    unit = b.get(3)
    check(unit <= 5, "times in unit %d" % unit)
    if unit == 0:
        return [struct.unpack("<d", struct.pack("<Q", b.get(64)))[0] for _ in range(count)]
    ticks = [signed(number) for number in b.gap_list(count)]
    if unit > 1:
        ticks = [int(number / 10.0 ** (unit + 1) * 4194304.0) for number in ticks]
        if b.get(1):
            ticks = [t + zigzag(code) for t, code in zip(ticks, b.number_list(count))]
    return [t / 4194304.0 for t in ticks]


def patterns_of(b, ticks, thread_count):
    """Of each tick the threads that it has samples of."""
    last = b.code(2)
    check(last < thread_count, "thread %d has samples" % last)
    if b.get(1):
        return [list(range(last + 1))] * ticks
    sizes = [more + 1 for more in b.number_list(b.code(2) + 1)]
    codes = b.number_list(sum(sizes))
    patterns = []
    for size in sizes:
        patterns.append(b.steps(codes[:size]))
        codes = codes[size:]
        check(max(patterns[-1]) <= last, "a thread of a pattern")
    spans = b.code(3) + 1
    which = b.rising(spans)
    out = [patterns[p] for p, more in zip(which, b.number_list(spans)) for _ in range(more + 1)]
    check(len(out) == ticks, "%d ticks in spans, expected %d" % (len(out), ticks))
    return out


def runs_of(b, samples_of_thread):
    """Of each thread its runs, [stack by first use of runs, samples]; and how many stacks."""
    count = b.code(5)
    lengths = [more + 1 for more in b.number_list(count)]
    recent = b.number_list(count)
    older = iter(b.number_list(recent.count(0)))
    at, fresh, threads = 0, 0, []
    for samples in samples_of_thread:
        latest, runs = [], []
        while samples > 0:
            place = recent[at]
            if place > 0:
                stack = latest.pop(place)
            else:
                back = next(older)
                stack, fresh = fresh - back, fresh + (back == 0)
                check(stack >= 0, "a stack before the first")
            latest = [stack] + latest[:15]
            runs.append([stack, lengths[at]])
            samples, at = samples - lengths[at], at + 1
        check(samples == 0, "runs do not fill a thread")
        threads.append(runs)
    check(at == count, "%d runs too many" % (count - at))
    return threads, fresh


class Block:
    """A block of kind 1, in the shape that log_reader has for blocks of a log; and its threads and
    leaves as the tables number them."""

    def __init__(self, data, chunk, tables):
        self.b, self.tables, self.chunk = Bits(data), tables, chunk
        self.strings, self.string_ids = [""], {0: 0}
        self.p = {"timestamp": 0}
        self.samples()
        self.head()
        if not chunk:
            self.transaction()
        self.frames()
        self.marks()
        self.rest()
        self.p["strings"] = self.strings

    def string(self, number):
        """A text of the tables as one of this document."""
        if number not in self.string_ids:
            self.string_ids[number] = len(self.strings)
            self.strings.append(self.tables.text(number))
        return self.string_ids[number]

    def made(self, text):
        self.strings.append(text)
        return len(self.strings) - 1

    def samples(self):
        b, p = self.b, self.p
        count = b.code(3)
        first = [b.code(6)] if count else []
        numbers = first + (b.steps(b.number_list(count - 1), first[0]) if count else [])
        p["table_threads"] = numbers
        rows = [self.tables.threads[number] for number in numbers]
        p["threads"] = [(self.string(r[0]), self.string(r[1]), r[2], r[3]) for r in rows]
        if not self.chunk:
            decimals = b.get(4)
            p["timestamp"] = zigzag(b.lone()) * 10 ** decimals
        ticks, of_thread, grid = b.code(4), [], []
        if ticks:
            times = times_of(b, self.chunk, ticks)
            grid = [(t, n) for t, pattern in zip(times, patterns_of(b, ticks, count)) for n in pattern]
            of_thread = [0] * (1 + max(n for _, n in grid))
            for _, n in grid:
                of_thread[n] += 1
        threads, run_stacks = runs_of(b, of_thread)
        self.stacks(run_stacks)
        order, p["samples"] = {}, []
        for t, n in grid:
            if threads[n][0][1] == 0:
                threads[n].pop(0)
            run = threads[n][0]
            run[1] -= 1
            fresh = len(order) if self.document is None else self.document[run[0]]
            p["samples"].append((t, n, order.setdefault(run[0], fresh)))
        if self.document is None:
            leaves = self.leaves
            self.leaves = [leaves[run] for run in order]
        self.use_order = list(dict.fromkeys(stack for _, _, stack in p["samples"]))
        used = set(self.use_order)
        self.use_order += [n for n in range(len(self.leaves)) if n not in used]
        p["table_leaves"] = self.leaves

    def stacks(self, run_stacks):
        b, self.leaves = self.b, []
        self.document = None
        count = run_stacks
        if not b.get(1):
            count = b.code(5)
            self.document = b.rising(run_stacks)
            check(all(n < count for n in self.document), "a stack out of range")
        if count == 0:
            return
        empty = b.get(1)
        before = b.code(9) - 1
        for code in b.number_list(count):
            if empty and code == 0:
                self.leaves.append(None)
                continue
            before += 1 + zigzag(code - empty)
            check(0 <= before < len(self.tables.parent), "a leaf out of range")
            self.leaves.append(before)

    def head(self):
        b, p = self.b, self.p
        self.large, self.apart = b.get(1), b.get(1)
        head = Bytes(self.tables.texts[b.code(8)])
        numbers = head.plain(10)
        check(head.at == len(head.data), "a head has a rest")
        p["flags"] = numbers[0]
        p["head"] = [self.string(number) for number in numbers[2:9]]
        self.rest_text, self.name = self.tables.texts[numbers[1]], self.string(numbers[9])

    def transaction(self):
        b, p = self.b, self.p
        if b.get(1):
            digits, zulu = b.get(4), b.get(1)
            seconds, fraction = divmod(p["timestamp"], 10 ** 9)
            moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
            text = moment.strftime("%Y-%m-%dT%H:%M:%S")
            text += "." + ("%09d" % fraction)[:digits] if digits else ""
            stamp = self.made(text + ("Z" if zulu else "+00:00"))
        else:
            stamp = self.string(b.code(8))
        active = p["threads"][b.code(2)][0] if b.get(1) else self.string(b.code(8))
        segment = self.made("%016x" % b.get(64)) if b.get(1) else self.string(b.code(8))
        p["head"] += [stamp, self.name, active, segment]

    def frames(self):
        b, p = self.b, self.p
        rule = b.get(2)
        if rule == 3:
            frames = b.steps(b.number_list(b.code(5)))
            nodes = b.code(6)
            p["parent"] = [i - back if back else None for i, back in enumerate(b.number_list(nodes))]
            p["node_frame"] = b.rising(nodes)
            p["leaves"], leaf = [], -1
            for code in b.number_list(len(self.leaves)):
                leaf += 1 + zigzag(code - 1) if code else 0
                p["leaves"].append(leaf if code else None)
        else:
            frames = self.followed(rule)
        fields = []
        for number in frames:
            f = self.tables.frames[number]
            text = [self.string(n) for n in f[:8]]
            module, function, filename, path, package, platform, address, rest = text
            fields.append((function, module, package, filename, path, platform, address, rest) + f[9:])
        p["frames"], p["frame_list"] = fields, list(range(len(fields)))
        p["table_frames"] = frames

    def followed(self, rule):
        b, p, t = self.b, self.p, self.tables
        order = range(len(self.leaves)) if b.get(1) else self.use_order
        choices = iter(b.number_list(b.code(5)) if rule == 2 else [])
        frames, numbers, number_of = [], defaultdict(list), {}
        for stack in order:
            node = self.leaves[stack]
            while node is not None and node not in number_of:
                frame = t.frame[node]
                choice = 1 if not numbers[frame] else next(choices) if rule == 2 else rule
                if choice == 1:
                    numbers[frame].append(len(frames))
                    frames.append(frame)
                number_of[node] = numbers[frame][-max(choice, 1)]
                node = t.parent[node]
        check(next(choices, None) is None, "choices are left over")
        nodes = sorted(number_of)
        place = {node: i for i, node in enumerate(nodes)}
        p["parent"] = [place.get(t.parent[node]) for node in nodes]
        p["node_frame"] = [number_of[node] for node in nodes]
        p["leaves"] = [place.get(leaf) for leaf in self.leaves]
        return frames

    def marks(self):
        b, p = self.b, self.p
        marks, count = b.get(2), len(p["samples"])
        p["queues"] = p["idle"] = None
        if marks & 1:
            runs = b.code(4)
            texts = [self.string(number) for number in b.number_list(runs)]
            lengths = b.number_list(runs)
            p["queues"] = [text for text, more in zip(texts, lengths) for _ in range(more + 1)]
            check(len(p["queues"]) == count, "queues")
        if marks & 2:
            p["idle"] = bytes(b.get(1) for _ in range(count))

    def rest(self):
        b = self.b
        series = [self.series() for _ in range(b.code(1))] if self.apart else []
        behind = b.rest()
        check(self.large or behind == b"", "a block has a rest")
        text = squeezed(behind) if self.large else self.rest_text
        self.p["rest_text"] = (joined(text, series) if self.apart else text).decode()
        self.p["rest"] = json.loads(self.p["rest_text"] or "{}")

    def series(self):
        """Numbers as texts, the last one first."""
        b = self.b
        count, way = b.code(0) + 1, b.get(2)
        if way == 0:
            points = b.number_list(count)
            numbers = [zigzag(code) for code in b.number_list(count, True)]
            texts = [number_text(n, p) for n, p in zip(numbers, points)]
        else:
            points = b.get(5)
            check(way < 3, "a series of way 3")
            numbers = ([signed(n) for n in b.gap_list(count)] if way == 2 else
                       [zigzag(code) for code in b.number_list(count, True)])
            texts = [number_text(n, points) for n in numbers]
            texts = [t.rstrip("0").rstrip(".") if points else t for t in texts]
        return texts[::-1]


def number_text(number, points):
    check(points <= 18 and abs(number) < 1 << 62, "a number of a rest")
    whole, behind = divmod(abs(number), 10 ** points)
    text = "%s%d" % ("-" if number < 0 else "", whole)
    return text + ".%0*d" % (points, behind) if points else text


def joined(text, series):
    out, start, met, opened, count = [], 0, set(), {}, 0
    for at, byte in enumerate(text):
        if byte != 1:
            continue
        front = text[start:at]
        if front not in met:
            met.add(front)
            opened = {}
        if front not in opened:
            opened[front], count = count, count + 1
        out += [front, series[opened[front]].pop().encode()]
        start = at + 1
    check(count == len(series) and not any(series), "numbers of a rest are left over")
    return b"".join(out) + text[start:]


# ---- slots ----

SECRET = struct.unpack("<8Q", bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"))


def folded(a, b):
    product = a * b
    return product & LOW_64 ^ product >> 64


def avalanche(h):
    h = (h & LOW_64 ^ (h & LOW_64) >> 37) * 0x165667919E3779F9 & LOW_64
    return h ^ h >> 32


def xxh3_of_16(data):
    """XXH3-64 of sixteen bytes with seed 0."""
    low, high = struct.unpack("<QQ", data)
    low ^= SECRET[3] ^ SECRET[4]
    high ^= SECRET[5] ^ SECRET[6]
    turned = int.from_bytes(low.to_bytes(8, "little"), "big")
    return avalanche(16 + turned + high + folded(low, high))


def xxh3_of_32(data, seed):
    w, h = struct.unpack("<4Q", data), 32 * 0x9E3779B185EBCA87
    for i in (0, 2):
        h += folded(w[i] ^ (SECRET[i] + seed & LOW_64), w[i + 1] ^ (SECRET[i + 1] - seed & LOW_64))
    return avalanche(h)


def check_slots(c, kind, keys):
    """A search for every key, (kind, project, id), comes to its number."""
    data = c.sections[kind]
    count, bits = len(data) // 4, max(len(keys).bit_length(), 1)
    check(len(data) % 4 == 0 and count == len(keys) + len(keys) // 2 + 1, "slots %d" % kind)
    slots, seed = struct.unpack("<%dI" % count, data), xxh3_of_16(c.uuid)
    check(sum(slot != 0 for slot in slots) == len(keys), "numbers of slots %d" % kind)
    for number, key in enumerate(keys):
        h = xxh3_of_32(struct.pack("<QQ16s", *key), seed)
        wanted = (h << bits & 0xFFFFFFFF) | number + 1
        at = (h >> 32) * count >> 32
        while slots[at] != wanted:
            check(slots[at] != 0, "key %d of slots %d is not found" % (number, kind))
            at = (at + 1) % count


# ---- rows and links ----

class Segment:
    def __init__(self, path):
        c = self.container = Container(path)
        b = Bytes(c.sections[1])
        chunks, transactions, links, runs, chunk_runs, sources, tags, projects, traces = b.ints("9I")
        tables = b.ints("4I")
        self.level, self.day, self.start, self.end, self.expires, self.samples = b.ints("IiqqqQ")
        rollups, = b.ints("I")
        check(b.at == len(b.data), "facts have a rest")
        self.tables = Tables(c, *tables)
        self.chunks, self.count = chunks, chunks + transactions
        ends = c.column(75, tags)
        tags = [tag.decode() for tag in c.parts(c.sections[74], ends)]
        check(tags == sorted(set(tags), key=str.encode) and tags[:1] in ([], [""]), "tags")
        self.read_rows(transactions, runs, chunk_runs, sources, tags)
        self.read_links(links, traces, projects, chunk_runs)
        self.read_rollups(rollups)

    def read_rows(self, transactions, runs, chunk_runs, sources, tags):
        c, n = self.container, self.count
        project, first = c.column(60, runs), c.column(62, runs, "first")
        profilers = c.sixteens(61, chunk_runs)
        self.run_profilers = profilers
        source = list(zip(c.column(70, sources), c.column(71, sources), c.column(72, sources)))
        texts = [tags[i] for i in c.column(73, 6 * sources)]
        ids, content = c.sixteens(30, n), c.sixteens(31, n)
        starts, lengths, back = c.column(32, n, "signed"), c.column(33, n), c.column(34, n)
        received, arrivals = c.column(35, n, "signed"), c.column(36, n)
        samples, threads = c.column(37, n), c.column(38, n)
        of, flags = c.column(39, n), c.column(40, n)
        blocks = c.parts(c.sections[2], c.column(41, n))
        trace, event = c.sixteens(50, transactions), c.sixteens(51, transactions)
        names = [tags[i] for i in c.column(52, transactions)]
        self.rows, furthest = [], 0
        for i in range(n):
            run = bisect_right(first, i) - 1
            chunk = i < self.chunks
            end = starts[i] + lengths[i]
            late = i - self.chunks
            r = {"kind": 1 if chunk else 2, "id": ids[i], "content": content[i], "first": starts[i],
                 "last": end, "received": signed(end + received[i] & LOW_64), "arrival": arrivals[i],
                 "samples": samples[i], "threads": threads[i], "organization": source[of[i]][0],
                 "project": project[run], "retention": source[of[i]][2], "flags": flags[i],
                 "profiler": profilers[run] if chunk else bytes(16), "block": blocks[i],
                 "texts": texts[6 * of[i]:6 * of[i] + 6] + ["" if chunk else names[late]]}
            if not chunk:
                r["trace"], r["transaction_id"] = trace[late], event[late]
            r["key"] = (r["project"], r["profiler"], r["id"], r["first"] if chunk else 0)
            furthest = i if i == first[run] or end >= self.rows[furthest]["last"] else furthest
            check(back[i] == i - furthest and source[of[i]][1] == project[run], "row %d" % i)
            self.rows.append(r)
        check_slots(c, 53, [(2, r["project"], r["id"]) for r in self.rows[self.chunks:]])
        check_slots(c, 63, [(1, p, profilers[i]) if i < chunk_runs else (2, p, bytes(16))
                            for i, p in enumerate(project)])
        order = [(r["kind"], r["project"], r["profiler"], r["first"], r["id"]) for r in self.rows]
        check(order == sorted(set(order)), "rows are not in order")

    def read_links(self, links, traces, projects, chunk_runs):
        c = self.container
        spans, starts = c.column(80, links), c.column(81, links, "signed")
        lengths, back = c.column(82, links), c.column(83, links)
        firsts = c.column(87, traces, "first") + [links]
        trace_ids, places = c.sixteens(86, traces), c.column(88, links)
        ids, first_run = c.column(90, projects), c.column(91, projects + 1)
        first_link = c.column(92, projects + 1)
        check(ids == sorted(set(ids)) and first_run[-1] == chunk_runs, "projects")
        self.links, furthest, at = [], 0, 0
        for count, page in c.pages(84, links, 128):
            b = Bytes(page_of(page, at // 128))
            self.links += link_page(b, count, spans[at:at + count], self.tables, self.run_profilers)
            at += count
        for i, r in enumerate(self.links):
            project = bisect_right(first_link[:-1], i) - 1
            r["project"], r["span"], r["start"] = ids[project], spans[i], starts[i]
            r["end"] = signed(starts[i] + lengths[i] & LOW_64)
            r["trace"] = trace_ids[r["trace_number"]]
            r["key"] = (r["project"], r["trace"], r["span"], r["start"])
            furthest = (i if i == first_link[project] or r["end"] >= self.links[furthest]["end"]
                        else furthest)
            check(back[i] == i - furthest, "link %d" % i)
        for n in range(traces):
            there = places[firsts[n]:firsts[n + 1]]
            check(there and all(self.links[i]["trace_number"] == n for i in there), "trace %d" % n)
        check_slots(c, 89, [(3, self.links[places[first]]["project"], trace_ids[n])
                            for n, first in enumerate(firsts[:-1])])
        keys = [self.links[i]["key"] for i in places]
        check(keys == sorted(set(keys)), "links by trace are not in order")

    def read_rollups(self, count):
        c, self.rollups = self.container, []
        if count == 0:
            check(100 not in c.sections, "rollups that no fact tells of")
            return
        firsts, rows = c.column(101, count), c.column(102, count)
        for first, n, at, size in zip(firsts, rows, c.column(103, count), c.column(104, count)):
            page = c.sections[100][at:at + size]
            self.rollups.append(dict(rollup(page), first=first, rows=n >> 1, merged=n & 1))

    def document(self, row):
        """What its block holds; None where it was lost before it was sealed."""
        r = self.rows[row]
        if r["flags"] & 2:
            check(r["block"] == b"", "a damaged row has a block")
            return None
        kind = r["block"][0]
        check(kind in (1, 2), "a block of kind %d" % kind)
        if kind == 2:
            return document_of(squeezed(r["block"][1:]), r["kind"])
        return Block(r["block"][1:], r["kind"] == 1, self.tables).p


def link_page(b, count, spans, tables, profilers):
    def classes():
        of = b.rising(count)
        return of, 1 + max(of)

    def stepwise(n):
        last, out = 0, []
        for _ in range(n):
            last = last + zigzag(b.varint()) & LOW_64
            out.append(last)
        return out

    def sixteen(code):
        return b.take(16) if code == 0 else bytes(16)

    where, n = classes()
    profiler = []
    for _ in range(n):
        code = b.varint()
        profiler.append(sixteen(code) if code < 2 else profilers[code - 2])
    thread, thread_name, environment, release, platform = [stepwise(n) for _ in range(5)]
    what, n = classes()
    name, op = stepwise(n), stepwise(n)
    of_trace, n = classes()
    trace = stepwise(n)
    of_parent, n = classes()
    parent = []
    for _ in range(n):
        code = b.varint()
        parent.append(b.ints("Q")[0] if code == 0 else 0 if code == 1 else spans[code - 2])
    of_event, n = classes()
    event = [sixteen(b.varint()) for _ in range(n)]
    arrivals = stepwise(count)
    bits = int.from_bytes(b.take((count + 7) // 8), "little")
    check(bits >> count == 0, "bits behind the last link")
    content = {}
    for _ in range(b.varint()):
        at = b.varint()
        content[at] = b.take(16)
    check(b.at == len(b.data), "a page of links has a rest")
    t = tables.text
    return [{"kind": 3, "profiler": profiler[where[i]], "thread": t(thread[where[i]]),
             "thread_name": t(thread_name[where[i]]), "environment": t(environment[where[i]]),
             "release": t(release[where[i]]), "platform": t(platform[where[i]]),
             "name": t(name[what[i]]), "op": t(op[what[i]]), "trace_number": trace[of_trace[i]],
             "parent": parent[of_parent[i]], "transaction_id": event[of_event[i]],
             "arrival": arrivals[i], "segment": bits >> i & 1, "content": content.get(i)}
            for i in range(count)]


def rollup(page):
    h = Bytes(page)
    flags, samples, ns, first, length, threads, weights = h.plain(7)
    check(flags < 4, "flags of a rollup")
    b = Bits(page[h.at:])
    number, ids = -1, []
    for step in b.bit_list(threads):
        number += 1 + step
        ids.append(number)
    counts = [weights] if flags & 2 else b.bit_list(threads)
    nodes, sizes, times = [b.bit_list(weights) for _ in range(3)]
    check(sum(counts) == weights and b.rest() == b"", "weights of a rollup")
    found, at = {}, 0
    for group, count in enumerate(counts):
        node = 0
        for i in range(at, at + count):
            node += zigzag(nodes[i])
            key = (None if flags & 2 else ids[group], node - 1 if node else None)
            check(key not in found, "a weight stands twice")
            found[key] = (sizes[i], times[i])
        at += count
    return {"any": flags & 1, "flag_merged": flags >> 1, "samples": samples, "ns": ns,
            "span": (zigzag(first), zigzag(first) + length), "threads": ids, "weights": found}


# ---- the manifest ----

def manifest_of(folder):
    """None: the folder was never sealed."""
    path = os.path.join(folder, "manifest")
    if not os.path.exists(path):
        return None
    with open(path, "rb") as f:
        data = f.read()
    b = Bytes(data[:-4])
    magic, version, head_size, size = b.ints("8sIIQ")
    check((magic, version, head_size, size) == (b"HEARTHMF", 1, 72, len(data)), "manifest")
    check(struct.unpack("<I", data[-4:])[0] == crc32c(0, data[:-4]), "checksum of the manifest")
    m = dict(zip(("generation", "sealed_through", "sealed_size", "next_number", "next_arrival"),
                 b.ints("5Q")))
    count, zero = b.ints("II")
    check(zero == 0, "reserved bytes of the manifest")
    m["segments"], last = [], -1
    for _ in range(count):
        s = dict(zip(("number", "uuid", "size", "day", "level", "start", "end", "expires"),
                     b.ints("Q16sQiIqqq")))
        rows, links = b.ints("II")
        check(last < s["number"] < m["next_number"], "numbers of segments")
        s["hidden_rows"], s["hidden_links"] = ascending(b, rows), ascending(b, links)
        last = s["number"]
        m["segments"].append(s)
    check(b.at == len(b.data), "the manifest has a rest")
    return m


def ascending(b, count):
    numbers, following = [], 0
    for step in b.plain(count):
        numbers.append(following + step)
        following += step + 1
    return numbers


def segments_of(folder):
    """(what the manifest says, the opened segment) of each."""
    for s in (manifest_of(folder) or {"segments": []})["segments"]:
        path = os.path.join(folder, "segment-%016x" % s["number"])
        check(os.path.getsize(path) == s["size"], "size of " + path)
        segment = Segment(path)
        check(segment.container.uuid == s["uuid"], "uuid of " + path)
        for name in ("level", "day", "start", "end", "expires"):
            check(getattr(segment, name) == s[name], "%s of %s" % (name, path))
        yield s, segment
