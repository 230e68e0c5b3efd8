"""Cases of special functions, bit manipulation, bucketing and searching."""
import numpy as np

from golden.record import op_case, rng_for, supported, values

INVALID_ARGUMENT = 3

UNARY = {  # op: the range its inputs are drawn from
    'BesselI0': (-4, 4), 'BesselI0e': (-6, 6), 'BesselI1': (-4, 4), 'BesselI1e': (-6, 6), 'BesselJ0': (0, 12), 'BesselJ1': (0, 12),
    'BesselK0': (0.2, 6), 'BesselK0e': (0.2, 9), 'BesselK1': (0.2, 6), 'BesselK1e': (0.2, 9), 'BesselY0': (0.3, 12), 'BesselY1': (0.3, 12),
    'Dawsn': (-5, 5), 'Erfinv': (-0.95, 0.95), 'Expint': (0.1, 8), 'FresnelCos': (-4, 4), 'FresnelSin': (-4, 4), 'Ndtri': (0.02, 0.98),
    'Spence': (0.1, 5),
}
BINARY = {  # op: ranges of its inputs
    'Igamma': ((0.2, 6), (0.1, 9)), 'Igammac': ((0.2, 6), (0.1, 9)), 'IgammaGradA': ((0.5, 4), (0.2, 6)), 'Zeta': ((1.2, 6), (0.3, 5)),
    'NextAfter': ((-3, 3), (-3, 3)),
}
SHAPES = [([7], [7]), ([3, 1], [4]), ([], [5]), ([2, 2], [])]
EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.0, -0.5, 30.0], 'd')


def unary(w):
    for op, (low, high) in UNARY.items():
        for dtype in ('float32', 'float64', 'half', 'bfloat16'):
            if not any(t.name == {'half': 'float16'}.get(dtype, dtype) for t in supported(op)):
                continue
            rng = rng_for(op + dtype)
            loose = {'float32': 1e-4, 'float64': 1e-7}.get(dtype)
            op_case(w, op, values(rng, [11], dtype, low, high), label=dtype, rtol=loose, atol=loose and loose / 10)
        op_case(w, op, values(rng_for(op), [2, 0], 'f', low, high), label='empty')
        op_case(w, op, values(rng_for(op), [], 'd', low, high), label='scalar', rtol=1e-7, atol=1e-8)
    for op in ('Erfinv', 'Ndtri', 'Dawsn', 'BesselI0e', 'BesselI1e', 'Spence'):
        op_case(w, op, EDGES, label='edges', rtol=1e-7, atol=1e-8)


def binary(w):
    for op, ((a, b), (c, d)) in BINARY.items():
        for dtype in ('float32', 'float64'):
            rng = rng_for(op + dtype)
            loose = 1e-4 if dtype == 'float32' else 1e-7
            exact = dict(rtol=0.0, atol=0.0) if op == 'NextAfter' else dict(rtol=loose, atol=loose / 10)
            for first, second in SHAPES:
                label = '_'.join([dtype, *('x'.join(map(str, s)) or 'scalar' for s in (first, second))])
                op_case(w, op, values(rng, first, dtype, a, b), values(rng, second, dtype, c, d), label=label, **exact)
            op_case(w, op, values(rng, [0], dtype, a, b), values(rng, [], dtype, c, d), label=f'{dtype}_empty')
        op_case(w, op, values(rng_for(op), [3], 'f', a, b), values(rng_for(op), [4], 'f', c, d), label='error_shapes', error=INVALID_ARGUMENT)
    rng = rng_for('others')
    loose = dict(rtol=1e-7, atol=1e-8)
    op_case(w, 'Polygamma', np.array([1.0, 2.0, 3.0, 1.0]), values(rng, [4], 'd', 0.5, 5), **loose)
    op_case(w, 'Polygamma', np.float64(2), values(rng, [2, 3], 'd', 0.5, 5), label='broadcast', **loose)
    for dtype in ('float32', 'float64'):
        op_case(w, 'Betainc', values(rng, [6], dtype, 0.5, 5), values(rng, [6], dtype, 0.5, 5), values(rng, [6], dtype, 0.02, 0.98), label=dtype,
                rtol=1e-4 if dtype == 'float32' else 1e-7, atol=1e-6)
    op_case(w, 'Betainc', np.float64(2), values(rng, [3], 'd', 0.5, 5), np.float64(0.25), label='scalars', **loose)


def bits(w):
    for dtype in ('int8', 'int16', 'int32', 'int64', 'uint8', 'uint16'):
        rng = rng_for('bits' + dtype)
        x = values(rng, [3, 5], dtype, -120, 120)
        op_case(w, 'PopulationCount', x, label=dtype)
        op_case(w, 'LeftShift', x, values(rng, [3, 5], dtype, 0, 6), label=dtype)
        op_case(w, 'RightShift', x, values(rng, [5], dtype, 0, 6), label=dtype)


def counting(w):
    rng = rng_for('counting')
    numbers = values(rng, [17], 'int32', 0, 6)
    for dtype in ('int32', 'int64', 'float32', 'float64'):
        op_case(w, 'Bincount', numbers, np.int32(5), values(rng, [17], dtype, 1, 3), label=dtype)
    op_case(w, 'Bincount', numbers, np.int32(9), np.zeros([0], 'f'), label='no_weights')
    op_case(w, 'Bincount', np.array([1, -2], 'i'), np.int32(3), np.zeros([0], 'i'), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'Bincount', numbers, np.int32(-3), np.zeros([0], 'i'), label='error_size', error=INVALID_ARGUMENT)
    for dtype in (np.int32, np.int64):
        op_case(w, 'DenseBincount', numbers.astype(dtype), dtype(6), np.zeros([0], 'f'), label=np.dtype(dtype).name)
        op_case(w, 'DenseBincount', numbers[:12].reshape(3, 4).astype(dtype), dtype(4), values(rng, [3, 4], 'f'), label=f'rows_{np.dtype(dtype).name}')
    op_case(w, 'DenseBincount', numbers, np.int32(4), np.zeros([0], 'f'), label='binary', binary_output=True)
    for dtype in ('int32', 'int64', 'float32', 'float64'):
        op_case(w, 'Bucketize', values(rng, [2, 6], dtype), label=dtype, boundaries=[-1.5, 0.0, 1.0, 2.5])
    op_case(w, 'Bucketize', values(rng, [4], 'f'), label='none', boundaries=[])
    for dtype in ('float32', 'int32', 'int64', 'float64'):
        rows = np.sort(values(rng, [2, 7], dtype), axis=1)
        for op in ('LowerBound', 'UpperBound'):
            op_case(w, op, rows, values(rng, [2, 4], dtype), label=dtype)
            op_case(w, op, rows, rows[:, 1:5], label=f'equal_{dtype}', out_type='int64')
    for op in ('LowerBound', 'UpperBound'):
        op_case(w, op, np.zeros([2, 3], 'f'), np.zeros([3, 1], 'f'), label='error_rows', error=INVALID_ARGUMENT)
    for axis in (0, 1, -1):
        for exclusive, reverse in ((False, False), (True, True), (True, False)):
            op_case(w, 'CumulativeLogsumexp', values(rng, [3, 5], 'f'), np.int32(axis), exclusive=exclusive, reverse=reverse,
                    label=f'axis_{axis}_{exclusive}_{reverse}'.replace('-', 'minus_').lower())
    op_case(w, 'CumulativeLogsumexp', values(rng, [6], 'd', -300, 300), np.int64(0), label='double')
    for op in ('Cumsum', 'Cumprod'):
        for dtype in ('float64', 'int32', 'int64', 'half', 'complex64'):
            op_case(w, op, values(rng, [2, 5], dtype), np.int32(1), label=f'type_{dtype}')
        op_case(w, op, values(rng, [3, 0], 'f'), np.int32(0), label='empty_columns')
    for op in ('Unique', 'UniqueWithCounts'):
        for dtype in ('float32', 'int32', 'int64', 'int8', 'half', 'string'):
            x = np.array([b'b', b'a', b'b', b'', b'a']) if dtype == 'string' else values(rng, [13], dtype, 0, 4)
            op_case(w, op, x, label=f'of_{dtype}', **({} if dtype == 'int8' else dict(out_idx='int64')))
        op_case(w, op, values(rng, [0], 'f'), label='of_nothing')
        op_case(w, op, values(rng, [2, 2], 'f'), label='error_rank', error=INVALID_ARGUMENT)
        rows = values(rng, [5, 2], 'i', 0, 1)
        op_case(w, op + 'V2', rows, np.array([0], 'i'), label='rows')
        op_case(w, op + 'V2', rows.T, np.array([1], 'i'), label='columns')
        op_case(w, op + 'V2', rows[:, 0], np.array([], 'i'), label='vector')
    for dtype in ('int32', 'float32', 'int64'):
        op_case(w, 'ListDiff', values(rng, [9], dtype, 0, 5), values(rng, [3], dtype, 0, 3), label=dtype)
    op_case(w, 'ListDiff', np.array([b'a', b'b', b'a']), np.array([b'b']), label='string')
    op_case(w, 'UnravelIndex', np.array([5, 0, 11, 7], 'i'), np.array([3, 4], 'i'))
    op_case(w, 'UnravelIndex', np.int64(17), np.array([2, 3, 4], 'q'), label='scalar')
    op_case(w, 'UnravelIndex', np.array([12], 'i'), np.array([3, 4], 'i'), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'UnravelIndex', np.array([1], 'i'), np.array([3, 0], 'i'), label='error_zero', error=INVALID_ARGUMENT)


def make(w):
    unary(w)
    binary(w)
    bits(w)
    counting(w)
