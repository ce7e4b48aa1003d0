#!/usr/bin/env python3
"""Writes first inputs for the fuzz targets, made of the sample traces, into a folder for each target.

usage: fuzz/seeds.py FOLDER

Darshan logs are cut to a few records per module: the regions are unpacked, shortened, and packed again as one small log
for `darshan`, or laid out as sections (see bodies/plain.rs) for `darshan_plain` and `darshan_convert`."""
import bz2, glob, hashlib, json, os, struct, sys, zlib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FORMATS = [b"3.00", b"3.10", b"3.20", b"3.21", b"3.41"]
NAMES, JOB = 254, 255
# Bytes of one record of the newest version; other modules are cut anywhere.
RECORD_BYTES = {1: 704, 2: 560, 9: 248}
# Of a region, before packing, and of a seed.
REGION_BYTES_MAX, PACKED_BYTES_MAX, PLAIN_BYTES_MAX = 2200, 3072, 4096
TEXT_BYTES_MAX = 3072


def unpack(packed, compression):
    if compression == 2:
        return packed
    plain = b""
    while packed:
        stream = bz2.BZ2Decompressor() if compression == 1 else zlib.decompressobj()
        plain += stream.decompress(packed)
        packed = stream.unused_data
    return plain


class Log:
    """Job, names and regions of a little-endian log, unpacked."""

    def __init__(self, data):
        self.format = FORMATS.index(data[:4])
        newest = self.format == 4
        count, at = (64, 32) if newest else (16, 24)
        self.flags = struct.unpack_from("<Q" if newest else "<I", data, 24 if newest else 20)[0]
        entries = [struct.unpack_from("<QQ", data, at + 16 * i) for i in range(count + 1)]
        versions = struct.unpack_from(f"<{count}I", data, at + 16 * (count + 1))
        header_bytes = 1328 if newest else 360
        compression = data[16]
        end = next((offset for offset, _ in entries if offset), len(data))
        self.job = unpack(data[header_bytes:end].rstrip(b"\0") if compression == 2 else data[header_bytes:end], compression)
        part = lambda entry: unpack(data[entry[0]:entry[0] + entry[1]], compression)
        self.names = part(entries[0])
        self.modules = {i: (versions[i], part(entry)) for i, entry in enumerate(entries[1:]) if entry[1]}

    def cut(self, module):
        """A module's version and its first bytes: whole records where their size is known."""
        version, body = self.modules[module]
        record = RECORD_BYTES.get(module, 1) if self.format == 4 else 1
        return version, body[: max(record, REGION_BYTES_MAX // record * record)][:REGION_BYTES_MAX]


def sections(log, modules, with_job):
    out = bytes([log.format, log.flags & 255])
    part = lambda tag, version, body: bytes([tag, version]) + struct.pack("<H", len(body)) + body
    if with_job:
        out += part(JOB, 0, log.job[:1400])
    out += part(NAMES, 0, log.names[:300])
    for module in modules:
        version, body = log.cut(module)
        out += part(module, version, body[: max(0, PLAIN_BYTES_MAX - len(out) - 4)])
    return out


def packed(log, modules, format, compression):
    pack = {0: lambda data: zlib.compress(data), 1: lambda data: bz2.compress(data, 1), 2: lambda data: data}[compression]
    newest = format == 4
    count, header_bytes = (64, 1328) if newest else (16, 360)
    job, names = log.job[:56] + log.job[56:1080].rstrip(b"\0").ljust(1024, b"\0") + log.job[1080:1200], log.names[:200]
    if not newest:
        uid, start, _, end, _, nprocs, jobid = struct.unpack_from("<7q", job)
        job = struct.pack("<5q", uid, start, end, nprocs, jobid) + job[56:]
    job, names = pack(job + b"\0"), pack(names)
    entries, versions, bodies, at = [(0, 0)] * count, [0] * count, b"", header_bytes + len(job) + len(names)
    for module in modules:
        versions[module], body = log.cut(module)
        # Two streams, as of two ranks.
        body = pack(body) if compression == 2 else pack(body[: len(body) // 2]) + pack(body[len(body) // 2:])
        entries[module] = (at, len(body))
        at, bodies = at + len(body), bodies + body
    entries = [(header_bytes + len(job), len(names))] + entries
    header = FORMATS[format].ljust(8, b"\0") + struct.pack("<Q", 6567223) + bytes([compression, 0, 0, 0])
    header += b"\0" * 4 + struct.pack("<Q", log.flags) if newest else struct.pack("<I", log.flags & 0xFFFFFFFF)
    header += b"".join(struct.pack("<QQ", *entry) for entry in entries) + struct.pack(f"<{count}I", *versions)
    return header + job + names + bodies


def save(folder, target, data):
    # The project's files name no folder that is usual on a developer's machine; as long and as local.
    data = data.replace(b"/tm" + b"p/", b"/var/")
    os.makedirs(os.path.join(folder, target), exist_ok=True)
    with open(os.path.join(folder, target, hashlib.sha1(data).hexdigest()), "wb") as out:
        out.write(data)


def darshan(folder):
    for path in sorted(glob.glob(os.path.join(ROOT, "traces", "darshan", "*.darshan"))):
        with open(path, "rb") as file:
            log = Log(file.read())
        modules = sorted(log.modules)
        for choice in [[module] for module in modules] + [modules]:
            for target in ("darshan_plain", "darshan_convert"):
                save(folder, target, sections(log, choice, with_job=choice == modules))
            for format, compression in ((4, 0), (4, 1), (4, 2), (1, 0), (3, 2)):
                # A decoder of bzip2 costs a hundred times one of zlib: one seed of each log is enough.
                if (format == log.format or max(choice) < 16) and (compression != 1 or choice == modules):
                    data = packed(log, choice, format, compression)
                    if len(data) <= PACKED_BYTES_MAX:
                        save(folder, "darshan", data)


def first_of_each(value):
    """JSON with one element for each list."""
    if isinstance(value, list):
        return [first_of_each(element) for element in value[:1]]
    return {key: first_of_each(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def text(folder):
    for path in sorted(glob.glob(os.path.join(ROOT, "traces", "csv", "*.csv"))):
        with open(path, "rb") as file:
            data = file.read()
        save(folder, "workload_csv", data[:1536])
        lines = data.splitlines(keepends=True)
        head = next(i for i, line in enumerate(lines) if not line.startswith(b"#"))
        for first in range(head + 1, len(lines), 4):
            save(folder, "workload_csv", b"".join(lines[: head + 1] + lines[first:first + 4]))
    for trace in sorted(glob.glob(os.path.join(ROOT, "traces", "recorder", "*", "text"))):
        ranks = [open(os.path.join(trace, name), "rb").read().splitlines(keepends=True) for name in sorted(os.listdir(trace))[:2]]
        for first in range(0, max(map(len, ranks)), 8):
            save(folder, "recorder", b"\f".join(b"".join(lines[first:first + 8]) for lines in ranks)[:1536])
    for path in sorted(glob.glob(os.path.join(ROOT, "traces", "app-output", "*"))):
        with open(path, "rb") as file:
            data = file.read()
        if path.endswith(".json"):
            data = json.dumps(first_of_each(json.loads(data)), separators=(",", ":")).encode()
        # The beginning names the program and its options, the end has the results.
        save(folder, "bench_output", data if len(data) <= TEXT_BYTES_MAX else data[: TEXT_BYTES_MAX // 2] + data[-TEXT_BYTES_MAX // 2 :])


def lov(folder):
    """Recorded layouts, and a list, a pool and a composite with a part on the metadata target as they are asked for."""
    for path in sorted(glob.glob(os.path.join(ROOT, "layout", "tests", "fixtures", "getfattr.*.txt"))):
        line = next(line for line in open(path) if line.startswith("lustre.lov=0x"))
        save(folder, "lov", bytes.fromhex(line.split("0x")[1]))
    plain = lambda magic, pattern, count, offset: struct.pack("<II16xIHH", magic, pattern, 1 << 20, count, offset)
    listed = plain(0x0BD50BD0, 1, 3, 0xFFFF) + bytes(16) + b"".join(struct.pack("<20xI", ost) for ost in (6, 1, 4))
    save(folder, "lov", listed)
    save(folder, "lov", plain(0x0BD30BD0, 0x201, 16, 2) + b"flash".ljust(16, b"\0"))
    parts = [(0, 1 << 20, plain(0x0BD10BD0, 0x100, 0, 0xFFFF)), (1 << 20, 2**64 - 1, listed)]
    for mirrors, flags in ((0, 0), (0, 16), (1, 16), (0, 64)):
        at = 32 + 48 * len(parts)
        entries = blobs = b""
        for number, (start, end, blob) in enumerate(parts):
            entries += struct.pack("<IIQQII16x", number + 1, flags, start, end, at + len(blobs), len(blob))
            blobs += blob
        save(folder, "lov", struct.pack("<IIIHHH14x", 0x0BD60BD0, at + len(blobs), 3, 0, len(parts), mirrors) + entries + blobs)


def spool(folder):
    """One record of each kind, as bodies/spool.rs takes them: length, kind, header, body."""
    targets = lambda *osts: struct.pack(f"<H{len(osts)}H", len(osts), *osts)
    bodies = {
        1: struct.pack("<QQQIIIIHB", 7, 1 << 30, 1 << 20, 1, 4, 2, 8, 4, 90),
        2: struct.pack("<QQQQQB", 7, 8, 2, 9, 1 << 30, 1) + targets(1, 2) + targets(1, 2),
        3: struct.pack("<QQBH", 7, 8, 74, 28),
        4: struct.pack("<QQQ", 7, 1 << 30, 5) + targets(1, 2),
        5: b"",
    }
    records = [struct.pack("<BBIIQQQI", kind, 0, 1000, 42, 5, 6, 4711, 1) + body for kind, body in bodies.items()]
    framed = [struct.pack("<H", len(record)) + record for record in records]
    for record in framed:
        save(folder, "spool", record)
    save(folder, "spool", b"".join(framed))


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def message(**fields):
    """A protobuf message: f1=3 is a number, f1=1.5 a double, f1=b"" bytes or a message, f1=[...] repeated; fixed64 as x1."""
    out = b""
    for name, values in fields.items():
        number = int(name[1:])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bytes):
                out += varint(number << 3 | 2) + varint(len(value)) + value
            elif isinstance(value, float):
                out += varint(number << 3 | 1) + struct.pack("<d", value)
            elif name[0] == "x":
                out += varint(number << 3 | 1) + struct.pack("<Q", value)
            else:
                out += varint(number << 3) + varint(value)
    return out


def event_log(folder):
    """Logs of few messages (record.proto), one kind in each, some cut or with time going back."""
    head = lambda version: message(f1=1, f2=message(f1=version, f2=b"scratch", f3=1, f4=5000, x5=7, f6=0.001, f7=0.0002, f8=message(f1=2, f3=1)))
    drain = message(f1=b"disks", f2=1790000000000000000, f3=b"ops", f4=1780000000000000000)
    facts = lambda ost: message(f1=ost, f2=1 << 44, f3=1e9, f4=9e8)
    row = lambda ost: message(f1=ost, f2=1 << 30, f3=1 << 29, f4=100, f5=0.01, f6=2.5, f7=1.5, f8=1 << 43)
    sample = message(f1=1, f2=5.0, f3=3, f4=0.5, f5=[row(0), row(1)])
    placed = message(f1=9, x2=77, f3=varint(0) + varint(300), f4=1 << 30, f5=b"")
    kinds = {
        3: message(f1=4, f2=message(f1=1, f2=drain), f3=message(f1=2)),
        4: message(f1=[message(f1=facts(ost), f2=ost // 2) for ost in range(4)], f2=[message(f1=1e10, f2=1), message(f1=1e10)], f3=message(f1=3, f2=drain)),
        5: message(f1=1), 6: 5, 7: message(f1=0, f2=3, f3=sample), 8: message(f1=[placed, placed]), 9: message(f1=9), 10: 9,
        11: message(f1=1, f2=0.25), 12: message(f1=7, f2=drain), 13: message(f1=1), 14: 2, 15: 1,
        16: message(f1=message(f1=4, f2=1), f3=1234), 17: message(f1=1, f2=0.5, f3=0.25),
    }
    frame = lambda body: varint(len(body)) + body
    events = {kind: frame(message(f1=1000 + kind, **{f"f{kind}": body})) for kind, body in kinds.items()}
    start = frame(head(1))
    for kind, event in events.items():
        save(folder, "event_log", start + event)
        save(folder, "event_log", start + event + event[: len(event) // 2])
    whole = start + b"".join(events.values())
    for data in (b"", start, whole, start + events[15] + events[5], start + start, frame(head(2)), start + b"\0", start + b"\xff" * 11, events[4] + start):
        save(folder, "event_log", data)


def wire(folder):
    """Messages of agents and nodes (agents.proto, nodes.proto), sound ones and each with one thing wrong."""
    facts = lambda ost, size=1 << 40, speed=1e9: message(f1=ost, f2=size, f3=1e9, f4=speed)
    register = lambda fs=b"scratch", server=b"oss1", targets=(0, 1), protocol=1, link=1e10, **of: message(f1=message(
        f1=protocol, f2=fs, f3=server, x4=7, f5=9, f6=b"0.1.0", f7=b"2.17", f8=link, f9=1, f10=[facts(ost, **of) for ost in targets], f11=1))
    row = lambda ost: message(f1=ost, f2=1 << 20, f3=1 << 21, f4=10, f5=0.01, f6=1.0, f7=2.0, f8=1 << 39, f10=1)
    sample = lambda osts, cpu=0.5, interval=5.0: message(f2=message(f1=3, f2=interval, f3=4, f4=cpu, f5=[row(ost) for ost in osts]))
    placed = lambda osts, closed=False: message(f1=5, x2=77, f3=b"".join(map(varint, osts)), f4=1 << 30, **{"f6" if closed else "f5": message(f1=1)})
    profile = lambda key=9, size=1 << 20, part=1 << 29, sure=90: message(x1=key, f2=4, f3=1, f4=2, f5=size, f6=1 << 30, f7=part, f8=sure)
    start = lambda files, world=64: message(f1=5, f2=world, f3=files)
    sync = lambda placed=(), starts=(): message(f1=1, f2=b"node1", x3=1, f4=2, f5=message(
        f1=b"scratch", f2=message(f1=3, f2=9), f4=3, f5=1, f6=list(placed), f7=list(starts), f8=message(f1=5), f9=2))
    nan = float("nan")
    for data in (
        register(), register(targets=(3,)), register(fs=b"a/b"), register(server=b""), register(protocol=2), register(link=nan), register(targets=()),
        register(targets=(1, 1)), register(size=0), register(speed=float("inf")), register(targets=range(20)), register()[:40],
        sample([0, 1, 2]), sample([5]), sample([99]), sample([0], cpu=3.0), sample([0], interval=nan), sample([]),
        sync([placed([0, 1])]), sync([placed([5])]), sync([placed([])]), sync([placed([1], True)]), sync([], [start([profile()])]),
        sync([], [start([profile()], 0)]), sync([], [start([profile(size=3)])]), sync([], [start([profile(sure=300)])]),
        sync([], [start([profile(part=1 << 40)])]), sync([], [start([profile(key) for key in range(5)])]),
        sync([placed([0]), placed([1], True)], [start([profile()])]), b"", sync()[:20],
    ):
        save(folder, "wire", data)


darshan(sys.argv[1])
text(sys.argv[1])
lov(sys.argv[1])
spool(sys.argv[1])
event_log(sys.argv[1])
wire(sys.argv[1])
