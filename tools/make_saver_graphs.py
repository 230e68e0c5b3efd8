#!/usr/bin/env python3
"""Writes src/api/testdata/savers.txt: what tf.train.Saver adds to a graph, by format and sharding.

    TF_PYTHON tools/make_saver_graphs.py        # a Python with tensorflow-cpu 2.21.0

Lines are those of src/api/testing_graphs.h; same_graph_test.cc repeats the calls.
"""
import os
import pathlib

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow.compat.v1 as tf  # noqa: E402

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
TESTDATA = pathlib.Path(__file__).resolve().parent.parent / 'src/api/testdata'


def savers():
    tf.get_variable('a', [2, 3], initializer=tf.zeros_initializer())
    tf.get_variable('b', [2], initializer=tf.zeros_initializer(), use_resource=True)
    for version in (tf.train.SaverDef.V1, tf.train.SaverDef.V2):
        for sharded in (False, True):
            tf.train.Saver(write_version=version, sharded=sharded)
    tf.train.Saver(restore_sequentially=True, reshape=True, name='again')


def describe(node):
    line = f'{node.name} | {node.op} | {" ".join(node.input)} | {node.device}'
    return line + (' | @' + ','.join(c.decode() for c in node.attr['_class'].list.s) if '_class' in node.attr else '')


with tf.Graph().as_default() as graph:
    savers()
    (TESTDATA / 'savers.txt').write_text(''.join(describe(node) + '\n' for node in graph.as_graph_def().node))
