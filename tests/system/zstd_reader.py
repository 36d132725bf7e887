"""A zstd frame to bytes, as RFC 8878 has it: without dictionaries, and without looking at the frame's
own checksum. Slow, small, and standard library only."""
import struct

from running import check


class Backwards:
    """Bits from the end of a run of bytes, whose last one marks where they begin."""

    def __init__(self, data):
        check(len(data) > 0 and data[-1] != 0, "zstd: no end of a bit stream")
        self.data = data
        self.left = 8 * (len(data) - 1) + data[-1].bit_length() - 1

    def peek(self, count):
        """What there is not is zeros."""
        low = max(self.left - count, 0)
        some = int.from_bytes(self.data[low >> 3:(self.left >> 3) + 1], "little") >> (low & 7)
        bits = some & ((1 << (self.left - low)) - 1)
        return bits << (count - (self.left - low))

    def get(self, count):
        check(count <= self.left, "zstd: bits are cut short")
        bits = self.peek(count)
        self.left -= count
        return bits


# ---- finite state entropy ----

class Fse:
    """States of a table: (symbol, bits, base)."""

    def __init__(self, counts, log):
        size, self.log = 1 << log, log
        symbols, high = [None] * size, size - 1
        for symbol, count in enumerate(counts):
            if count == -1:
                symbols[high] = symbol
                high -= 1
        at = 0
        for symbol, count in enumerate(counts):
            for _ in range(max(count, 0)):
                symbols[at] = symbol
                at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1)
                while at > high:
                    at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1)
        check(at == 0, "zstd: counts do not fill a table")
        following = [max(count, 1) for count in counts]
        self.states = []
        for symbol in symbols:
            number = following[symbol]
            following[symbol] += 1
            bits = log + 1 - number.bit_length()
            self.states.append((symbol, bits, (number << bits) - size))

    @staticmethod
    def read(data, log_max):
        """A table and how many bytes it took."""
        whole, at = int.from_bytes(data[:512], "little"), 4
        log = (whole & 15) + 5
        check(log <= log_max, "zstd: table of 2^%d" % log)
        left, half, bits, counts = (1 << log) + 1, 1 << log, log + 1, []
        while left > 1:
            short = 2 * half - 1 - left
            count = whole >> at & (half - 1)
            if count < short:
                at += bits - 1
            else:
                count = whole >> at & (2 * half - 1)
                count -= short if count >= half else 0
                at += bits
            counts.append(count - 1)
            left -= abs(count - 1)
            more = 3 if count == 1 else 0
            while more == 3:
                more, at = whole >> at & 3, at + 2
                counts += [0] * more
            while left < half:
                bits, half = bits - 1, half >> 1
        check(left == 1, "zstd: counts of a table")
        return Fse(counts, log), (at + 7) // 8


class One:
    """A table of one symbol."""

    def __init__(self, symbol):
        self.log, self.states = 0, [(symbol, 0, 0)]


# ---- literals ----

def weights_of(data):
    """Weights of a Huffman code, and how many bytes they took."""
    size = data[0]
    if size >= 128:
        count = size - 127
        return [data[1 + i // 2] >> (4 - i % 2 * 4) & 15 for i in range(count)], 1 + (count + 1) // 2
    table, used = Fse.read(data[1:1 + size], 6)
    bits, weights = Backwards(data[1 + used:1 + size]), []
    state = [bits.get(table.log), bits.get(table.log)]
    turn = 0
    while True:
        symbol, need, base = table.states[state[turn]]
        weights.append(symbol)
        if need > bits.left:
            weights.append(table.states[state[1 - turn]][0])
            return weights, 1 + size
        state[turn] = base + bits.get(need)
        turn = 1 - turn


class Huffman:
    def __init__(self, weights):
        total = sum(1 << w >> 1 for w in weights)
        self.bits = total.bit_length()
        rest = (1 << self.bits) - total
        check(rest & (rest - 1) == 0, "zstd: weights of a code")
        weights = weights + [rest.bit_length()]
        self.table = []
        for weight in range(1, self.bits + 1):
            for symbol, w in enumerate(weights):
                if w == weight:
                    self.table += [(symbol, self.bits + 1 - w)] * (1 << w >> 1)

    def stream(self, data, count):
        bits, out = Backwards(data), bytearray()
        for _ in range(count):
            symbol, length = self.table[bits.peek(self.bits)]
            bits.get(length)
            out.append(symbol)
        check(bits.left == 0, "zstd: a stream has a rest")
        return out


class Frame:
    def __init__(self):
        self.out = bytearray()
        self.huffman = None
        self.tables = [None, None, None]
        self.repeated = [1, 4, 8]

    def literals(self, data):
        """The literals of a block, and where its sequences begin."""
        kind, form = data[0] & 3, data[0] >> 2 & 3
        if kind < 2:
            head = (1, 2, 1, 3)[form]
            size = int.from_bytes(data[:head], "little") >> (3 if head == 1 else 4)
            if kind == 1:
                return data[head:head + 1] * size, head + 1
            return data[head:head + size], head + size
        head, width = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        sizes = int.from_bytes(data[:head], "little") >> 4
        size, end = sizes & ((1 << width) - 1), head + (sizes >> width)
        at = head
        if kind == 2:
            weights, used = weights_of(data[at:end])
            self.huffman, at = Huffman(weights), at + used
        check(self.huffman is not None and end <= len(data), "zstd: literals")
        if form == 0:
            return self.huffman.stream(data[at:end], size), end
        jumps = struct.unpack("<HHH", data[at:at + 6])
        at, out, part = at + 6, bytearray(), (size + 3) // 4
        for jump in jumps:
            out += self.huffman.stream(data[at:at + jump], part)
            at += jump
        return out + self.huffman.stream(data[at:end], size - 3 * part), end

    def block(self, data):
        literals, at = self.literals(data)
        count, at = data[at], at + 1
        if count == 255:
            count, at = struct.unpack("<H", data[at:at + 2])[0] + 0x7F00, at + 2
        elif count >= 128:
            count, at = (count - 128 << 8) + data[at], at + 1
        if count == 0:
            self.out += literals
            return
        modes, at = data[at], at + 1
        for i, (default, log, log_max) in enumerate(DEFAULTS):
            mode = modes >> (6 - 2 * i) & 3
            if mode == 0:
                self.tables[i] = Fse(default, log)
            elif mode == 1:
                self.tables[i], at = One(data[at]), at + 1
            elif mode == 2:
                self.tables[i], used = Fse.read(data[at:], log_max)
                at += used
            check(self.tables[i] is not None, "zstd: a table that was not")
        self.sequences(literals, Backwards(data[at:]), count)

    def sequences(self, literals, bits, count):
        state, taken = [bits.get(table.log) for table in self.tables], 0
        for left in range(count, 0, -1):
            length, offset, match = [t.states[s] for t, s in zip(self.tables, state)]
            distance = (1 << offset[0]) + bits.get(offset[0])
            base, extra = MATCHES[match[0]]
            match_size = base + bits.get(extra)
            base, extra = LENGTHS[length[0]]
            size = base + bits.get(extra)
            if left > 1:
                state[0] = length[2] + bits.get(length[1])
                state[2] = match[2] + bits.get(match[1])
                state[1] = offset[2] + bits.get(offset[1])
            self.out += literals[taken:taken + size]
            taken += size
            distance = self.distance(distance, size == 0)
            check(0 < distance <= len(self.out), "zstd: a match before the start")
            while match_size > 0:
                part = self.out[-distance:][:match_size]
                self.out += part
                match_size -= len(part)
        check(taken <= len(literals) and bits.left == 0, "zstd: sequences have a rest")
        self.out += literals[taken:]

    def distance(self, value, no_literals):
        last = self.repeated
        if value > 3:
            last[:] = [value - 3, last[0], last[1]]
            return last[0]
        which = value - 1 + no_literals
        if which == 3:
            last[:] = [last[0] - 1, last[0], last[1]]
        else:
            last.insert(0, last.pop(which))
        return last[0]


LENGTHS = [(n, 0) for n in range(16)]
for start, extra in ((16, 1), (18, 1), (20, 1), (22, 1), (24, 2), (28, 2), (32, 3), (40, 3), (48, 4)):
    LENGTHS.append((start, extra))
LENGTHS += [(1 << n, n) for n in range(6, 17)]
MATCHES = [(n + 3, 0) for n in range(32)]
for start, extra in ((35, 1), (37, 1), (39, 1), (41, 1), (43, 2), (47, 2), (51, 3), (59, 3), (67, 4),
                     (83, 4), (99, 5)):
    MATCHES.append((start, extra))
MATCHES += [((1 << n) + 3, n) for n in range(7, 17)]
DEFAULTS = (  # literal lengths, offsets, match lengths: counts, log, largest log
    ([4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4, 6, 9),
    ([1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5, 5, 8),
    ([1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7, 6, 9))


def zstd_frame(data, raw_size):
    magic, head = struct.unpack("<IB", data[:5])
    check(magic == 0xFD2FB528 and head & 8 == 0, "zstd: no frame")
    single = head >> 5 & 1
    at = 6 - single
    check(head & 3 == 0, "zstd: a dictionary")
    width = (single, 2, 4, 8)[head >> 6]
    size = int.from_bytes(data[at:at + width], "little") + (256 if width == 2 else 0)
    check(width == 0 or size == raw_size, "zstd: %d bytes, expected %d" % (size, raw_size))
    at, frame, last = at + width, Frame(), 0
    while not last:
        block = int.from_bytes(data[at:at + 3], "little")
        last, kind, size = block & 1, block >> 1 & 3, block >> 3
        at += 3
        stored = 1 if kind == 1 else size
        check(kind < 3 and at + stored <= len(data), "zstd: a block")
        if kind == 2:
            frame.block(data[at:at + size])
        else:
            frame.out += data[at:at + stored] * (size if kind == 1 else 1)
        at += stored
    check(at + (head & 4) == len(data), "zstd: bytes behind the frame")
    check(len(frame.out) == raw_size, "zstd: %d bytes made" % len(frame.out))
    return bytes(frame.out)
