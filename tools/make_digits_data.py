#!/usr/bin/env python3
"""Writes data/digits-train.tfrecord and data/digits-test.tfrecord from scikit-learn's load_digits.

    python3 -m venv /tmp/sk && /tmp/sk/bin/pip install scikit-learn
    /tmp/sk/bin/python tools/make_digits_data.py [OUTPUT_DIR]

Each record is a serialized tf.train.Example with two features: `image`, 64 floats in 0..1 (8x8, row by row), and
`label`, one int64 in 0..9. The protocol buffer and the record framing are written by hand: they are small, and the
script then needs no TensorFlow. The split is a fixed shuffle, so every run writes the same bytes.
"""
import pathlib
import struct
import sys

import numpy as np
from sklearn.datasets import load_digits

TRAIN_IMAGES = 1437  # of 1797: four fifths


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc32c_table()


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def record(payload):
    """One TFRecord: length, its checksum, the bytes, their checksum."""
    length = struct.pack('<Q', len(payload))
    return (length + struct.pack('<I', masked_crc32c(length)) + payload +
            struct.pack('<I', masked_crc32c(payload)))


def varint(value):
    out = b''
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, payload):
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def example(image, label):
    float_list = field(1, np.asarray(image, '<f4').tobytes())  # FloatList.value, packed
    int64_list = field(1, varint(int(label)))                  # Int64List.value, packed
    features = b''
    for name, kind, values in (('image', 2, float_list), ('label', 3, int64_list)):
        entry = field(1, name.encode()) + field(2, field(kind, values))  # map entry: key, Feature
        features += field(1, entry)                                      # Features.feature
    return field(1, features)                                            # Example.features


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / 'data'
    digits = load_digits()
    images, labels = digits.data / 16.0, digits.target
    order = np.random.RandomState(2016).permutation(len(labels))
    for name, rows in (('train', order[:TRAIN_IMAGES]), ('test', order[TRAIN_IMAGES:])):
        path = out / f'digits-{name}.tfrecord'
        path.write_bytes(b''.join(record(example(images[i], labels[i])) for i in rows))
        print(f'{path}: {len(rows)} records')


if __name__ == '__main__':
    main()
