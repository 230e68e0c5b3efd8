"""Cases of every optimizer's update ops: reference and resource variables, dense and sparse gradients."""
import numpy as np

from golden.record import rng_for, values
from golden.state import after

INVALID_ARGUMENT = 3

# op: slots (each 'z' zero, 'p' positive, 'r' any), then the inputs by their place: 'g' gradient, a number a scalar of the
# variable's dtype, an int64 scalar where it is an int; attributes
DENSE = {
    'ApplyAdagrad': ('p', [0.1, 'g'], {}), 'ApplyAdagradV2': ('p', [0.1, 0.01, 'g'], {}),
    'ApplyAdadelta': ('pp', [0.5, 0.9, 1e-2, 'g'], {}), 'ApplyAdagradDA': ('zz', ['g', 0.1, 0.01, 0.02, 5], {}),
    'ApplyFtrl': ('pz', ['g', 0.2, 0.05, 0.1, -0.5], {}), 'ApplyFtrlV2': ('pz', ['g', 0.2, 0.05, 0.1, 0.03, -0.5], {}),
    'ApplyRMSProp': ('pr', [0.05, 0.9, 0.5, 1e-3, 'g'], {}), 'ApplyCenteredRMSProp': ('rpr', [0.05, 0.9, 0.5, 1.0, 'g'], {}),
    'ApplyAdaMax': ('rp', [0.5, 0.05, 0.9, 0.99, 1e-3, 'g'], {}), 'ApplyAddSign': ('r', [0.05, 1.5, 0.7, 0.9, 'g'], {}),
    'ApplyPowerSign': ('r', [0.05, 1.0, 0.7, 0.9, 'g'], {}), 'ApplyProximalAdagrad': ('p', [0.2, 0.01, 0.02, 'g'], {}),
    'ApplyProximalGradientDescent': ('', [0.2, 0.01, 0.02, 'g'], {}),
}
RESOURCE_ONLY = {'ApplyAdamWithAmsgrad': ('rpp', [0.5, 0.25, 0.01, 0.875, 0.75, 1e-3, 'g'], {}), 'ApplyKerasMomentum': ('r', [0.1, 'g', 0.9], {})}
# Sparse forms: 'i' the indices of the gradient's rows.
SPARSE = {
    'SparseApplyAdagrad': ('p', [0.1, 'g', 'i'], {}), 'SparseApplyAdagradV2': ('p', [0.1, 0.01, 'g', 'i'], {}),
    'SparseApplyAdadelta': ('pp', [0.5, 0.9, 1e-2, 'g', 'i'], {}), 'SparseApplyAdagradDA': ('zz', ['g', 'i', 0.1, 0.01, 0.02, 5], {}),
    'SparseApplyFtrl': ('pz', ['g', 'i', 0.2, 0.05, 0.1, -0.5], {}), 'SparseApplyFtrlV2': ('pz', ['g', 'i', 0.2, 0.05, 0.1, 0.03, -0.5], {}),
    'SparseApplyRMSProp': ('pr', [0.05, 0.9, 0.5, 1e-3, 'g', 'i'], {}), 'SparseApplyCenteredRMSProp': ('rpr', [0.05, 0.9, 0.5, 1.0, 'g', 'i'], {}),
    'SparseApplyProximalAdagrad': ('p', [0.2, 0.01, 0.02, 'g', 'i'], {}),
    'SparseApplyProximalGradientDescent': ('', [0.2, 0.01, 0.02, 'g', 'i'], {}),
}
SPARSE_RESOURCE_ONLY = {'SparseApplyKerasMomentum': ('r', [0.1, 'g', 'i', 0.9], {})}
NAMES = ('a', 'b', 'c')


def variables(rng, slots, shape, dtype):
    made = [('var', values(rng, shape, dtype, -1, 1))]
    for name, kind in zip(NAMES, slots):
        low, high = {'z': (0, 0), 'p': (0.1, 1), 'r': (-0.2, 0.2)}[kind]
        made.append((name, values(rng, shape, dtype, low, high)))
    if slots.startswith('rp') and len(slots) == 3:  # a mean square stays above the square of the mean
        made[2] = (made[2][0], (made[1][1] ** 2 + made[2][1]).astype(made[2][1].dtype))
    return made


def given(inputs, dtype, gradient, indices=None):
    t = np.dtype({'half': 'float16'}.get(dtype, dtype)).type
    return [gradient if x == 'g' else indices if x == 'i' else np.int64(x) if isinstance(x, int) else t(x) for x in inputs]


def dense(w, op, slots, inputs, attrs, kind):
    prefix = 'Resource' if kind == 'resource' else ''
    rng = rng_for(prefix + op)
    for dtype in ('float32', 'float64', 'half'):
        for shape in ([2, 5], [67], [])[:1 if dtype == 'half' else 3]:
            size = 'x'.join(map(str, shape)) or 'scalar'
            after(w, prefix + op, kind, variables(rng, slots, shape, dtype), given(inputs, dtype, values(rng, shape, dtype, -1, 1)),
                  f'{dtype}_{size}', runs=2, **attrs)
    after(w, prefix + op, kind, variables(rng, slots, [3], 'f'), given(inputs, 'float32', values(rng, [2], 'f')), 'error_shape', error=INVALID_ARGUMENT,
          **attrs)


def sparse(w, op, slots, inputs, attrs, kind):
    prefix = 'Resource' if kind == 'resource' else ''
    rng = rng_for(prefix + op)
    for dtype in ('float32', 'float64'):
        for index in (np.int32, np.int64):
            after(w, prefix + op, kind, variables(rng, slots, [7, 3], dtype),
                  given(inputs, dtype, values(rng, [3, 3], dtype, -1, 1), np.array([5, 0, 6], index)), f'{dtype}_{np.dtype(index).name}', runs=2, **attrs)
    for label, index in (('index', [7]), ('negative', [-1]), ('count', [0, 1])):
        after(w, prefix + op, kind, variables(rng, slots, [7, 3], 'f'), given(inputs, 'float32', values(rng, [1, 3], 'f'), np.array(index, 'i')),
              f'error_{label}', error=INVALID_ARGUMENT, **attrs)


def make(w):
    for kind in ('ref', 'resource'):
        for op, spec in DENSE.items():
            dense(w, op, *spec, kind)
        for op, spec in SPARSE.items():
            sparse(w, op, *spec, kind)
    for op, spec in RESOURCE_ONLY.items():
        dense(w, op, *spec, 'resource')
    for op, spec in SPARSE_RESOURCE_ONLY.items():
        sparse(w, op, *spec, 'resource')
