"""Cases of reductions, matrix products, activations of whole rows, losses per row, and the random ops."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, values

INVALID_ARGUMENT = 3


def i32(*numbers):
    return np.array(numbers, np.int32)


def reductions(w):
    axes = [(i32(), 'none'), (i32(0), '0'), (i32(1), '1'), (np.array([-1], np.int64), 'last'), (i32(0, 2), '02'),
            (i32(0, 1, 2), 'all'), (np.int32(1), 'scalar_axis')]
    for op in ('Sum', 'Mean', 'Prod', 'Max', 'Min', 'EuclideanNorm'):
        rng = rng_for(op)
        for axis, label in axes:
            op_case(w, op, values(rng, [3, 4, 5], 'f'), axis, label=f'axes_{label}')
        for dtype in ('float64', 'half', 'bfloat16', 'int32', 'int64', 'uint8', 'complex64'):
            if op not in ('Max', 'Min') or dtype != 'complex64':
                op_case(w, op, values(rng, [4, 3], dtype), i32(1), label=dtype)
        op_case(w, op, values(rng, [3, 4], 'f'), i32(0), label='keep_dims', keep_dims=True)
        op_case(w, op, values(rng, [2, 3, 4], 'f'), i32(2, 0), label='keep_dims_two', keep_dims=True)
        op_case(w, op, values(rng, [41, 3], 'f'), i32(0), label='columns')
        op_case(w, op, values(rng, [3, 41], 'f'), i32(1), label='rows')
        op_case(w, op, values(rng, [], 'f'), i32(), label='scalar')
        op_case(w, op, values(rng, [0, 3], 'f'), i32(0), label='empty')
        op_case(w, op, np.array([[1.0, np.nan], [np.inf, 2.0]], 'f'), i32(1), label='special')
        op_case(w, op, values(rng, [2, 3], 'f'), i32(2), label='error_axis', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [2, 3], 'f'), i32(-3), label='error_negative', error=INVALID_ARGUMENT)
    for op in ('Any', 'All'):
        rng = rng_for(op)
        for axis, label in axes[:6]:
            op_case(w, op, values(rng, [2, 3, 2], 'bool'), axis, label=f'axes_{label}')
        op_case(w, op, values(rng, [3, 2], 'bool'), i32(1), label='keep_dims', keep_dims=True)
        op_case(w, op, np.zeros([0, 2], bool), i32(0), label='empty')
    for dtype in ('float32', 'float64', 'half'):
        op_case(w, 'L2Loss', values(rng_for(dtype), [6, 7], dtype), label=dtype)
    for op in ('ArgMax', 'ArgMin'):
        rng = rng_for(op)
        for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'uint8'):
            op_case(w, op, values(rng, [4, 5], dtype), np.int32(1), label=dtype)
        for axis in (0, 2, -2):
            op_case(w, op, values(rng, [3, 4, 2], 'f'), np.int32(axis), label=f'axis_{axis}'.replace('-', 'minus_'),
                    output_type=tf.int32)
        op_case(w, op, np.array([2.0, 7.0, 7.0, 2.0], 'f'), np.int64(0), label='ties')
        op_case(w, op, values(rng, [3, 2], 'f'), np.int32(2), label='error_axis', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [3, 0], 'f'), np.int32(1), label='error_empty', error=INVALID_ARGUMENT)
    for op in ('Cumsum', 'Cumprod'):
        rng = rng_for(op)
        for exclusive in (False, True):
            for reverse in (False, True):
                op_case(w, op, values(rng, [4, 3], 'f', -2, 2), np.int32(0), label=f'{exclusive}_{reverse}'.lower(),
                        exclusive=exclusive, reverse=reverse)
        op_case(w, op, values(rng, [2, 5], 'int64'), np.int32(-1), label='int64')


def ranking(w):
    rng = rng_for('ranking')
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'uint8'):
        op_case(w, 'TopKV2', values(rng, [3, 6], dtype), np.int32(3), label=dtype)
    op_case(w, 'TopKV2', np.array([5, 1, 5, 3, 5], 'f'), np.int32(4), label='ties')
    op_case(w, 'TopKV2', values(rng, [2, 3, 4], 'f'), np.int32(1), label='rank_3')
    op_case(w, 'TopKV2', values(rng, [2, 4], 'f'), np.int32(0), label='none')
    op_case(w, 'TopKV2', values(rng, [3, 40], 'f'), np.int32(40), label='whole')
    op_case(w, 'TopKV2', values(rng, [4], 'f'), np.int32(5), label='error_k', error=INVALID_ARGUMENT)
    op_case(w, 'TopKV2', values(rng, [4], 'f'), np.int32(-1), label='error_negative', error=INVALID_ARGUMENT)
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.4], [np.nan, 0.1, 0.2], [0.3, np.inf, 0.1], [0.1, 0.2, 0.3]], 'f')
    for k in (1, 2, 3):
        for dtype in (np.int32, np.int64):
            targets = np.array([1, 1, 1, 0, 2], dtype)
            op_case(w, 'InTopK', scores, targets, label=f'{k}_{np.dtype(dtype).name}', k=k)
            op_case(w, 'InTopKV2', scores, targets, dtype(k), label=f'{k}_{np.dtype(dtype).name}')
    op_case(w, 'InTopKV2', scores, i32(0, 1, 2, 9, -1), np.int32(1), label='outside')
    op_case(w, 'InTopKV2', scores, i32(0, 1), np.int32(1), label='error_shapes', error=INVALID_ARGUMENT)


def products(w):
    rng = rng_for('products')
    for dtype in ('float32', 'float64', 'half', 'bfloat16', 'int32', 'int64', 'complex64'):
        op_case(w, 'MatMul', values(rng, [4, 3], dtype), values(rng, [3, 5], dtype), label=dtype)
    for a, b in ((False, True), (True, False), (True, True)):
        for m, k, n in ((2, 5, 3), (17, 9, 33)):
            op_case(w, 'MatMul', values(rng, [k, m] if a else [m, k], 'f'), values(rng, [n, k] if b else [k, n], 'f'),
                    label=f'transpose_{a}_{b}_{m}'.lower(), transpose_a=a, transpose_b=b)
    for label, (m, k, n) in (('row', (1, 20, 7)), ('column', (9, 20, 1)), ('dot', (1, 31, 1)), ('outer', (6, 1, 5)),
                             ('empty_inner', (2, 0, 3)), ('empty', (0, 4, 2))):
        op_case(w, 'MatMul', values(rng, [m, k], 'f'), values(rng, [k, n], 'f'), label=label)
    op_case(w, 'MatMul', np.array([[np.nan, 1.0], [0.0, np.inf]], 'f'), np.array([[1.0, 0.0], [2.0, 0.0]], 'f'), label='special')
    op_case(w, 'MatMul', values(rng, [2, 3], 'f'), values(rng, [2, 3], 'f'), label='error_inner', error=INVALID_ARGUMENT)
    op_case(w, 'MatMul', values(rng, [3], 'f'), values(rng, [3, 2], 'f'), label='error_rank', error=INVALID_ARGUMENT)
    for op in ('BatchMatMul', 'BatchMatMulV2'):
        for dtype in ('float32', 'float64', 'half', 'int32', 'complex64'):
            op_case(w, op, values(rng, [3, 2, 4], dtype), values(rng, [3, 4, 2], dtype), label=dtype)
        for x, y in ((False, True), (True, False), (True, True)):
            op_case(w, op, values(rng, [2, 2] + ([5, 3] if x else [3, 5]), 'f'), values(rng, [2, 2] + ([4, 5] if y else [5, 4]), 'f'),
                    label=f'adjoint_{x}_{y}'.lower(), adj_x=x, adj_y=y)
        op_case(w, op, values(rng, [2, 3, 4], 'f'), values(rng, [2, 3, 4], 'f'), label='error_inner', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [2, 3, 4], 'f'), values(rng, [3, 4, 4], 'f'), label='error_batch', error=INVALID_ARGUMENT)
    op_case(w, 'BatchMatMul', values(rng, [2, 3, 2], 'complex64'), values(rng, [2, 3, 2], 'complex64'), label='conjugates', adj_x=True)
    op_case(w, 'BatchMatMulV2', values(rng, [2, 1, 3, 4], 'f'), values(rng, [5, 4, 2], 'f'), label='broadcast')
    op_case(w, 'BatchMatMulV2', values(rng, [3, 4], 'f'), values(rng, [2, 4, 2], 'f'), label='broadcast_matrix')


def rows(w):
    """Bias, softmax and the cross entropies."""
    rng = rng_for('rows')
    for op in ('BiasAdd', 'BiasAddV1'):
        for dtype in ('float32', 'float64', 'half', 'int32'):
            op_case(w, op, values(rng, [5, 7], dtype), values(rng, [7], dtype), label=dtype)
        op_case(w, op, values(rng, [2, 3, 2, 4], 'f'), values(rng, [4], 'f'), label='rank_4')
        op_case(w, op, values(rng, [2, 3], 'f'), values(rng, [2], 'f'), label='error_size', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [3], 'f'), values(rng, [3], 'f'), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'BiasAdd', values(rng, [2, 3, 4, 5], 'f'), values(rng, [3], 'f'), label='channels_first', data_format='NCHW')
    for dtype in ('float32', 'float64', 'half'):
        op_case(w, 'BiasAddGrad', values(rng, [6, 5], dtype), label=dtype)
    op_case(w, 'BiasAddGrad', values(rng, [2, 3, 3, 4], 'f'), label='rank_4')
    op_case(w, 'BiasAddGrad', values(rng, [2, 3, 3, 4], 'f'), label='channels_first', data_format='NCHW')
    for op in ('Softmax', 'LogSoftmax'):
        for dtype in ('float32', 'float64', 'half', 'bfloat16'):
            op_case(w, op, values(rng, [4, 9], dtype, -5, 5), label=dtype)
        op_case(w, op, values(rng, [2, 3, 5], 'f'), label='rank_3')
        op_case(w, op, values(rng, [33], 'f'), label='vector')
        op_case(w, op, values(rng, [0, 4], 'f'), label='empty')
        op_case(w, op, np.array([[1000.0, 999.0, -1000.0], [-np.inf, 0.0, 0.0]], 'f'), label='large')
        op_case(w, op, np.float32(1), label='error_scalar', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'float64', 'half'):
        labels = values(rng, [5, 4], 'float64', 0.1, 1)
        labels = (labels / labels.sum(1, keepdims=True)).astype(dtype if dtype != 'half' else 'float16')
        op_case(w, 'SoftmaxCrossEntropyWithLogits', values(rng, [5, 4], dtype), labels, label=dtype)
        for index in (np.int32, np.int64):
            op_case(w, 'SparseSoftmaxCrossEntropyWithLogits', values(rng, [5, 11], dtype), np.array([10, 0, 3, 3, 7], index),
                    label=f'{dtype}_{np.dtype(index).name}')
    op_case(w, 'SoftmaxCrossEntropyWithLogits', values(rng, [3, 4], 'f'), np.full([1, 4], 0.25, 'f'), label='broadcast')
    op_case(w, 'SoftmaxCrossEntropyWithLogits', values(rng, [3, 4], 'f'), np.ones([3, 5], 'f'), label='error_shapes', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSoftmaxCrossEntropyWithLogits', values(rng, [2, 3], 'f'), i32(0, 3), label='error_label', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSoftmaxCrossEntropyWithLogits', values(rng, [2, 3], 'f'), i32(0, -1), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'SparseSoftmaxCrossEntropyWithLogits', values(rng, [2, 3], 'f'), i32(0, 1, 2), label='error_shapes', error=INVALID_ARGUMENT)


def make(w):
    reductions(w)
    ranking(w)
    products(w)
    rows(w)


SEEDS = [(3, 5), (0, 17), (87654321, 2), (2 ** 40 + 1, 2 ** 33), (-3, 11)]


def make_random(w):
    """Random ops: uniform and integer ones bit by bit, normal ones within 5e-6, two runs of a session in sequence."""
    def case(op, label, inputs, rtol=None, atol=None, runs=1, error=0, **attrs):
        graph = tf.Graph()
        with graph.as_default():
            tensors = [tf.constant(v, name=f'in{k}') if not error else tf.placeholder(tf.as_dtype(v.dtype), None, name=f'in{k}')
                       for k, v in enumerate(map(np.asarray, inputs))]
            raw(op, tensors, attrs)
        finish_case(w, op, label, graph, ['op:0'], pre_targets=['op'] * (runs - 1), rtol=rtol, atol=atol, error=error,
                    feeds={f'in{k}:0': np.asarray(v) for k, v in enumerate(inputs)} if error else {})

    for seed, seed2 in SEEDS:
        label = f'seed_{seed}_{seed2}'
        for dtype in (tf.float32, tf.float64, tf.half, tf.bfloat16):
            case('RandomUniform', f'{label}_{dtype.name}', [i32(23)], 0.0, 0.0, seed=seed, seed2=seed2, dtype=dtype)
        for dtype in (tf.float32, tf.float64, tf.half):
            loose = 2e-3 if dtype == tf.half else 5e-6
            for op in ('RandomStandardNormal', 'TruncatedNormal'):
                case(op, f'{label}_{dtype.name}', [i32(23)], loose, loose, seed=seed, seed2=seed2, dtype=dtype)
        for dtype in (np.int32, np.int64):
            case('RandomUniformInt', f'{label}_{np.dtype(dtype).name}', [i32(31), dtype(-5), dtype(1000)], seed=seed, seed2=seed2)
        case('RandomShuffle', label, [np.arange(13, dtype=np.int32)], seed=seed, seed2=seed2)
    case('RandomUniform', 'matrix', [np.array([5, 7], np.int64)], 0.0, 0.0, seed=1, seed2=2, dtype=tf.float32)
    case('RandomUniform', 'second_run', [i32(9)], 0.0, 0.0, runs=2, seed=4, seed2=9, dtype=tf.float32)
    case('RandomStandardNormal', 'third_run', [i32(9)], 5e-6, 5e-6, runs=3, seed=4, seed2=9, dtype=tf.float32)
    case('TruncatedNormal', 'second_run', [i32(50)], 5e-6, 5e-6, runs=2, seed=8, seed2=9, dtype=tf.float32)
    case('RandomUniform', 'long', [i32(300)], 0.0, 0.0, seed=6, seed2=6, dtype=tf.float32)
    case('RandomUniform', 'empty', [i32(0, 2)], 0.0, 0.0, seed=6, seed2=6, dtype=tf.float32)
    case('RandomShuffle', 'rows', [np.arange(20, dtype='f').reshape(5, 4)], seed=6, seed2=7)
    case('RandomUniform', 'error_shape', [i32(-2)], seed=6, seed2=6, dtype=tf.float32, error=INVALID_ARGUMENT)
    case('RandomUniformInt', 'error_range', [i32(2), np.int32(4), np.int32(4)], seed=6, seed2=6, error=INVALID_ARGUMENT)
    for k, (seed, seed2) in enumerate(SEEDS):
        label = f'seed_{seed}_{seed2}'
        pair = dict(seed=seed, seed2=seed2)
        rng = rng_for('random ' + label)
        case('RandomShuffle', f'strings_{label}', [np.array([b'a', b'b', b'c', b'd', b'e'])], **pair)
        for dtype in (np.int32, np.int64):
            case('Multinomial', f'{label}_{np.dtype(dtype).name}', [values(rng, [2, 4], 'f'), np.int32(9)], output_dtype=tf.as_dtype(dtype), **pair)
        for dtype in ('float32', 'float64'):
            t = np.dtype(dtype).type
            loose = dict(rtol=5e-6, atol=5e-6)
            case('ParameterizedTruncatedNormal', f'{label}_{dtype}', [i32(3, 7), values(rng, [3], dtype), values(rng, [3], dtype, 0.5, 2),
                                                                     t([-4, -3, 1]), t([4, 5, 9])], **loose, **pair)
            case('RandomGamma', f'{label}_{dtype}', [i32(6), values(rng, [3], dtype, 0.4, 4)], **loose, **pair)
            case('RandomPoissonV2', f'{label}_{dtype}', [i32(6), values(rng, [3], dtype, 0.4, 30)], **pair)
        key = np.array([seed, seed2], np.int64)
        for dtype in (tf.float32, tf.float64):
            case('StatelessRandomUniform', f'{label}_{dtype.name}', [i32(3, 5), key], 0.0, 0.0, dtype=dtype)
            case('StatelessRandomNormal', f'{label}_{dtype.name}', [i32(11), key], 5e-6, 5e-6, dtype=dtype)
            case('StatelessTruncatedNormal', f'{label}_{dtype.name}', [i32(11), key], 5e-6, 5e-6, dtype=dtype)
        for dtype in (np.int32, np.int64):
            case('StatelessRandomUniformInt', f'{label}_{np.dtype(dtype).name}', [i32(11), key, dtype(-9), dtype(700)])
            case('StatelessRandomUniformFullInt', f'{label}_{np.dtype(dtype).name}', [i32(11), key], dtype=tf.as_dtype(dtype))
        case('StatelessMultinomial', label, [values(rng, [2, 5], 'f'), np.int32(8), key])
        case('StatelessRandomGetKeyCounter', label, [key])
        counter, made = np.array([k, 2 * k + 1], np.uint64), np.array([seed & (2 ** 63 - 1)], np.uint64)
        case('StatelessRandomUniformV2', label, [i32(13), made, counter, np.int32(1)], 0.0, 0.0, dtype=tf.float32)
        case('StatelessRandomNormalV2', label, [i32(13), made, counter, np.int32(1)], 5e-6, 5e-6, dtype=tf.float32)
        case('StatelessTruncatedNormalV2', label, [i32(13), made, counter, np.int32(1)], 5e-6, 5e-6, dtype=tf.float32)
        case('StatelessRandomUniformIntV2', label, [i32(13), made, counter, np.int32(1), np.int32(0), np.int32(77)])
        case('StatelessRandomUniformFullIntV2', label, [i32(13), made, counter, np.int32(1)], dtype=tf.int32)
        case('StatelessShuffle', label, [np.arange(9, dtype='f'), made, counter, np.int32(1)])
    case('Multinomial', 'error_rank', [np.zeros([3], 'f'), np.int32(4)], seed=1, seed2=2, error=INVALID_ARGUMENT)
    case('RandomGamma', 'error_shape', [i32(-3), np.ones([2], 'f')], seed=1, seed2=2, error=INVALID_ARGUMENT)
    case('StatelessRandomUniform', 'error_seed', [i32(3), np.array([1, 2, 3], 'q')], dtype=tf.float32, error=INVALID_ARGUMENT)
    make_seeded(w)


def make_seeded(w):
    """Random ops whose seeds come from the API: graph seed, op seed, both; initializers."""
    def several(seeds):
        return [tf.random_uniform([3], seed=seeds[0]), tf.random_normal([3], seed=seeds[1]), tf.truncated_normal([3], seed=seeds[0]),
                tf.random_uniform([3], -5, 900, tf.int32, seed=seeds[1]), tf.random_shuffle(tf.range(7), seed=seeds[0]), tf.nn.dropout(tf.ones([9]), rate=0.4, seed=seeds[1])]

    for label, graph_seed, seeds in (('graph_seed_only', 21, (None, None)), ('graph_seed_only', 0, (None, None)), ('graph_and_op_seed', 21, (4, 77)),
                                     ('graph_and_op_seed', 2 ** 31 - 1, (0, 9))):
        graph = tf.Graph()
        with graph.as_default():
            tf.set_random_seed(graph_seed)
            fetches = [t.name for t in several(seeds)]
        finish_case(w, f'api_{label}', f'{graph_seed}', graph, fetches, rtol=5e-6, atol=5e-6)
    for name, initializer in (('glorot_uniform', tf.glorot_uniform_initializer(seed=3)), ('glorot_normal', tf.glorot_normal_initializer(seed=3)),
                              ('random_normal', tf.random_normal_initializer(0.5, 2.0, seed=3)), ('truncated_normal', tf.truncated_normal_initializer(1.0, 0.5, seed=3)),
                              ('random_uniform', tf.random_uniform_initializer(-2, 3, seed=3)), ('variance_scaling', tf.variance_scaling_initializer(2.0, 'fan_out', 'uniform', seed=3)),
                              ('constant', tf.constant_initializer([[1, 2, 3], [4, 5, 6]])), ('uniform_unit_scaling', tf.uniform_unit_scaling_initializer(1.5, seed=3))):
        graph = tf.Graph()
        with graph.as_default():
            x = initializer([2, 3], tf.float32)
        finish_case(w, 'initializers', name, graph, [x.name], rtol=5e-6, atol=5e-6)
