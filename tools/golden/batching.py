"""Cases of batches that a single run fills: the ops that gather what several steps bring, and take it apart again."""
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function

from golden.queues import INVALID_ARGUMENT, case

DEADLINE_EXCEEDED, FAILED_PRECONDITION = 4, 9
R = tf.raw_ops


def fed(value, dtype=None):
    return tf.placeholder_with_default(np.asarray(value, dtype), None)


def batch(inputs, size=2, **attrs):
    return R.Batch(in_tensors=inputs, **{**dict(num_batch_threads=1, max_batch_size=size, batch_timeout_micros=0,
                                                grad_timeout_micros=1000000), **attrs})


def make_batches(writer):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    case(writer, 'Batch', 'full', lambda _: batch([tf.constant(rows), tf.constant(['a', 'b'])]).batched_tensors)
    case(writer, 'Batch', 'padded', lambda _: batch([tf.constant(rows)], 8, allowed_batch_sizes=[1, 5, 8]).batched_tensors)
    case(writer, 'Batch', 'alone', lambda _: batch([tf.constant(rows)], 100, batch_timeout_micros=1000).batched_tensors)
    for label, make in (('too_large', lambda: batch([fed(rows)], 1)), ('scalar', lambda: batch([fed(1)])),
                        ('rows_differ', lambda: batch([fed(rows), fed([1])])), ('no_threads', lambda: batch([fed(rows)], num_batch_threads=0)),
                        ('no_size', lambda: batch([fed(rows)], 0)), ('timeout', lambda: batch([fed(rows)], batch_timeout_micros=-1)),
                        ('sizes_fall', lambda: batch([fed(rows)], allowed_batch_sizes=[2, 1])),
                        ('sizes_end', lambda: batch([fed(rows)], allowed_batch_sizes=[1, 3]))):
        case(writer, 'Batch', label, lambda _: make().batched_tensors, INVALID_ARGUMENT)


def make_unbatches(writer):
    def round_trip(_, **attrs):
        there = batch([tf.constant([[1., 2.], [3., 4.]])], **attrs)
        return R.Unbatch(batched_tensor=there.batched_tensors[0] * 2, batch_index=there.batch_index, id=there.id, timeout_micros=1000000)
    case(writer, 'Unbatch', 'round_trip', round_trip)
    case(writer, 'Unbatch', 'of_padding', lambda p: round_trip(p, size=4, allowed_batch_sizes=[4]))
    index = [[7, 0, 2], [9, 2, 3]]

    def unbatch(data, index, id):
        return R.Unbatch(batched_tensor=fed(data), batch_index=fed(index, np.int64), id=fed(id, np.int64), timeout_micros=20000)
    for id in (7, 9):
        case(writer, 'Unbatch', f'piece_{id}', lambda _: unbatch(np.arange(8.).reshape(4, 2), index, id))
    case(writer, 'Unbatch', 'strings', lambda _: unbatch(['a', 'b', 'c'], index, 7))
    case(writer, 'Unbatch', 'nothing_comes', lambda _: unbatch(np.zeros([0, 2]), np.zeros([0, 3]), 5), DEADLINE_EXCEEDED)
    case(writer, 'Unbatch', 'index_too_long', lambda _: unbatch([1.], index, 7), INVALID_ARGUMENT)
    case(writer, 'Unbatch', 'index_shape', lambda _: unbatch([1., 2.], [[7, 0]], 7), INVALID_ARGUMENT)
    case(writer, 'Unbatch', 'id_of_rank_1', lambda _: unbatch([1., 2., 3.], index, [7]), INVALID_ARGUMENT)

    def gradient(data, index, grad, id):
        return R.UnbatchGrad(original_input=fed(data), batch_index=fed(index, np.int64), grad=fed(grad), id=fed(id, np.int64))
    case(writer, 'UnbatchGrad', 'alone', lambda _: gradient([1., 2.], [[7, 0, 2]], [5., 6.], 7))
    case(writer, 'UnbatchGrad', 'nothing', lambda _: gradient(np.zeros([0]), np.zeros([0, 3]), [[5.], [6.]], 7))
    case(writer, 'UnbatchGrad', 'no_index', lambda _: gradient([1.], np.zeros([0, 3]), [5.], 7), INVALID_ARGUMENT)
    case(writer, 'UnbatchGrad', 'id_of_rank_1', lambda _: gradient([1.], [[7, 0, 1]], [5.], [7]), INVALID_ARGUMENT)

    def two_pieces(_):
        """Of one batch, in one run."""
        index = [[7, 0, 2], [9, 2, 3]]
        kept = dict(batch_index=np.asarray(index, np.int64), shared_name='gradients')
        first = R.UnbatchGrad(original_input=tf.constant([1., 2., 3.]), grad=tf.constant([5., 6.]), id=7, **kept)
        second = R.UnbatchGrad(original_input=tf.constant(np.zeros([0], np.float32)), grad=tf.constant([8.]), id=9, **kept)
        return [first, second]
    case(writer, 'UnbatchGrad', 'two_pieces', two_pieces)


def make_functions(writer):
    @function.Defun(tf.float32, tf.float32)
    def twice_plus(x, y):
        return 2 * x + y

    @function.Defun(tf.float32)
    def count(x):
        return tf.fill(tf.shape(x), tf.size(x))

    @function.Defun(tf.float32)
    def total(x):
        return tf.reduce_sum(x)

    @function.Defun(tf.float32)
    def fewer(x):
        return x[1:]

    def call(f, inputs, captured=(), dtype=tf.float32, **attrs):
        return list(R.BatchFunction(in_tensors=inputs, captured_tensors=list(captured), f=f, Tout=[dtype],
                                    **{**dict(num_batch_threads=1, max_batch_size=8, batch_timeout_micros=0), **attrs}))
    x = np.arange(5, dtype=np.float32)
    case(writer, 'BatchFunction', 'captured', lambda _: call(twice_plus, [x], [tf.constant(0.5)]))
    case(writer, 'BatchFunction', 'two_inputs', lambda _: call(twice_plus, [x, x * x]))
    case(writer, 'BatchFunction', 'sees_padding', lambda _: call(count, [x], dtype=tf.int32, allowed_batch_sizes=[2, 6, 8]))
    case(writer, 'BatchFunction', 'split', lambda _: call(count, [x], dtype=tf.int32, allowed_batch_sizes=[2], enable_large_batch_splitting=True))
    case(writer, 'BatchFunction', 'adaptive', lambda _: call(count, [x], dtype=tf.int32, num_batch_threads=0))
    case(writer, 'BatchFunction', 'low_priority', lambda _: call(
        count, [x], dtype=tf.int32, low_priority_max_batch_size=4, low_priority_batch_timeout_micros=5, low_priority_allowed_batch_sizes=[2, 4],
        low_priority_max_enqueued_batches=2, mixed_priority_policy='priority_isolation'))
    case(writer, 'BatchFunction', 'no_rows', lambda _: call(twice_plus, [fed(x[:0])], [tf.constant(0.5)]))
    case(writer, 'BatchFunction', 'result_is_scalar', lambda _: call(total, [fed(x)]), FAILED_PRECONDITION)
    case(writer, 'BatchFunction', 'result_has_other_rows', lambda _: call(fewer, [fed(x)]), FAILED_PRECONDITION)
    case(writer, 'BatchFunction', 'too_few_arguments', lambda _: call(twice_plus, [fed(x)]), INVALID_ARGUMENT)
    case(writer, 'BatchFunction', 'too_large', lambda _: call(count, [fed(x)], dtype=tf.int32, max_batch_size=4), INVALID_ARGUMENT)
    case(writer, 'BatchFunction', 'rows_differ', lambda _: call(twice_plus, [fed(x), fed(x[:2])]), INVALID_ARGUMENT)
    case(writer, 'BatchFunction', 'sizes_end', lambda _: call(count, [fed(x)], dtype=tf.int32, allowed_batch_sizes=[2, 4]), INVALID_ARGUMENT)


def make(writer):
    make_batches(writer)
    make_unbatches(writer)
    make_functions(writer)
