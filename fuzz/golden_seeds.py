#!/usr/bin/env python3
"""golden_seeds.py FOLDER [MOST]: graphs of tests/golden as seeds of graph_run_fuzz, and examples in them as seeds of example_fuzz.

Writes FOLDER/graph_run_fuzz/* and FOLDER/example_fuzz/*: at most MOST graphs (all, if it is not given), spread over the kinds of ops.
libFuzzer runs all seeds before its time counts. Reads the records by hand: no package is needed.
"""
import pathlib
import struct
import sys

PER_FILE, LARGEST = 3, 20000


def records(path):
    with open(path, 'rb') as file:
        while len(header := file.read(12)) == 12:
            length, = struct.unpack('<Q', header[:8])
            if length > 1 << 30:
                return  # damaged on purpose
            yield file.read(length)
            file.read(4)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """(field, bytes) of the length-delimited fields of a message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            _, at = varint(data, at)
        elif tag & 7 == 2:
            length, at = varint(data, at)
            yield tag >> 3, data[at:at + length]
            at += length
        else:
            at += 8 if tag & 7 == 1 else 4


def features(example):
    found = {}
    for _, entries in fields(example):
        for _, entry in fields(entries):
            parts = dict(fields(entry))
            values = [v for kind, content in fields(parts.get(2, b'')) if kind == 1 for _, v in fields(content)]
            found[parts.get(1, b'').decode()] = values
    return found


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    graphs = pathlib.Path(sys.argv[1]) / 'graph_run_fuzz'
    examples = pathlib.Path(sys.argv[1]) / 'example_fuzz'
    graphs.mkdir(parents=True, exist_ok=True)
    examples.mkdir(parents=True, exist_ok=True)
    files = sorted((root / 'tests' / 'golden').rglob('*.tfrecord'))
    if len(sys.argv) > 2:
        files = files[::max(1, len(files) * PER_FILE // int(sys.argv[2]))]
    for path in files:
        kept = 0
        for number, record in enumerate(records(path)):
            try:
                graph = features(record).get('graph_def', [b''])[0]
            except (IndexError, UnicodeDecodeError):
                break
            if graph and len(graph) <= LARGEST and kept < PER_FILE:
                kept += 1
                (graphs / f'{path.parent.name}_{path.stem}_{number}').write_bytes(graph)
    for path in sorted((root / 'data').glob('*.tfrecord')):
        for number, record in zip(range(4), records(path)):
            (examples / f'{path.stem}_{number}').write_bytes(bytes([3, 6, 40, 1, 0]) + record)


if __name__ == '__main__':
    main()
