"""Cases of SequenceExamples parsed into tensors."""
import numpy as np
import tensorflow.compat.v1 as tf

from .record import op_case

INVALID_ARGUMENT = 3
INT, FLOAT, STRING = tf.int64, tf.float32, tf.string


def ints(*v):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=v))


def floats(*v):
    return tf.train.Feature(float_list=tf.train.FloatList(value=v))


def texts(*v):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=v))


EMPTY = tf.train.Feature()


def sequence(context=None, **lists):
    return tf.train.SequenceExample(
        context=tf.train.Features(feature=context or {}),
        feature_lists=tf.train.FeatureLists(feature_list={k: tf.train.FeatureList(feature=v) for k, v in lists.items()})).SerializeToString(deterministic=True)


FIRST = sequence(dict(a=ints(1, 2), b=floats(.5), r=ints(5, 6), s=texts(b'x')), x=[ints(1), ints(2, 3), ints()], y=[floats(1, 2), floats(3, 4)],
                 r=[ints(1), ints(2, 3), ints()], s=[texts(b'a'), texts(b'b')])
SECOND = sequence(dict(a=ints(7)), x=[ints(9, 9, 9)], s=[texts(b'c'), texts(b''), texts(b'd')])
HOLES = sequence(x=[EMPTY, ints(1)], r=[EMPTY, ints(1)], y=[EMPTY, floats(1, 2)], e=[EMPTY, EMPTY], f=[EMPTY, EMPTY])
TWICE = sequence(x=[ints(1)], r=[ints(1)], y=[ints(5)]) + sequence(x=[ints(2), ints(3)], r=[ints(2), ints(3)], y=[ints(6), ints(7)])


def strings(values):
    return np.array(list(values), object)


def v2(w, label, serialized, names=(), context_sparse=(), context_dense=(), context_ragged=(), sparse=(), dense=(), ragged=(), error=0, fetched=None):
    """context_sparse, sparse: (key, type); context_dense: (key, default, shape); ragged: (key, type, splits); dense: (key, type, shape, may be missing)."""
    keys = [strings(k[0] for k in part) for part in (context_sparse, context_dense, context_ragged, sparse, dense, ragged)]
    inputs = [np.array(serialized, object), strings(names), *keys, np.array([d[3] for d in dense], bool), [d[1] for d in context_dense]]
    column = lambda part, i: [p[i] for p in part]  # noqa: E731
    op_case(w, 'ParseSequenceExampleV2', *inputs, dtypes=['string'] * 8 + ['bool', None], label=label, error=error, fetched=fetched,
            Ncontext_sparse=len(context_sparse), context_sparse_types=column(context_sparse, 1), context_ragged_value_types=column(context_ragged, 1),
            context_ragged_split_types=column(context_ragged, 2), context_dense_shapes=column(context_dense, 2), Nfeature_list_sparse=len(sparse),
            Nfeature_list_dense=len(dense), feature_list_dense_types=column(dense, 1), feature_list_sparse_types=column(sparse, 1),
            feature_list_ragged_value_types=column(ragged, 1), feature_list_ragged_split_types=column(ragged, 2), feature_list_dense_shapes=column(dense, 2))


def batches(w):
    everything = dict(context_sparse=[('a', INT)], context_dense=[('b', np.float32(9), [])], context_ragged=[('r', INT, tf.int32)], sparse=[('x', INT)],
                      dense=[('y', FLOAT, [2], True)], ragged=[('r', INT, INT)])
    v2(w, 'two', [FIRST, SECOND], ['n1', 'n2'], **everything)
    v2(w, 'none', strings([]), **everything)
    v2(w, 'strings', [FIRST, SECOND], context_sparse=[('s', STRING)], sparse=[('s', STRING)])
    v2(w, 'strings_dense', [FIRST, SECOND], context_dense=[('s', np.array(b'?'), [])], dense=[('s', STRING, [], False)])
    v2(w, 'strings_ragged', [FIRST, SECOND], context_ragged=[('s', STRING, INT)], ragged=[('s', STRING, tf.int32)])
    v2(w, 'one', FIRST, context_sparse=[('a', INT)], context_dense=[('b', np.float32(9), [])], sparse=[('x', INT)], dense=[('y', FLOAT, [2], False), ('s', STRING, [], False)])
    v2(w, 'one_missing', SECOND, context_sparse=[('b', FLOAT)], sparse=[('y', FLOAT)], dense=[('r', INT, [2], True)])
    v2(w, 'missing', [FIRST, SECOND], context_sparse=[('z', INT)], context_ragged=[('w', INT, INT)], sparse=[('z', INT)], ragged=[('w', FLOAT, tf.int32)], dense=[('q', INT, [3], True)])
    v2(w, 'holes', [HOLES], sparse=[('x', INT), ('e', INT)], ragged=[('r', INT, INT), ('f', FLOAT, INT)])
    v2(w, 'twice', [TWICE], sparse=[('x', INT)], dense=[('y', INT, [1], True)], ragged=[('r', INT, INT)])
    v2(w, 'one_key_twice', [FIRST], context_sparse=[('a', INT), ('a', INT)])
    v2(w, 'matrices', [FIRST, SECOND], dense=[('y', FLOAT, [1, 2], True)])
    v2(w, 'default', [FIRST, SECOND], context_dense=[('q', np.array([[1., 2.]], 'f'), [1, 2])])
    for label, kw in (('missing', dict(dense=[('z', FLOAT, [2], False)])), ('dense_type', dict(dense=[('x', FLOAT, [1], False)])), ('dense_size', dict(dense=[('x', INT, [1], False)])),
                      ('sparse_type', dict(sparse=[('x', FLOAT)])), ('ragged_type', dict(ragged=[('x', FLOAT, INT)])), ('context_sparse_type', dict(context_sparse=[('a', FLOAT)])),
                      ('context_dense_type', dict(context_dense=[('a', np.float32(1), [])])), ('context_ragged_type', dict(context_ragged=[('a', FLOAT, INT)])),
                      ('context_missing', dict(context_dense=[('q', np.zeros([0], 'f'), [1])])), ('context_size', dict(context_dense=[('a', np.int64(1), [])])),
                      ('two_kinds', dict(context_sparse=[('a', INT)], context_ragged=[('a', INT, INT)])), ('two_kinds_of_lists', dict(sparse=[('y', FLOAT)], dense=[('y', FLOAT, [2], True)])),
                      ('default', dict(context_dense=[('b', np.ones([3], 'f'), [2])]))):
        v2(w, f'error_{label}', [FIRST, SECOND], ['n1', 'n2'], error=INVALID_ARGUMENT, **kw)
    v2(w, 'error_names', [FIRST, SECOND], ['n1'], context_sparse=[('a', INT)], error=INVALID_ARGUMENT)
    v2(w, 'error_damaged', [FIRST[:-3]], sparse=[('x', INT)], error=INVALID_ARGUMENT)
    v2(w, 'error_rank', [[FIRST]], sparse=[('x', INT)], error=INVALID_ARGUMENT)
    v2(w, 'error_hole', [HOLES], dense=[('y', FLOAT, [2], True)], error=INVALID_ARGUMENT)


def first_version(w):
    def case(label, serialized, names=(), missing=(), context_sparse=(), context_dense=(), sparse=(), dense=(), error=0):
        op_case(w, 'ParseSequenceExample', np.array(serialized, object), strings(names), [d[1] for d in context_dense], dtypes=['string', 'string', None], label=label, error=error,
                feature_list_dense_missing_assumed_empty=list(missing), context_sparse_keys=[k[0] for k in context_sparse], context_dense_keys=[k[0] for k in context_dense],
                feature_list_sparse_keys=[k[0] for k in sparse], feature_list_dense_keys=[k[0] for k in dense], Ncontext_sparse=len(context_sparse),
                Ncontext_dense=len(context_dense), Nfeature_list_sparse=len(sparse), Nfeature_list_dense=len(dense), context_sparse_types=[k[1] for k in context_sparse],
                feature_list_dense_types=[k[1] for k in dense], context_dense_shapes=[k[2] for k in context_dense], feature_list_sparse_types=[k[1] for k in sparse],
                feature_list_dense_shapes=[k[2] for k in dense])
    case('two', [FIRST, SECOND], ['n1', 'n2'], ['y'], [('a', INT)], [('b', np.float32(9), [])], [('x', INT), ('s', STRING)], [('y', FLOAT, [2])])
    case('missing', [SECOND], [], ['q'], [('z', INT)], [], [('z', INT)], [('q', FLOAT, [2])])
    case('error_missing', [FIRST, SECOND], ['n1', 'n2'], [], dense=[('y', FLOAT, [2])], error=INVALID_ARGUMENT)
    case('error_type', [FIRST, SECOND], ['n1', 'n2'], [], sparse=[('x', FLOAT)], error=INVALID_ARGUMENT)


def single(w):
    def case(label, serialized, missing=(), context_sparse=(), context_dense=(), sparse=(), dense=(), error=0):
        keys = [[np.array(k[0].encode()) for k in part] for part in (context_sparse, context_dense, sparse, dense)]
        op_case(w, 'ParseSingleSequenceExample', np.array(serialized, object), strings(missing), *keys, [d[1] for d in context_dense], np.array(b'name'),
                dtypes=['string', 'string', None, None, None, None, None, 'string'], label=label, error=error, context_sparse_types=[k[1] for k in context_sparse], feature_list_dense_types=[k[1] for k in dense],
                context_dense_shapes=[k[2] for k in context_dense], feature_list_sparse_types=[k[1] for k in sparse], feature_list_dense_shapes=[k[2] for k in dense])
    case('all', FIRST, [], [('a', INT), ('z', INT)], [('b', np.float32(9), []), ('q', np.float32(3), [])], [('x', INT), ('z', INT)], [('y', FLOAT, [2]), ('s', STRING, [])])
    case('missing', FIRST, ['z', 'unknown'], dense=[('z', FLOAT, [2])])
    case('holes', HOLES, sparse=[('x', INT)])
    for label, kw in (('missing', dict(dense=[('z', FLOAT, [2])])), ('type', dict(dense=[('x', FLOAT, [2])])), ('size', dict(dense=[('x', INT, [1])])), ('sparse_type', dict(sparse=[('x', FLOAT)])),
                      ('context_type', dict(context_sparse=[('a', FLOAT)])), ('context_dense_type', dict(context_dense=[('a', np.float32(1), [])])),
                      ('context_missing', dict(context_dense=[('q', np.zeros([0], 'f'), [2])]))):
        case(f'error_{label}', FIRST, error=INVALID_ARGUMENT, **kw)
    case('error_damaged', FIRST[:-3], error=INVALID_ARGUMENT, sparse=[('x', INT)])


def make(w):
    batches(w)
    first_version(w)
    single(w)
