"""Cases of sparse tensors, of sets and of candidate samplers."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import op_case, rng_for, values

INVALID_ARGUMENT, INTERNAL = 3, 13
NUMBERS = ['float32', 'float64', 'int32', 'int64', 'half', 'complex64', 'bfloat16']
ANY = NUMBERS + ['bool', 'uint8']


def i64(*numbers):
    return np.array(numbers, np.int64)


def sparse(rng, dims, count, dtype='float32'):
    """Indices in order, values, dense shape."""
    places = np.sort(rng.choice(int(np.prod(dims)), count, replace=False))
    indices = np.stack(np.unravel_index(places, dims), 1).astype(np.int64).reshape(count, len(dims))
    return indices, values(rng, [count], dtype), np.array(dims, np.int64)


def layout(w):
    rng = rng_for('sparse_layout')
    for dtype in ANY:
        i, v, s = sparse(rng, [3, 4], 5, dtype)
        mixed = rng.permutation(5)
        op_case(w, 'SparseReorder', i[mixed], v[mixed], s, label=dtype)
        op_case(w, 'SparseSlice', i, v, s, i64(1, 0), i64(2, 3), label=dtype)
        op_case(w, 'SparseFillEmptyRows', *sparse(rng, [6, 2], 3, dtype), values(rng, [], dtype), label=dtype)
        op_case(w, 'SparseSplit', np.int64(1), i, v, s, label=dtype, num_split=2)
        j, u, z = sparse(rng, [3, 2], 3, dtype)
        op_case(w, 'SparseConcat', [i, j], [v, u], [s, z], label=dtype, concat_dim=1)
    i, v, s = sparse(rng, [5, 3], 6)
    op_case(w, 'SparseReorder', i[:0], v[:0], s, label='empty')
    op_case(w, 'SparseReorder', i, np.array([b'a', b'bb', b'', b'c', b'd', b'e']), s, label='string')
    op_case(w, 'SparseReorder', i, v[:2], s, label='error_values', error=INVALID_ARGUMENT)
    for to in ([3, 5], [-1], [15, 1, 1], [-1, 3, 1]):
        op_case(w, 'SparseReshape', i, s, i64(*to), label='x'.join(map(str, to)).replace('-', 'm'))
    for label, to in (('size', [4, 4]), ('two_unknown', [-1, -1]), ('multiple', [-1, 4]), ('negative', [-3, 5])):
        op_case(w, 'SparseReshape', i, s, i64(*to), label=f'error_{label}', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSlice', i, v, s, i64(9, 0), i64(2, 3), label='beyond')
    op_case(w, 'SparseSlice', i, v, s, i64(0, 1), i64(9, 9), label='cut_off')
    op_case(w, 'SparseSlice', i, v, s, i64(0, 0), i64(-1, 2), label='error_size', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSlice', i, v, s, i64(0), i64(1), label='error_rank', error=INVALID_ARGUMENT)
    kept = (i[:, 0] >= 1) & (i[:, 0] < 4)
    op_case(w, 'SparseSliceGrad', v[kept], i, i64(1, 0), i[kept] - [1, 0])
    op_case(w, 'SparseConcat', [i, i], [v, v], [s, s], label='rows', concat_dim=-2)
    op_case(w, 'SparseConcat', [i, i], [v, v], [s, s + 1], label='error_shape', concat_dim=0, error=INVALID_ARGUMENT)
    op_case(w, 'SparseConcat', [i, i], [v, v], [s, s], label='error_dim', concat_dim=2, error=INVALID_ARGUMENT)
    op_case(w, 'SparseSplit', np.int64(0), i, v, s, label='uneven', num_split=3)
    op_case(w, 'SparseSplit', np.int64(0), i, v, s, label='error_num', num_split=6, error=INVALID_ARGUMENT)
    op_case(w, 'SparseSplit', np.int64(2), i, v, s, label='error_dim', num_split=1, error=INVALID_ARGUMENT)
    op_case(w, 'SparseFillEmptyRows', i[:0], v[:0], s, np.float32(7), label='all_empty')
    op_case(w, 'SparseFillEmptyRows', i[[3, 0, 4]], v[:3], s, np.float32(7), label='unordered')
    op_case(w, 'SparseFillEmptyRows', i + [9, 0], v, s, np.float32(7), label='error_row', error=INVALID_ARGUMENT)
    op_case(w, 'SparseFillEmptyRows', i, v, i64(0, 3), np.float32(7), label='error_no_rows', error=INVALID_ARGUMENT)
    op_case(w, 'SparseFillEmptyRowsGrad', i64(2, 0, 3), values(rng, [6], 'f'))
    op_case(w, 'SparseFillEmptyRowsGrad', i64(2, 9), values(rng, [6], 'f'), label='error_index', error=INVALID_ARGUMENT)


def with_dense(w):
    rng = rng_for('sparse_dense')
    for dtype in ANY:
        i, v, s = sparse(rng, [3, 4], 5, dtype)
        op_case(w, 'SparseToDense', i, s, v, values(rng, [], dtype), label=dtype)
    for dtype in NUMBERS:
        i, v, s = sparse(rng, [3, 4], 5, dtype)
        op_case(w, 'SparseTensorDenseAdd', i, v, s, values(rng, [3, 4], dtype), label=dtype)
        op_case(w, 'SparseTensorDenseMatMul', i, v, s, values(rng, [4, 2], dtype), label=dtype)
        op_case(w, 'SparseTensorDenseMatMul', i, v, s, values(rng, [2, 3], dtype), label=f'{dtype}_adjoint', adjoint_a=True,
                adjoint_b=True)
        if dtype != 'complex64':
            for op in ('SparseDenseCwiseAdd', 'SparseDenseCwiseMul', 'SparseDenseCwiseDiv'):
                op_case(w, op, i, v, s, values(rng, [3, 1], dtype, 1.0), label=dtype)
    i, v, s = sparse(rng, [3, 4], 4)
    op_case(w, 'SparseToDense', np.int32(2), np.array([5], np.int32), np.float32(1), np.float32(-1), label='scalar')
    op_case(w, 'SparseToDense', i64(1, 3), i64(5), np.array([b'a', b'bc']), np.array(b'-'), label='string')
    op_case(w, 'SparseToDense', i64(3, 1), i64(5), np.float32(2), np.float32(0), label='unordered', validate_indices=False)
    for label, places, dims in (('order', [3, 1], [5]), ('repeated', [3, 3], [5]), ('bounds', [3, 7], [5]), ('negative', [-1, 3], [5]),
                                ('rank', [3, 1], [5, 5])):
        op_case(w, 'SparseToDense', i64(*places), i64(*dims), np.float32(2), np.float32(0), label=f'error_{label}',
                error=INVALID_ARGUMENT)
    op_case(w, 'SparseToDense', i64(3, 7), i64(5), np.float32(2), np.float32(0), label='error_unchecked', validate_indices=False,
            error=INVALID_ARGUMENT)
    b = values(rng, [4, 3], 'f')
    op_case(w, 'SparseTensorDenseMatMul', i.astype(np.int32), v, s, b, label='int32')
    op_case(w, 'SparseTensorDenseMatMul', i[:0], v[:0], s, b, label='empty')
    op_case(w, 'SparseTensorDenseMatMul', i + [0, 9], v, s, b, label='error_column', error=INVALID_ARGUMENT)
    op_case(w, 'SparseTensorDenseMatMul', i, v, s, b[:3], label='error_inner', error=INVALID_ARGUMENT)
    op_case(w, 'SparseDenseCwiseMul', i, v, s, np.float32(3), label='broadcast_scalar')
    op_case(w, 'SparseDenseCwiseMul', i, v, s, values(rng, [5], 'f'), label='error_shape', error=INVALID_ARGUMENT)
    op_case(w, 'SparseDenseCwiseMul', i + [5, 0], v, s, values(rng, [4], 'f'), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'SparseTensorDenseAdd', i, v, s, values(rng, [4, 4], 'f'), label='error_shape', error=INVALID_ARGUMENT)
    op_case(w, 'SparseTensorDenseAdd', i + [5, 0], v, s, values(rng, [3, 4], 'f'), label='error_index', error=INVALID_ARGUMENT)


def arithmetic(w):
    rng = rng_for('sparse_math')
    for dtype in ('float32', 'float64', 'int32', 'complex64'):
        a, b = sparse(rng, [3, 4], 5, dtype), sparse(rng, [3, 4], 6, dtype)
        real = tf.as_dtype(dtype).real_dtype.as_numpy_dtype
        op_case(w, 'SparseAdd', *a, *b, real(0), label=dtype)
        op_case(w, 'SparseAdd', *a, *b, real(2), label=f'{dtype}_threshold')
        op_case(w, 'SparseAddGrad', values(rng, [5], dtype), a[0], b[0][:0], a[0], label=dtype)
    for dtype in ('float32', 'int32', 'half'):
        a, b = sparse(rng, [3, 4], 5, dtype), sparse(rng, [3, 4], 6, dtype)
        op_case(w, 'SparseSparseMaximum', *a, *b, label=dtype)
        op_case(w, 'SparseSparseMinimum', *a, *b, label=dtype)
    for dtype in ('float32', 'float64', 'half'):
        op_case(w, 'SparseSoftmax', *sparse(rng, [2, 3, 4], 9, dtype), label=dtype)
    a, b = sparse(rng, [3, 4], 5), sparse(rng, [3, 5], 6)
    for op, extra in (('SparseAdd', [np.float32(0)]), ('SparseSparseMaximum', [])):
        op_case(w, op, *a, *b, *extra, label='error_shape', error=INVALID_ARGUMENT)
        op_case(w, op, *a, i64(1)[:, None], np.ones(1, np.float32), i64(3), *extra, label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSoftmax', i64(1)[:, None], np.ones(1, np.float32), i64(3), label='error_rank', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'half'):
        for axes in ([0], [1, -1], [0, 1, 2], []):
            axis = np.array(axes, np.int32)
            label = f'{dtype}_' + '_'.join(map(str, axes)).replace('-', 'm')
            for op in ('SparseReduceSum', 'SparseReduceMax', 'SparseReduceSumSparse', 'SparseReduceMaxSparse'):
                op_case(w, op, *sparse(rng, [2, 3, 4], 9, dtype), axis, label=label)
                if dtype == 'float32' and not op.endswith('Sparse'):
                    op_case(w, op, *sparse(rng, [2, 3, 4], 9, dtype), axis, label=f'{label}_keep', keep_dims=True)
    op_case(w, 'SparseReduceSum', *sparse(rng, [2, 3], 3), np.array([2], np.int32), label='error_axis', error=INVALID_ARGUMENT)


def sets(w):
    rng = rng_for('sets')
    for dtype in ('int32', 'int64', 'int8', 'uint16'):
        a, b = values(rng, [2, 3, 4], dtype), values(rng, [2, 3, 5], dtype)
        sa, sb = sparse(rng, [2, 3, 4], 9, dtype), sparse(rng, [2, 3, 5], 8, dtype)
        op_case(w, 'SetSize', *sa, label=dtype)
        for operation in ('a-b', 'b-a', 'intersection', 'union'):
            label = f'{dtype}_{operation}'
            op_case(w, 'DenseToDenseSetOperation', a, b, label=label, set_operation=operation)
            op_case(w, 'DenseToSparseSetOperation', a, *sb, label=label, set_operation=operation)
            op_case(w, 'SparseToSparseSetOperation', *sa, *sb, label=label, set_operation=operation)
    strings = np.array([[b'x', b'', b'x'], [b'b', b'a', b'c']])
    op_case(w, 'DenseToDenseSetOperation', strings, strings[::-1], label='string', set_operation='union')
    for label, b in (('groups', [[1], [2], [3]]), ('rank', [[[1]], [[2]]])):
        op_case(w, 'DenseToDenseSetOperation', np.array([[1, 2], [3, 4]]), np.array(b), label=f'error_{label}', set_operation='a-b',
                error=INVALID_ARGUMENT)
    op_case(w, 'DenseToDenseSetOperation', np.array([[1, 2]]), np.array([[3]]), label='error_operation', set_operation='xor',
            error=INVALID_ARGUMENT)
    i, v, s = sparse(rng, [3, 4], 4, 'int64')
    op_case(w, 'SetSize', i[::-1].copy(), v, s, label='error_order', error=INVALID_ARGUMENT)
    op_case(w, 'SetSize', i + [5, 0], v, s, label='error_bounds', error=INVALID_ARGUMENT)


def samplers(w):
    classes = np.array([[0, 1], [3, 2], [4, 9]], np.int64)
    for unique in (True, False):
        for seed, sampled in ((1, 5), (7, 9)):
            common = dict(num_true=2, num_sampled=sampled, unique=unique, seed=seed, seed2=3)
            label = f'{"unique" if unique else "any"}_{seed}'
            for op in ('UniformCandidateSampler', 'LogUniformCandidateSampler', 'LearnedUnigramCandidateSampler'):
                op_case(w, op, classes, label=label, range_max=12, **common)
            op_case(w, 'FixedUnigramCandidateSampler', classes, label=label, range_max=10, unigrams=[1., 2., 3., 4., 5., .5, .1, 7., 2., 1.],
                    distortion=0.75, **common)
    op_case(w, 'LogUniformCandidateSampler', classes, label='large', range_max=100000, num_true=2, num_sampled=40, unique=True, seed=5)
    op_case(w, 'FixedUnigramCandidateSampler', classes[:1], label='reserved', range_max=5, num_reserved_ids=2, unigrams=[3., 1., 2.],
            num_true=2, num_sampled=2, unique=True, seed=5)
    op_case(w, 'AllCandidateSampler', classes, num_true=2, num_sampled=10, unique=True)
    for label, extra in (('range', dict(num_sampled=11)), ('columns', dict(num_true=3)), ('class', dict(range_max=6))):
        op_case(w, 'UniformCandidateSampler', classes, label=f'error_{label}', error=INVALID_ARGUMENT,
                **{**dict(num_true=2, num_sampled=3, unique=True, range_max=10, seed=1), **extra})
    op_case(w, 'FixedUnigramCandidateSampler', classes, label='error_weights', error=INVALID_ARGUMENT, num_true=2, num_sampled=3,
            unique=True, range_max=10, seed=1, unigrams=[1., 2.])
    op_case(w, 'ComputeAccidentalHits', classes, np.array([3, 0, 7, 3, 9], np.int64), num_true=2)
    op_case(w, 'ComputeAccidentalHits', classes, np.array([[3]], np.int64), label='error_rank', num_true=2, error=INVALID_ARGUMENT)


def make(writer):
    layout(writer)
    with_dense(writer)
    arithmetic(writer)
    sets(writer)
    samplers(writer)
