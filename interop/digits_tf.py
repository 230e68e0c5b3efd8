#!/usr/bin/env python3
"""The program of examples/digits.cc, line by line, in TensorFlow's Python API (compat.v1 of TensorFlow 2.21).

    digits_tf.py train DIR [--steps N]   trains into DIR and prints the test accuracy
    digits_tf.py dump DIR                writes DIR/train.pbtxt and DIR/evaluate.pbtxt: the graphs as the sessions run them

The graph tests compare the second command's output with the graphs that our API builds, node for node.
"""
import argparse
import os
import pathlib

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

import tensorflow.compat.v1 as tf
from tf_keras.src.legacy_tf_layers.core import dense  # tf.layers.dense: TensorFlow 2.16 and later keep it in tf_keras

tf.disable_v2_behavior()

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse_digit(record):
    example = tf.parse_single_example(record, {
        'image': tf.FixedLenFeature([64], tf.float32),
        'label': tf.FixedLenFeature([], tf.int64),
    })
    return example['image'], example['label']


def model(image):
    hidden = dense(image, 128, activation=tf.nn.relu)
    return dense(hidden, 10)


def train_graph():
    tf.set_random_seed(1)
    data = (tf.data.TFRecordDataset('data/digits-train.tfrecord')
            .map(parse_digit, num_parallel_calls=2).shuffle(2000, seed=1).batch(64).repeat().prefetch(2))
    image, label = tf.data.make_one_shot_iterator(data).get_next()
    logits = model(image)
    loss = tf.losses.sparse_softmax_cross_entropy(label, logits)
    step = tf.train.get_or_create_global_step()
    train = tf.train.AdamOptimizer(learning_rate=1e-3).minimize(loss, global_step=step)
    tf.summary.scalar('loss', loss)
    return train, loss


def train(directory, steps):
    with tf.Graph().as_default() as graph:
        train_op, loss = train_graph()
        hooks = [tf.train.StopAtStepHook(last_step=steps),
                 tf.train.LoggingTensorHook({'loss': loss}, every_n_iter=100)]
        with tf.train.MonitoredTrainingSession(checkpoint_dir=directory, hooks=hooks) as session:
            while not session.should_stop():
                session.run(train_op)
        return graph


def evaluate(directory):
    with tf.Graph().as_default() as graph:
        data = tf.data.TFRecordDataset('data/digits-test.tfrecord').map(parse_digit).batch(360)
        image, label = tf.data.make_one_shot_iterator(data).get_next()
        accuracy, update = tf.metrics.accuracy(label, tf.argmax(model(image), 1))
        creator = tf.train.ChiefSessionCreator(checkpoint_dir=directory)
        with tf.train.MonitoredSession(creator) as session:
            return graph, session.run(update)


def dump(directory):
    import tempfile
    with tempfile.TemporaryDirectory() as scratch:
        graph = train(scratch, 1)
        tf.io.write_graph(graph.as_graph_def(), directory, 'train.pbtxt')
        graph, _ = evaluate(scratch)
        tf.io.write_graph(graph.as_graph_def(), directory, 'evaluate.pbtxt')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', choices=['train', 'dump'])
    parser.add_argument('directory')
    parser.add_argument('--steps', type=int, default=2000)
    args = parser.parse_args()
    directory = os.path.abspath(args.directory)
    os.chdir(ROOT)
    if args.command == 'dump':
        dump(directory)
    else:
        train(directory, args.steps)
        print('test accuracy: %.4f' % evaluate(directory)[1])


if __name__ == '__main__':
    main()
