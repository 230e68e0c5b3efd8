"""Cases of ops on rows: formats of dimensions, rows replaced, order, bins, cross products, distances."""
import numpy as np

from .record import op_case, rng_for, values

INVALID_ARGUMENT = 3
FAILED_PRECONDITION = 9
REAL = ('float32', 'float64', 'half', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'int64', 'uint32', 'uint64')


def formats(w):
    for dtype in ('int32', 'int64'):
        for source, target in (('NHWC', 'NCHW'), ('NCHW', 'NHWC'), ('NDHWC', 'NCDHW')):
            n = len(source)
            formats_of = dict(src_format=source, dst_format=target)
            op_case(w, 'DataFormatDimMap', np.arange(-n, n).astype(dtype), label=f'{dtype}_{source}', **formats_of)
            op_case(w, 'DataFormatVecPermute', np.arange(5, 5 + n).astype(dtype), label=f'{dtype}_{source}', **formats_of)
            op_case(w, 'DataFormatVecPermute', np.arange(2 * n).reshape(n, 2).astype(dtype), label=f'{dtype}_{source}_pairs', **formats_of)
            op_case(w, 'DataFormatVecPermute', np.arange(n - 2).astype(dtype), label=f'{dtype}_{source}_space', **formats_of)
    op_case(w, 'DataFormatVecPermute', np.arange(2, dtype='i'), label='turned', src_format='NHWC', dst_format='WHNC')
    op_case(w, 'DataFormatVecPermute', np.arange(6, dtype='i'), label='error_size', error=INVALID_ARGUMENT)
    op_case(w, 'DataFormatVecPermute', np.zeros([4, 3], 'i'), label='error_pairs', error=INVALID_ARGUMENT)
    op_case(w, 'DataFormatDimMap', np.arange(2, dtype='i'), label='error_format', src_format='NHW', error=INVALID_ARGUMENT)


def replaced(w):
    rng = rng_for('replaced')
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'complex64', 'bool'):
        for op in ('InplaceUpdate', 'InplaceAdd', 'InplaceSub')[:1 if dtype == 'bool' else 3]:
            op_case(w, op, values(rng, [4, 3], dtype), np.array([2, -1], 'i'), values(rng, [2, 3], dtype), label=dtype)
    for label, rows, v in (('rank', [1], np.ones([3])), ('rows', [1, 2], np.ones([1, 3])), ('width', [1], np.ones([1, 2]))):
        op_case(w, 'InplaceUpdate', np.zeros([4, 3]), np.array(rows, 'i'), v, label=f'error_{label}', error=INVALID_ARGUMENT)


def ordered(w):
    rng = rng_for('ordered')
    for dtype in REAL:
        for reverse in (False, True):
            op_case(w, 'NthElement', values(rng, [3, 7], dtype), np.int32(2), label=f'{dtype}' + ('_reverse' if reverse else ''), reverse=reverse)
        op_case(w, 'Cross', values(rng, [2, 2, 3], dtype, 0, 5), values(rng, [2, 2, 3], dtype, 0, 5), label=dtype)
    op_case(w, 'NthElement', values(rng, [5], 'f'), np.int32(0), label='vector')
    op_case(w, 'NthElement', values(rng, [2, 3], 'f'), np.int32(3), label='error_n', error=INVALID_ARGUMENT)
    op_case(w, 'NthElement', values(rng, [2, 3], 'f'), np.int32(-1), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'Cross', np.ones([2, 3]), np.ones([1, 3]), label='error_shapes', error=INVALID_ARGUMENT)
    op_case(w, 'Cross', np.ones([2, 4]), np.ones([2, 4]), label='error_length', error=FAILED_PRECONDITION)
    for dtype in ('float32', 'float64', 'int32', 'int64'):
        for out in ('int32', 'int64'):
            op_case(w, 'HistogramFixedWidth', values(rng, [4, 5], dtype, -8, 8), np.array([-4, 6]).astype(dtype), np.int32(5), label=f'{dtype}_{out}', dtype=out)
    op_case(w, 'HistogramFixedWidth', np.zeros([0], 'f'), np.array([0, 1], 'f'), np.int32(3), label='empty')
    op_case(w, 'HistogramFixedWidth', np.ones([2], 'f'), np.array([1, 1], 'f'), np.int32(3), label='error_range', error=INVALID_ARGUMENT)
    op_case(w, 'HistogramFixedWidth', np.ones([2], 'f'), np.array([0, 1], 'f'), np.int32(0), label='error_bins', error=INVALID_ARGUMENT)


def distances(w):
    def sparse(entries, shape, dtype):
        return [np.array([e[0] for e in entries], 'q').reshape(-1, len(shape)), np.array([e[1] for e in entries]).astype(dtype), np.array(shape, 'q')]
    guess = [([0, 0, 0], 1), ([0, 0, 1], 2), ([0, 0, 2], 3), ([0, 1, 0], 4), ([1, 0, 0], 5), ([1, 0, 1], 5)]
    truth = [([0, 0, 0], 1), ([0, 0, 1], 3), ([1, 0, 0], 5), ([1, 0, 1], 6), ([1, 0, 2], 5), ([1, 0, 3], 5), ([1, 1, 0], 7)]
    for dtype in ('int64', 'float32', 'uint8', 'S'):
        for normalize in (True, False):
            op_case(w, 'EditDistance', *sparse(guess, [2, 2, 3], dtype), *sparse(truth, [2, 3, 4], dtype),
                    label=f'{dtype.lower()}' + ('' if normalize else '_counted'), normalize=normalize)
    op_case(w, 'EditDistance', *sparse([], [2, 2], 'q'), *sparse([], [2, 2], 'q'), label='empty')
    bad = dict(error=INVALID_ARGUMENT)
    op_case(w, 'EditDistance', *sparse([([0, 5], 1)], [2, 3], 'q'), *sparse([([0, 5], 1)], [2, 3], 'q'), label='far')
    op_case(w, 'EditDistance', *sparse([([0, 1], 1)], [2, 3], 'q'), *sparse(truth, [2, 3, 4], 'q'), label='error_ranks', **bad)
    rng = rng_for('neighbours')
    points, centers = values(rng, [7, 3], 'f'), values(rng, [5, 3], 'f')
    for k in (0, 1, 2, 5, 9):
        op_case(w, 'NearestNeighbors', points, centers, np.int64(k), label=f'{k}')
    op_case(w, 'NearestNeighbors', points, values(rng, [5, 2], 'f'), np.int64(1), label='error_size', **bad)


def make(w):
    formats(w)
    replaced(w)
    ordered(w)
    distances(w)
