#!/usr/bin/env python3
"""Writes src/api/testdata/input_*.txt: graphs of readers, input producers and batch functions as TensorFlow builds them.

    TF_PYTHON tools/make_input_graphs.py        # a Python with tensorflow-cpu 2.21.0

Lines are those of src/api/testing_graphs.h; of queues the attributes follow, and what the collections hold comes last.
input_graphs_test.cc repeats the calls.
"""
import os
import pathlib

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow.compat.v1 as tf  # noqa: E402

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'src/api/testdata'
T = tf.train


def readers():
    files = tf.FIFOQueue(10, tf.string, [[]], name='files')
    for i, reader in enumerate([
            tf.TextLineReader(), tf.TextLineReader(skip_header_lines=2, name='lines'), tf.WholeFileReader(),
            tf.FixedLengthRecordReader(3), tf.FixedLengthRecordReader(4, 1, 2, 5, name='fixed', encoding='GZIP'),
            tf.TFRecordReader(), tf.IdentityReader(name='same'),
            tf.TFRecordReader(options=tf.python_io.TFRecordOptions(tf.python_io.TFRecordCompressionType.ZLIB))]):
        reader.read(files)
        if i == 1:
            reader.read(files, name='r')
            reader.read_up_to(files, 5)
            reader.read_up_to(files, tf.constant(6, tf.int64, name='six'), name='some')
            reader.num_records_produced()
            reader.num_work_units_completed(name='done')
            reader.reset()
        if i == 6:
            reader.restore_state(reader.serialize_state())


def producers():
    tf.set_random_seed(7)
    T.string_input_producer(['a', 'b'])
    T.string_input_producer(tf.constant(['x', 'y'], name='names'), num_epochs=2, shuffle=False, capacity=5, name='files')
    T.string_input_producer(['c'], seed=3, shared_name='shared')
    T.range_input_producer(10, num_epochs=1, shuffle=False)
    T.range_input_producer(tf.placeholder(tf.int32, [], name='n'), seed=1, capacity=4, name='numbers')
    rows = tf.placeholder(tf.float32, [3, 2], name='rows')
    T.slice_input_producer([rows, tf.constant([1, 2, 3], name='labels')], num_epochs=2, seed=2)
    T.slice_input_producer([tf.placeholder(tf.float32, [None, 2], name='open')], shuffle=False, name='slices')
    T.input_producer(rows, shuffle=False, summary_name='full', name='p')
    T.input_producer(tf.placeholder(tf.int64, name='anything'), element_shape=[4], num_epochs=1)
    T.input_producer([[1, 2], [3, 4]], capacity=3)
    T.limit_epochs(rows)
    T.limit_epochs(rows, 3)
    T.limit_epochs(rows, num_epochs=4, name='epochs')
    T.match_filenames_once('*.txt')
    T.match_filenames_once(['a*', 'b*'], name='found')


def batches():
    tf.set_random_seed(8)
    x = tf.placeholder(tf.float32, [2], name='x')
    y = tf.placeholder(tf.int32, [], name='y')
    m = tf.placeholder(tf.float32, [5, 3], name='m')
    v = tf.placeholder(tf.int64, [None], name='v')
    T.batch([x, y], 4)
    T.batch([x], 4, num_threads=2, capacity=10, name='b')
    T.batch([m], 4, enqueue_many=True, allow_smaller_final_batch=True, shared_name='shared')
    T.batch([v, x], tf.placeholder(tf.int32, [], name='size'), dynamic_pad=True)
    T.batch([tf.placeholder(tf.float32, name='any')], 2, shapes=[[3]])
    T.batch_join([[x, y], [x + 1., y]], 3)
    T.batch_join([[m], [m]], 3, capacity=7, enqueue_many=True, allow_smaller_final_batch=True, name='joined')
    T.shuffle_batch([x, y], 4, 100, 10)
    T.shuffle_batch([m], 4, 50, 20, num_threads=3, seed=5, enqueue_many=True, allow_smaller_final_batch=True, name='mixed')
    T.shuffle_batch_join([[x, y], [x, y]], 4, 100, 10, seed=6)


def maybe_batches():
    x = tf.placeholder(tf.float32, [2], name='x')
    y = tf.placeholder(tf.int32, [], name='y')
    m = tf.placeholder(tf.float32, [5, 3], name='m')
    keep = tf.placeholder(tf.bool, [], name='keep')
    rows = tf.placeholder(tf.bool, [5], name='keep_rows')
    T.maybe_batch([x, y], keep, 4)
    T.maybe_batch([x, y], True, 4)
    T.maybe_batch([x, y], False, 4)
    T.maybe_batch([m], rows, 4, num_threads=2, enqueue_many=True)
    T.maybe_batch_join([[x, y], [x, y]], keep, 3, name='joined')
    T.maybe_batch_join([[m], [m]], rows, 3, enqueue_many=True)
    T.maybe_shuffle_batch([x], 4, 50, 20, keep, seed=5)
    T.maybe_shuffle_batch_join([[x], [x]], 4, 50, 20, keep, seed=5)


def sparse_tensor(name, dtype=tf.float32, rank=2):
    return tf.SparseTensor(tf.placeholder(tf.int64, [None, rank], name=name + '_indices'), tf.placeholder(dtype, [None], name=name + '_values'),
                           tf.placeholder(tf.int64, [rank], name=name + '_shape'))


def sparse_batches():
    tf.set_random_seed(9)
    s, t, u = sparse_tensor('s'), sparse_tensor('t'), sparse_tensor('u', tf.string, None)
    x = tf.placeholder(tf.float32, [2], name='x')
    m = tf.placeholder(tf.float32, [5, 3], name='m')
    T.batch([s], 4)
    T.batch([s, x, u], 4, num_threads=2, allow_smaller_final_batch=True, name='mixed')
    T.batch([s, m], 4, enqueue_many=True, shared_name='shared')
    T.batch({'b': x, 'a': s}, 3, name='named')
    T.batch({'only': x}, 3)
    T.batch_join([[s, x], [t, x]], 3, enqueue_many=False)
    T.batch_join([{'s': s, 'm': m}, {'s': t, 'm': m}], 3, enqueue_many=True, allow_smaller_final_batch=True)
    T.shuffle_batch([x, s], 4, 50, 20, seed=1, enqueue_many=False)
    T.shuffle_batch({'s': s}, 4, 50, 20, enqueue_many=True, name='rows')
    T.shuffle_batch_join([[s], [t]], 4, 50, 20, seed=2)
    T.shuffle_batch_join([{'d': x}, {'d': x}], 4, 50, 20, seed=2)


def maybe_sparse_batches():
    s, t, u = sparse_tensor('s'), sparse_tensor('t'), sparse_tensor('u', tf.string, None)
    m = tf.placeholder(tf.float32, [5, 3], name='m')
    keep = tf.placeholder(tf.bool, [], name='keep')
    rows = tf.placeholder(tf.bool, [5], name='keep_rows')
    T.maybe_batch([s, m], keep, 4)
    T.maybe_batch([s, m], True, 4)
    T.maybe_batch([s, m], keep, 4, enqueue_many=True)
    T.maybe_batch([u], keep, 4, enqueue_many=True)
    T.maybe_batch([s, m], rows, 4, enqueue_many=True)
    T.maybe_batch_join([[s], [t]], keep, 3, name='joined')
    T.maybe_batch_join([{'s': s}, {'s': t}], rows, 3, enqueue_many=True)
    T.maybe_shuffle_batch({'m': m, 's': s}, 4, 50, 20, keep, seed=5)
    T.maybe_shuffle_batch_join([[s], [t]], 4, 50, 20, keep, seed=5, enqueue_many=True)


def queues():
    tf.set_random_seed(4)
    x = tf.placeholder(tf.float32, [2], name='x')
    named = dict(dtypes=[tf.float32, tf.int32], shapes=[[2], []], names=['x', 'n'])
    q = tf.FIFOQueue(5, **named)
    q.enqueue({'n': 1, 'x': x})
    q.enqueue_many({'x': tf.placeholder(tf.float32, [3, 2], name='m'), 'n': [1, 2, 3]}, name='many')
    q.dequeue()
    r = tf.FIFOQueue(7, name='r', **named)
    chosen = tf.FIFOQueue.from_list(tf.placeholder(tf.int32, [], name='i'), [q, r])
    chosen.enqueue({'n': 1, 'x': x})
    chosen.dequeue_many(2)
    chosen.size()
    chosen.close()
    tf.RandomShuffleQueue(9, 2, tf.int32, shared_name='common')
    tf.RandomShuffleQueue(9, 2, tf.int32, seed=3, shared_name='common', names='only').enqueue({'only': 3})
    tf.PaddingFIFOQueue(3, tf.float32, [[None]], names=['v'])


ATTRIBUTES = ['capacity', 'min_after_dequeue', 'seed', 'seed2', 'shared_name', 'limit', 'skip_header_lines', 'header_bytes',
              'record_bytes', 'footer_bytes', 'hop_bytes', 'encoding', 'compression_type']


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def describe(op, node):
    line = f'{node.name} | {node.op} | {" ".join(node.input)} | {node.device}'
    if '_class' in node.attr:
        line += ' | @' + ','.join(c.decode() for c in node.attr['_class'].list.s)
    values = [f'{name}={text(op.get_attr(name))}' for name in ATTRIBUTES if name in node.attr]
    if 'shapes' in node.attr:
        values.append('shapes=' + ' '.join(
            '[' + ','.join(str(d.size) for d in s.dim) + ']' for s in node.attr['shapes'].list.shape))
    if values:
        line += '\n    ' + ' '.join(values)
    return line


def runner(r):
    return f'runner {r.name} | {" ".join(e.name for e in r.enqueue_ops)} | {r.close_op.name} | {r.cancel_op.name}'


def main():
    for build in (readers, producers, batches, maybe_batches, sparse_batches, maybe_sparse_batches, queues):
        with tf.Graph().as_default() as graph:
            build()
            lines = [describe(graph.get_operation_by_name(node.name), node) for node in graph.as_graph_def().node]
            lines += [runner(r) for r in tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS)]
            lines += [f'summary {s.name}' for s in tf.get_collection(tf.GraphKeys.SUMMARIES)]
            lines += [f'local {v.name}' for v in tf.local_variables()]
        (FOLDER / f'input_{build.__name__}.txt').write_text('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
