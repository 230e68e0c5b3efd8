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
