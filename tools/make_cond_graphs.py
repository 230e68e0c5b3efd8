#!/usr/bin/env python3
"""Writes src/api/testdata/cond_*, batch_norm_chosen* and critical_sections: conditions, their gradients, layers with them and
critical sections as TensorFlow builds them.

    TF_PYTHON tools/make_cond_graphs.py        # a Python with tensorflow-cpu and tf_keras 2.21.0

Lines are those of src/api/testing_graphs.h, then what the collection cond_context holds. control_flow_test.cc,
same_image_graph_test.cc and critical_section_test.cc repeat the calls. cond_model.meta is for import.
"""
import os
import pathlib

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow.compat.v1 as tf  # noqa: E402
from tf_keras.src.legacy_tf_layers import core, normalization  # noqa: E402

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'src/api/testdata'


def inputs():
    return tf.placeholder(tf.float32, [2], name='x'), tf.placeholder(tf.bool, [], name='p')


def variables(use_resource):
    ones = tf.ones_initializer()
    return [tf.get_variable(name, [2], initializer=ones, use_resource=use_resource) for name in 'vw']


def values():
    x, p = inputs()
    y = tf.cond(p, lambda: x * 2. + 1., lambda: x)
    tf.gradients(y, [x])
    tf.cond(p, lambda: [x, tf.constant(1)], lambda: [x - y, tf.constant(2)], name='both')


def reference_variables():
    x, p = inputs()
    v, w = variables(False)
    y = tf.cond(p, lambda: x * v + w, lambda: x)
    tf.gradients(y, [x, v, w])
    tf.cond(p, lambda: tf.assign_add(v, x).op, tf.no_op)


def resource_variables():
    x, p = inputs()
    v, w = variables(True)
    y = tf.cond(p, lambda: x * v, lambda: w * x)
    tf.gradients(y, [x, v, w])


def nested():
    x, p = inputs()
    y = tf.cond(p, lambda: tf.cond(tf.reduce_sum(x) > 0., lambda: x + x, lambda: tf.constant([1., 2.])), lambda: x * 2.)
    tf.gradients(y, [x])


def critical_sections():
    x, _ = inputs()
    section = tf.CriticalSection()
    y = section.execute(lambda: x * 2.)
    tf.CriticalSection(name='other', shared_name='shared').execute(lambda: [tf.square(y), tf.constant(1)], name='both')
    with tf.control_dependencies([y]):
        section.execute(lambda: tf.cond(tf.constant(True), lambda: tf.constant(1), lambda: tf.constant(2)))


def batch_norm_chosen():
    p = tf.placeholder(tf.bool, [], name='p')
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name='x')
    y = normalization.batch_normalization(x, training=p)
    y = normalization.batch_normalization(y, training=p, center=False, scale=False, name='bn')
    y = normalization.batch_normalization(y, training=tf.constant(True))
    y = core.dropout(y, training=p)
    tf.gradients(tf.reduce_sum(y), [x])


def batch_norm_chosen_unfused():
    p = tf.placeholder(tf.bool, [], name='p')
    normalization.batch_normalization(tf.placeholder(tf.float32, [None, 3], name='x'), training=p)


def write(build, name, with_contexts):
    with tf.Graph().as_default() as graph:
        build()
        lines = []
        for node in graph.as_graph_def().node:
            line = f'{node.name} | {node.op} | {" ".join(node.input)} | {node.device}'
            if '_class' in node.attr:
                line += ' | @' + ','.join(c.decode() for c in node.attr['_class'].list.s)
            lines.append(line)
        for context in graph.get_collection('cond_context') if with_contexts else []:
            lines += describe(context.to_proto())
    (FOLDER / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def describe(c):
    yield f'{c.context_name} pred={c.pred_name} pivot={c.pivot_name} branch={c.branch} values={" ".join(c.values_def.values)} ' + \
        'outside=' + ' '.join(f'{k}={v}' for k, v in sorted(c.values_def.external_values.items()))
    for nested_context in c.nested_contexts:
        yield from describe(nested_context.cond_ctxt)


for build in (values, reference_variables, resource_variables, nested):
    write(build, f'cond_{build.__name__}', True)
for build in (batch_norm_chosen, batch_norm_chosen_unfused, critical_sections):
    write(build, build.__name__, False)
with tf.Graph().as_default():
    nested()
    tf.train.export_meta_graph(str(FOLDER / 'cond_model.meta'))
