"""Cases of segments, scatters into new tensors and variables, partitions."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, values
from golden.state import after

INVALID_ARGUMENT = 3


def i32(*numbers):
    return np.array(numbers, np.int32)


def segments(w):
    for op in ('SegmentSum', 'SegmentMean', 'SegmentProd', 'SegmentMax', 'SegmentMin'):
        rng = rng_for(op)
        for dtype in ('float32', 'float64', 'int32', 'int64', 'half'):
            op_case(w, op, values(rng, [6, 3], dtype), i32(0, 0, 1, 3, 3, 3), label=dtype)
        op_case(w, op, values(rng, [4], 'f'), np.array([0, 1, 1, 2], 'q'), label='vector')
        op_case(w, op, values(rng, [0, 2], 'f'), i32(), label='empty')
        op_case(w, op, values(rng, [3], 'f'), i32(1, 0, 2), label='error_order', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [3], 'f'), i32(0, 1), label='error_count', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [2], 'f'), i32(-1, 0), label='error_negative', error=INVALID_ARGUMENT)
    for op in ('UnsortedSegmentProd', 'UnsortedSegmentMax', 'UnsortedSegmentMin'):
        rng = rng_for(op)
        for dtype in ('float32', 'float64', 'int32', 'int64', 'half'):
            op_case(w, op, values(rng, [5, 2], dtype), i32(2, 0, 2, -1, 1), np.int32(4), label=dtype)
        op_case(w, op, values(rng, [2, 2, 2], 'f'), np.array([[1, 0], [1, 1]], 'q'), np.int64(2), label='matrix_ids')
        op_case(w, op, values(rng, [2], 'f'), i32(0, 5), np.int32(3), label='error_index', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [2], 'f'), i32(0, 0), np.int32(-1), label='error_number', error=INVALID_ARGUMENT)
    for kind in ('Sum', 'Mean', 'SqrtN'):
        op = f'SparseSegment{kind}'
        rng = rng_for(op)
        for dtype in ('float32', 'float64'):
            for index in (np.int32, np.int64):
                x = values(rng, [5, 3], dtype)
                op_case(w, op, x, np.array([4, 1, 1, 0], index), i32(0, 0, 1, 3), label=f'{dtype}_{np.dtype(index).name}')
        op_case(w, op + 'WithNumSegments', x, i32(2, 3), i32(0, 2), np.int32(5))
        op_case(w, op + 'WithNumSegments', x, i32(2, 3), i32(0, 2), np.int32(2), label='error_number', error=INVALID_ARGUMENT)
        op_case(w, op, x, i32(5, 0), i32(0, 1), label='error_index', error=INVALID_ARGUMENT)
        op_case(w, op, x, i32(0, 1), i32(1, 0), label='error_order', error=INVALID_ARGUMENT)
        for dtype in ('float32', 'float64'):
            op_case(w, op + 'Grad', values(rng, [3, 2], dtype), i32(4, 1, 1, 0), i32(0, 0, 1, 2), np.int32(6), label=dtype)
        op_case(w, op + 'Grad', values(rng, [2, 2], 'f'), i32(6), i32(0), np.int32(6), label='error_index', error=INVALID_ARGUMENT)


def scatters(w):
    rng = rng_for('scatters')
    indices = np.array([[4], [0], [4]], 'i')
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'bool', 'complex64'):
        op_case(w, 'ScatterNd', indices, values(rng, [3, 2], dtype), i32(5, 2), label=dtype)
    op_case(w, 'ScatterNd', np.array([[0, 1], [2, 3], [0, 1]], 'q'), values(rng, [3], 'f'), np.array([3, 4], 'q'), label='elements')
    op_case(w, 'ScatterNd', np.zeros([0, 1], 'i'), np.zeros([0, 2], 'f'), i32(2, 2), label='nothing')
    op_case(w, 'ScatterNd', np.array([[5]], 'i'), np.ones([1, 2], 'f'), i32(5, 2), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'ScatterNd', np.array([[-1]], 'i'), np.ones([1, 2], 'f'), i32(5, 2), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'ScatterNd', np.array([[1]], 'i'), np.ones([1, 3], 'f'), i32(5, 2), label='error_shape', error=INVALID_ARGUMENT)
    for suffix in ('Update', 'Add', 'Sub', 'Max', 'Min'):
        op = 'TensorScatter' + suffix
        for dtype in ('float32', 'float64', 'int32', 'int64'):
            op_case(w, op, values(rng, [5, 2], dtype), np.array([[3], [0]], 'i'), values(rng, [2, 2], dtype), label=dtype)
        op_case(w, op, values(rng, [3, 4], 'f'), np.array([[2, 1], [0, 3]], 'q'), values(rng, [2], 'f'), label='elements')
        op_case(w, op, values(rng, [3], 'f'), np.array([[3]], 'i'), np.ones([1], 'f'), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'ScatterNdNonAliasingAdd', values(rng, [4, 2], 'f'), np.array([[1], [1], [3]], 'i'), values(rng, [3, 2], 'f'))
    for kind, prefix in (('ref', ''), ('resource', 'Resource')):
        for suffix in ('Update', 'Add', 'Sub', 'Max', 'Min'):
            op = f'{prefix}ScatterNd{suffix}'
            for dtype in ('float32', 'float64', 'int32'):
                after(w, op, kind, [('v', values(rng, [5, 2], dtype))], [np.array([[4], [1]], 'i'), values(rng, [2, 2], dtype)], dtype)
            after(w, op, kind, [('v', values(rng, [3, 4], 'f'))], [np.array([[2, 0], [1, 3]], 'q'), values(rng, [2], 'f')], 'elements')
            after(w, op, kind, [('v', values(rng, [3], 'f'))], [np.array([[7]], 'i'), np.ones([1], 'f')], 'error_index', error=INVALID_ARGUMENT)
        for suffix in ('Max', 'Min'):
            op = f'{prefix}Scatter{suffix}'
            for dtype in ('float32', 'float64', 'int32', 'int64'):
                after(w, op, kind, [('v', values(rng, [5, 2], dtype))], [i32(4, 1, 1), values(rng, [3, 2], dtype)], dtype)
            after(w, op, kind, [('v', values(rng, [4], 'f'))], [np.int64(2), np.float32(9)], 'one')
            after(w, op, kind, [('v', values(rng, [4], 'f'))], [i32(4), np.ones([1], 'f')], 'error_index', error=INVALID_ARGUMENT)
        after(w, 'StridedSliceAssign' if kind == 'ref' else 'ResourceStridedSliceAssign', kind, [('v', values(rng, [4, 5], 'f'))],
              [i32(1, 0), i32(3, 5), i32(1, 2), values(rng, [2, 3], 'f')], 'part')
        after(w, 'StridedSliceAssign' if kind == 'ref' else 'ResourceStridedSliceAssign', kind, [('v', values(rng, [4, 5], 'd'))],
              [i32(2, 0), i32(3, 5), i32(1, 1), values(rng, [5], 'd')], 'row', shrink_axis_mask=1)
    op_case(w, 'TensorStridedSliceUpdate', values(rng, [4, 3], 'f'), i32(0, 1), i32(4, 3), i32(2, 1), values(rng, [2, 2], 'f'))
    op_case(w, 'TensorStridedSliceUpdate', values(rng, [6], 'i'), i32(5), i32(0), i32(-2), values(rng, [3], 'i'), label='backwards')
    op_case(w, 'TensorStridedSliceUpdate', values(rng, [4], 'f'), i32(0), i32(4), i32(1), values(rng, [3], 'f'), label='error_shape',
            error=INVALID_ARGUMENT)


def partitions(w):
    rng = rng_for('partitions')
    for dtype in ('float32', 'int32', 'bool', 'complex64'):
        op_case(w, 'DynamicPartition', values(rng, [6, 2], dtype), i32(2, 0, 0, 2, 1, 2), label=dtype, num_partitions=4)
    op_case(w, 'DynamicPartition', values(rng, [2, 3], 'f'), np.array([[0, 1, 1], [1, 0, 1]], 'i'), label='matrix', num_partitions=2)
    op_case(w, 'DynamicPartition', values(rng, [2], 'f'), i32(0, 2), label='error_index', num_partitions=2, error=INVALID_ARGUMENT)
    for op in ('DynamicStitch', 'ParallelDynamicStitch'):
        op_case(w, op, [i32(4, 1), np.array([[0, 3], [2, 5]], 'i')], [values(rng, [2, 3], 'f'), values(rng, [2, 2, 3], 'f')], label='shapes')
        op_case(w, op, [i32(0), i32(1)], [values(rng, [1, 3], 'f'), values(rng, [1, 2], 'f')], label='error_shapes', error=INVALID_ARGUMENT)
    for axis, shape in ((1, [3, 5]), (0, [4]), (-1, [2, 2, 3])):
        op_case(w, 'GatherV2', values(rng, shape, 'd'), np.array([[1, 0], [0, 1]], 'q'), np.int64(axis), label=f'matrix_{axis}'.replace('-', 'minus_'))
    for dtype in ('float64', 'int32', 'bool', 'string'):
        x = np.array([[b'a', b'b'], [b'c', b'd']]) if dtype == 'string' else values(rng, [2, 2], dtype)
        op_case(w, 'Gather', x, i32(1, 1, 0), label=dtype)
        op_case(w, 'GatherNd', x, np.array([[1, 0], [0, 1]], 'i'), label=dtype)
    op_case(w, 'GatherNd', values(rng, [3, 2], 'f'), np.zeros([2, 0], 'i'), label='whole')
    graph = tf.Graph()
    with graph.as_default():
        variable = tf.get_variable('v', initializer=tf.constant(values(rng, [4, 2], 'f')), use_resource=True)
        raw('ResourceGatherNd', [variable.handle, tf.constant([[3, 1], [0, 0]])], dict(dtype=tf.float32))
        tf.group(variable.initializer, name='init')
    finish_case(w, 'ResourceGatherNd', '', graph, ['op:0'], pre_targets=['init'])
    for kind, op in (('ref', 'CountUpTo'), ('resource', 'ResourceCountUpTo')):
        for dtype in (np.int32, np.int64):
            extra = {} if kind == 'ref' else dict(T=tf.as_dtype(dtype))
            after(w, op, kind, [('v', dtype(2))], [], np.dtype(dtype).name, runs=3, limit=7, **extra)


def make(w):
    segments(w)
    scatters(w)
    partitions(w)
