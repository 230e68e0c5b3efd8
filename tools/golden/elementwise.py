"""Cases of the elementwise ops: unary, binary with broadcasting, comparisons, logic, selection, and their gradient ops."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import op_case, rng_for, supported, values

INVALID_ARGUMENT = 3

# op: the range its inputs are drawn from
UNARY = {
    'Abs': (-3, 3), 'Neg': (-3, 3), 'Sign': (-2, 2), 'Square': (-3, 3), 'Sqrt': (0.1, 9), 'Rsqrt': (0.1, 9),
    'Exp': (-3, 3), 'Expm1': (-2, 2), 'Log': (0.1, 9), 'Log1p': (-0.9, 5), 'Sin': (-6, 6), 'Cos': (-6, 6),
    'Tan': (-1.4, 1.4), 'Asin': (-0.95, 0.95), 'Acos': (-0.95, 0.95), 'Atan': (-5, 5), 'Sinh': (-3, 3),
    'Cosh': (-3, 3), 'Tanh': (-4, 4), 'Asinh': (-5, 5), 'Acosh': (1.1, 6), 'Atanh': (-0.95, 0.95),
    'Sigmoid': (-6, 6), 'Reciprocal': (0.4, 4), 'Inv': (0.4, 4), 'Ceil': (-4, 4), 'Floor': (-4, 4),
    'Round': (-4, 4), 'Rint': (-4, 4), 'Erf': (-2, 2), 'Erfc': (-2, 2), 'Lgamma': (0.3, 6), 'Digamma': (0.3, 6),
    'Softplus': (-8, 8), 'Softsign': (-5, 5), 'Relu': (-3, 3), 'Relu6': (-2, 9), 'Elu': (-3, 3), 'Selu': (-3, 3),
    'LeakyRelu': (-3, 3), 'ZerosLike': (-3, 3), 'OnesLike': (-3, 3), 'Invert': (-100, 100), 'Identity': (-3, 3),
}
SPECIAL = ['Abs', 'Neg', 'Sign', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Expm1', 'Log', 'Log1p', 'Sin', 'Cos', 'Atan',
           'Tanh', 'Sigmoid', 'Reciprocal', 'Ceil', 'Floor', 'Round', 'Rint', 'Erf', 'Softplus', 'Softsign', 'Relu6',
           'Elu', 'IsFinite', 'IsInf', 'IsNan', 'Sinh', 'Cosh', 'Asinh']
# op: ranges of its two inputs
BINARY = {
    'Add': (-4, 4), 'AddV2': (-4, 4), 'Sub': (-4, 4), 'Mul': (-4, 4), 'Div': (1, 6), 'RealDiv': (1, 6),
    'FloorDiv': (1, 9), 'FloorMod': (1, 9), 'Mod': (1, 9), 'TruncateDiv': (1, 9), 'TruncateMod': (1, 9),
    'DivNoNan': (-3, 3), 'MulNoNan': (-3, 3), 'Maximum': (-4, 4), 'Minimum': (-4, 4), 'Pow': (1, 3),
    'SquaredDifference': (-4, 4), 'Atan2': (-3, 3), 'Xdivy': (1, 4), 'Xlogy': (1, 4), 'Xlog1py': (1, 4),
    'Equal': (0, 3), 'NotEqual': (0, 3), 'Less': (0, 3), 'LessEqual': (0, 3), 'Greater': (0, 3),
    'GreaterEqual': (0, 3), 'BitwiseAnd': (0, 90), 'BitwiseOr': (0, 90), 'BitwiseXor': (0, 90),
}
SIGNED_DIVISION = ['FloorDiv', 'FloorMod', 'TruncateDiv', 'TruncateMod', 'Div']
GRADS = {  # op: ranges of (first, second) input
    'SigmoidGrad': ((0.05, 0.95), (-2, 2)), 'TanhGrad': ((-0.95, 0.95), (-2, 2)), 'SqrtGrad': ((0.3, 3), (-2, 2)),
    'RsqrtGrad': ((0.3, 3), (-2, 2)), 'ReciprocalGrad': ((-2, 2), (-2, 2)), 'InvGrad': ((-2, 2), (-2, 2)),
    'ReluGrad': ((-2, 2), (-2, 2)), 'Relu6Grad': ((-2, 2), (-2, 9)), 'EluGrad': ((-2, 2), (-0.9, 2)),
    'SeluGrad': ((-2, 2), (-1.5, 2)), 'SoftplusGrad': ((-2, 2), (-5, 5)), 'SoftsignGrad': ((-2, 2), (-5, 5)),
    'LeakyReluGrad': ((-2, 2), (-2, 2)),
}
BROADCASTS = [([5, 3], [5, 3]), ([4, 1, 3], [2, 1]), ([], [6]), ([3, 5], [5]), ([2, 1], []), ([0, 3], [3]),
              ([1, 4, 1], [2, 1, 3])]
LONG = [19, 7]  # several vectors and a tail


def small_types(types):
    """The types worth a case each: both floats, the two short floats, the widths of integers, complex."""
    wanted = ['float32', 'float64', 'half', 'bfloat16', 'int32', 'int64', 'int8', 'uint8', 'int16', 'uint16',
              'complex64', 'complex128']
    return [t for t in map(tf.as_dtype, wanted) if t in types]


def unary(w):
    for op, (low, high) in UNARY.items():
        types = supported(op) or [tf.float32, tf.float64, tf.int32, tf.string, tf.bool]
        for dtype in small_types(types):
            rng = rng_for(f'{op}{dtype.name}')
            shape = LONG if dtype == tf.float32 else [3, 7]
            if dtype.is_complex:
                low, high = -1.5, 1.5
            op_case(w, op, values(rng, shape, dtype, low, high), label=dtype.name)
        rng = rng_for(op)
        first = small_types(types)[0]
        op_case(w, op, values(rng, [], first, low, high), label='scalar')
        op_case(w, op, values(rng, [0, 2], first, low, high), label='empty')
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 80.0, -80.0], 'f')
    for op in SPECIAL:
        op_case(w, op, special, label='special')
        if op != 'Erf':  # 2.21 gives NaN for infinities
            op_case(w, op, special.astype('d'), label='special_double')
    for op in ['IsFinite', 'IsInf', 'IsNan']:
        op_case(w, op, special.astype('e'), label='half')
    op_case(w, 'LogicalNot', np.array([[True, False, True]]))
    op_case(w, 'LeakyRelu', values(rng_for('leaky'), [4, 5], 'float32'), label='alpha', alpha=0.02)
    rng = rng_for('complex')
    for dtype in (tf.complex64, tf.complex128):
        z = values(rng, [3, 4], dtype)
        for op in ('Real', 'Imag', 'Angle', 'ComplexAbs'):
            op_case(w, op, z, label=dtype.name, Tout=tf.float32 if dtype == tf.complex64 else tf.float64)
        op_case(w, 'Conj', z, label=dtype.name)
    op_case(w, 'Complex', values(rng, [2, 3], 'float32'), values(rng, [3], 'float32'), Tout=tf.complex64)


def binary(w):
    for op, (low, high) in BINARY.items():
        types = small_types(supported(op) or [tf.float32, tf.float64, tf.int32])
        for dtype in types:
            rng = rng_for(f'{op}{dtype.name}')
            op_case(w, op, values(rng, [4, 6], dtype, low, high), values(rng, [4, 6], dtype, low, high),
                    label=dtype.name)
        rng = rng_for(op)
        for a, b in BROADCASTS:
            op_case(w, op, values(rng, a, types[0], low, high), values(rng, b, types[0], low, high),
                    label='x'.join(['_'.join(map(str, a)) or 'scalar', '_'.join(map(str, b)) or 'scalar']))
        op_case(w, op, values(rng, LONG, types[0], low, high), values(rng, LONG, types[0], low, high), label='long')
        op_case(w, op, values(rng, [3, 4], types[0], low, high), values(rng, [5], types[0], low, high),
                label='error_shapes', error=INVALID_ARGUMENT)
    quotients = np.array([-7, -6, -1, 0, 1, 6, 7]), np.array([3, -3, 2, -5, -1, 4, -2])
    for op in SIGNED_DIVISION:
        for dtype in ('int32', 'int64') + (() if op == 'TruncateMod' else ('int8',)):
            op_case(w, op, *(q.astype(dtype) for q in quotients), label=f'signs_{dtype}')
        if op != 'Div':
            op_case(w, op, *(q.astype('f') for q in quotients), label='signs_float')
        if op.startswith('Floor'):  # the others give Internal in 2.21, InvalidArgument in 1.15
            op_case(w, op, np.array([4, 5], 'i'), np.array([2, 0], 'i'), label='error_zero', error=INVALID_ARGUMENT)
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 2.0, np.nan], 'f')
    other = np.array([1.0, 1.0, np.inf, 0.0, 0.0, np.nan, np.nan], 'f')
    for op in ('Add', 'Mul', 'RealDiv', 'Maximum', 'Minimum', 'Pow', 'Equal', 'NotEqual', 'Less', 'GreaterEqual',
               'DivNoNan', 'MulNoNan', 'SquaredDifference', 'Atan2', 'Xlogy', 'FloorMod'):
        op_case(w, op, odd, other, label='special')
    op_case(w, 'Equal', np.array([b'a', b'bc', b'']), np.array([b'a', b'b', b'']), label='strings')
    op_case(w, 'NotEqual', np.array([True, False]), np.array([True, True]), label='bool')
    op_case(w, 'AddV2', np.array([5, -6], 'q'), np.array(2 ** 62, 'q'), label='wide')
    op_case(w, 'Add', np.array([b'x', b'yz'], object), np.array(b'-1', object), label='strings', dtypes=['string'] * 2)
    op_case(w, 'Pow', np.array([2, 3, -2], 'i'), np.array([10, 0, 3], 'i'), label='integers')
    op_case(w, 'Pow', np.array([2, 3], 'i'), np.array([1, -1], 'i'), label='error_negative', error=INVALID_ARGUMENT)
    for op in ('LogicalAnd', 'LogicalOr'):
        op_case(w, op, np.array([[True], [False]]), np.array([True, False, True]))
    op_case(w, 'ApproximateEqual', np.array([1.0, 2.0, 3.0], 'f'), np.array([1.05, 2.3, 3.0], 'f'), tolerance=0.1)
    for op, ((a, b), (c, d)) in GRADS.items():
        for dtype in ('float32', 'float64', 'half'):
            rng = rng_for(op + dtype)
            op_case(w, op, values(rng, [6, 7], dtype, a, b), values(rng, [6, 7], dtype, c, d), label=dtype)


def selection(w):
    rng = rng_for('select')
    mask = np.array([[True, False, True], [False, False, True]])
    for dtype in ('float32', 'float64', 'int32', 'int64', 'bool', 'complex64'):
        a, b = values(rng, [2, 3], dtype), values(rng, [2, 3], dtype)
        op_case(w, 'Select', mask, a, b, label=dtype)
        op_case(w, 'Select', np.array([False, True]), a, b, label=f'rows_{dtype}')
        op_case(w, 'Select', np.array(True), a, b, label=f'scalar_{dtype}')
        op_case(w, 'SelectV2', mask[:, :1], a, values(rng, [3], dtype), label=f'broadcast_{dtype}')
        op_case(w, 'SelectV2', mask, a, values(rng, [], dtype), label=f'scalar_else_{dtype}')
    strings = np.array([[b'a', b'b', b'c'], [b'd', b'e', b'f']], object)
    op_case(w, 'Select', mask, strings, strings[::-1], label='string', dtypes=[None, 'string', 'string'])
    op_case(w, 'Select', np.array([True] * 3), values(rng, [2, 3], 'f'), values(rng, [2, 3], 'f'), label='error_rows',
            error=INVALID_ARGUMENT)
    op_case(w, 'Select', mask, values(rng, [2, 3], 'f'), values(rng, [3, 2], 'f'), label='error_shapes',
            error=INVALID_ARGUMENT)
    op_case(w, 'SelectV2', mask, values(rng, [4, 3], 'f'), values(rng, [3], 'f'), label='error_shapes',
            error=INVALID_ARGUMENT)
    for dtype in ('bool', 'float32', 'int32', 'float64', 'int64', 'uint8'):
        op_case(w, 'Where', values(rng, [3, 4], dtype, 0, 1) * values(rng, [3, 4], dtype, 0, 1), label=dtype)
    op_case(w, 'Where', np.array([False, False]), label='none')
    op_case(w, 'Where', np.array([[[True], [False]], [[True], [True]]]), label='rank_3')
    for dtype in ('float32', 'float64', 'int32'):
        op_case(w, 'ClipByValue', values(rng, [5, 4], dtype), np.asarray(-1, dtype), np.asarray(2, dtype), label=dtype)
    op_case(w, 'ClipByValue', values(rng, [3, 2], 'f'), values(rng, [3, 2], 'f', -2, -1), values(rng, [3, 2], 'f', 1, 2),
            label='tensors')
    op_case(w, 'CheckNumerics', values(rng, [4], 'f'), message='checked')
    op_case(w, 'CheckNumerics', np.array([1.0, np.nan], 'f'), label='error_nan', message='checked', error=INVALID_ARGUMENT)
    op_case(w, 'CheckNumerics', np.array([1.0, -np.inf]), label='error_inf', message='checked', error=INVALID_ARGUMENT)
    for n in (1, 2, 5):
        op_case(w, 'AddN', [values(rng, [3, 5], 'float32') for _ in range(n)], label=f'{n}')
    op_case(w, 'AddN', [values(rng, [7], 'int64') for _ in range(3)], label='int64')
    op_case(w, 'AddN', [values(rng, [2, 2], 'f'), values(rng, [4], 'f')], label='error_shapes', error=INVALID_ARGUMENT)


def make(w):
    unary(w)
    binary(w)
    selection(w)
