"""Every tf.metrics.* over five batches, with and without weights."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, rng_for, session, tensor_proto

M = tf.metrics
THRESHOLDS = [0.2, 0.55, 0.9]
# name: kind of its inputs, and the metric of (labels, predictions, weights)
METRICS = {
    'accuracy': ('classes', M.accuracy), 'mean': ('numbers', lambda a, b, w: M.mean(b, w)), 'mean_tensor': ('rows', lambda a, b, w: M.mean_tensor(b, w)),
    'mean_squared_error': ('numbers', M.mean_squared_error), 'mean_absolute_error': ('numbers', M.mean_absolute_error),
    'root_mean_squared_error': ('numbers', M.root_mean_squared_error),
    'mean_relative_error': ('numbers', lambda a, b, w: M.mean_relative_error(a, b, tf.abs(a) + 0.5, w)),
    'mean_cosine_distance': ('rows', lambda a, b, w: M.mean_cosine_distance(tf.nn.l2_normalize(a, 1), tf.nn.l2_normalize(b, 1), 1, w)),
    'percentage_below': ('numbers', lambda a, b, w: M.percentage_below(b, 0.3, w)),
    'precision': ('truths', M.precision), 'recall': ('truths', M.recall), 'true_positives': ('truths', M.true_positives),
    'true_negatives': ('truths', M.true_negatives), 'false_positives': ('truths', M.false_positives), 'false_negatives': ('truths', M.false_negatives),
    'mean_iou': ('classes', lambda a, b, w: M.mean_iou(a, b, 4, w)), 'mean_per_class_accuracy': ('classes', lambda a, b, w: M.mean_per_class_accuracy(a, b, 4, w)),
    'auc_roc': ('chances', lambda a, b, w: M.auc(a, b, w, num_thresholds=20)),
    'auc_pr': ('chances', lambda a, b, w: M.auc(a, b, w, num_thresholds=20, curve='PR')),
    'auc_pr_careful': ('chances', lambda a, b, w: M.auc(a, b, w, num_thresholds=20, curve='PR', summation_method='careful_interpolation')),
    'auc_roc_minoring': ('chances', lambda a, b, w: M.auc(a, b, w, num_thresholds=20, summation_method='minoring')),
    'auc_roc_majoring': ('chances', lambda a, b, w: M.auc(a, b, w, num_thresholds=20, summation_method='majoring')),
    'precision_at_thresholds': ('chances', lambda a, b, w: M.precision_at_thresholds(a, b, THRESHOLDS, w)),
    'recall_at_thresholds': ('chances', lambda a, b, w: M.recall_at_thresholds(a, b, THRESHOLDS, w)),
    'true_positives_at_thresholds': ('chances', lambda a, b, w: M.true_positives_at_thresholds(a, b, THRESHOLDS, w)),
    'true_negatives_at_thresholds': ('chances', lambda a, b, w: M.true_negatives_at_thresholds(a, b, THRESHOLDS, w)),
    'false_positives_at_thresholds': ('chances', lambda a, b, w: M.false_positives_at_thresholds(a, b, THRESHOLDS, w)),
    'false_negatives_at_thresholds': ('chances', lambda a, b, w: M.false_negatives_at_thresholds(a, b, THRESHOLDS, w)),
    'sensitivity_at_specificity': ('chances', lambda a, b, w: M.sensitivity_at_specificity(a, b, 0.6, w, num_thresholds=20)),
    'specificity_at_sensitivity': ('chances', lambda a, b, w: M.specificity_at_sensitivity(a, b, 0.6, w, num_thresholds=20)),
}
KINDS = {'classes': (tf.int64, tf.int64), 'numbers': (tf.float32, tf.float32), 'rows': (tf.float32, tf.float32), 'truths': (tf.bool, tf.bool),
         'chances': (tf.bool, tf.float32)}


def draw(rng, dtype, shape, kind):
    if dtype == tf.bool:
        return rng.rand(*shape) < 0.5
    if dtype == tf.int64:
        return rng.randint(0, 4, shape)
    return (rng.rand(*shape) if kind == 'chances' else rng.randn(*shape)).astype('f')


def one(w, name, weighted):
    kind, metric = METRICS[name]
    rng = rng_for(f'metric {name} {weighted}')
    columns = [3] if kind == 'rows' else []
    file = name + ('_weighted' if weighted else '')
    graph = tf.Graph()
    with graph.as_default():
        labels, predictions = (tf.placeholder(dtype, [4 if name == 'mean_tensor' else None] + columns, label)
                               for dtype, label in zip(KINDS[kind], ('labels', 'predictions')))
        weights = tf.placeholder(tf.float32, [4 if name == 'mean_tensor' else None] + [1] * len(columns), 'weights') if weighted else None
        value, update = metric(labels, predictions, weights)
        init, local = tf.local_variables_initializer(), tf.local_variables()
        with session(graph) as sess:
            sess.run(init)
            w.add(file, example(
                type='header', metric=name, weighted=int(weighted), graph_def=graph.as_graph_def().SerializeToString(deterministic=True), init_op=init.name,
                value=value.name, update_op=update.name, local_variables=[v.op.name for v in local], initial_value=[tensor_proto(sess.run(value))],
                rtol=1e-5, atol=1e-6))
            for batch in (4, 7, 1, 3, 2):
                batch = 4 if name == 'mean_tensor' else batch
                fed = {t: draw(rng, t.dtype, [batch] + columns, kind) for t in (labels, predictions)}
                if weighted:
                    fed[weights] = rng.uniform(0, 1, [batch] + [1] * len(columns)).astype('f')
                if not (labels.consumers()):
                    fed.pop(labels)
                updated = sess.run(update, fed)
                w.add(file, example(type='step', feed_names=[t.name for t in fed], feed_values=[tensor_proto(v, t.dtype) for t, v in fed.items()],
                                    update=[tensor_proto(updated)], value=[tensor_proto(sess.run(value))],
                                    variables=[tensor_proto(v) for v in sess.run(local)]))


def make(w):
    for name in METRICS:
        for weighted in (False, True):
            one(w, name, weighted)
