"""Programs of a TensorFlow client. Each takes a session target and a scratch folder, and returns what it computed, name by name."""
import os
import threading

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()

# Sessions of one program share nothing with those of the others.
CONFIG = tf.ConfigProto(isolate_session_state=True)


def points(count=64, features=4):
    rng = np.random.RandomState(7)
    x = rng.rand(count, features).astype(np.float32)
    return x, (x @ np.arange(1, features + 1, dtype=np.float32)[:, None] + 0.5).astype(np.float32)


def train(target, loss, feeds, variables, steps=20, optimizer=None):
    op = (optimizer or tf.train.GradientDescentOptimizer(0.1)).minimize(loss)
    init = tf.global_variables_initializer()
    with tf.Session(target, config=CONFIG) as session:
        session.run(init)
        losses = [session.run([op, loss], feeds)[1] for _ in range(steps)]
        return {'losses': losses, **{v.op.name: session.run(v) for v in variables}}


def constant_like(shape, seed):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32) * 0.3


def linear(target, folder):
    x, y = points()
    features, labels = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.float32, [None, 1])
    w, b = tf.Variable(tf.zeros([4, 1]), name='w'), tf.Variable(0.0, name='b')
    loss = tf.reduce_mean(tf.square(tf.matmul(features, w) + b - labels))
    return train(target, loss, {features: x, labels: y}, [w, b])


def logistic_resource_variables(target, folder):
    x, y = points()
    features = tf.placeholder(tf.float32, [None, 4])
    labels = tf.placeholder(tf.float32, [None, 1])
    w = tf.get_variable('w', [4, 1], initializer=tf.zeros_initializer(), use_resource=True)
    logits = tf.matmul(features, w)
    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
    return train(target, loss, {features: x, labels: (y > 5).astype(np.float32)}, [w], optimizer=tf.train.MomentumOptimizer(0.5, 0.9))


def mlp(target, folder):
    x, y = points()
    features, labels = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.float32, [None, 1])
    w1, w2 = tf.Variable(constant_like((4, 16), 1), name='w1'), tf.Variable(constant_like((16, 1), 2), name='w2')
    hidden = tf.nn.relu(tf.matmul(features, w1))
    loss = tf.reduce_mean(tf.square(tf.matmul(hidden, w2) - labels))
    return train(target, loss, {features: x, labels: y}, [w1, w2], optimizer=tf.train.AdamOptimizer(0.01))


def cnn(target, folder):
    images = np.random.RandomState(3).rand(8, 12, 12, 1).astype(np.float32)
    x, labels = tf.placeholder(tf.float32, [None, 12, 12, 1]), tf.placeholder(tf.int32, [None])
    kernel = tf.Variable(constant_like((3, 3, 1, 4), 1), name='kernel')
    dense = tf.Variable(constant_like((144, 3), 2), name='dense')
    pooled = tf.nn.max_pool(tf.nn.relu(tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding='SAME')), [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')
    logits = tf.matmul(tf.reshape(pooled, [-1, 144]), dense)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    return train(target, loss, {x: images, labels: np.arange(8) % 3}, [kernel, dense], steps=5)


def while_loop_lstm(target, folder):
    batch, steps, units = 3, 6, 5
    x = np.random.RandomState(5).rand(batch, steps, 2).astype(np.float32)
    inputs = tf.placeholder(tf.float32, [batch, steps, 2])
    kernel = tf.Variable(constant_like((2 + units, 4 * units), 4), name='kernel')
    arrays = tf.TensorArray(tf.float32, size=steps).unstack(tf.transpose(inputs, [1, 0, 2]))
    outputs = tf.TensorArray(tf.float32, size=steps)

    def body(i, c, h, outputs):
        gates = tf.matmul(tf.concat([arrays.read(i), h], 1), kernel)
        entry, forget, candidate, out = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(forget + 1) * c + tf.sigmoid(entry) * tf.tanh(candidate)
        h = tf.sigmoid(out) * tf.tanh(c)
        return i + 1, c, h, outputs.write(i, h)

    zero = tf.zeros([batch, units])
    result = tf.while_loop(lambda i, *_: i < steps, body, [0, zero, zero, outputs])[3].stack()
    loss = tf.reduce_sum(tf.square(result - 0.3))
    return train(target, loss, {inputs: x}, [kernel], steps=10)


def gan(target, folder):
    noise, real = tf.placeholder(tf.float32, [None, 2]), tf.placeholder(tf.float32, [None, 1])
    with tf.variable_scope('generator'):
        g = tf.Variable(constant_like((2, 1), 1), name='g')
    with tf.variable_scope('discriminator'):
        d = tf.Variable(constant_like((1, 1), 2), name='d')
    fake = tf.matmul(noise, g)
    ones = tf.ones_like(tf.matmul(real, d))
    cross = lambda labels, logits: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
    d_loss = cross(ones, tf.matmul(real, d)) + cross(0 * ones, tf.matmul(fake, d))
    g_loss = cross(ones, tf.matmul(fake, d))
    d_step = tf.train.GradientDescentOptimizer(0.1).minimize(d_loss, var_list=[d])
    g_step = tf.train.GradientDescentOptimizer(0.1).minimize(g_loss, var_list=[g])
    rng = np.random.RandomState(1)
    with tf.Session(target, config=CONFIG) as session:
        session.run(tf.global_variables_initializer())
        for _ in range(10):
            feeds = {noise: rng.rand(16, 2), real: rng.rand(16, 1) + 2}
            session.run(d_step, feeds)
            session.run(g_step, feeds)
        return {'g': session.run(g), 'd': session.run(d), 'loss': session.run([d_loss, g_loss], feeds)}


def queue_pipeline(target, folder):
    queue = tf.FIFOQueue(4, [tf.int32], shapes=[[]])
    counter = tf.Variable(0, name='counter')
    enqueue = queue.enqueue(2 * tf.assign_add(counter, 1))  # a value of its own: TensorFlow's queue may alias a variable's buffer
    runner = tf.train.QueueRunner(queue, [enqueue])
    batch = queue.dequeue_many(5)
    with tf.Session(target, config=CONFIG) as session:
        session.run(tf.global_variables_initializer())
        coordinator = tf.train.Coordinator()
        threads = runner.create_threads(session, coordinator, start=True)
        got = [session.run(batch) for _ in range(4)]
        coordinator.request_stop()
        coordinator.join(threads)
        try:
            session.run(queue.dequeue_many(100))
            ended = ''
        except tf.errors.OutOfRangeError as e:
            ended = type(e).__name__
    return {'got': np.array(got), 'ended': ended}


def data_pipeline(target, folder):
    data = tf.data.Dataset.range(20).map(lambda x: x * x).filter(lambda x: tf.equal(x % 2, 0)).batch(4).repeat(2)
    get_next = tf.data.make_one_shot_iterator(data).get_next()
    iterator = tf.data.make_initializable_iterator(tf.data.Dataset.from_tensor_slices(np.arange(5)).shuffle(5, seed=3))
    second = iterator.get_next()
    got = []
    with tf.Session(target, config=CONFIG) as session:
        try:
            while True:
                got.append(session.run(get_next))
        except tf.errors.OutOfRangeError:
            pass
        session.run(iterator.initializer)
        return {'got': np.concatenate(got), 'shuffled': [session.run(second) for _ in range(5)]}


def saver(target, folder):
    v, w = tf.Variable([1.0, 2.0], name='v'), tf.Variable(7, name='w', dtype=tf.int64)
    saver_ = tf.train.Saver()
    with tf.Session(target, config=CONFIG) as session:
        session.run(tf.global_variables_initializer())
        session.run([tf.assign(v, [3.0, 4.0]), tf.assign(w, 8)])
        path = saver_.save(session, os.path.join(folder, 'model'), global_step=3)
    with tf.Session(target, config=CONFIG) as session:
        saver_.restore(session, path)
        return {'name': os.path.basename(path), 'v': session.run(v), 'w': session.run(w)}


def monitored_training_session(target, folder):
    step = tf.train.get_or_create_global_step()
    v = tf.get_variable('v', initializer=1.0)
    update = tf.group(tf.assign(v, v * 1.5), tf.assign_add(step, 1))
    values = []
    for last in (4, 7):
        with tf.train.MonitoredTrainingSession(target, checkpoint_dir=folder, hooks=[tf.train.StopAtStepHook(last_step=last)],
                                               config=CONFIG, save_summaries_steps=None, save_summaries_secs=None) as session:
            while not session.should_stop():
                session.run(update)
        values.append(tf.train.load_variable(folder, 'v'))
    return {'values': values, 'step': tf.train.load_variable(folder, 'global_step')}


def supervisor(target, folder):
    step = tf.train.get_or_create_global_step()
    tf.summary.scalar('step', step)
    update = tf.assign_add(step, 1)
    manager = tf.train.Supervisor(logdir=folder, save_summaries_secs=0, summary_op=None)
    with manager.managed_session(target, config=CONFIG) as session:
        for _ in range(5):
            last = session.run(update)
        manager.saver.save(session, manager.save_path, global_step=step)
    return {'last': last, 'saved': tf.train.load_variable(folder, 'global_step')}


def partial_run(target, folder):
    a, b, c = (tf.placeholder(tf.float32, []) for _ in range(3))
    r1 = a + b
    r2 = r1 * c
    with tf.Session(target, config=CONFIG) as session:
        got = []
        for i in range(3):
            handle = session.partial_run_setup([r1, r2], [a, b, c])
            first = session.partial_run(handle, r1, feed_dict={a: 1 + i, b: 2})
            got += [first, session.partial_run(handle, r2, feed_dict={c: first * 17})]
        handle = session.partial_run_setup([r1, r2], [a, b, c])
        try:
            session.partial_run(handle, r2, feed_dict={a: 1})
            error = ''
        except tf.errors.InvalidArgumentError as e:
            error = 'can\'t be computed' in e.message
    return {'got': got, 'error': error}


def make_callable(target, folder):
    x = tf.placeholder(tf.float32, [None], name='x')
    y = tf.reduce_sum(x * 2)
    with tf.Session(target, config=CONFIG) as session:
        run = session.make_callable(y, [x])
        from tensorflow.core.protobuf import config_pb2
        options = config_pb2.CallableOptions(feed=[x.name], fetch=[y.name])
        other = session._make_callable_from_options(options)
        return {'y': [run(np.arange(i)) for i in range(3)], 'z': [other(np.arange(i, dtype=np.float32))[0] for i in range(3)]}


def blocked_steps(target, folder):
    queue = tf.FIFOQueue(100, [tf.float32], shapes=[[]])
    dequeue, value = queue.dequeue(), tf.placeholder(tf.float32, [])
    enqueue = queue.enqueue(value)
    got, errors = [], []
    with tf.Session(target, config=CONFIG) as session:
        def wait():
            try:
                got.append(session.run(dequeue))
            except tf.errors.OpError as e:
                errors.append(type(e).__name__)
        threads = [threading.Thread(target=wait) for _ in range(30)]
        for t in threads:
            t.start()
        for i in range(20):
            session.run(enqueue, {value: i})
        try:
            session.run(dequeue, options=tf.RunOptions(timeout_in_ms=100))
            timeout = ''
        except tf.errors.DeadlineExceededError as e:
            timeout = type(e).__name__
        session.run(queue.close(cancel_pending_enqueues=True))
        for t in threads:
            t.join()
    return {'got': sorted(got), 'errors': sorted(errors), 'timeout': timeout}


def errors_name_their_nodes(target, folder):
    x = tf.placeholder(tf.float32, [None, None], name='x')
    product = tf.matmul(x, x, name='product')
    v = tf.Variable(1.0, name='v')
    seen = []
    with tf.Session(target, config=CONFIG) as session:
        for fetch, feeds in ((product, {x: np.ones((2, 3))}), (v, {}), (product, {}), (tf.check_numerics(x, 'bad'), {x: [[np.nan]]})):
            try:
                session.run(fetch, feeds)
            except tf.errors.OpError as e:
                seen.append((type(e).__name__, e.op.name if e.op is not None else None))
    return {'seen': seen}


def strings_and_types(target, folder):
    types = [tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.bool, tf.float16, tf.complex64, tf.bfloat16]
    values = {}
    with tf.Session(target, config=CONFIG) as session:
        for dtype in types:
            x = tf.placeholder(dtype, [None])
            fed = np.array([0, 1, 1]).astype(dtype.as_numpy_dtype)
            values[dtype.name] = np.array(session.run(tf.concat([x, x[:1]], 0), {x: fed})).astype(np.complex64)
        s = tf.placeholder(tf.string, [None])
        values['string'] = session.run(tf.strings.join([s, s]), {s: [b'a', b'', b'\0\xff' * 100]}).tolist()
    return values


def run_metadata(target, folder):
    x = tf.random_uniform([8], seed=1)
    y = tf.reduce_sum(x, name='y')
    with tf.Session(target, config=CONFIG) as session:
        metadata = tf.RunMetadata()
        session.run(y, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, output_partition_graphs=True), run_metadata=metadata)
        devices = session.list_devices()
    names = [n.node_name for d in metadata.step_stats.dev_stats for n in d.node_stats]
    return {'traced': 'y' in names, 'graphs': len(metadata.partition_graphs) > 0, 'device': [d.name for d in devices if d.device_type == 'CPU']}


PROGRAMS = [linear, logistic_resource_variables, mlp, cnn, while_loop_lstm, gan, queue_pipeline, data_pipeline, saver,
            monitored_training_session, supervisor, partial_run, make_callable, blocked_steps, errors_name_their_nodes,
            strings_and_types, run_metadata]
