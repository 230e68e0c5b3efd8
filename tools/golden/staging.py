"""Cases of staging areas: what leaves them after what was put, and what a wrong call says. Locks of mutexes."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.queues import INVALID_ARGUMENT, case

RESOURCE_EXHAUSTED = 8
R = tf.raw_ops
TYPES = [tf.int32, tf.float32]


def area(**attrs):
    return dict(dtypes=TYPES, shared_name='area', **attrs)


def fed(value, dtype):
    """Without a static shape, so that the failure is the run's."""
    return tf.placeholder_with_default(np.asarray(value, dtype), None)


def staged(prepare, **limits):
    for i in range(3):
        prepare(R.Stage(values=[tf.constant(i), tf.constant([0.5 * i, i])], shared_name='area', **limits))


def make_areas(writer):
    def then(op, label, build, error=0, **attrs):
        case(writer, op, label, lambda prepare: (staged(prepare, **attrs), build(**area(**attrs)))[1], error)

    then('Unstage', 'first', R.Unstage)
    then('StagePeek', 'last', lambda **a: R.StagePeek(index=2, **a))
    then('StagePeek', 'index_of_rank_1', lambda **a: R.StagePeek(index=fed([0], np.int32), **a), INVALID_ARGUMENT)
    then('StageSize', 'three', R.StageSize)
    then('StageClear', '', R.StageClear)
    then('Unstage', 'limits_kept', R.Unstage, capacity=3, memory_limit=36)
    then('Unstage', 'too_few_components', lambda **a: R.Unstage(**{**a, 'dtypes': [tf.int32]}), INVALID_ARGUMENT)
    then('StagePeek', 'too_many_components', lambda **a: R.StagePeek(index=0, **{**a, 'dtypes': [tf.int32] * 3}), INVALID_ARGUMENT)
    case(writer, 'Stage', 'too_large', lambda _: R.Stage(values=[tf.constant([1, 2, 3])], memory_limit=8), RESOURCE_EXHAUSTED)
    for dtype in (tf.string, tf.bool, tf.float64, tf.bfloat16, tf.complex64):
        def one(prepare):
            value = tf.constant(['a', '']) if dtype == tf.string else tf.cast(tf.constant([0., 3.]), dtype)
            prepare(R.Stage(values=[value], shared_name='area'))
            return R.Unstage(dtypes=[dtype], shared_name='area')
        case(writer, 'Unstage', dtype.name, one)

    def by_node_name(prepare):
        with tf.name_scope('s'):
            prepare(R.Stage(values=[tf.constant(4)], name='area'))
            return R.StageSize(dtypes=[tf.int32], name='area')  # another node: another area
    case(writer, 'StageSize', 'by_node_name', by_node_name)

    def cleared(prepare):
        staged(prepare)
        prepare(R.StageClear(**area()))
        return R.StageSize(**area())
    case(writer, 'StageSize', 'cleared', cleared)


def make_maps(writer, prefix):
    def op(name):
        return getattr(R, prefix + name)

    def put(key, indices, values, **attrs):
        return op('MapStage')(key=fed(key, np.int64), indices=fed(indices, np.int32), values=values, **area(**attrs))

    def filled(prepare, whole=((4, 1), (-2, 3), (9, 5)), parts=()):
        for key, value in whole:
            prepare(put(key, [0, 1], [tf.constant(value), tf.constant(value / 4)]))
        for key, at, value in parts:
            prepare(put(key, [at], [tf.constant(value)]))

    def then(name, label, build, error=0, **contents):
        case(writer, prefix + name, label, lambda prepare: (filled(prepare, **contents), build())[1], error)

    def read(name, key, indices, types=None):
        types = types or [TYPES[i] for i in indices]
        return op(name)(key=fed(key, np.int64), indices=fed(indices, np.int32), dtypes=types, shared_name='area')

    halves = [(1, 1, 2.5), (1, 0, 7), (3, 0, 8)]
    then('MapUnstage', 'whole', lambda: read('MapUnstage', -2, [0, 1]))
    then('MapUnstage', 'of_parts', lambda: read('MapUnstage', 1, [0, 1]), parts=halves)
    then('MapUnstage', 'a_part', lambda: read('MapUnstage', 4, [1]))
    then('MapPeek', 'whole', lambda: read('MapPeek', 9, [0, 1]))
    then('MapPeek', 'a_part', lambda: read('MapPeek', 9, [0]))
    for label, key, indices, types in (('unordered', 4, [1, 0], None), ('no_index', 4, [], TYPES), ('out_of_bounds', 4, [7], [tf.int32]),
                                       ('negative', 4, [-1], [tf.int32]), ('key_of_rank_1', [4, 5], [0, 1], None), ('no_key', [], [0, 1], None)):
        then('MapUnstage', label, lambda: read('MapUnstage', key, indices, types), INVALID_ARGUMENT)
        then('MapPeek', label, lambda: read('MapPeek', key, indices, types), INVALID_ARGUMENT)
    if prefix:
        then('MapUnstageNoKey', 'smallest', lambda: list(flat(op('MapUnstageNoKey')(indices=[0, 1], **area()))))
    then('MapUnstageNoKey', 'only', lambda: flat(op('MapUnstageNoKey')(indices=[0, 1], **area())), whole=[(5, 6)])
    then('MapUnstageNoKey', 'no_index', lambda: flat(op('MapUnstageNoKey')(indices=fed([], np.int32), **area())), INVALID_ARGUMENT)
    then('MapSize', '', lambda: op('MapSize')(**area()), parts=halves)
    then('MapIncompleteSize', '', lambda: op('MapIncompleteSize')(**area()), parts=halves)
    then('MapClear', '', lambda: op('MapClear')(**area()), parts=halves)
    one = tf.constant
    for label, values, indices in (('again', lambda: [one(1)], [0]), ('out_of_bounds', lambda: [one(1)], [5]), ('negative', lambda: [one(1)], [-1]),
                                   ('unordered', lambda: [one(1.), one(1)], [1, 0]), ('no_index', lambda: [one(1)], [])):
        then('MapStage', label, lambda: put(3, indices, values()), INVALID_ARGUMENT, parts=halves)
    then('MapStage', 'key_of_rank_1', lambda: put([3, 4], [0, 1], [one(1), one(1.)]), INVALID_ARGUMENT)
    then('MapStage', 'too_large', lambda: put(3, [0], [one([1, 2, 3])], memory_limit=8), RESOURCE_EXHAUSTED, whole=())

    def after(prepare, *, change, look):
        filled(prepare, parts=halves)
        prepare(change())
        return look(**area())
    case(writer, prefix + 'MapSize', 'after_a_part', lambda p: after(p, change=lambda: read('MapUnstage', 4, [1])[0].op, look=op('MapSize')))
    case(writer, prefix + 'MapSize', 'after_all', lambda p: after(p, change=lambda: read('MapUnstage', 4, [0, 1])[0].op, look=op('MapSize')))
    case(writer, prefix + 'MapSize', 'same_key', lambda p: after(p, change=lambda: put(4, [0, 1], [one(8), one(8.)]), look=op('MapSize')))
    case(writer, prefix + 'MapIncompleteSize', 'cleared', lambda p: after(p, change=lambda: op('MapClear')(**area()), look=op('MapIncompleteSize')))


def flat(result):
    return [result.key, *result.values]


def make_mutexes(writer):
    def locked(times, prepare):
        """A value that is computed while a mutex is held, several times one after the other."""
        mutex, results, after = R.MutexV2(shared_name='mutex'), [], []
        for i in range(times):
            with tf.control_dependencies(after):
                lock = R.MutexLock(mutex=mutex)
            with tf.control_dependencies([lock]):
                results.append(tf.identity(tf.constant(i)))
            with tf.control_dependencies([results[-1]]):
                after = [R.ConsumeMutexLock(mutex_lock=lock)]
        return results
    case(writer, 'MutexLock', 'once', lambda p: locked(1, p))
    case(writer, 'MutexLock', 'again_and_again', lambda p: locked(3, p))

    def dropped(prepare):
        prepare(R.MutexLock(mutex=R.MutexV2(shared_name='mutex')).op)  # nobody holds the lock after the step
        return R.ConsumeMutexLock(mutex_lock=R.MutexLock(mutex=R.MutexV2(shared_name='mutex')))
    case(writer, 'ConsumeMutexLock', 'after_one_dropped', dropped)
    lock = lambda: R.MutexLock(mutex=R.MutexV2())
    case(writer, 'MutexLock', 'of_a_variable',
         lambda _: R.ConsumeMutexLock(mutex_lock=R.MutexLock(mutex=R.VarHandleOp(dtype=tf.int32, shape=[]))), INVALID_ARGUMENT)
    case(writer, 'ConsumeMutexLock', 'of_rank_1', lambda _: R.ConsumeMutexLock(mutex_lock=tf.expand_dims(lock(), 0)), INVALID_ARGUMENT)
    case(writer, 'ConsumeMutexLock', 'another_variant',
         lambda _: R.ConsumeMutexLock(mutex_lock=R.EmptyTensorList(element_shape=-1, max_num_elements=1, element_dtype=tf.int32)),
         INVALID_ARGUMENT)

    def held_twice(_):
        one = lock()
        pair = R.Pack(values=[one, one], axis=0)
        first = R.StridedSlice(input=pair, begin=[0], end=[1], strides=[1], shrink_axis_mask=1)
        with tf.control_dependencies([R.ConsumeMutexLock(mutex_lock=first)]):
            later = R.StridedSlice(input=pair, begin=[1], end=[2], strides=[1], shrink_axis_mask=1)
        return R.ConsumeMutexLock(mutex_lock=later)
    case(writer, 'ConsumeMutexLock', 'held_twice', held_twice, INVALID_ARGUMENT)


def make(writer):
    make_mutexes(writer)
    make_areas(writer)
    make_maps(writer, '')
    make_maps(writer, 'Ordered')
