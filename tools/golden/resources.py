"""Cases of what a session keeps: tables, accumulators, barriers, maps of sparse tensors; and of lists of tensors."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.queues import case

CANCELLED, INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, ABORTED = 1, 3, 9, 11, 12, 10
R = tf.raw_ops


def const(values, dtype):
    return tf.constant(values, dtype)


def fed(values, dtype):
    """A tensor whose static shape is not known, so that a failure is the run's."""
    return tf.placeholder_with_default(tf.constant(values, dtype), None)


# --- tables

def hash_table(prepare, key=tf.string, value=tf.int64, keys=('a', 'b', 'c'), values=(1, 2, 3)):
    table = R.HashTableV2(key_dtype=key, value_dtype=value, shared_name='table')
    prepare(R.InitializeTableV2(table_handle=table, keys=const(list(keys), key), values=const(list(values), value)))
    return table


def find(table, keys, default):
    return R.LookupTableFindV2(table_handle=table, keys=keys, default_value=default)


def mutable(prepare, values=((1, 2, 3)), value=tf.int64):
    table = R.MutableHashTableV2(key_dtype=tf.string, value_dtype=value, shared_name='table')
    prepare(R.LookupTableInsertV2(table_handle=table, keys=['a', 'b', 'c'], values=const(list(values), value)))
    return table


def dense(prepare, keys=(11, 12, 13), values=(1, 2, 3), empty=0, deleted=-1, value_shape=(), buckets=8):
    table = R.MutableDenseHashTableV2(empty_key=const(empty, tf.int64), deleted_key=const(deleted, tf.int64), value_dtype=tf.int64,
                                      value_shape=list(value_shape), initial_num_buckets=buckets, shared_name='table')
    prepare(R.LookupTableInsertV2(table_handle=table, keys=const(list(keys), tf.int64), values=const(list(values), tf.int64)))
    return table


def removed(prepare, table, keys, dtype):
    prepare(R.LookupTableRemoveV2(table_handle=table, keys=const(keys, dtype)))
    return table


def exported(table, key=tf.int64, value=tf.int64):
    return list(R.LookupTableExportV2(table_handle=table, Tkeys=key, Tvalues=value))


def size(table):
    return R.LookupTableSizeV2(table_handle=table)


def tables(w):
    string, i64 = tf.string, tf.int64
    for key, keys, value, values in ((tf.int32, (1, -2, 3), tf.float32, (.5, 1, 2)), (i64, (1, -2, 3), string, ('x', '', 'y')),
                                     (string, ('a', '', 'c'), tf.bool, (True, False, True)), (string, ('a', '', 'c'), string, ('p', 'q', 'r'))):
        case(w, 'HashTableV2', f'{key.name}_{value.name}',
             lambda p: find(hash_table(p, key, value, keys, values), const([list(keys), list(keys)[::-1]], key), const(values[0], value)))
    case(w, 'HashTableV2', 'size', lambda p: size(hash_table(p)))
    case(w, 'HashTableV2', 'default_per_key', lambda p: find(hash_table(p), const(['a', 'x'], string), const([7, 8], i64)))
    case(w, 'HashTableV2', 'uninitialized',
         lambda p: find(R.HashTableV2(key_dtype=string, value_dtype=i64), const(['a'], string), const(7, i64)), FAILED_PRECONDITION)
    case(w, 'HashTableV2', 'export_uninitialized',
         lambda p: exported(R.HashTableV2(key_dtype=string, value_dtype=i64), string), ABORTED)
    case(w, 'HashTableV2', 'insert', lambda p: R.LookupTableInsertV2(table_handle=hash_table(p), keys=['z'], values=const([1], i64)),
         UNIMPLEMENTED)
    case(w, 'HashTableV2', 'types', lambda p: find(hash_table(p), fed(['a'], string), const(7., tf.float32)), INVALID_ARGUMENT)
    case(w, 'LookupTableFindV2', 'default_shape', lambda p: find(hash_table(p), fed(['a'], string), fed([7, 8], i64)), INVALID_ARGUMENT)
    for label, keys, values, code in (('empty', [], [], INVALID_ARGUMENT), ('twice', ['a', 'a'], [1, 2], FAILED_PRECONDITION),
                                      ('sizes', ['a', 'b'], [1], INVALID_ARGUMENT)):
        case(w, 'InitializeTableV2', label, lambda p: R.InitializeTableV2(
            table_handle=R.HashTableV2(key_dtype=string, value_dtype=i64), keys=fed(keys, string), values=fed(values, i64)), code)
    case(w, 'InitializeTableV2', 'again',
         lambda p: R.InitializeTableV2(table_handle=hash_table(p), keys=['q'], values=const([1], i64)), FAILED_PRECONDITION)
    case(w, 'InitializeTableV2', 'mutable',
         lambda p: R.InitializeTableV2(table_handle=mutable(p), keys=['q'], values=const([1], i64)), INVALID_ARGUMENT)
    for value, values in ((i64, (1, 2, 3)), (tf.float32, (.5, 1, 2)), (tf.bool, (True, False, True))):
        case(w, 'MutableHashTableV2', value.name,
             lambda p: find(mutable(p, values, value), const([['c', 'x']], string), const(values[1], value)))
    case(w, 'MutableHashTableV2', 'removed', lambda p: size(removed(p, mutable(p), ['b', 'x'], string)))
    case(w, 'MutableHashTableV2', 'shapes',
         lambda p: R.LookupTableInsertV2(table_handle=mutable(p), keys=['z'], values=fed([1, 2], i64)), INVALID_ARGUMENT)
    vectors = [[1, 2], [3, 4]]

    def of_tensors(p):
        table = R.MutableHashTableOfTensorsV2(key_dtype=string, value_dtype=i64, value_shape=[2], shared_name='table')
        p(R.LookupTableInsertV2(table_handle=table, keys=['a', 'b'], values=const(vectors, i64)))
        return table
    case(w, 'MutableHashTableOfTensorsV2', '', lambda p: find(of_tensors(p), const([['b', 'x']], string), const([8, 9], i64)))
    case(w, 'MutableHashTableOfTensorsV2', 'scalar', lambda p: size(R.MutableHashTableOfTensorsV2(key_dtype=string, value_dtype=i64)),
         INVALID_ARGUMENT)
    case(w, 'MutableDenseHashTableV2', 'buckets', lambda p: exported(dense(p)))
    case(w, 'MutableDenseHashTableV2', 'grown', lambda p: exported(dense(p, range(20, 31), range(11))))
    case(w, 'MutableDenseHashTableV2', 'removed', lambda p: exported(removed(p, dense(p), [12, 99], i64)))
    case(w, 'MutableDenseHashTableV2', 'vectors',
         lambda p: exported(dense(p, [[0, 1], [5, 6]], vectors, [0, 0], [-1, -1], [2])))
    case(w, 'MutableDenseHashTableV2', 'find', lambda p: find(dense(p), const([13, 5], i64), const(-7, i64)))
    for label, extra in (('buckets', dict(buckets=6)), ('keys', dict(deleted=0)), ('empty_key', dict(keys=[1, 0, 2])),
                         ('deleted_key', dict(keys=[1, -1, 2]))):
        case(w, 'MutableDenseHashTableV2', f'error_{label}', lambda p: R.LookupTableInsertV2(
            table_handle=dense(lambda _: None, **{k: v for k, v in extra.items() if k != 'keys'}),
            keys=const(extra.get('keys', [1]), i64), values=const([1] * len(extra.get('keys', [1])), i64)), INVALID_ARGUMENT)


# --- accumulators and barriers

def accumulators(w):
    def dense_accumulator(p, steps=((0, [1., 2.]), (0, [3., 5.])), shape=(2,), dtype=tf.float32, **extra):
        handle = R.ConditionalAccumulator(dtype=dtype, shape=shape, shared_name='sum', **extra)
        for step, gradient in steps:
            p(R.AccumulatorApplyGradient(handle=handle, local_step=const(step, tf.int64), gradient=fed(gradient, dtype)))
        return handle

    def take(handle, n, dtype=tf.float32):
        return R.AccumulatorTakeGradient(handle=handle, num_required=n, dtype=dtype)
    for dtype in (tf.float32, tf.float64, tf.half):
        case(w, 'ConditionalAccumulator', dtype.name, lambda p: take(dense_accumulator(p, dtype=dtype), 2, dtype))
    case(w, 'ConditionalAccumulator', 'sum', lambda p: take(dense_accumulator(p, reduction_type='SUM'), 1))
    case(w, 'ConditionalAccumulator', 'count', lambda p: R.AccumulatorNumAccumulated(handle=dense_accumulator(p)))

    def after_take(p):
        handle = dense_accumulator(p)
        p(take(handle, 1).op)
        for step in (0, 1):
            p(R.AccumulatorApplyGradient(handle=handle, local_step=const(step, tf.int64), gradient=[1., 1.]))
        return R.AccumulatorNumAccumulated(handle=handle)
    case(w, 'ConditionalAccumulator', 'stale', after_take)
    case(w, 'ConditionalAccumulator', 'none_required', lambda p: take(dense_accumulator(p), 0), INVALID_ARGUMENT)
    case(w, 'ConditionalAccumulator', 'shape', lambda p: R.AccumulatorApplyGradient(
        handle=dense_accumulator(p), local_step=const(0, tf.int64), gradient=fed([1., 2., 3.], tf.float32)), INVALID_ARGUMENT)

    def sparse_accumulator(p, gradients):
        handle = R.SparseConditionalAccumulator(dtype=tf.float32, shape=[None, 2], shared_name='sum')
        for indices, values in gradients:
            p(apply_sparse(handle, indices, values))
        return handle

    def apply_sparse(handle, indices, values, shape=(4, 2)):
        return R.SparseAccumulatorApplyGradient(handle=handle, local_step=const(0, tf.int64), gradient_indices=fed(indices, tf.int64),
                                                gradient_values=fed(values, tf.float32), gradient_shape=fed(list(shape), tf.int64),
                                                has_known_shape=True)
    pair = [([0, 2], [[1, 2], [3, 4]]), ([1, 2], [[5, 6], [7, 9]])]
    case(w, 'SparseConditionalAccumulator', '', lambda p: list(R.SparseAccumulatorTakeGradient(
        handle=sparse_accumulator(p, pair), num_required=2, dtype=tf.float32)))
    for label, args in (('rows', ([0, 2], [[1, 2]])), ('rank', ([0], [1.])), ('width', ([0], [[1, 2, 3]])),
                        ('shape', ([0], [[1, 2]], (4, 3))), ('shape_rank', ([0], [[1, 2]], (4,)))):
        case(w, 'SparseConditionalAccumulator', f'error_{label}', lambda p: apply_sparse(sparse_accumulator(p, []), *args),
             INVALID_ARGUMENT)


def barriers(w):
    def barrier(p, inserts=(), close=None):
        handle = R.Barrier(component_types=[tf.float32, tf.int32], shapes=[[2], []], shared_name='barrier')
        for keys, component in inserts:
            p(insert(handle, keys, component))
        if close is not None:
            p(R.BarrierClose(handle=handle, cancel_pending_enqueues=close))
        return handle

    def insert(handle, keys, component):
        n = len(keys)
        values = np.arange(2 * n, dtype=np.float32).reshape(n, 2) if component == 0 else np.arange(n, dtype=np.int32)
        return R.BarrierInsertMany(handle=handle, keys=list(keys), values=values, component_index=component)

    def take(handle, n, **extra):
        taken = R.BarrierTakeMany(handle=handle, num_elements=n, component_types=[tf.float32, tf.int32], **extra)
        return [taken.indices, taken.keys, *taken.values]
    both = [('ab', 0), ('cd', 0), ('dcba', 1)]
    case(w, 'Barrier', 'take', lambda p: take(barrier(p, both), 4))
    case(w, 'Barrier', 'sizes', lambda p: (lambda h: [R.BarrierReadySize(handle=h), R.BarrierIncompleteSize(handle=h)])(
        barrier(p, both + [('xyz', 1)])))
    case(w, 'Barrier', 'small_batch', lambda p: take(barrier(p, both, False), 9, allow_small_batch=True))
    case(w, 'Barrier', 'closed', lambda p: take(barrier(p, both, False), 9), OUT_OF_RANGE)
    case(w, 'Barrier', 'new_key_after_close', lambda p: insert(barrier(p, both, False), 'q', 0), CANCELLED)
    case(w, 'Barrier', 'closed_twice', lambda p: R.BarrierClose(handle=barrier(p, both, False)), CANCELLED)
    case(w, 'Barrier', 'twice', lambda p: insert(barrier(p, [('a', 0)]), 'a', 0), INVALID_ARGUMENT)
    case(w, 'Barrier', 'component', lambda p: R.BarrierInsertMany(handle=barrier(p), keys=['a'], values=[[1., 2.]], component_index=5),
         INVALID_ARGUMENT)


def maps(w):
    def add(dims, dtype=tf.float32):
        return R.AddSparseToTensorsMap(sparse_indices=const([[0, 1], [1, 0]], tf.int64), sparse_values=const([1, 2], dtype),
                                       sparse_shape=const(dims, tf.int64), shared_name='map')

    def take(handles, dtype=tf.float32):
        return list(R.TakeManySparseFromTensorsMap(sparse_handles=handles, dtype=dtype, shared_name='map'))
    case(w, 'TakeManySparseFromTensorsMap', '', lambda p: take(tf.stack([add([2, 3]), add([5, 2])])))
    case(w, 'TakeManySparseFromTensorsMap', 'many', lambda p: take(R.AddManySparseToTensorsMap(
        sparse_indices=const([[0, 1], [0, 2], [2, 0]], tf.int64), sparse_values=[1., 2., 3.], sparse_shape=const([3, 4], tf.int64),
        shared_name='map')))
    case(w, 'TakeManySparseFromTensorsMap', 'type', lambda p: take(tf.stack([add([2, 3])]), tf.int32), INVALID_ARGUMENT)

    def missing(p):
        p(add([2, 2]).op)
        return take(const([7], tf.int64))
    case(w, 'TakeManySparseFromTensorsMap', 'missing', missing, INVALID_ARGUMENT)


# --- lists of tensors

def lists(w):
    def from_rows(rows=((1., 2.), (3., 4.), (5., 6.)), shape=(2,), dtype=tf.float32):
        return R.TensorListFromTensor(tensor=fed(list(rows), dtype), element_shape=list(shape))

    def empty(shape=-1, most=-1, dtype=tf.float32):
        return R.EmptyTensorList(element_shape=shape, max_num_elements=most, element_dtype=dtype)

    def reserved(n=3, shape=(2,)):
        return R.TensorListReserve(element_shape=shape if shape == -1 else list(shape), num_elements=n, element_dtype=tf.float32)

    def push(handle, value):
        return R.TensorListPushBack(input_handle=handle, tensor=fed(value, tf.float32))

    def put(handle, index, value):
        return R.TensorListSetItem(input_handle=handle, index=index, item=fed(value, tf.float32))

    def stack(handle, shape=-1, dtype=tf.float32, **extra):
        return R.TensorListStack(input_handle=handle, element_shape=shape, element_dtype=dtype, **extra)

    def length(handle):
        return R.TensorListLength(input_handle=handle)
    for dtype in (tf.float32, tf.int64, tf.bool, tf.complex64):
        rows = np.array([[1, 0], [3, 4]]).astype(dtype.as_numpy_dtype)
        case(w, 'TensorListStack', dtype.name,
             lambda p: stack(R.TensorListFromTensor(tensor=rows, element_shape=[2]), dtype=dtype))
    case(w, 'TensorListStack', 'string', lambda p: stack(
        R.TensorListFromTensor(tensor=[['a', ''], ['c', 'd']], element_shape=[2]), dtype=tf.string))
    case(w, 'TensorListStack', 'not_set', lambda p: stack(R.TensorListSetItem(input_handle=reserved(), index=1, item=[5., 6.])))
    case(w, 'TensorListStack', 'number', lambda p: stack(reserved(), num_elements=4), INVALID_ARGUMENT)
    case(w, 'TensorListStack', 'nothing_known', lambda p: stack(reserved(shape=-1)), INVALID_ARGUMENT)
    case(w, 'TensorListPushBack', '', lambda p: stack(push(push(empty(), [1., 2.]), [3., 4.])))
    case(w, 'TensorListPushBack', 'shared', lambda p: (lambda l: [stack(l), stack(push(l, [7., 8.])), stack(push(l, [9., 9.]))])(from_rows()))
    case(w, 'TensorListPushBack', 'shape', lambda p: length(push(empty([2]), [1., 2., 3.])), INVALID_ARGUMENT)
    case(w, 'TensorListPushBack', 'full', lambda p: length(push(push(empty(most=1), 1.), 2.)), INVALID_ARGUMENT)
    case(w, 'TensorListPopBack', '', lambda p: (lambda r: [length(r.output_handle), r.tensor])(
        R.TensorListPopBack(input_handle=from_rows(), element_shape=-1, element_dtype=tf.float32)))
    case(w, 'TensorListPopBack', 'empty', lambda p: R.TensorListPopBack(
        input_handle=empty(), element_shape=-1, element_dtype=tf.float32).tensor, INVALID_ARGUMENT)
    case(w, 'TensorListPushBackBatch', '', lambda p: [stack(h) for h in tf.unstack(R.TensorListPushBackBatch(
        input_handles=tf.stack([from_rows(), from_rows()]), tensor=[[7., 8.], [9., 9.]]))])

    def get(handle, index):
        return R.TensorListGetItem(input_handle=handle, index=index, element_shape=-1, element_dtype=tf.float32)
    case(w, 'TensorListGetItem', '', lambda p: get(from_rows(), 1))
    case(w, 'TensorListGetItem', 'not_set', lambda p: get(reserved(), 1))
    for index in (3, -1):
        case(w, 'TensorListGetItem', f'index_{index}'.replace('-', 'm'), lambda p: get(from_rows(), index), INVALID_ARGUMENT)
        case(w, 'TensorListSetItem', f'index_{index}'.replace('-', 'm'),
             lambda p: length(R.TensorListSetItem(input_handle=from_rows(), index=index, item=[1., 2.])), INVALID_ARGUMENT)
    case(w, 'TensorListSetItem', 'grows', lambda p: stack(R.TensorListSetItem(
        input_handle=from_rows(), index=4, item=[1., 2.], resize_if_index_out_of_bounds=True)))
    case(w, 'TensorListResize', 'longer', lambda p: stack(R.TensorListResize(input_handle=from_rows(), size=5)))
    case(w, 'TensorListResize', 'shorter', lambda p: stack(R.TensorListResize(input_handle=from_rows(), size=1)))
    case(w, 'TensorListResize', 'negative', lambda p: length(R.TensorListResize(input_handle=from_rows(), size=-1)), INVALID_ARGUMENT)
    case(w, 'TensorListElementShape', '', lambda p: R.TensorListElementShape(input_handle=from_rows(), shape_type=tf.int64))
    case(w, 'TensorListElementShape', 'unknown', lambda p: R.TensorListElementShape(input_handle=empty(), shape_type=tf.int32))

    def gather(handle, indices):
        return R.TensorListGather(input_handle=handle, indices=indices, element_shape=-1, element_dtype=tf.float32)
    case(w, 'TensorListGather', '', lambda p: gather(from_rows(), [2, 0, 2]))
    case(w, 'TensorListGather', 'index', lambda p: gather(from_rows(), [2, 3]), INVALID_ARGUMENT)

    def mixed():
        return push(push(push(empty(), 1.), [2., 3.]), [4., 5.])
    case(w, 'TensorListGather', 'some_of_mixed', lambda p: gather(mixed(), [2, 1]))
    case(w, 'TensorListGather', 'mixed', lambda p: gather(mixed(), [0, 2]), INVALID_ARGUMENT)
    case(w, 'TensorListStack', 'mixed', lambda p: stack(mixed()), INVALID_ARGUMENT)

    def scatter(indices, n=-1, rows=((1., 2.), (3., 4.))):
        return R.TensorListScatterV2(tensor=fed(list(rows), tf.float32), indices=fed(indices, tf.int32), element_shape=[2], num_elements=n)
    case(w, 'TensorListScatterV2', '', lambda p: stack(scatter([3, 1])))
    case(w, 'TensorListScatterV2', 'sized', lambda p: stack(scatter([3, 1], 5)))
    for label, args in (('negative', ([3, -1],)), ('size', ([3, 1], 2)), ('rows', ([3],))):
        case(w, 'TensorListScatterV2', f'error_{label}', lambda p: length(scatter(*args)), INVALID_ARGUMENT)
    case(w, 'TensorListScatterIntoExistingList', '', lambda p: stack(R.TensorListScatterIntoExistingList(
        input_handle=from_rows(), tensor=[[7., 8.], [9., 9.]], indices=[2, 0])))

    def concat(handle, shape=-1, leading=()):
        return list(R.TensorListConcatV2(input_handle=handle, element_shape=shape, leading_dims=const(list(leading), tf.int64),
                                         element_dtype=tf.float32))
    case(w, 'TensorListConcatV2', '', lambda p: concat(push(push(empty(), [[1., 2.]]), [[3., 4.], [5., 6.]])))
    case(w, 'TensorListConcatV2', 'leading', lambda p: concat(reserved(2, (-1, 2)), leading=[2, 1]))
    case(w, 'TensorListConcatV2', 'inferred', lambda p: concat(put(reserved(3, -1), 1, [1., 2.])))
    case(w, 'TensorListConcatV2', 'not_inferred', lambda p: concat(put(put(reserved(3, -1), 1, [1., 2.]), 2, [1.])), INVALID_ARGUMENT)
    case(w, 'TensorListConcatV2', 'scalars', lambda p: concat(push(empty(), 1.)), INVALID_ARGUMENT)
    case(w, 'TensorListConcatV2', 'widths', lambda p: concat(push(push(empty(), [[1., 2.]]), [[3.]])), INVALID_ARGUMENT)

    def split(lengths):
        return R.TensorListSplit(tensor=fed([[1., 2.], [3., 4.], [5., 6.]], tf.float32), element_shape=[-1, 2],
                                 lengths=const(lengths, tf.int64))
    case(w, 'TensorListSplit', '', lambda p: [get(split([1, 2]), 0), get(split([1, 2]), 1)])
    for label, lengths in (('negative', [1, -1]), ('long', [1, 3]), ('unused', [1, 1])):
        case(w, 'TensorListSplit', f'error_{label}', lambda p: length(split(lengths)), INVALID_ARGUMENT)
    case(w, 'TensorListConcatLists', '', lambda p: stack(R.TensorListConcatLists(
        input_a=from_rows(), input_b=from_rows(), element_dtype=tf.float32)))
    one = lambda: R.TensorListSetItem(input_handle=reserved(), index=1, item=[5., 6.])
    case(w, 'AddN', 'lists', lambda p: stack(tf.raw_ops.AddN(inputs=[from_rows(), from_rows(), one()])))
    case(w, 'AddN', 'lists_of_other_lengths', lambda p: length(tf.raw_ops.AddN(inputs=[from_rows(), reserved(2)])), INVALID_ARGUMENT)
    case(w, 'ZerosLike', 'list', lambda p: [stack(R.ZerosLike(x=from_rows())), length(R.ZerosLike(x=reserved()))])
    case(w, 'TensorListFromTensor', 'scalar', lambda p: length(R.TensorListFromTensor(tensor=fed(1., tf.float32), element_shape=-1)),
         INVALID_ARGUMENT)


def make(writer):
    tables(writer)
    accumulators(writer)
    barriers(writer)
    maps(writer)
    lists(writer)
