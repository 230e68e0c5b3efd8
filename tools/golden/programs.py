"""Random graphs of some twenty ops with the gradients of a total, and calls of functions."""
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function

from golden.record import finish_case, raw, rng_for, values

COUNT = 80
ONE = [('tanh', tf.tanh), ('sigmoid', tf.sigmoid), ('square', tf.square), ('softplus', tf.nn.softplus), ('sin', tf.sin), ('relu', tf.nn.relu),
       ('elu', tf.nn.elu), ('abs', tf.abs), ('neg', tf.negative), ('erf', tf.math.erf), ('log1p', lambda x: tf.log1p(tf.abs(x))),
       ('sqrt', lambda x: tf.sqrt(tf.abs(x) + 0.3)), ('rsqrt', lambda x: tf.rsqrt(x * x + 0.5)), ('exp', lambda x: tf.exp(-tf.abs(x))),
       ('clip', lambda x: tf.clip_by_value(x, -1.3, 1.1)), ('asinh', tf.asinh), ('softsign', tf.nn.softsign), ('cast', lambda x: tf.cast(tf.cast(x, tf.float64), tf.float32)),
       ('stop', lambda x: x + tf.stop_gradient(x)), ('scaled', lambda x: 0.7 * x - 0.2), ('cumsum', lambda x: tf.cumsum(x, 0, exclusive=True) if x.shape.rank else x),
       ('normalize', lambda x: tf.nn.l2_normalize(x, -1) if x.shape.rank else x)]
TWO = [('add', tf.add), ('sub', tf.subtract), ('mul', tf.multiply), ('max', tf.maximum), ('min', tf.minimum), ('diff', tf.squared_difference),
       ('div', lambda x, y: x / (tf.abs(y) + 0.7)), ('atan2', lambda x, y: tf.atan2(x, tf.abs(y) + 0.5)),
       ('where', lambda x, y: tf.where_v2(x > y, x, tf.broadcast_to(y, tf.broadcast_static_shape(x.shape, y.shape)))),
       ('floormod', lambda x, y: tf.floormod(x, tf.stop_gradient(tf.abs(y)) + 0.8))]


def reshaped(rng, x):
    """x under another shape, or a part or a summary of it."""
    rank = x.shape.rank
    if rank == 0:
        return tf.tile(tf.reshape(x, [1]), [3])
    axis = rng.randint(rank)
    size = x.shape.as_list()[axis]
    choice = rng.randint(12)
    if choice == 0:
        return tf.reduce_sum(x, axis)
    if choice == 1:
        return tf.reduce_mean(x, axis, keepdims=True)
    if choice == 2:
        return tf.reduce_max(x, axis)
    if choice == 3:
        return tf.transpose(x, rng.permutation(rank))
    if choice == 4:
        return tf.reshape(x, [-1])
    if choice == 5:
        return tf.gather(x, rng.randint(0, size, 3), axis=axis)
    if choice == 6:
        return tf.concat([x, tf.reverse(x, [axis])], axis)
    if choice == 7 and rank < 3:
        return tf.stack([x, -x], axis)
    if choice == 8:
        return tf.pad(x, [[1, 0] if k == axis else [0, 0] for k in range(rank)])
    if choice == 9 and size > 1:
        return tf.split(x, [1, size - 1], axis)[1]
    if choice == 10:
        return tf.nn.softmax(x, axis)
    return tf.expand_dims(x, axis) if rank < 3 else tf.unstack(x, axis=axis)[0]


def product(rng, pool):
    """A matrix product of one of the matrices with a constant, with bias."""
    matrices = [t for t in pool if t.shape.rank == 2]
    if not matrices:
        return None
    x = matrices[rng.randint(len(matrices))]
    columns = rng.randint(1, 6)
    y = tf.matmul(x, tf.constant(rng.uniform(-1, 1, (x.shape.as_list()[1], columns)).astype('f')))
    return tf.nn.bias_add(y, tf.constant(rng.uniform(-1, 1, columns).astype('f')))


def broadcast(a, b):
    try:
        return tf.broadcast_static_shape(a.shape, b.shape).num_elements() <= 400
    except ValueError:
        return False


def program(w, number):
    rng = rng_for(f'program {number}')
    graph = tf.Graph()
    with graph.as_default():
        shapes = [[4, 3], [3], [2, 4, 3], [], [1, 3], [5, 2]]
        xs = [tf.constant(values(rng, shapes[rng.randint(len(shapes))], 'f', -1.5, 1.5), name=f'in{k}') for k in range(rng.randint(2, 5))]
        pool = list(xs)
        for _ in range(rng.randint(9, 22)):
            kind = rng.rand()
            x = pool[-1] if rng.rand() < 0.5 else pool[rng.randint(len(pool))]
            if kind < 0.35:
                y = ONE[rng.randint(len(ONE))][1](x)
            elif kind < 0.65:
                partners = [p for p in pool if broadcast(x, p)]
                y = TWO[rng.randint(len(TWO))][1](x, partners[rng.randint(len(partners))])
            elif kind < 0.8:
                y = product(rng, pool)
            else:
                y = reshaped(rng, x)
            if y is not None and 0 < y.shape.num_elements() <= 400:
                pool.append(y)
        ends = [t for t in pool[len(xs):] if not t.consumers()] or pool[-1:]
        total = tf.add_n([tf.reduce_sum(t * (0.3 + 0.1 * k)) for k, t in enumerate(ends)], name='total')
        gradients = [g for g in tf.gradients(total, xs) if g is not None]
        fetches = [t.name for t in ends[:3]] + [total.name] + [tf.convert_to_tensor(g).name for g in gradients]
    finish_case(w, 'program', f'{number}', graph, fetches, rtol=2e-4, atol=2e-5)


def calls(w):
    """Functional control flow and calls, as ops of their own."""
    @function.Defun(tf.float32, tf.int32)
    def doubled(x, n):
        return x * 2.0 + tf.cast(n, tf.float32), n - 1

    @function.Defun(tf.float32, tf.int32)
    def halved(x, n):
        return x / 2.0, n + 5

    @function.Defun(tf.float32, tf.int32)
    def positive(x, n):
        return n > 0

    @function.Defun(tf.float32, tf.float32)
    def product(x, y):
        return tf.sin(x) * y, x + y

    x = values(rng_for('calls'), [2, 3], 'f')
    types = dict(Tout=[tf.float32, tf.int32])

    def case(op, label, inputs, fetches=2, **attrs):
        graph = tf.Graph()
        with graph.as_default():
            for f in (product,) if op == 'SymbolicGradient' else (doubled, halved, positive):
                f.add_to_graph(graph)
            raw(op, inputs(), attrs)
        finish_case(w, op, label, graph, [f'op:{k}' for k in range(fetches)])

    case('SymbolicGradient', '', lambda: [[tf.constant(v) for v in (x, 2 * x, x + 1, x - 1)]], f=product, Tout=[tf.float32] * 2)
    for op in ('PartitionedCall', 'StatefulPartitionedCall'):
        case(op, '', lambda: [[tf.constant(x), tf.constant(3)]], f=doubled, **types)
    for op in ('If', 'StatelessIf'):
        for label, condition in (('true', True), ('false', False), ('number', 2), ('zero', 0.0), ('string', b'yes'), ('empty_string', b''),
                                 ('empty_vector', np.zeros([0], 'f'))):
            case(op, label, lambda c=condition: [tf.constant(c), [tf.constant(x), tf.constant(3)]], then_branch=doubled, else_branch=halved, **types)
    for op in ('Case', 'StatelessCase'):
        for index in (0, 1, 2, 7, -1):
            case(op, f'{index}'.replace('-', 'minus_'), lambda k=index: [tf.constant(k), [tf.constant(x), tf.constant(3)]], branches=[halved, doubled, halved],
                 **types)
    for op in ('While', 'StatelessWhile'):
        for times in (0, 1, 6):
            case(op, f'{times}', lambda n=times: [[tf.constant(x), tf.constant(n)]], cond=positive, body=doubled)
    for pred in (False, True):
        graph = tf.Graph()
        with graph.as_default():
            off, on = raw('Switch', [tf.constant(x), tf.constant(pred)], {})
            tf.identity(on if pred else off, name='alive')
        finish_case(w, 'Switch', f'{pred}'.lower(), graph, ['alive:0'])


def make(w):
    for number in range(COUNT):
        program(w, number)
