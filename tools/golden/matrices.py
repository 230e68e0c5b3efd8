"""Cases of diagonals, bands, spatial blocks, rolls and reversed sequences, and further shapes of what arrays.py holds."""
import numpy as np

from golden.record import op_case, rng_for, values

INVALID_ARGUMENT = 3


def i32(*numbers):
    return np.array(numbers, np.int32)


def diagonals(w):
    rng = rng_for('diagonals')
    for dtype in ('float32', 'float64', 'int32', 'complex64'):
        op_case(w, 'Diag', values(rng, [3], dtype), label=dtype)
        op_case(w, 'DiagPart', values(rng, [3, 3], dtype), label=dtype)
    op_case(w, 'Diag', values(rng, [2, 3], 'f'), label='matrix')
    op_case(w, 'DiagPart', values(rng, [2, 3, 2, 3], 'f'), label='rank_4')
    op_case(w, 'DiagPart', values(rng, [2, 3], 'f'), label='error_square', error=INVALID_ARGUMENT)
    for lower, upper in ((0, 0), (1, 2), (-1, 0), (0, -1), (-1, -1), (2, 1)):
        for dtype in ('float32', 'int64'):
            op_case(w, 'MatrixBandPart', values(rng, [2, 4, 5], dtype), np.int64(lower), np.int64(upper),
                    label=f'{lower}_{upper}_{dtype}'.replace('-', 'minus_'))
    op_case(w, 'MatrixBandPart', values(rng, [3], 'f'), np.int64(0), np.int64(0), label='error_rank', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'bool', 'half'):
        op_case(w, 'MatrixDiag', values(rng, [2, 3], dtype), label=dtype)
        op_case(w, 'MatrixDiagPart', values(rng, [2, 3, 4], dtype), label=dtype)
        op_case(w, 'MatrixSetDiag', values(rng, [2, 3, 4], dtype), values(rng, [2, 3], dtype), label=dtype)
        zero = np.zeros([], np.dtype('float16') if dtype == 'half' else dtype)
        for k, rows, length in (((0,), 1, 3), ((1,), 1, 3), ((-1, 1), 3, 3), ((-2, 0), 3, 3)):
            name = '_'.join(map(str, k)).replace('-', 'minus_')
            band = values(rng, [rows, length] if rows > 1 else [length], dtype)
            op_case(w, 'MatrixDiagPartV2', values(rng, [2, 3, 4], dtype), i32(*k), zero, label=f'{dtype}_{name}')
            op_case(w, 'MatrixDiagV2', band, i32(*k), np.int32(-1), np.int32(-1), zero, label=f'{dtype}_{name}')
            op_case(w, 'MatrixSetDiagV2', values(rng, [3, 4], dtype), band, i32(*k), label=f'{dtype}_{name}') if k != (-2, 0) else None
            for align in ('LEFT_RIGHT', 'RIGHT_LEFT', 'LEFT_LEFT', 'RIGHT_RIGHT') if dtype == 'float32' else ():
                op_case(w, 'MatrixDiagPartV3', values(rng, [2, 3, 4], dtype), i32(*k), zero, label=f'{align.lower()}_{name}', align=align)
                op_case(w, 'MatrixDiagV3', band, i32(*k), np.int32(-1), np.int32(-1), zero, label=f'{align.lower()}_{name}', align=align)
                op_case(w, 'MatrixSetDiagV3', values(rng, [3, 4], dtype), band, i32(*k), label=f'{align.lower()}_{name}', align=align) \
                    if k != (-2, 0) else None
    op_case(w, 'MatrixDiagPartV3', values(rng, [3, 4], 'f'), i32(4), np.float32(0), label='error_k', error=INVALID_ARGUMENT)
    op_case(w, 'MatrixDiagPartV3', values(rng, [3, 4], 'f'), i32(1, -1), np.float32(0), label='error_order', error=INVALID_ARGUMENT)
    op_case(w, 'MatrixSetDiagV3', values(rng, [3, 4], 'f'), values(rng, [2], 'f'), i32(0), label='error_length', error=INVALID_ARGUMENT)


def blocks(w):
    rng = rng_for('blocks')
    for dtype in ('float32', 'int32', 'half'):
        op_case(w, 'SpaceToDepth', values(rng, [2, 4, 6, 3], dtype), label=dtype, block_size=2)
        op_case(w, 'DepthToSpace', values(rng, [2, 2, 3, 12], dtype), label=dtype, block_size=2)
        op_case(w, 'SpaceToBatch', values(rng, [2, 3, 4, 1], dtype), np.array([[1, 0], [1, 1]], 'i'), label=dtype, block_size=2)
        op_case(w, 'BatchToSpace', values(rng, [8, 2, 3, 1], dtype), np.array([[1, 0], [0, 2]], 'i'), label=dtype, block_size=2)
        op_case(w, 'SpaceToBatchND', values(rng, [2, 5, 3], dtype), i32(3), np.array([[1, 0]], 'i'), label=dtype)
        op_case(w, 'BatchToSpaceND', values(rng, [12, 2, 2], dtype), i32(3), np.array([[1, 1]], 'i'), label=dtype)
    op_case(w, 'SpaceToBatchND', values(rng, [1, 4, 6, 2], 'f'), np.array([2, 3], 'q'), np.array([[0, 0], [0, 0]], 'q'), label='two')
    op_case(w, 'BatchToSpaceND', values(rng, [6, 2, 2, 2], 'f'), np.array([2, 3], 'q'), np.array([[0, 1], [2, 0]], 'q'), label='two')
    op_case(w, 'SpaceToDepth', values(rng, [1, 3, 4, 1], 'f'), label='error_size', block_size=2, error=INVALID_ARGUMENT)
    op_case(w, 'DepthToSpace', values(rng, [1, 2, 2, 3], 'f'), label='error_depth', block_size=2, error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int64', 'bool'):
        op_case(w, 'Roll', values(rng, [3, 5], dtype), i32(2, -1), i32(1, 0), label=dtype)
    op_case(w, 'Roll', values(rng, [7], 'f'), np.int64(-9), np.int32(0), label='far')
    op_case(w, 'Roll', values(rng, [2, 3, 2], 'f'), i32(1, 1), i32(1, 1), label='twice')
    op_case(w, 'Roll', values(rng, [3], 'f'), i32(1), i32(1), label='error_axis', error=INVALID_ARGUMENT)
    op_case(w, 'Roll', values(rng, [3], 'f'), i32(1, 2), i32(0), label='error_count', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'bool'):
        op_case(w, 'ReverseSequence', values(rng, [3, 5, 2], dtype), np.array([0, 5, 3], 'q'), label=dtype, seq_dim=1)
    op_case(w, 'ReverseSequence', values(rng, [4, 3], 'f'), i32(2, 4, 1), label='batch_1', seq_dim=0, batch_dim=1)
    op_case(w, 'ReverseSequence', values(rng, [2, 3], 'f'), i32(4, 1), label='error_length', seq_dim=1, error=INVALID_ARGUMENT)
    op_case(w, 'ReverseSequence', values(rng, [2, 3], 'f'), i32(1), label='error_count', seq_dim=1, error=INVALID_ARGUMENT)
    pads = np.array([[1, 2], [2, 1]], 'i')
    for mode in ('REFLECT', 'SYMMETRIC'):
        for dtype in ('float32', 'float64', 'int32'):
            op_case(w, 'MirrorPadGrad', values(rng, [6, 7], dtype), pads, label=f'{mode.lower()}_{dtype}', mode=mode)
        op_case(w, 'MirrorPad', values(rng, [3, 4], 'd'), pads.astype('q'), label=f'{mode.lower()}_double', mode=mode)


def others(w):
    """Ops that share a kernel with others, under their own names."""
    rng = rng_for('others')
    for op in ('Identity', 'Snapshot', 'StopGradient', 'PreventGradient', 'DeepCopy', 'GuaranteeConst'):
        for dtype in ('float32', 'int32', 'bool', 'complex64', 'string'):
            x = np.array([b'a', b'']) if dtype == 'string' else values(rng, [2, 3], dtype)
            op_case(w, op, x, label=f'of_{dtype}', **(dict(message='') if op == 'PreventGradient' else {}))
    for op in ('Equal', 'NotEqual'):
        for dtype in ('int8', 'uint8', 'int16', 'bool', 'half', 'bfloat16', 'complex64', 'complex128'):
            op_case(w, op, values(rng, [3, 4], dtype, 0, 2), values(rng, [4], dtype, 0, 2), label=f'rows_{dtype}')
        op_case(w, op, values(rng, [2], 'f'), values(rng, [3], 'f'), label='loose_shapes', incompatible_shape_error=False)
    for op in ('Add', 'AddV2', 'Mul', 'Sub'):
        for dtype in ('int8', 'uint8', 'int16', 'bfloat16', 'complex128'):
            op_case(w, op, values(rng, [2, 1, 3], dtype, 0, 5), values(rng, [4, 1], dtype, 0, 5), label=f'outer_{dtype}')
    op_case(w, 'L2Loss', values(rng, [300], 'f'), label='long')
    op_case(w, 'L2Loss', values(rng, [2, 2], 'half'), label='short_float')
    op_case(w, 'LinSpace', np.float32(2), np.float32(-1), np.int64(4), label='down')
    op_case(w, 'LinSpace', np.float32(2), np.float32(-1), np.int32(0), label='error_number', error=INVALID_ARGUMENT)
    op_case(w, 'BroadcastArgs', np.array([], 'q'), np.array([2, 3], 'q'), label='scalar')
    op_case(w, 'BroadcastArgs', i32(2), i32(3), label='error', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'float64', 'complex64'):
        op_case(w, 'BatchMatMulV3', values(rng, [2, 1, 3, 4], dtype), values(rng, [5, 4, 2], dtype), label=dtype, Tout=dtype)
    op_case(w, 'BatchMatMulV3', values(rng, [2, 4, 3], 'f'), values(rng, [2, 2, 4], 'f'), label='transposed', Tout='float32', adj_x=True, adj_y=True)
    for a in (False, True):
        for b in (False, True):
            op_case(w, 'SparseMatMul', values(rng, [4, 3] if a else [3, 4], 'f'), values(rng, [2, 4] if b else [4, 2], 'f'),
                    label=f'{a}_{b}'.lower(), transpose_a=a, transpose_b=b, a_is_sparse=True)
    op_case(w, 'AccumulateNV2', [values(rng, [2, 3], 'f') for _ in range(3)], shape=[2, 3])
    for shape, stride in (([7], (2,)), ([3, 4], (1, 3)), ([2, 5, 2], (1, -2, 1))):
        ends = [s if d > 0 else 0 for s, d in zip(shape, stride)]
        begins = [0 if d > 0 else s - 1 for s, d in zip(shape, stride)]
        cut = [len(range(b, e, d)) for b, e, d in zip(begins, ends, stride)]
        for dtype in ('float64', 'int32'):
            op_case(w, 'StridedSliceGrad', i32(*shape), i32(*begins), i32(*ends), i32(*stride), values(rng, cut, dtype),
                    label=f'{len(shape)}_{dtype}')
    for op in ('Mod', 'FloorMod', 'TruncateMod'):
        op_case(w, op, values(rng, [6], 'd', -9, 9), values(rng, [6], 'd', 1, 4), label='signed_double')
    for op in ('ZerosLike', 'OnesLike'):
        for dtype in ('bool', 'complex64', 'uint8'):
            op_case(w, op, values(rng, [2, 2], dtype), label=f'of_{dtype}')
    op_case(w, 'ZerosLike', np.array([b'a', b'bc']), label='of_string')
    op_case(w, 'LeakyRelu', values(rng, [9], 'd'), label='steep', alpha=1.5)


def make(w):
    diagonals(w)
    blocks(w)
    others(w)
