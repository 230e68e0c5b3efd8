"""Cases of ops that call functions, and of small ones that stand alone: fingerprints, scripts of code points, examples as JSON."""
import json

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function

from .record import finish_case, op_case, raw, rng_for, values

INVALID_ARGUMENT = 3
FAILED_PRECONDITION = 9


def loops(w):
    @function.Defun(tf.int32, tf.float32, tf.float32)
    def body(i, x, y):
        return x + tf.cast(i, tf.float32), y * x

    @function.Defun(tf.int32)
    def empty_body(i):
        del i
        return []

    def case(label, start, limit, delta, error=0, inputs=(1., 2.)):
        graph = tf.Graph()
        with graph.as_default():
            bounds = [tf.placeholder_with_default(tf.constant(b, tf.int32), None) for b in (start, limit, delta)]
            raw('For', [*bounds, [tf.constant(v) for v in inputs]], dict(body=body if inputs else empty_body))
            outputs = [t.name for t in graph.get_operation_by_name('op').outputs]
        finish_case(w, 'For', label, graph, outputs, error=error, run_targets=['op'])
    case('up', 0, 4, 1)
    case('down', 5, 0, -2)
    case('none', 1, 1, 0)
    case('past_the_limit', 0, 5, 3)
    case('widest', 2**31 - 3, 2**31 - 1, 2)
    case('no_values', 0, 3, 1, inputs=())
    for label, bounds in (('direction', (0, 4, -1)), ('no_step', (0, 4, 0)), ('rank', ([0], 4, 1))):
        case(f'error_{label}', *bounds, error=INVALID_ARGUMENT)


def remote_calls(w):
    @function.Defun(tf.float32, tf.int32)
    def twice(x, y):
        return y + 1, x * 2.

    for label, target, error in (('cpu', '/cpu:0', 0), ('full', '/job:localhost/replica:0/task:0/device:CPU:0', 0), ('unsaid', '', 0), ('device', '/device:CPU:0', 0),
                                 ('error_name', 'nonsense', INVALID_ARGUMENT)):
        graph = tf.Graph()
        with graph.as_default():
            raw('RemoteCall', [tf.constant(target), [tf.constant(3.), tf.constant(4)]], dict(f=twice, Tout=[tf.int32, tf.float32]))
        finish_case(w, 'RemoteCall', label, graph, ['op:0', 'op:1'], error=error)


def devices(w):
    for label, v in (('zero', np.int32(0)), ('one', np.int64(1)), ('half', np.float32(.5)), ('nan', np.float64(np.nan)), ('true', np.bool_(True)), ('empty_string', np.array(b'')),
                     ('string', np.array(b'a')), ('vector', np.zeros([2], 'f')), ('empty', np.zeros([0], 'f')), ('byte', np.uint8(0))):
        op_case(w, 'ToBool', v, label=label)
    op_case(w, 'ToBool', np.complex64(1), label='error_complex', error=INVALID_ARGUMENT)
    for label, names in (('second', ['GPU', 'CPU']), ('none', ['GPU', 'TPU']), ('empty', [])):
        op_case(w, 'DeviceIndex', label=label, device_names=names)


def fingerprints(w):
    rng = rng_for('fingerprints')
    for dtype in ('float32', 'float64', 'half', 'bfloat16', 'int8', 'uint8', 'int16', 'int32', 'int64', 'bool', 'complex64'):
        op_case(w, 'Fingerprint', values(rng, [3, 2, 2], dtype), b'farmhash64', label=dtype)
        op_case(w, 'Fingerprint', values(rng, [3], dtype), b'farmhash64', label=f'{dtype}_vector')
    strings = np.array([[b'a', b'', b'longer than sixteen bytes'], [b'\0\xff', b'x' * 100, b'-']], object)
    op_case(w, 'Fingerprint', strings, b'farmhash64', label='strings')
    op_case(w, 'Fingerprint', strings.reshape(-1), b'farmhash64', label='strings_vector')
    op_case(w, 'Fingerprint', np.zeros([0, 2]), b'farmhash64', label='no_rows')
    op_case(w, 'Fingerprint', np.zeros([2, 0]), b'farmhash64', label='empty_rows')
    op_case(w, 'Fingerprint', np.float32(1), b'farmhash64', label='error_scalar', error=INVALID_ARGUMENT)
    op_case(w, 'Fingerprint', np.ones([2]), b'md5', label='error_method', error=INVALID_ARGUMENT)


def scripts(w):
    points = np.r_[0:0x600, 0x900:0x1200:3, 0x2000:0x3100:7, 0x4e00, 0xac00, 0xd800, 0xfb00:0x10000:5, 0x10000:0x20000:61, 0xe0001, 0x10ffff, 0x110000, -1, 2**31 - 1, -2**31]
    op_case(w, 'UnicodeScript', points.astype('i'), label='many')
    op_case(w, 'UnicodeScript', np.array([[65, 0x430], [0x3b1, 0x5d0]], 'i'), label='matrix')
    op_case(w, 'UnicodeScript', np.int32(0x4e00), label='scalar')


def examples(w):
    def text(**features):
        return json.dumps({'features': {'feature': features}}).encode()
    cases = (('ints', text(a={'int64List': {'value': ['1', 2, -3]}})), ('names_of_the_proto', b'{"features":{"feature":{"a":{"int64_list":{"value":[1]}}}}}'),
             ('bytes', text(a={'bytesList': {'value': ['YQ==', '']}})), ('floats', text(a={'floatList': {'value': [1.5, 'NaN', '-Infinity', 1e-3]}})),
             ('empty', b'{}'), ('nothing', text()), ('null', b'{"features": null}'), ('space', b' {\n "features" : { } }\n'))
    for label, t in cases:
        op_case(w, 'DecodeJSONExample', np.array(t), label=label)
    op_case(w, 'DecodeJSONExample', np.array([[cases[0][1], b'{}'], [cases[2][1], cases[3][1]]], object), label='matrix')
    op_case(w, 'DecodeJSONExample', np.zeros([0], object), label='none', dtypes=['string'])
    for label, t in (('field', b'{"foo": 1}'), ('text', b'x'), ('nothing', b''), ('list', b'[]'), ('null', b'null'), ('type', text(a={'int64List': {'value': ['x']}})),
                     ('cut', b'{"features": {'), ('base64', text(a={'bytesList': {'value': ['*']}})), ('two_kinds', b'{"features":{"feature":{"a":{"floatList":{},"int64List":{}}}}}')):
        op_case(w, 'DecodeJSONExample', np.array(t), label=f'error_{label}', error=INVALID_ARGUMENT)


def rows(w):
    rng = rng_for('parallel_concat')
    for dtype in ('float32', 'int64', 'bool', 'half', 'complex64', 'uint8'):
        op_case(w, 'ParallelConcat', [values(rng, [1, 2], dtype) for _ in range(3)], label=dtype, shape=[3, 2])
    op_case(w, 'ParallelConcat', [np.array([b'a'], object), np.array([b'b'], object)], label='strings', shape=[2])
    op_case(w, 'ParallelConcat', [np.ones([1, 0, 2])] * 2, label='empty', shape=[2, 0, 2])
    op_case(w, 'ParallelConcat', [np.ones([1, 2], 'f')], label='one', shape=[1, 2])


def variables(w):
    graph = tf.Graph()
    with graph.as_default():
        v = raw('VarHandleOp', [], dict(dtype=tf.float32, shape=[2], shared_name='v'), name='v')
        raw('AssignVariableOp', [v, tf.constant([1., 2.])], {}, name='assign')
        raw('DisableCopyOnRead', [v], {})
        raw('ReadVariableOp', [v], dict(dtype=tf.float32), name='read')
    finish_case(w, 'DisableCopyOnRead', 'read', graph, ['read:0'], pre_targets=['assign', 'op'])
    finish_case(w, 'DisableCopyOnRead', 'error_none', graph, [], run_targets=['op'], error=FAILED_PRECONDITION)


def make(w):
    loops(w)
    remote_calls(w)
    devices(w)
    fingerprints(w)
    scripts(w)
    examples(w)
    rows(w)
    variables(w)
