"""Checkpoints and meta graphs as TensorFlow writes them, whole and damaged."""
import json
import pathlib
import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, rng_for, session, tensor_proto, values

DTYPES = ['float32', 'float64', 'half', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'int64', 'bool', 'complex64', 'complex128']

NOT_IN_FIRST_FORMAT = ('bfloat16',)


def write_examples(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in examples:
            writer.write(one.SerializeToString(deterministic=True))


def write_expected(folder, tensors):
    """One record per tensor: name, dtype, shape, value."""
    write_examples(folder / 'expected.tfrecord', [
        example(name=name, dtype=int(tf.as_dtype(value.dtype if value.dtype != object else tf.string).as_datatype_enum),
                shape=list(value.shape) or None, tensor=[tensor_proto(value, tf.string if value.dtype == object else value.dtype)])
        for name, value in tensors.items()])


def save(folder, prefix, tensors, sharded_over=1, resource=False, version=tf.train.SaverDef.V2):
    """A checkpoint of variables with these values; with several shards, the variables are dealt out in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default() as graph:
        for number, (name, value) in enumerate(tensors.items()):
            with tf.device(f'/cpu:{number % sharded_over}'):
                kind = tf.string if value.dtype == object else value.dtype
                tf.get_variable(name, initializer=tf.constant(value, kind), use_resource=resource and kind != tf.string)
        config = tf.ConfigProto(device_count={'CPU': sharded_over})
        with tf.Session(graph=graph, config=config) as sess:
            sess.run(tf.global_variables_initializer())
            saver = tf.train.Saver(sharded=sharded_over > 1, save_relative_paths=True, write_version=version)
            saver.save(sess, str(folder / prefix), write_meta_graph=False)
    write_expected(folder, tensors)


def all_dtypes(folder):
    rng = rng_for('checkpoint')
    tensors = {f'types/{dtype}': values(rng, [2, 5], dtype) for dtype in DTYPES}
    tensors.update({f'scalar/{dtype}': np.asarray(values(rng, [], dtype)) for dtype in ('float32', 'int64', 'bool')})
    tensors['empty'] = np.zeros([3, 0], 'f')
    tensors['text'] = np.array([[b'one', b''], [b'three\0\xff', b'x' * 300]], object)
    tensors['one_text'] = np.array(b'alone', object)
    save(folder / 'all_dtypes', 'model.ckpt-7', tensors)
    save(folder / 'all_dtypes_resource', 'model.ckpt-7', {k: v for k, v in tensors.items() if v.dtype != object}, resource=True)
    save(folder / 'sharded', 'model.ckpt-50', {
        'first': values(rng, [3, 4], 'float32'), 'second/x': values(rng, [6], 'int64'), 'third': values(rng, [2], 'float64'),
        'text': np.array([b'p', b'qr'], object)}, sharded_over=2)


def first_format(folder):
    rng = rng_for('first format')
    version = tf.train.SaverDef.V1
    tensors = {f'types/{dtype}': values(rng, [2, 5], dtype) for dtype in DTYPES if dtype not in NOT_IN_FIRST_FORMAT}
    tensors['scalar'] = np.asarray(values(rng, [], 'float32'))
    tensors['empty'] = np.zeros([3, 0], 'f')
    tensors['text'] = np.array([[b'one', b''], [b'three\0\xff', b'x' * 300]], object)
    save(folder / 'first_format', 'model.ckpt-7', tensors, version=version)
    save(folder / 'first_format_sharded', 'model.ckpt-50', {
        'first': values(rng, [3, 4], 'float32'), 'second/x': values(rng, [6], 'int64'), 'third': values(rng, [2], 'float64'),
        'text': np.array([b'p', b'qr'], object)}, sharded_over=2, version=version)
    partitioned(folder, 'first_format_partitioned', version)


def partitioned(folder, name='partitioned', version=tf.train.SaverDef.V2):
    rng = rng_for('partitioned')
    rows, columns = values(rng, [9, 2], 'float32'), values(rng, [2, 7], 'float64')
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default():
        tf.get_variable('rows', [9, 2], initializer=lambda shape, dtype, partition_info: tf.constant(
            rows[partition_info.var_offset[0]:][:shape[0]]), partitioner=tf.fixed_size_partitioner(4))
        tf.get_variable('columns', [2, 7], tf.float64, initializer=lambda shape, dtype, partition_info: tf.constant(
            columns[:, partition_info.var_offset[1]:][:, :shape[1]]), partitioner=tf.fixed_size_partitioner(3, axis=1))
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            tf.train.Saver(save_relative_paths=True, write_version=version).save(sess, str(target / 'model.ckpt-3'), write_meta_graph=False)
    write_expected(target, {'rows': rows, 'columns': columns})


def training_state(folder):
    """Three kept checkpoints of a training with momentum."""
    target = folder / 'training_state'
    target.mkdir(parents=True, exist_ok=True)
    rng = rng_for('training state')
    with tf.Graph().as_default() as graph:
        x = tf.constant(values(rng, [8, 3], 'float32'))
        w = tf.get_variable('w', initializer=tf.constant(values(rng, [3, 2], 'float32')))
        step = tf.train.get_or_create_global_step()
        train = tf.train.MomentumOptimizer(0.05, 0.9).minimize(tf.reduce_mean(tf.square(tf.matmul(x, w) - 1)), step)
        saver = tf.train.Saver(max_to_keep=3, save_relative_paths=True)
        with tf.Session(graph=graph) as sess:
            sess.run(tf.global_variables_initializer())
            for number in range(1, 13):
                sess.run(train)
                if number % 3 == 0:
                    saver.save(sess, str(target / 'model.ckpt'), global_step=number)
            names = [v.op.name for v in tf.global_variables()]
            write_expected(target, dict(zip(names, map(np.asarray, sess.run(tf.global_variables())))))


def damaged(folder):
    """Copies of `sharded` with damage, and what restoring them gives."""
    source, base = folder / 'sharded', folder / 'damaged'
    prefix = 'model.ckpt-50'
    data = f'{prefix}.data-00000-of-00002'

    def flip(path, position):
        content = bytearray(path.read_bytes())
        content[position] ^= 0x10
        path.write_bytes(content)

    def cut(path, count):
        path.write_bytes(path.read_bytes()[:-count])

    damages = {
        'data_bit_flip': lambda d: flip(d / data, 3), 'data_truncated': lambda d: cut(d / data, 20), 'data_missing': lambda d: (d / data).unlink(),
        'index_bit_flip': lambda d: flip(d / f'{prefix}.index', 40), 'index_truncated': lambda d: cut(d / f'{prefix}.index', 15),
        'index_bad_magic': lambda d: flip(d / f'{prefix}.index', -1), 'index_empty': lambda d: (d / f'{prefix}.index').write_bytes(b''),
    }
    expected = []
    for name, damage in damages.items():
        target = base / name
        target.mkdir(parents=True)
        for path in source.glob(prefix + '*'):
            shutil.copy(path, target)
        damage(target)
        expected.append(dict(folder=name, restores=['first', 'second/x', 'third'], prefix=prefix))
    shapes = {'first': ([3, 4], tf.float32), 'second/x': ([6], tf.int64), 'third': ([2], tf.float64)}
    for case, key, shape, dtype in (('missing_key', 'absent', [3], 'float32'), ('wrong_shape', 'first', [4, 3], 'float32'), ('wrong_dtype', 'first', [3, 4], 'float64')):
        expected.append(dict(case=case, key=key, variable_shape=shape, variable_dtype=dtype, folder='../sharded', prefix=prefix))
    for entry in expected:
        wanted = {entry['key']: (entry['variable_shape'], tf.as_dtype(entry['variable_dtype']))} if 'key' in entry else shapes
        with tf.Graph().as_default(), tf.Session() as sess:
            for name, (shape, dtype) in wanted.items():
                tf.get_variable(name, shape, dtype, initializer=tf.zeros_initializer(), use_resource=False)
            try:
                restored = tf.raw_ops.RestoreV2(prefix=str(base / entry['folder'] / prefix), tensor_names=list(wanted),
                                                shape_and_slices=[''] * len(wanted), dtypes=[t for _, t in wanted.values()])
                sess.run([tf.assign(v, t) for v, t in zip(tf.global_variables(), restored)])
                raise AssertionError(entry)
            except tf.errors.OpError as error:
                entry['error_code'] = error.error_code
            except ValueError:  # a static shape that cannot be assigned
                entry['error_code'] = 3
    (base / 'expected.json').write_text(json.dumps(expected, indent=1) + '\n')


def make_checkpoints(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder = pathlib.Path(folder)
    all_dtypes(folder)
    first_format(folder)
    partitioned(folder)
    training_state(folder)
    damaged(folder)


def make_metagraphs(folder):
    """A trained perceptron's meta graph and checkpoint per kind of variable, and what runs of it give."""
    shutil.rmtree(folder, ignore_errors=True)
    for resource in (False, True):
        target = pathlib.Path(folder) / ('perceptron_resource' if resource else 'perceptron_ref')
        target.mkdir(parents=True)
        rng = rng_for('meta graph')
        with tf.Graph().as_default() as graph:
            with tf.variable_scope('', use_resource=resource):
                x, y = tf.placeholder(tf.float32, [None, 4], 'x'), tf.placeholder(tf.int64, [None], 'y')
                hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, tf.get_variable('a', initializer=tf.constant(values(rng, [4, 5], 'float32', -1, 1)))),
                                                   tf.get_variable('b', [5], initializer=tf.zeros_initializer())))
                logits = tf.matmul(hidden, tf.get_variable('c', initializer=tf.constant(values(rng, [5, 3], 'float32', -1, 1))), name='logits')
                loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
                step = tf.train.get_or_create_global_step()
                train = tf.train.AdamOptimizer(0.01).minimize(loss, global_step=step, name='train')
            tf.identity(step, name='step')
            tf.add_to_collection('train_op', train)
            saver = tf.train.Saver(save_relative_paths=True)
            with session(graph) as sess:
                sess.run(tf.global_variables_initializer())
                fed = {x: values(rng, [6, 4], 'float32'), y: rng.randint(0, 3, 6)}
                for _ in range(5):
                    sess.run(train, fed)
                saver.save(sess, str(target / 'model.ckpt'), write_meta_graph=False)
                saver.export_meta_graph(str(target / 'model.meta'), clear_devices=True, strip_default_attrs=True)
                runs = []
                for name, fetches in (('forward', [logits.name]), ('loss', [loss.name, 'step:0'])):
                    result = sess.run(fetches, fed)
                    runs.append(example(name=name, fetches=fetches, feed_names=[t.name for t in fed], feed_values=[tensor_proto(v, t.dtype) for t, v in fed.items()],
                                        expected=[tensor_proto(v) for v in result], rtol=1e-4, atol=1e-5))
        write_examples(target / 'io.tfrecord', runs)
