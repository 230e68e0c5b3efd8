"""Element sequences of dataset pipelines."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, session, tensor_proto

D = tf.data.Dataset
LIMIT = 60  # elements that are recorded of a long pipeline

PIPELINES = {
    'range': 'D.range(3, 20, 4)',
    'range_down': 'D.range(9, 1, -3)',
    'from_tensors': 'D.from_tensors((np.array([1.5, 2.5], "f"), b"text"))',
    'from_tensor_slices': 'D.from_tensor_slices((np.arange(12, dtype="i").reshape(4, 3), np.array([b"a", b"", b"cd", b"e"])))',
    'map': 'D.range(7).map(lambda x: tf.cast(x, tf.float32) * 0.5 - 1.0)',
    'map_two': 'D.range(6).map(lambda x: (x, x * x)).map(lambda a, b: (a + b, tf.as_dtype(tf.int64).max - b))',
    'map_parallel': 'D.range(40).map(lambda x: x * x + 3, num_parallel_calls=3)',
    'map_parallel_shapes': 'D.range(9).map(lambda x: tf.fill([x % 3], x), num_parallel_calls=2)',
    'map_error': 'D.range(5).map(lambda x: tf.gather([4, 5, 6], x))',
    'map_captured': 'D.range(5).map(lambda x, k=tf.constant([10, 20], tf.int64): x + k)',
    'batch': 'D.range(11).batch(4)',
    'batch_drop': 'D.range(11).batch(4, drop_remainder=True)',
    'batch_tuple': 'D.range(5).map(lambda x: (x, tf.cast([x, x + 1], tf.float32))).batch(2)',
    'batch_ragged_error': 'D.range(1, 5).map(lambda x: tf.range(x)).batch(2)',
    'batch_batch': 'D.range(12).batch(2).batch(3)',
    'repeat': 'D.range(3).repeat(3)',
    'repeat_zero': 'D.range(3).repeat(0)',
    'repeat_forever': 'D.range(4).repeat()',
    'repeat_empty': 'D.range(0).repeat()',
    'prefetch': 'D.range(8).prefetch(3)',
    'prefetch_zero': 'D.range(3).prefetch(0)',
    'shuffle_2': 'D.range(10).shuffle(2, seed=5)',
    'shuffle_all': 'D.range(25).shuffle(100, seed=11)',
    'shuffle_repeat': 'D.range(9).shuffle(4, seed=3).repeat(3)',
    'shuffle_no_reshuffle': 'D.range(9).shuffle(9, seed=3, reshuffle_each_iteration=False).repeat(2)',
    'repeat_shuffle': 'D.range(6).repeat(3).shuffle(7, seed=2)',
    'flat_map': 'D.range(4).flat_map(lambda x: D.range(x))',
    'take_skip': 'D.range(20).skip(5).take(6)',
    'take_all': 'D.range(4).take(-1)',
    'skip_all': 'D.range(4).skip(-1)',
    'concatenate': 'D.range(3).concatenate(D.range(7, 9))',
    'zip': 'D.zip((D.range(3), D.range(10, 20).map(lambda x: tf.cast(x, tf.float32) / 2.0)))',
    'enumerate': 'D.from_tensor_slices([b"a", b"b", b"c"]).enumerate(5)',
    'filter': 'D.range(12).filter(lambda x: tf.equal(x % 3, 1))',
    'filter_none': 'D.range(3).filter(lambda x: x > 5)',
    'unbatch': 'D.from_tensor_slices(np.arange(12, dtype="f").reshape(3, 4)).unbatch()',
    'window': 'D.range(9).window(3, 2, 1).flat_map(lambda x: x.batch(3))',
    'window_stride': 'D.range(11).window(2, 3, 4, drop_remainder=True).flat_map(lambda x: x.batch(2))',
    'interleave': 'D.range(1, 5).interleave(lambda x: D.from_tensors(x).repeat(x), cycle_length=3, block_length=2)',
    'interleave_long': 'D.range(4).interleave(lambda x: D.range(x * 10, x * 10 + 5), cycle_length=2, block_length=3)',
    'interleave_parallel': 'D.range(5).interleave(lambda x: D.range(x, x + 3), cycle_length=3, block_length=1, num_parallel_calls=2)',
    'padded_batch': 'D.range(1, 8).map(lambda x: tf.fill([x], x)).padded_batch(3, [None])',
    'padded_batch_value': 'D.range(1, 6).map(lambda x: (tf.fill([x, 2], 1.5), x)).padded_batch(2, ([6, 2], []), (-1.0, tf.constant(7, tf.int64)))',
    'padded_batch_error': 'D.range(3, 6).map(lambda x: tf.fill([x], x)).padded_batch(2, [4])',
    'scan': 'D.range(1, 9).scan(tf.constant(1, tf.int64), lambda s, x: (s + x, s * x))',
    'shard': 'D.range(17).shard(5, 3)',
    'cache': 'D.range(5).cache().repeat(2)',
    'shuffle_1': 'D.range(6).shuffle(1, seed=9)',
    'shuffle_two_seeds': 'D.range(40).shuffle(13, seed=tf.constant(2 ** 35 + 11, tf.int64))',
    'shuffle_batches': 'D.range(20).batch(3).shuffle(4, seed=8).repeat(2)',
    'group_by_window': 'D.range(14).apply(tf.data.experimental.group_by_window(lambda x: x % 3, lambda k, d: d.batch(4), window_size=3))',
    'bucket': 'D.range(1, 11).map(lambda x: tf.fill([x % 6 + 1], x)).apply(tf.data.experimental.bucket_by_sequence_length(lambda x: tf.shape(x)[0], [3, 5], [2, 3, 2]))',
    'unique': 'D.from_tensor_slices([5, 3, 5, 1, 3, 2]).apply(tf.data.experimental.unique())',
    'take_while': 'D.range(10).apply(tf.data.experimental.take_while(lambda x: x * x < 30))',
    'ignore_errors': 'D.range(6).map(lambda x: tf.gather([4, 5, 6], x)).apply(tf.data.experimental.ignore_errors())',
    'choose': 'tf.data.experimental.choose_from_datasets([D.range(3), D.range(10, 15)], D.from_tensor_slices(np.array([0, 1, 1, 0, 1, 0, 0], "q")))',
    'sample': 'tf.data.experimental.sample_from_datasets([D.range(5), D.range(50, 58)], [0.3, 0.7], seed=4)',
    'random': 'tf.data.experimental.RandomDataset(seed=12).take(8)',
    'map_and_batch': 'D.range(9).apply(tf.data.experimental.map_and_batch(lambda x: x * 7, 4))',
    'map_cond': 'D.range(6).map(lambda x: tf.cond(x % 2 > 0, lambda: x * 10, lambda: -x))',
    'map_while': 'D.range(1, 6).map(lambda x: tf.while_loop(lambda n, s: n > 0, lambda n, s: (n - 1, s * n), [x, tf.constant(1, tf.int64)])[1])',
    'map_strings': 'D.from_tensor_slices([b"a b", b"", b"c d e"]).map(lambda s: tf.strings.join([s, b"!"]))',
    'map_uniform': 'D.range(6).map(lambda x: tf.random_uniform([2], seed=6) + tf.cast(x, tf.float32))',
    'flat_map_nested': 'D.range(1, 4).flat_map(lambda x: D.range(x).map(lambda y: y * 10 + x))',
    'deep': 'D.range(50).filter(lambda x: x % 2 < 1).map(lambda x: (x, x + 1)).shuffle(6, seed=1).batch(3).skip(1).repeat(2).prefetch(1)',
    'tuple_repeat': 'D.from_tensor_slices((np.arange(3, dtype="i"), np.arange(6, dtype="f").reshape(3, 2))).repeat(2).batch(4)',
    'digits': 'pipeline',
}


def digits():
    """The example's input: batches of shuffled pairs, over two passes."""
    return (D.from_tensor_slices((np.arange(30, dtype='f').reshape(10, 3), np.arange(10)))
            .map(lambda x, y: (x / 10.0, y), num_parallel_calls=2).shuffle(8, seed=1).batch(4).repeat(2).prefetch(2))


def make(w):
    for name, pipeline in PIPELINES.items():
        graph = tf.Graph()
        with graph.as_default():
            dataset = digits() if pipeline == 'pipeline' else eval(pipeline)
            iterator = tf.data.make_initializable_iterator(dataset)
            outputs = iterator.get_next()
            outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
            fetches = [tf.identity(t, name=f'next_{k}') for k, t in enumerate(outputs)]
            end, elements = 0, []
            with session(graph) as sess:
                sess.run(iterator.initializer)
                while len(elements) < LIMIT:
                    try:
                        elements.append(sess.run(fetches))
                    except tf.errors.OpError as error:
                        end = error.error_code
                        break
            w.add(name, example(type='header', name=name, pipeline=pipeline, graph_def=graph.as_graph_def().SerializeToString(deterministic=True),
                                init_op=iterator.initializer.name, fetches=[t.name for t in fetches], end_code=int(end)))
            for values in elements:
                w.add(name, example(type='element', values=[tensor_proto(v, t.dtype) for v, t in zip(values, fetches)]))
