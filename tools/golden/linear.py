"""Cases of linear algebra, Fourier transforms and Einsum."""
import numpy as np

from .record import op_case, rng_for, values

INVALID_ARGUMENT = 3
KINDS = ('float32', 'float64', 'complex64', 'complex128')
LOOSE = {'float32': (2e-4, 2e-4), 'complex64': (2e-4, 2e-4), 'float64': (1e-9, 1e-9), 'complex128': (1e-9, 1e-9), 'half': (2e-2, 2e-2)}


def tolerances(dtype):
    rtol, atol = LOOSE[dtype]
    return dict(rtol=rtol, atol=atol)


def square(rng, shape, dtype):
    """Well-conditioned: a random matrix with a heavy diagonal."""
    return (values(rng, shape, dtype, -1, 1) + shape[-1] * np.eye(shape[-1])).astype(dtype if dtype != 'half' else 'float16')


def hermitian(rng, shape, dtype):
    a = values(rng, shape, dtype, -1, 1)
    return ((a + np.conj(np.swapaxes(a, -1, -2))) / 2).astype(dtype)


def positive(rng, shape, dtype):
    a = values(rng, shape, dtype, -1, 1)
    return (a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(shape[-1])).astype(dtype)


def solvers(w):
    rng = rng_for('solvers')
    for dtype in KINDS:
        t = tolerances(dtype)
        for adjoint in (False, True):
            side = 'adjoint' if adjoint else 'plain'
            op_case(w, 'MatrixInverse', square(rng, [2, 3, 3], dtype), label=f'{dtype}_{side}', adjoint=adjoint, **t)
            op_case(w, 'MatrixSolve', square(rng, [4, 4], dtype), values(rng, [4, 3], dtype), label=f'{dtype}_{side}', adjoint=adjoint, **t)
            for lower in (False, True):
                op_case(w, 'MatrixTriangularSolve', square(rng, [2, 3, 3], dtype), values(rng, [2, 3, 2], dtype),
                        label=f'{dtype}_{side}_{"lower" if lower else "upper"}', adjoint=adjoint, lower=lower, **t)
        for rows, columns in ((5, 3), (3, 5), (3, 3)):
            op_case(w, 'MatrixSolveLs', values(rng, [2, rows, columns], dtype), values(rng, [2, rows, 2], dtype), np.float64(0.1), label=f'{dtype}_fast_{rows}_{columns}', **t)
            op_case(w, 'MatrixSolveLs', values(rng, [rows, columns], dtype), values(rng, [rows, 2], dtype), np.float64(0), label=f'{dtype}_slow_{rows}_{columns}', fast=False, **t)
    op_case(w, 'MatrixInverse', square(rng, [3, 3], 'half'), label='half', **tolerances('half'))
    op_case(w, 'MatrixSolve', values(rng, [2, 0, 0], 'f'), values(rng, [2, 0, 3], 'f'), label='empty')
    op_case(w, 'MatrixSolve', values(rng, [3, 3], 'f'), values(rng, [3, 0], 'f'), label='no_columns')
    op_case(w, 'MatrixInverse', values(rng, [0, 2, 2], 'f'), label='empty')
    op_case(w, 'MatrixTriangularSolve', square(rng, [2, 1, 3, 3], 'd'), values(rng, [4, 3, 2], 'd'), label='broadcast', rtol=1e-9, atol=1e-9)
    op_case(w, 'MatrixSolveLs', np.array([[1., 2.], [2., 4.], [0., 0.]]), values(rng, [3, 1], 'd'), np.float64(0), label='rank_one', fast=False, rtol=1e-9, atol=1e-9)
    singular = np.array([[1., 0., -1.], [-1., 0., 1.], [0., -1., 1.]])
    ones = np.ones([3, 1])
    bad = dict(error=INVALID_ARGUMENT)
    op_case(w, 'MatrixInverse', singular, label='error_singular', **bad)
    op_case(w, 'MatrixInverse', np.ones([2, 3]), label='error_not_square', **bad)
    op_case(w, 'MatrixInverse', np.ones([3]), label='error_rank', **bad)
    op_case(w, 'MatrixSolve', singular, ones, label='error_singular', **bad)
    op_case(w, 'MatrixSolve', np.eye(3), np.ones([2, 1]), label='error_rows', **bad)
    op_case(w, 'MatrixSolve', np.eye(3), np.ones([2, 3, 1]), label='error_batch', **bad)
    op_case(w, 'MatrixSolve', np.ones([2, 3]), np.ones([2, 1]), label='error_not_square', **bad)
    op_case(w, 'MatrixTriangularSolve', np.array([[1., 0.], [1., 0.]]), np.ones([2, 1]), label='singular')
    op_case(w, 'MatrixTriangularSolve', np.eye(3), np.ones([2, 1]), label='error_rows', **bad)
    op_case(w, 'MatrixTriangularSolve', np.ones([2, 3, 3]), np.ones([4, 3, 1]), label='error_batch', **bad)
    op_case(w, 'MatrixSolveLs', np.zeros([3, 2]), ones, np.float64(0), label='error_rank_deficient', **bad)
    op_case(w, 'MatrixSolveLs', np.eye(3), ones, np.float64(-1), label='error_regularizer', **bad)


def decompositions(w):
    rng = rng_for('decompositions')
    for dtype in KINDS:
        t = tolerances(dtype)
        for rows, columns in ((3, 3), (4, 2), (2, 4)):
            for full in (False, True):
                op_case(w, 'Qr', values(rng, [2, rows, columns], dtype), label=f'{dtype}_{rows}_{columns}' + ('_full' if full else ''), full_matrices=full, **t)
            op_case(w, 'Svd', values(rng, [2, rows, columns], dtype), label=f'{dtype}_{rows}_{columns}', compute_uv=False, fetched=1, **t)
        op_case(w, 'Cholesky', positive(rng, [2, 4, 4], dtype), label=dtype, **t)
        op_case(w, 'SelfAdjointEigV2', hermitian(rng, [2, 4, 4], dtype), label=dtype, compute_v=False, fetched=1, **t)
        op_case(w, 'MatrixDeterminant', values(rng, [3, 4, 4], dtype), label=dtype, **t)
        op_case(w, 'LogMatrixDeterminant', values(rng, [3, 4, 4], dtype), label=dtype, **t)
        for index in ('int32', 'int64'):
            op_case(w, 'Lu', values(rng, [2, 4, 4], dtype), label=f'{dtype}_{index}', output_idx_type=index, **t)
        op_case(w, 'MatrixSquareRoot', positive(rng, [2, 3, 3], dtype), label=dtype, **t)
        if dtype.startswith('complex'):
            op_case(w, 'MatrixLogarithm', positive(rng, [2, 3, 3], dtype), label=dtype, **t)
            op_case(w, 'MatrixLogarithm', (1000 * square(rng, [3, 3], dtype)).astype(dtype), label=f'{dtype}_large', **t)
    for dtype in ('float32', 'float64'):
        factor = np.linalg.cholesky(positive(rng, [2, 4, 4], dtype))
        op_case(w, 'CholeskyGrad', factor, values(rng, [2, 4, 4], dtype), label=dtype, **tolerances(dtype))
        op_case(w, 'Qr', values(rng, [3, 3], 'half'), label='half', **tolerances('half'))
    for op in ('Qr', 'Svd'):
        for shape in ([0, 3], [3, 0], [2, 0, 0]):
            op_case(w, op, np.zeros(shape, 'f'), label='empty_' + '_'.join(map(str, shape)))
    op_case(w, 'Svd', np.array([[1., np.nan], [0., 1.]]), label='nan', compute_uv=False, fetched=1)
    op_case(w, 'Svd', np.diag([3., 2., 0.]) @ np.ones([3, 4]), label='rank_one', compute_uv=False, fetched=1, rtol=1e-9, atol=1e-9)
    op_case(w, 'Cholesky', np.zeros([2, 0, 0], 'f'), label='empty')
    op_case(w, 'Lu', np.zeros([2, 0, 0], 'f'), label='empty')
    for op in ('MatrixDeterminant', 'LogMatrixDeterminant'):
        op_case(w, op, np.zeros([2, 0, 0], 'f'), label='empty')
        op_case(w, op, np.array([[1., 2.], [2., 4.]]), label='singular')
        op_case(w, op, np.ones([2, 3]), label='error_not_square', error=INVALID_ARGUMENT)
    op_case(w, 'Cholesky', np.array([[-1.]]), label='not_positive')  # of larger ones TensorFlow leaves the upper triangle undefined
    op_case(w, 'Cholesky', np.ones([2, 3]), label='error_not_square', error=INVALID_ARGUMENT)
    op_case(w, 'Lu', np.array([[1., 2.], [2., 4.]]), label='error_singular', error=INVALID_ARGUMENT)
    op_case(w, 'Qr', np.ones([3]), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'SelfAdjointEigV2', np.ones([2, 3]), label='error_not_square', error=INVALID_ARGUMENT)


def tridiagonal(w):
    rng = rng_for('tridiagonal')
    for dtype in KINDS:
        diagonals = values(rng, [2, 3, 5], dtype, -1, 1)
        diagonals[:, 1] += 4
        for pivoting in (True, False):
            op_case(w, 'TridiagonalSolve', diagonals, values(rng, [2, 5, 3], dtype), label=f'{dtype}_{"pivoting" if pivoting else "plain"}',
                    partial_pivoting=pivoting, **tolerances(dtype))
    op_case(w, 'TridiagonalSolve', np.array([[1., 2., 0.], [0., 1., 3.], [0., 1., 2.]]), np.ones([3, 1]), label='needs_pivots', rtol=1e-9, atol=1e-9)
    op_case(w, 'TridiagonalSolve', np.ones([2, 3]), np.ones([3, 1]), label='error_rows', error=INVALID_ARGUMENT)


def transforms(w):
    rng = rng_for('transforms')
    shapes = {1: [2, 12], 2: [2, 5, 6], 3: [2, 3, 4, 5]}
    for axes, shape in shapes.items():
        suffix = f'{axes}D' if axes > 1 else ''
        for dtype, real in (('complex64', 'float32'), ('complex128', 'float64')):
            t = tolerances(dtype)
            for op in ('FFT', 'IFFT'):
                op_case(w, op + suffix, values(rng, shape, dtype), label=dtype, **t)
            for length in (shape[-axes:], [n - 1 for n in shape[-axes:]]):
                op_case(w, 'RFFT' + suffix, values(rng, shape, real), np.array(length, 'i'), label=f'{real}_{length[-1]}', Tcomplex=dtype, **t)
                half = shape[:-1] + [shape[-1] // 2 + 1]
                op_case(w, 'IRFFT' + suffix, values(rng, half, dtype), np.array(length, 'i'), label=f'{real}_{length[-1]}', Treal=real, **t)
    for n in (1, 2, 7, 16, 30, 37, 101, 128, 331):
        op_case(w, 'FFT', values(rng, [n], 'complex64'), label=f'of_{n}', **tolerances('complex64'))
        op_case(w, 'IRFFT', values(rng, [n // 2 + 1], 'complex128'), np.array([n], 'i'), label=f'of_{n}', Treal='float64', **tolerances('complex128'))
    op_case(w, 'FFT', np.zeros([0, 3], 'complex64'), label='empty')
    op_case(w, 'FFT2D', np.ones([3], 'complex64'), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'RFFT', np.ones([3], 'f'), np.array([4], 'i'), label='error_length', error=INVALID_ARGUMENT)
    op_case(w, 'RFFT', np.ones([3], 'f'), np.array([-1], 'i'), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'RFFT2D', np.ones([3, 3], 'f'), np.array([3], 'i'), label='error_count', error=INVALID_ARGUMENT)
    op_case(w, 'IRFFT', np.ones([3], 'complex64'), np.array([8], 'i'), label='error_length', error=INVALID_ARGUMENT)


def einsum(w):
    rng = rng_for('einsum')
    unary = [('ab->ba', [2, 3]), ('abc->b', [2, 3, 4]), ('aab->ab', [2, 2, 3]), ('aa->', [3, 3]), ('a->aa', [3]), ('...ab->...ba', [4, 2, 3]),
             ('a...->...', [2, 3]), ('abb->ba', [2, 3, 3]), ('->', [])]
    binary = [('ab,bc->ac', [2, 3], [3, 4]), ('abc,abd->adc', [2, 3, 4], [2, 3, 5]), ('ab,ab->', [2, 3], [2, 3]), ('a,b->ba', [2], [3]),
              ('...ab,...bc->...ac', [5, 1, 2, 3], [4, 3, 2]), ('abc,cd->da', [2, 3, 4], [4, 5]), ('aab,bc->ca', [2, 2, 3], [3, 2]),
              ('ab...,b...->a...', [2, 3, 4], [3, 4]), ('ab,c->ac', [2, 3], [4]), ('...a,a->...', [2, 3], [3]), (',ab->ba', [], [2, 3]),
              ('ab,bc->acc', [2, 3], [3, 2])]
    for equation, shape in unary:
        op_case(w, 'Einsum', [values(rng, shape, 'd')], label=equation.replace('->', '_to_').replace('.', ''), equation=equation)
    for equation, x, y in binary:
        op_case(w, 'Einsum', [values(rng, x, 'd'), values(rng, y, 'd')], label=equation.replace('->', '_to_').replace('.', '').replace(',', '_'), equation=equation)
    for dtype in ('float32', 'half', 'bfloat16', 'int32', 'int64', 'complex64', 'complex128'):
        op_case(w, 'Einsum', [values(rng, [2, 3, 4], dtype, -2, 2), values(rng, [4, 2], dtype, -2, 2)], label=dtype, equation='abc,cd->bda')
    op_case(w, 'Einsum', [np.zeros([0, 3]), np.ones([3, 2])], label='empty', equation='ab,bc->ac')
    op_case(w, 'Einsum', [np.zeros([2, 0]), np.ones([0, 3])], label='of_nothing', equation='ab,bc->ac')
    for label, equation, inputs in (('size', 'ab,bc->ac', [np.ones([2, 3]), np.ones([2, 3])]), ('rank', 'abc->a', [np.ones([2, 2])]),
                                    ('broadcast', '...a,...a->...', [np.ones([2, 3]), np.ones([4, 3])])):
        op_case(w, 'Einsum', inputs, label=f'error_{label}', equation=equation, error=INVALID_ARGUMENT)


def make(w):
    solvers(w)
    decompositions(w)
    tridiagonal(w)
    transforms(w)
    einsum(w)
