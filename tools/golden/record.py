"""The record format of tests/golden (tests/golden/README.md) and the session in which TensorFlow computes what it expects."""
import os
import pathlib
import zlib

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import op_def_library, op_def_registry

tf.disable_v2_behavior()

TOLERANCES = {  # dtype: (rtol, atol)
    'float32': (2e-5, 2e-6), 'float64': (1e-10, 1e-12), 'float16': (4e-3, 4e-3), 'bfloat16': (3e-2, 3e-2),
    'complex64': (2e-5, 2e-6), 'complex128': (1e-10, 1e-12),
}


class Writer:
    """Collects the records of one folder, a list per file, and writes them sorted by file."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.files = {}
        self.dropped = []

    def add(self, file, example):
        self.files.setdefault(file, []).append(example)

    def number(self, file):
        return len(self.files.get(file, []))

    def write(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob('*.tfrecord'):
            old.unlink()
        for file, examples in sorted(self.files.items()):
            with tf.io.TFRecordWriter(str(self.folder / (file + '.tfrecord'))) as writer:
                for example in examples:
                    writer.write(example.SerializeToString(deterministic=True))
        print(f'{self.folder}: {len(self.files)} files, {sum(map(len, self.files.values()))} records, '
              f'{len(self.dropped)} without a CPU kernel')


def rng_for(name):
    return np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)


def example(**features):
    """A tf.train.Example of byte strings, integers and floats (single values or lists); None leaves a feature out."""
    out = tf.train.Example()
    for key, values in features.items():
        if values is None:
            continue
        values = values if isinstance(values, (list, tuple)) else [values]
        feature = out.features.feature[key]
        if values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        elif values and isinstance(values[0], (int, np.integer)):
            feature.int64_list.value.extend(values)
        else:
            feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    return out


def tensor_proto(value, dtype=None):
    return tf.make_tensor_proto(value, dtype=dtype).SerializeToString()


def session(graph=None):
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.Session(graph=graph, config=config)


def tolerance(values, rtol=None, atol=None):
    loosest = (0.0, 0.0)
    for value in values:
        name = getattr(getattr(value, 'dtype', None), 'name', '')
        loosest = max(loosest, TOLERANCES.get(name, (0.0, 0.0)))
    return (loosest[0] if rtol is None else rtol), (loosest[1] if atol is None else atol)


def finish_case(writer, file, label, graph, fetches, op=None, pre_targets=(), run_targets=(), feeds=None, error=0,
                rtol=None, atol=None):
    """Runs the graph and adds the case record; with `error` the run must fail with that tensorflow.error.Code."""
    name = f'{file}/{writer.number(file):02d}' + (f'_{label}' if label else '')
    feeds = feeds or {}
    expected, code = None, 0
    with session(graph) as sess:
        try:
            for target in pre_targets:
                sess.run(target)
            if fetches:
                expected = sess.run(list(fetches), feeds)
            else:
                sess.run(list(run_targets), feeds)
        except tf.errors.OpError as exception:
            code = exception.error_code
            if not error and 'No OpKernel' in exception.message or 'no kernel' in exception.message.lower():
                writer.dropped.append(name)
                return
    if code != error:
        print(f'left out: {name}: expected error code {error}, TensorFlow gave {code}')
        return
    dtypes = [graph.get_tensor_by_name(f).dtype.base_dtype for f in fetches]
    used_rtol, used_atol = tolerance(expected or [], rtol, atol)
    writer.add(file, example(
        name=name, op=op or file, graph_def=graph.as_graph_def().SerializeToString(deterministic=True),
        pre_targets=list(pre_targets) or None, fetches=list(fetches) or None, run_targets=list(run_targets) or None,
        feed_names=list(feeds) or None,
        feed_values=[tensor_proto(v, graph.get_tensor_by_name(k).dtype) for k, v in feeds.items()] or None,
        expected=None if expected is None else [tensor_proto(v, t) for v, t in zip(expected, dtypes)] or None,
        rtol=float(used_rtol), atol=float(used_atol), error_code=code))


def raw(op, inputs, attrs, name='op'):
    """The op with positional inputs, by the order of its definition."""
    definition = op_def_registry.get(op)
    keywords = dict(zip([a.name for a in definition.input_arg], inputs))
    inferred = {n for a in definition.input_arg for n in (a.type_attr, a.number_attr, a.type_list_attr)}
    for attr in definition.attr:
        if attr.HasField('default_value') and attr.name not in inferred:
            kind = attr.default_value.WhichOneof('value')
            if kind in ('b', 'f', 'i', 's', 'type', 'shape', 'tensor'):
                keywords[attr.name] = getattr(attr.default_value, kind)
            elif kind == 'list':
                keywords[attr.name] = [v for _, values in attr.default_value.list.ListFields() for v in values]
    keywords.update(attrs)
    return op_def_library.apply_op(op, name=name, **keywords)


def op_case(writer, op, *inputs, label='', error=0, rtol=None, atol=None, dtypes=None, feeds=False, fetched=None, **attrs):
    """One op on constants `in0`, `in1`... (a list for a list input). Error cases feed placeholders without a static shape,
    so that the failure is the run's and not the construction's. `fetched`: how many of the outputs, if not all."""
    graph = tf.Graph()
    fed = {}
    count = [0]

    def constant(value, dtype):
        index = count[0]
        count[0] += 1
        value = np.asarray(value) if not isinstance(value, np.ndarray) and dtype is None else value
        if error or feeds:
            array = np.asarray(value)
            kind = tf.as_dtype(dtype) if dtype else (tf.string if array.dtype.kind in 'SUO' else tf.as_dtype(array.dtype))
            placeholder = tf.placeholder(kind, None, name=f'in{index}')
            fed[placeholder.name] = value
            return placeholder
        return tf.constant(value, dtype=dtype, name=f'in{index}')

    with graph.as_default():
        dtypes = dtypes or [None] * len(inputs)
        tensors = [[constant(v, d) for v in value] if isinstance(value, list) else constant(value, d)
                   for value, d in zip(inputs, dtypes)]
        try:
            result = raw(op, tensors, attrs)
        except (TypeError, ValueError, NotImplementedError) as exception:
            print(f'left out: {op} {label}: {str(exception)[:160]}')
            return
        outputs = graph.get_operation_by_name('op').outputs[:fetched]
        del result
    finish_case(writer, op, label, graph, [t.name for t in outputs], feeds=fed, error=error, rtol=rtol, atol=atol,
                run_targets=[] if outputs else ['op'])


def supported(op, attr='T'):
    """The dtypes (numpy) that the op's definition lists for an attribute, the quantized ones left out."""
    for definition in op_def_registry.get(op).attr:
        if definition.name == attr:
            listed = [tf.as_dtype(t) for t in definition.allowed_values.list.type]
            return [t for t in listed if not t.is_quantized]
    return []


def values(rng, shape, dtype, low=-3.0, high=3.0):
    """Random values of a dtype: floats spread over low..high, integers too, complex in both parts."""
    dtype = tf.as_dtype(np.dtype(dtype) if dtype in ('f', 'd', 'e', 'i', 'q') else dtype)
    if dtype.is_bool:
        return rng.rand(*shape) < 0.5
    if dtype.is_complex:
        return (rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)).astype(dtype.as_numpy_dtype)
    if dtype.is_integer:
        low = max(low, float(dtype.min))
        return rng.randint(int(np.ceil(low)), max(int(high), int(np.ceil(low)) + 1) + 1, shape).astype(dtype.as_numpy_dtype)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype.as_numpy_dtype)


os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
