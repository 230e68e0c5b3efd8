#!/usr/bin/env python3
"""The workloads in TensorFlow 2.21 (compat.v1).

    tensorflow_workloads.py export DIR NAME...   writes each workload for the others: DIR/NAME.meta, NAME.ckpt.*, NAME.feeds, NAME.npz
                                                 and DIR/index.json with the loss before and after ten steps and the ops
                                                 that the graph needs
    tensorflow_workloads.py time DIR NAME        loads what export wrote and times it: one line of JSON
    tensorflow_workloads.py start DIR NAME       loads it and runs one step: what a new process must do before its first result
"""
import json
import os
import pathlib
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import tensorflow.compat.v1 as tf

from tensorflow_models import WORKLOADS

tf.disable_v2_behavior()

BATCHES, SECONDS_PER_BATCH = 5, 0.5


def export(directory, name):
    with tf.Graph().as_default() as graph:
        train, loss, feeds = WORKLOADS[name](np.random.RandomState(7))
        tf.add_to_collection('bench_train_op', train)
        tf.add_to_collection('bench_loss', loss)
        variables = tf.trainable_variables()
        saver = tf.train.Saver() if tf.global_variables() else None
        init = tf.global_variables_initializer()
        with tf.Session() as session:
            session.run(init)
            start = session.run(variables)
            if saver:
                saver.save(session, str(directory / f'{name}.ckpt'), write_meta_graph=False)
            tf.train.export_meta_graph(str(directory / f'{name}.meta'), saver_def=saver.saver_def if saver else None)
            losses = [session.run(loss, feeds)]
            for _ in range(10):
                session.run(train, feeds)
                losses.append(session.run(loss, feeds))
    arrays = {f'variable {v.op.name}': value for v, value in zip(variables, start)}
    arrays.update({f'feed {t.op.name}': value for t, value in feeds.items()})
    np.savez(directory / f'{name}.npz', **arrays)
    example = tf.train.Example()
    for tensor, value in feeds.items():
        proto = tf.make_tensor_proto(value, dtype=tensor.dtype)
        example.features.feature[tensor.op.name].bytes_list.value.append(proto.SerializeToString())
    with tf.io.TFRecordWriter(str(directory / f'{name}.feeds')) as writer:
        writer.write(example.SerializeToString())
        ops = sorted({op.type for op in graph.get_operations()})
    return dict(loss=loss.name, before=float(losses[0]), after_1=float(losses[1]), after_10=float(losses[10]), checkpoint=saver is not None, ops=ops)


def load(directory, name):
    saver = tf.train.import_meta_graph(str(directory / f'{name}.meta'))
    train, loss = tf.get_collection('bench_train_op')[0], tf.get_collection('bench_loss')[0]
    arrays = np.load(directory / f'{name}.npz')
    feeds = {key.split(' ', 1)[1] + ':0': arrays[key] for key in arrays if key.startswith('feed ')}
    session = tf.Session()
    if saver:
        saver.restore(session, str(directory / f'{name}.ckpt'))
    return session, train, loss, feeds


def measure(directory, name):
    session, train, _, feeds = load(directory, name)
    step = session.make_callable(train, list(feeds))
    values = list(feeds.values())
    for _ in range(20):
        step(*values)
    batches = []
    for _ in range(BATCHES):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS_PER_BATCH:
            step(*values)
            steps += 1
        batches.append((time.perf_counter() - start) / steps * 1e6)
    return dict(median_us=float(np.median(batches)), best_us=min(batches))


def main():
    command, directory, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    if command == 'export':
        directory.mkdir(parents=True, exist_ok=True)
        index = {name: export(directory, name) for name in names}
        index['versions'] = dict(tensorflow=tf.__version__)
        (directory / 'index.json').write_text(json.dumps(index, indent=1))
    elif command == 'time':
        print(json.dumps(measure(directory, names[0])))
    elif command == 'start':
        session, train, _, feeds = load(directory, names[0])
        session.run(train, feeds)


if __name__ == '__main__':
    main()
