"""The workloads as TensorFlow graphs: each function builds one and returns its train op, its loss and what is fed.

Variables have plain names (`conv0/kernel`, `block1/query/bias`), as torch_models.py finds their start values by name.
"""
import numpy as np
import tensorflow.compat.v1 as tf


def weights(name, shape, deviation=0.05):
    seed = sum(map(ord, tf.get_variable_scope().name + name))
    return tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=deviation, seed=seed))


def filled(name, size, value=0.0):
    return tf.get_variable(name, [size], initializer=tf.constant_initializer(value))


def dense(x, units, name, activation=None):
    with tf.variable_scope(name):
        x = tf.nn.bias_add(tf.matmul(x, weights('kernel', [int(x.shape[-1]), units])), filled('bias', units))
    return x if activation is None else activation(x)


def cross_entropy(logits, labels):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def pictures(rng, batch, size, channels):
    """A batch of images with labels below ten: placeholders and their values."""
    x, y = tf.placeholder(tf.float32, [batch, size, size, channels], 'x'), tf.placeholder(tf.int64, [batch], 'y')
    return x, y, {x: rng.rand(batch, size, size, channels).astype('f'), y: rng.randint(0, 10, batch)}


def perceptron(batch, width, sizes):
    def build(rng):
        x, y = tf.placeholder(tf.float32, [batch, width], 'x'), tf.placeholder(tf.int64, [batch], 'y')
        h = x
        for number, units in enumerate(sizes):
            h = dense(h, units, f'layer{number}', tf.nn.relu if number + 1 < len(sizes) else None)
        loss = cross_entropy(h, y)
        feeds = {x: rng.rand(batch, width).astype('f'), y: rng.randint(0, sizes[-1], batch)}
        return tf.train.AdamOptimizer(1e-3).minimize(loss, name='train'), loss, feeds
    return build


def convolution(x, size, channels, name, stride=1):
    with tf.variable_scope(name):
        kernel = weights('kernel', [size, size, int(x.shape[-1]), channels])
        return tf.nn.conv2d(x, kernel, strides=[1, stride, stride, 1], padding='SAME')


def cnn(rng):
    """Two 5x5 convolutions with pooling, then two dense layers, on 28x28 grey images."""
    x, y, feeds = pictures(rng, 64, 28, 1)
    h = x
    for number, channels in enumerate((32, 64)):
        h = convolution(h, 5, channels, f'conv{number}')
        with tf.variable_scope(f'conv{number}'):
            h = tf.nn.relu(tf.nn.bias_add(h, filled('bias', channels, 0.1)))
        h = tf.nn.max_pool2d(h, ksize=2, strides=2, padding='SAME')
    h = dense(tf.reshape(h, [64, 7 * 7 * 64]), 1024, 'hidden', tf.nn.relu)
    loss = cross_entropy(dense(h, 10, 'logits'), y)
    return tf.train.AdamOptimizer(1e-4).minimize(loss, name='train'), loss, feeds


def normalized(x, name):
    with tf.variable_scope(name):
        channels = int(x.shape[-1])
        return tf.nn.fused_batch_norm(x, filled('scale', channels, 1.0), filled('offset', channels), is_training=True)[0]


def resnet20(rng):
    """He et al. 2015, section 4.2, n = 3: 32x32 colour images, batch norm with the batch's own moments."""
    x, y, feeds = pictures(rng, 32, 32, 3)
    h = tf.nn.relu(normalized(convolution(x, 3, 16, 'stem'), 'stem'))
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(3):
            with tf.variable_scope(f'stage{stage}_block{block}'):
                stride = 2 if stage > 0 and block == 0 else 1
                r = tf.nn.relu(normalized(convolution(h, 3, channels, 'first', stride), 'first'))
                r = normalized(convolution(r, 3, channels, 'second'), 'second')
                if stride == 2:
                    h = convolution(h, 1, channels, 'shortcut', 2)
                h = tf.nn.relu(h + r)
    loss = cross_entropy(dense(tf.reduce_mean(h, [1, 2]), 10, 'logits'), y)
    return tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, name='train'), loss, feeds


def language_model(looped):
    """One LSTM layer of 200 units over 20 steps of 20 sequences, 10000 words; unrolled, or as a while loop."""
    batch, steps, units, words = 20, 20, 200, 10000

    def cell(x, c, h, kernel, bias):
        gates = tf.nn.bias_add(tf.matmul(tf.concat([x, h], 1), kernel), bias)
        write, value, forget, show = tf.split(gates, 4, 1)
        c = c * tf.sigmoid(forget + 1.0) + tf.sigmoid(write) * tf.tanh(value)
        return c, tf.tanh(c) * tf.sigmoid(show)

    def unrolled(inputs, start, kernel, bias):
        c = h = start
        outputs = []
        for step in range(steps):
            c, h = cell(inputs[:, step], c, h, kernel, bias)
            outputs.append(h)
        return tf.stack(outputs, 1)

    def loop(inputs, start, kernel, bias):
        source = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(inputs, [1, 0, 2]))

        def body(step, c, h, outputs):
            c, h = cell(source.read(step), c, h, kernel, bias)
            return step + 1, c, h, outputs.write(step, h)

        first = [tf.constant(0), start, start, tf.TensorArray(tf.float32, steps)]
        outputs = tf.while_loop(lambda step, *_: step < steps, body, first)[3]
        return tf.transpose(outputs.stack(), [1, 0, 2])

    def build(rng):
        x, y = tf.placeholder(tf.int64, [batch, steps], 'x'), tf.placeholder(tf.int64, [batch, steps], 'y')
        inputs = tf.nn.embedding_lookup(weights('embedding', [words, units]), x)
        with tf.variable_scope('lstm'):
            kernel, bias = weights('kernel', [2 * units, 4 * units]), filled('bias', 4 * units)
        outputs = (loop if looped else unrolled)(inputs, tf.zeros([batch, units]), kernel, bias)
        logits = dense(tf.reshape(outputs, [batch * steps, units]), words, 'logits')
        loss = cross_entropy(logits, tf.reshape(y, [-1]))
        optimizer = tf.train.GradientDescentOptimizer(1.0)
        gradients, variables = zip(*optimizer.compute_gradients(loss))
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        feeds = {x: rng.randint(0, words, (batch, steps)), y: rng.randint(0, words, (batch, steps))}
        return optimizer.apply_gradients(zip(gradients, variables), name='train'), loss, feeds
    return build


def layer_norm(x, name):
    with tf.variable_scope(name):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        width = int(x.shape[-1])
        return (x - mean) * tf.rsqrt(variance + 1e-6) * filled('scale', width, 1.0) + filled('offset', width)


def gelu(x):
    return 0.5 * x * (1.0 + tf.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def transformer(rng):
    """Two pre-norm blocks of width 256 with four heads on 8 sequences of 128 tokens out of 1000."""
    batch, length, width, heads, words = 8, 128, 256, 4, 1000
    depth = width // heads
    x, y = tf.placeholder(tf.int64, [batch, length], 'x'), tf.placeholder(tf.int64, [batch, length], 'y')

    def split_heads(z):
        return tf.transpose(tf.reshape(z, [batch, length, heads, depth]), [0, 2, 1, 3])

    h = tf.nn.embedding_lookup(weights('embedding', [words, width]), x) + weights('positions', [length, width])
    for number in range(2):
        with tf.variable_scope(f'block{number}'):
            z = tf.reshape(layer_norm(h, 'norm1'), [batch * length, width])
            query, key, value = (split_heads(dense(z, width, name)) for name in ('query', 'key', 'value'))
            attention = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * depth ** -0.5)
            mixed = tf.reshape(tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3]), [batch * length, width])
            h = h + tf.reshape(dense(mixed, width, 'mix'), [batch, length, width])
            z = tf.reshape(layer_norm(h, 'norm2'), [batch * length, width])
            h = h + tf.reshape(dense(dense(z, 4 * width, 'wide', gelu), width, 'narrow'), [batch, length, width])
    logits = dense(tf.reshape(layer_norm(h, 'norm'), [batch * length, width]), words, 'logits')
    loss = cross_entropy(logits, tf.reshape(y, [-1]))
    feeds = {x: rng.randint(0, words, (batch, length)), y: rng.randint(0, words, (batch, length))}
    return tf.train.AdamOptimizer(1e-3).minimize(loss, name='train'), loss, feeds


def embedding(rng):
    """Twenty features out of 100000 per example, summed, then a small perceptron: sparse gradients."""
    batch, features, rows, width = 1024, 20, 100000, 64
    x, y = tf.placeholder(tf.int64, [batch, features], 'x'), tf.placeholder(tf.float32, [batch, 1], 'y')
    h = tf.reduce_sum(tf.nn.embedding_lookup(weights('embedding', [rows, width]), x), 1)
    logits = dense(dense(h, 64, 'layer0', tf.nn.relu), 1, 'layer1')
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))
    feeds = {x: rng.randint(0, rows, (batch, features)), y: rng.randint(0, 2, (batch, 1)).astype('f')}
    return tf.train.AdagradOptimizer(0.05).minimize(loss, name='train'), loss, feeds


def run_trivial(rng):
    """What a run costs that computes next to nothing: one is added to what is fed."""
    x = tf.placeholder(tf.float32, [], 'x')
    y = tf.add(x, 1.0, 'y')
    return y.op, y, {x: np.float32(1)}


def chain1000(rng):
    """A thousand small ops one behind another, with reshapes between them."""
    x = tf.placeholder(tf.float32, [16], 'x')
    h = x
    for _ in range(500):
        h = tf.tanh(h)
        h = tf.matmul(tf.reshape(h, [4, 4]), tf.reshape(h, [4, 4]))
        h = tf.reshape(h, [16])
    return h.op, tf.reduce_sum(h), {x: rng.rand(16).astype('f')}


WORKLOADS = {
    'mlp_small': perceptron(32, 64, [64, 10]),
    'mlp': perceptron(128, 784, [512, 256, 10]),
    'cnn': cnn,
    'resnet20': resnet20,
    'lstm': language_model(looped=False),
    'lstm_loop': language_model(looped=True),
    'transformer': transformer,
    'embedding': embedding,
    'run_trivial': run_trivial,
    'chain1000': chain1000,
}
