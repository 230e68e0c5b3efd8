"""Gradients of small expressions, losses, metrics and optimizer trajectories: what whole training steps compute."""
import json

import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, finish_case, rng_for, session, tensor_proto


def const(rng, name, shape, low=-1.0, high=1.0, dtype=np.float32):
    return tf.constant(rng.uniform(low, high, shape).astype(dtype), name=name)


def expressions():
    """name: function of (rng) that returns (y, [x...])."""
    e = {}

    def of(name):
        def keep(f):
            e[name] = f
            return f
        return keep

    def one(name, f, shape=(3, 4), low=-1.0, high=1.0, dtype=np.float32):
        def build(rng):
            x = const(rng, 'x', shape, low, high, dtype)
            return f(x), [x]
        e[name] = build

    def two(name, f, a=(3, 4), b=(4,), low=-1.0, high=1.0):
        def build(rng):
            x, y = const(rng, 'x', a, low, high), const(rng, 'y', b, low, high)
            return f(x, y), [x, y]
        e[name] = build

    for name, f, low, high in (
            ('abs', tf.abs, .2, 1), ('neg', tf.negative, -1, 1), ('square', tf.square, -1, 1), ('sqrt', tf.sqrt, .3, 2),
            ('rsqrt', tf.rsqrt, .3, 2), ('exp', tf.exp, -1, 1), ('expm1', tf.math.expm1, -1, 1), ('log', tf.log, .3, 3),
            ('log1p', tf.log1p, -.5, 2), ('sin', tf.sin, -2, 2), ('cos', tf.cos, -2, 2), ('tan', tf.tan, -1, 1),
            ('asin', tf.asin, -.8, .8), ('acos', tf.acos, -.8, .8), ('atan', tf.atan, -2, 2), ('sinh', tf.sinh, -1, 1),
            ('cosh', tf.cosh, -1, 1), ('tanh', tf.tanh, -2, 2), ('asinh', tf.asinh, -2, 2), ('acosh', tf.acosh, 1.3, 3),
            ('atanh', tf.atanh, -.8, .8), ('sigmoid', tf.sigmoid, -3, 3), ('reciprocal', tf.reciprocal, .4, 2),
            ('erf', tf.math.erf, -1, 1), ('erfc', tf.math.erfc, -1, 1), ('lgamma', tf.math.lgamma, .5, 3), ('sign', tf.sign, .1, 1),
            ('floor', tf.floor, .1, 4), ('relu', tf.nn.relu, -1, 1), ('relu6', tf.nn.relu6, -2, 9), ('elu', tf.nn.elu, -1, 1),
            ('selu', tf.nn.selu, -1, 1), ('softplus', tf.nn.softplus, -3, 3), ('softsign', tf.nn.softsign, -2, 2),
            ('leaky_relu', tf.nn.leaky_relu, -1, 1), ('softmax', tf.nn.softmax, -2, 2), ('log_softmax', tf.nn.log_softmax, -2, 2),
            ('l2_loss', tf.nn.l2_loss, -1, 1), ('identity', tf.identity, -1, 1), ('zeros_like', lambda x: x + tf.zeros_like(x), -1, 1),
            ('stop_gradient', lambda x: x * tf.stop_gradient(x), -1, 1), ('clip', lambda x: tf.clip_by_value(x, -.4, .6), -1, 1),
            ('cumsum', lambda x: tf.cumsum(x, 1, reverse=True), -1, 1), ('power_3', lambda x: x ** 3, .2, 1)):
        one(name, f, low=low, high=high)
    for name, f in (('add', tf.add), ('sub', tf.subtract), ('mul', tf.multiply), ('div', tf.divide), ('maximum', tf.maximum),
                    ('minimum', tf.minimum), ('squared_difference', tf.squared_difference), ('pow', tf.pow), ('atan2', tf.atan2),
                    ('div_no_nan', tf.div_no_nan), ('xlogy', tf.math.xlogy), ('xdivy', tf.math.xdivy), ('floormod', tf.floormod)):
        two(f'{name}_same', f, (3, 4), (3, 4), .3, 2)
        two(f'{name}_broadcast', f, (2, 3, 1), (4,), .3, 2)
        two(f'{name}_scalar', f, (2, 3), (), .3, 2)
    for axis, label in ((None, 'all'), ([1], 'rows'), ([0], 'columns')):
        for name, f in (('sum', tf.reduce_sum), ('mean', tf.reduce_mean), ('prod', tf.reduce_prod), ('max', tf.reduce_max),
                        ('min', tf.reduce_min), ('logsumexp', tf.reduce_logsumexp)):
            one(f'reduce_{name}_{label}', lambda x, f=f, axis=axis: f(x, axis), low=.3, high=2)
    one('reduce_max_ties', lambda x: tf.reduce_max(x * 0 + 1, 1))
    for ta in (False, True):
        for tb in (False, True):
            two(f'matmul_{ta}_{tb}'.lower(), lambda x, y, ta=ta, tb=tb: tf.matmul(x, y, ta, tb), (4, 3) if ta else (3, 4), (5, 4) if tb else (4, 5))
            two(f'batch_matmul_{ta}_{tb}'.lower(), lambda x, y, ta=ta, tb=tb: tf.matmul(x, y, ta, tb),
                (2, 4, 3) if ta else (2, 3, 4), (2, 5, 4) if tb else (2, 4, 5))
    two('batch_matmul_broadcast', tf.matmul, (2, 1, 3, 4), (5, 4, 2))
    two('bias_add', tf.nn.bias_add)
    two('bias_add_rank_4', tf.nn.bias_add, (2, 2, 2, 3), (3,))
    for name, f in (('reshape', lambda x: tf.reshape(x, [2, 6]) * 2.), ('transpose', lambda x: tf.transpose(x) ** 2), ('expand', lambda x: tf.expand_dims(x, 1) ** 2),
                    ('squeeze', lambda x: tf.squeeze(x[:1]) ** 2), ('slice', lambda x: tf.slice(x, [1, 0], [2, 3]) ** 2),
                    ('strided_slice', lambda x: x[::-2, 1:3] ** 2), ('strided_shrink', lambda x: x[1] ** 2), ('new_axis', lambda x: x[:, None, 1] ** 2),
                    ('pad', lambda x: tf.pad(x, [[1, 0], [2, 1]]) ** 2), ('pad_reflect', lambda x: tf.pad(x, [[1, 0], [2, 1]], 'REFLECT') ** 2),
                    ('tile', lambda x: tf.tile(x, [2, 3]) ** 2), ('split', lambda x: tf.split(x, 2, 1)[0] ** 2),
                    ('split_v', lambda x: tf.split(x, [1, 3], 1)[1] ** 2), ('unstack', lambda x: tf.unstack(x)[2] ** 2),
                    ('reverse', lambda x: tf.reverse(x, [1]) ** 2), ('cast', lambda x: tf.cast(x, tf.float64) ** 2),
                    ('gather_twice', lambda x: tf.gather(x, [2, 0, 2]) ** 2), ('gather_axis', lambda x: tf.gather(x, [3, 3], axis=1) ** 2),
                    ('gather_nd', lambda x: tf.gather_nd(x, [[0, 1], [2, 2], [0, 1]]) ** 2), ('top_k', lambda x: tf.nn.top_k(x, 2)[0] ** 2),
                    ('broadcast_to', lambda x: tf.broadcast_to(x, [2, 3, 4]) ** 2), ('boolean_mask', lambda x: tf.boolean_mask(x, [True, False, True]) ** 2),
                    ('where', lambda x: tf.where(x > 0, x * 3., x * x)), ('segment', lambda x: tf.math.unsorted_segment_sum(x, [1, 0, 1], 2) ** 2),
                    ('moments', lambda x: tf.nn.moments(x, [0])[1]), ('l2_normalize', lambda x: tf.nn.l2_normalize(x, 1))):
        one(name, f)
    two('concat', lambda x, y: tf.concat([x, y, x], 1) ** 2, (3, 2), (3, 4))
    two('stack', lambda x, y: tf.stack([x, y], 1) ** 2, (3, 2), (3, 2))
    two('add_n', lambda x, y: tf.add_n([x, y, x]), (3, 2), (3, 2))
    two('select_v2', lambda x, y: tf.where_v2(tf.constant([[True], [False], [True]]), x, y), (3, 4), (4,))
    two('softmax_cross_entropy', lambda x, y: tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=x), (3, 4), (3, 4), .1, 1)
    one('sparse_cross_entropy', lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([3, 0, 1]), logits=x))
    two('sigmoid_cross_entropy', lambda x, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.stop_gradient(y), logits=x), (3, 4), (3, 4))

    @of('unconnected')
    def _(rng):
        x, y = const(rng, 'x', (2,)), const(rng, 'y', (2,))
        return tf.square(x), [x, y]

    @of('two_layers')
    def _(rng):
        x, a, b, c = const(rng, 'x', (5, 4)), const(rng, 'a', (4, 3)), const(rng, 'b', (3,)), const(rng, 'c', (3, 2))
        h = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, a), b))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([0, 1, 1, 0, 1]), logits=tf.matmul(h, c))), [a, b, c]

    @of('second_derivative')
    def _(rng):
        x = const(rng, 'x', (4,), .3, 1)
        return tf.gradients(tf.tanh(x) * x ** 3, x)[0], [x]

    @of('variable')
    def _(rng):
        v = tf.Variable(rng.uniform(-1, 1, (3, 2)).astype('f'), name='v', use_resource=False)
        del v
        x = const(rng, 'x', (3, 2))
        return tf.exp(x) * x, [x]

    return e


def make_gradients(w):
    add_gradients(w, 'gradients', expressions())


def add_gradients(w, file, named):
    for name, build in named.items():
        for fill in (None, 0.5):
            if fill and not name.endswith(('_same', 'two_layers', 'matmul_false_false')):
                continue
            graph = tf.Graph()
            with graph.as_default():
                y, xs = build(rng_for('gradient ' + name))
                forward = graph.as_graph_def().SerializeToString(deterministic=True)
                grads = tf.gradients(y, xs, grad_ys=None if fill is None else tf.fill(tf.shape(y), tf.cast(fill, y.dtype)))
                dense = [tf.convert_to_tensor(g) if g is not None else tf.zeros([0]) for g in grads]
                kinds = ['none' if g is None else 'slices' if isinstance(g, tf.IndexedSlices) else 'dense' for g in grads]
                with session(graph) as sess:
                    y_value, values = sess.run([y, dense])
                types = sorted({op.type for op in graph.get_operations()})
            w.add(file, example(
                name=f'{file}/{name}' + ('_filled' if fill else ''), graph_def=forward, xs=[x.name for x in xs], ys=[y.name],
                grad_ys_fill=fill, expected_y=[tensor_proto(y_value)], expected_grads=[tensor_proto(v) for v in values], grad_kinds=kinds,
                op_types_with_gradients=types, rtol=1e-4, atol=1e-5))


def make_losses(w):
    rng = rng_for('losses')
    shape = (5, 3)
    targets = rng.uniform(0.1, 1, shape).astype('f')
    onehot = np.eye(3, dtype='f')[[2, 0, 1, 1, 2]]
    losses = {
        'absolute_difference': (tf.losses.absolute_difference, targets, {}), 'mean_squared_error': (tf.losses.mean_squared_error, targets, {}),
        'huber_loss': (tf.losses.huber_loss, targets, dict(delta=0.3)), 'log_loss': (tf.losses.log_loss, (targets > .5).astype('f'), {}),
        'hinge_loss': (tf.losses.hinge_loss, (targets > .5).astype('f'), {}),
        'sigmoid_cross_entropy': (tf.losses.sigmoid_cross_entropy, (targets > .5).astype('i'), dict(label_smoothing=0.1)),
        'softmax_cross_entropy': (tf.losses.softmax_cross_entropy, onehot, dict(label_smoothing=0.05)),
        'sparse_softmax_cross_entropy': (tf.losses.sparse_softmax_cross_entropy, np.array([2, 0, 1, 1, 2]), {}),
        'cosine_distance': (tf.losses.cosine_distance, targets, dict(axis=1)),
        'compute_weighted_loss': (lambda labels, predictions, **options: tf.losses.compute_weighted_loss(tf.square(predictions - labels), **options), targets, {}),
    }
    per_row = ('softmax_cross_entropy', 'sparse_softmax_cross_entropy')
    for name, (loss, labels, options) in losses.items():
        for reduction in tf.losses.Reduction.all():
            for weighting in ('one', 'scalar', 'rows', 'zeros', 'full'):
                if weighting == 'full' and (name in per_row or name == 'cosine_distance'):
                    continue
                graph = tf.Graph()
                with graph.as_default():
                    predictions = tf.constant(rng.uniform(0.1, 0.9, shape).astype('f'), name='predictions')
                    rows = np.array([0.5, 0, 2, 1, 0], 'f')
                    rows = rows if name in per_row else rows[:, None]
                    weights = {'one': 1.0, 'scalar': 0.3, 'rows': rows, 'zeros': rows * 0, 'full': rng.uniform(0, 2, shape).astype('f')}[weighting]
                    value = loss(tf.constant(labels), predictions, weights=weights, reduction=reduction, **options)
                    gradient, = tf.gradients(value, predictions)
                finish_case(w, name, f'{reduction}_{weighting}', graph, [value.name, gradient.name], rtol=1e-4, atol=1e-6)
    for label, weights in (('', 1.0), ('scalar', 0.3), ('rows', np.array([[1.0], [0.5], [2.0], [0.0], [1.0]], 'f'))):
        graph = tf.Graph()
        with graph.as_default():
            predictions = tf.constant(rng.uniform(0.1, 0.9, shape).astype('f'), name='predictions')
            value = tf.losses.mean_pairwise_squared_error(tf.constant(targets), predictions, weights=weights)
            gradient, = tf.gradients(value, predictions)
        finish_case(w, 'mean_pairwise_squared_error', label, graph, [value.name, gradient.name], rtol=1e-4, atol=1e-6)
    graph = tf.Graph()
    with graph.as_default():
        predictions = tf.constant(targets, name='predictions')
        tf.losses.mean_squared_error(tf.constant(onehot), predictions)
        tf.losses.absolute_difference(tf.constant(onehot), predictions, weights=0.25)
        tf.losses.add_loss(tf.nn.l2_loss(predictions), tf.GraphKeys.REGULARIZATION_LOSSES)
        total = tf.losses.get_total_loss()
    finish_case(w, 'get_total_loss', '', graph, [total.name], rtol=1e-5, atol=1e-6)


OPTIMIZERS = {
    'gradient_descent': (tf.train.GradientDescentOptimizer, dict(learning_rate=0.3)),
    'momentum': (tf.train.MomentumOptimizer, dict(learning_rate=0.1, momentum=0.8)),
    'momentum_nesterov': (tf.train.MomentumOptimizer, dict(learning_rate=0.05, momentum=0.9, use_nesterov=True)),
    'adam': (tf.train.AdamOptimizer, dict(learning_rate=0.02)),
    'adadelta': (tf.train.AdadeltaOptimizer, dict(learning_rate=0.9, rho=0.8, epsilon=1e-4)),
    'adagrad': (tf.train.AdagradOptimizer, dict(learning_rate=0.2, initial_accumulator_value=0.3)),
    'adagrad_da': (lambda **arguments: tf.train.AdagradDAOptimizer(global_step=tf.train.get_or_create_global_step(), **arguments),
                   dict(learning_rate=0.3, l1_regularization_strength=1e-3, l2_regularization_strength=1e-2)),
    'adam_params': (tf.train.AdamOptimizer, dict(learning_rate=0.05, beta1=0.7, beta2=0.95, epsilon=1e-4)),
    'ftrl': (tf.train.FtrlOptimizer, dict(learning_rate=0.2, l1_regularization_strength=1e-3, l2_regularization_strength=1e-2, beta=0.1)),
    'ftrl_shrinkage': (tf.train.FtrlOptimizer, dict(learning_rate=0.1, learning_rate_power=-0.7, l2_shrinkage_regularization_strength=0.05)),
    'proximal_adagrad': (tf.train.ProximalAdagradOptimizer, dict(learning_rate=0.1, l1_regularization_strength=1e-3, l2_regularization_strength=1e-2)),
    'proximal_gradient_descent': (tf.train.ProximalGradientDescentOptimizer, dict(learning_rate=0.3, l1_regularization_strength=1e-3, l2_regularization_strength=1e-2)),
    'rmsprop': (tf.train.RMSPropOptimizer, dict(learning_rate=0.02, decay=0.8, momentum=0.5)),
    'rmsprop_centered': (tf.train.RMSPropOptimizer, dict(learning_rate=0.02, decay=0.7, momentum=0.3, epsilon=1e-3, centered=True)),
}


SCHEDULES = {  # as src/api/train/optimizer_graphs_test.cc calls them
    'exponential': lambda s: tf.train.exponential_decay(0.1, s, 10, 0.5),
    'exponential_staircase': lambda s: tf.train.exponential_decay(0.1, s, 10, 0.5, staircase=True),
    'natural': lambda s: tf.train.natural_exp_decay(0.1, s, 10, 0.5),
    'inverse': lambda s: tf.train.inverse_time_decay(0.1, s, 10, 0.5),
    'polynomial': lambda s: tf.train.polynomial_decay(0.1, s, 20, 0.01, power=2),
    'polynomial_cycle': lambda s: tf.train.polynomial_decay(0.1, s, 20, 0.01, cycle=True),
    'piecewise': lambda s: tf.train.piecewise_constant(s, [10, 20], [0.1, 0.05, 0.01]),
    'cosine': lambda s: tf.train.cosine_decay(0.1, s, 30, alpha=0.1),
    'cosine_restarts': lambda s: tf.train.cosine_decay_restarts(0.1, s, 10),
    'cosine_restarts_same': lambda s: tf.train.cosine_decay_restarts(0.1, s, 10, t_mul=1.0, m_mul=0.5),
    'linear_cosine': lambda s: tf.train.linear_cosine_decay(0.1, s, 30),
}


def make_learning_rates(w):
    rates = {}
    for name, schedule in SCHEDULES.items():
        with tf.Graph().as_default() as graph:
            step = tf.placeholder(tf.int64, [])
            rate = schedule(step)
            with session(graph) as sess:
                rates[name] = [float(sess.run(rate, {step: i})) for i in range(0, 70, 3)]
    w.folder.mkdir(parents=True, exist_ok=True)
    (w.folder / 'learning_rates.json').write_text(json.dumps(rates, indent=1) + '\n')


def make_trajectories(w):
    for name, (optimizer, arguments) in OPTIMIZERS.items():
        for sparse in (False, True):
            for resource in (False, True):
                file = f'{name}_{"sparse" if sparse else "dense"}_{"resource" if resource else "ref"}'
                rng = rng_for(file)
                graph = tf.Graph()
                with graph.as_default():
                    tf.disable_resource_variables()
                    y = tf.placeholder(tf.int64, [6], 'y')
                    first = tf.get_variable('first', [7, 4], initializer=tf.constant_initializer(rng.uniform(-1, 1, (7, 4))), use_resource=resource)
                    second = tf.get_variable('second', [4, 3], initializer=tf.constant_initializer(rng.uniform(-1, 1, (4, 3))), use_resource=resource)
                    bias = tf.get_variable('bias', [3], initializer=tf.zeros_initializer(), use_resource=resource)
                    if sparse:
                        x = tf.placeholder(tf.int32, [6], 'x')
                        hidden = tf.tanh(tf.gather(first, x))
                    else:
                        x = tf.placeholder(tf.float32, [6, 7], 'x')
                        hidden = tf.tanh(tf.matmul(x, first))
                    logits = tf.nn.bias_add(tf.matmul(hidden, second), bias)
                    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits), name='loss')
                    step = tf.train.get_or_create_global_step()
                    arguments = dict(arguments, global_step=step) if optimizer is tf.train.AdagradDAOptimizer else arguments
                    train = optimizer(**arguments).minimize(loss, global_step=step)
                    init = tf.global_variables_initializer()
                    variables = tf.global_variables()
                    with session(graph) as sess:
                        sess.run(init)
                        w.add(file, example(
                            type='header', config=json.dumps(dict(optimizer=name, arguments=OPTIMIZERS[name][1], sparse=sparse, resource=resource)),
                            meta_graph=tf.train.export_meta_graph(clear_devices=True, strip_default_attrs=True).SerializeToString(deterministic=True), init_op=init.name,
                            train_op=train.name, loss=loss.name, variables=[v.op.name for v in variables],
                            initial=[tensor_proto(v) for v in sess.run(variables)], rtol=1e-4, atol=1e-5))
                        for _ in range(20):
                            fed = {x: rng.randint(0, 7, 6).astype('i') if sparse else rng.uniform(-1, 1, (6, 7)).astype('f'), y: rng.randint(0, 3, 6)}
                            _, value = sess.run([train, loss], fed)
                            w.add(file, example(type='step', feed_names=[t.name for t in fed], feed_values=[tensor_proto(v, t.dtype) for t, v in fed.items()],
                                                loss=float(value), values=[tensor_proto(v) for v in sess.run(variables)]))
