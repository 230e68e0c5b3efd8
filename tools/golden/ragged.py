"""Cases of ops on ragged tensors: ranges, rows picked, conversions to dense and sparse tensors and to variants."""
import numpy as np
import tensorflow.compat.v1 as tf

from .record import finish_case, op_case, raw, rng_for, supported, values
from .training import add_gradients, const

INVALID_ARGUMENT = 3
SPLITS = ('int32', 'int64')


def splits(*levels, dtype='int64'):
    return [np.array(level, dtype) for level in levels]


def words(rng, n):
    return np.array([f'w{rng.randint(99)}' for _ in range(n)], object)


def any_values(rng, shape, dtype):
    return words(rng, int(np.prod(shape))).reshape(shape) if dtype == 'string' else values(rng, shape, dtype)


def ranges(w):
    for dtype in supported('RaggedRange'):
        t = dtype.as_numpy_dtype
        of = lambda *v: np.array(v, t)  # noqa: E731
        for split in SPLITS:
            op_case(w, 'RaggedRange', of(3, 2, 0, 5), of(7, -3, 0, 1), of(2, -2, 1, -1), label=f'{dtype.name}_{split}', Tsplits=tf.as_dtype(split))
        op_case(w, 'RaggedRange', t(2), of(1, 5, 9), t(3), label=f'{dtype.name}_broadcast')
        op_case(w, 'RaggedRange', t(0), t(5), t(1), label=f'{dtype.name}_scalars')
        op_case(w, 'RaggedRange', of(), of(), of(), label=f'{dtype.name}_none')
        op_case(w, 'RaggedRange', of(1), of(5), of(0), label=f'{dtype.name}_error_step', error=INVALID_ARGUMENT)
    op_case(w, 'RaggedRange', np.float32(0), np.array([1, 2], 'f'), np.float32(.1), label='tenths')
    op_case(w, 'RaggedRange', np.array([-2**31], 'i'), np.array([2**31 - 1], 'i'), np.array([2**30], 'i'), label='widest')
    op_case(w, 'RaggedRange', np.array([1, 2]), np.array([1, 2, 3]), np.array([1]), label='error_sizes', error=INVALID_ARGUMENT)
    op_case(w, 'RaggedRange', np.array([[1]]), np.array(3), np.array(1), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'RaggedRange', np.float32(0), np.float32(np.nan), np.float32(1), label='error_nan', error=INVALID_ARGUMENT)
    op_case(w, 'RaggedRange', np.int64(0), np.int64(2**40), np.int64(1), label='error_splits', error=INVALID_ARGUMENT, Tsplits=tf.int32)


def rows(w):
    rng = rng_for('ragged_rows')
    for dtype in ('float32', 'int64', 'bool', 'string', 'complex64', 'half'):
        for split in SPLITS:
            v = any_values(rng, [5, 2], dtype)
            op_case(w, 'RaggedGather', splits([0, 2, 2, 5], dtype=split), v, np.array([2, 0, 2], split), label=f'{dtype}_{split}', OUTPUT_RAGGED_RANK=1)
            op_case(w, 'RaggedTensorToSparse', splits([0, 2, 2, 5], dtype=split), v, label=f'{dtype}_{split}')
    v = np.arange(6)
    two = splits([0, 1, 1, 3], [0, 2, 2, 6])
    op_case(w, 'RaggedGather', two, v, np.array([2, 0]), label='two_levels', OUTPUT_RAGGED_RANK=2)
    op_case(w, 'RaggedGather', two, v, np.array(2), label='one_row', OUTPUT_RAGGED_RANK=1)
    op_case(w, 'RaggedGather', two[:1], np.arange(3), np.array(0), label='one_flat_row', OUTPUT_RAGGED_RANK=0)
    op_case(w, 'RaggedGather', two, v, np.array([[2, 0, 1], [1, 1, 0]]), label='matrix', OUTPUT_RAGGED_RANK=3)
    op_case(w, 'RaggedGather', two, v, np.zeros([0], 'q'), label='none', OUTPUT_RAGGED_RANK=2)
    for label, index, rank in (('index', [3], 2), ('negative', [-1], 2)):
        op_case(w, 'RaggedGather', two, v, np.array(index), label=f'error_{label}', OUTPUT_RAGGED_RANK=rank, error=INVALID_ARGUMENT)
    op_case(w, 'RaggedGather', splits([0, 3, 2, 3]), np.arange(3), np.array([1]), label='error_splits', OUTPUT_RAGGED_RANK=1, error=INVALID_ARGUMENT)
    op_case(w, 'RaggedTensorToSparse', two, v, label='two_levels')
    op_case(w, 'RaggedTensorToSparse', two, np.arange(24).reshape(6, 2, 2), label='inner')
    op_case(w, 'RaggedTensorToSparse', splits([0, 0, 0]), np.zeros([0, 3]), label='no_values')
    op_case(w, 'RaggedTensorToSparse', splits([0]), np.zeros([0]), label='no_rows')
    for label, bad in (('empty', []), ('first', [1, 3]), ('decreasing', [0, 3, 2, 3]), ('short', [0, 2]), ('long', [0, 4])):
        op_case(w, 'RaggedTensorToSparse', splits(bad), np.arange(3), label=f'error_{label}', error=INVALID_ARGUMENT)
    op_case(w, 'RaggedTensorToSparse', splits([0, 4], [0, 1, 3]), np.arange(3), label='error_levels', error=INVALID_ARGUMENT)


def dense(w):
    rng = rng_for('ragged_dense')
    of_splits, of_ids = ['ROW_SPLITS'], ['FIRST_DIM_SIZE', 'VALUE_ROWIDS']

    def case(label, shape, v, default, tensors, types, error=0, shape_type='int64', dtypes=None):
        op_case(w, 'RaggedTensorToTensor', np.array(shape, shape_type), v, default, tensors, label=label, row_partition_types=types,
                error=error, dtypes=dtypes)
    for dtype in ('float32', 'float64', 'half', 'bfloat16', 'int8', 'uint16', 'int32', 'int64', 'bool', 'complex128', 'string'):
        v, default = any_values(rng, [5], dtype), any_values(rng, [1], dtype)[0]
        case(dtype, [-1, -1], v, np.asarray(default, v.dtype), splits([0, 2, 2, 5]), of_splits)
    v = np.arange(1, 6)
    for split in SPLITS:
        for shape_type in SPLITS:
            case(f'{split}_{shape_type}', [-1, -1], v, np.int64(0), splits([0, 2, 2, 5], dtype=split), of_splits, shape_type=shape_type)
    three = splits([0, 2, 2, 5])
    for label, shape in (('any', -1), ('cut', [2, 1]), ('padded', [4, 5]), ('cut_columns', [-1, 2]), ('padded_rows', [5, -1]), ('no_columns', [-1, 0]), ('no_rows', [0, -1])):
        case(label, shape, v, np.int64(-7), three, of_splits)
    for label, size, ids in (('ids', 4, [0, 0, 2, 2, 2]), ('ids_more_rows', 9, [0, 1, 1, 1, 5])):
        for shape in ([-1, -1], [3, 2]):
            case(f'{label}_{shape[0]}', shape, v, np.int64(0), [np.array(size), np.array(ids)], of_ids)
    two = splits([0, 2, 3, 3], [0, 1, 1, 5])
    for label, shape in (('all', [-1, -1, -1]), ('cut', [2, 1, 3]), ('padded', [4, 3, 5])):
        case(f'two_levels_{label}', shape, v, np.int64(0), two, of_splits * 2)
    case('ids_two_levels', [-1, -1, -1], v, np.int64(0), [np.array(3), np.array([0, 0, 2]), np.array([0, 1, 1, 2, 2])], of_ids + ['VALUE_ROWIDS'])
    case('ids_then_splits', [-1, -1, -1], v, np.int64(0), [np.array(3), np.array([0, 0, 2]), np.array([0, 1, 1, 5])], of_ids + of_splits)
    inner = np.arange(20).reshape(5, 2, 2)
    for label, default in (('scalar', 9), ('vector', [8, 9]), ('column', [[8], [9]]), ('element', [[6, 7], [8, 9]])):
        case(f'inner_{label}', [-1, 4, 2, 2], inner, np.array(default), three, of_splits)
    case('no_values', [-1, -1], np.zeros([0]), np.float64(1), splits([0, 0]), of_splits)
    case('no_values_padded', [2, 2], np.zeros([0]), np.float64(1), splits([0, 0]), of_splits)
    for label, kw in (('rank', dict(shape=[-1])), ('inner', dict(shape=[-1, -1, 3], v=np.ones([5, 2]), default=np.float64(0))), ('default_rank', dict(default=np.array([1]))),
                      ('default_size', dict(v=np.ones([5, 3]), default=np.ones([2]), shape=-1)), ('decreasing', dict(tensors=splits([0, 3, 2, 5]))),
                      ('first', dict(tensors=splits([1, 5]))), ('empty', dict(tensors=splits([]))), ('negative_shape', dict(shape=[-2, 2])),
                      ('id', dict(tensors=[np.array(3), np.array([0, 0, 0, 2, 3])], types=of_ids)), ('negative_id', dict(tensors=[np.array(3), np.array([-1, 0, 0, 0, 0])], types=of_ids))):
        case(f'error_{label}', **{**dict(shape=[-1, -1], v=v, default=np.int64(0), tensors=three, types=of_splits), **kw}, error=INVALID_ARGUMENT)


def variants(w):
    """Through a variant and back, in one graph."""
    rng = rng_for('ragged_variants')

    def there_and_back(label, nested, v, batched, input_rank, output_rank, error=0, between=None, op='RaggedTensorFromVariant', **attrs):
        graph = tf.Graph()
        with graph.as_default():
            levels = [tf.placeholder_with_default(s, None) if error else tf.constant(s) for s in nested]
            kw = dict(Tsplits=levels[0].dtype) if levels else dict(Tsplits=tf.int64)
            v = tf.constant(v)
            encoded = raw('RaggedTensorToVariant', [levels, v], dict(batched_input=batched), name='encoded')
            if between is not None:
                encoded = between(encoded)
            raw('RaggedTensorFromVariant', [encoded], {**dict(Tvalues=v.dtype, input_ragged_rank=input_rank, output_ragged_rank=output_rank, **kw), **attrs})
            fetches = [t.name for t in graph.get_operation_by_name('op').outputs]
            if batched:
                fetches.append(tf.shape(encoded, name='shape').name)
        finish_case(w, op, label, graph, fetches, error=error)
    for dtype in ('float32', 'int64', 'bool', 'string', 'half'):
        for split in SPLITS:
            v = any_values(rng, [5, 2], dtype)
            there_and_back(f'{dtype}_{split}', splits([0, 2, 2, 5], dtype=split), v, True, 0, 1)
    two, v = splits([0, 2, 3, 3], [0, 1, 1, 5]), np.arange(5)
    there_and_back('two_levels', two, v, True, 1, 2)
    there_and_back('two_levels_whole', two, v, False, 2, 2)
    there_and_back('inferred', two, v, True, -1, 2)
    there_and_back('whole_inferred', two, v, False, -1, 2)
    there_and_back('part', two, v, True, 1, 2, between=lambda e: e[1:])
    there_and_back('none', two, v, True, 1, 2, between=lambda e: e[:0])
    there_and_back('picked', two, v, True, 1, 2, between=lambda e: tf.gather(e, [2, 0, 0]))
    there_and_back('matrix', two, v, True, 1, 3, between=lambda e: tf.reshape(tf.gather(e, [2, 0, 0, 1]), [2, 2]))
    there_and_back('stacked', two, v, False, 2, 3, between=lambda e: tf.stack([e, e]))
    there_and_back('zeros', two, v, False, 2, 2, between=tf.zeros_like)
    there_and_back('sum', two, v, False, 2, 2, between=lambda e: tf.add_n([e, e, e]))
    there_and_back('values_only', [], v, False, 0, 0)
    there_and_back('dense_rows', [], np.arange(6).reshape(2, 3), True, 0, 1, between=lambda e: tf.placeholder_with_default(e, None))
    there_and_back('error_type', two, v, True, 1, 2, error=INVALID_ARGUMENT, Tvalues=tf.float32)
    there_and_back('error_splits', two, v, True, 1, 2, error=INVALID_ARGUMENT, Tsplits=tf.int32)
    there_and_back('error_rank', two, v, True, 2, 3, error=INVALID_ARGUMENT)
    for label, bad in (('empty', []), ('first', [1, 5]), ('decreasing', [0, 3, 2, 5]), ('short', [0, 2]), ('long', [0, 6])):
        there_and_back(f'error_{label}', splits(bad), v, True, 0, 1, error=INVALID_ARGUMENT, op='RaggedTensorToVariant')

    def gradient_of(label, nested, v, batched, between, shape=None, splits_of_it=None):
        graph = tf.Graph()
        with graph.as_default():
            levels = [tf.constant(s) for s in nested]
            v = tf.constant(v)
            encoded = raw('RaggedTensorToVariant', [levels, v], dict(batched_input=batched), name='encoded')
            raw('RaggedTensorToVariantGradient', [between(encoded), levels[0] if batched else tf.constant(0, tf.int64), tf.shape(v)], dict(Tvalues=v.dtype))
        finish_case(w, 'RaggedTensorToVariantGradient', label, graph, ['op:0'])
    for dtype in ('float32', 'float64', 'half', 'int32'):
        gradient_of(dtype, two, any_values(rng, [5, 2], dtype), True, lambda e: e)
    gradient_of('whole', two, any_values(rng, [5], 'float32'), False, lambda e: e)


def gradients(w):
    levels, deep = [0, 2, 2, 5], ([0, 2, 3, 3], [0, 1, 1, 5])

    def ragged(x, nested=(levels,)):
        return tf.RaggedTensor.from_nested_row_splits(x, [tf.constant(s, tf.int64) for s in nested], validate=False)

    def of(f, *shapes):
        def build(rng):
            xs = [const(rng, f'x{i}', shape) for i, shape in enumerate(shapes)]
            return f(*xs), xs
        return build

    def through_variant(batched, nested):
        def f(x):
            encoded = tf.raw_ops.RaggedTensorToVariant(rt_nested_splits=[tf.constant(s, tf.int64) for s in nested], rt_dense_values=x, batched_input=batched)
            return tf.square(tf.raw_ops.RaggedTensorFromVariant(encoded_ragged=encoded, input_ragged_rank=len(nested) - batched, output_ragged_rank=len(nested),
                                                                Tvalues=x.dtype)[1])
        return f
    add_gradients(w, 'ragged', {
        'to_tensor': of(lambda x, d: tf.square(ragged(x).to_tensor(d)), (5, 2), (2,)),
        'to_tensor_scalar_default': of(lambda x, d: tf.square(ragged(x).to_tensor(d)), (5, 2), ()),
        'to_tensor_ones_in_default': of(lambda x, d: tf.square(ragged(x).to_tensor(d)), (5, 2, 3), (1, 3)),
        'to_tensor_cut': of(lambda x, d: tf.square(ragged(x).to_tensor(d, shape=[2, 1])), (5,), ()),
        'to_tensor_padded': of(lambda x, d: tf.square(ragged(x, deep).to_tensor(d, shape=[4, 3, 5])), (5,), ()),
        'to_sparse': of(lambda x: tf.square(ragged(x, deep).to_sparse().values), (5, 2)),
        'gather': of(lambda x: tf.square(tf.gather(ragged(x, deep), [2, 0, 0]).flat_values), (5, 2)),
        'gather_flat': of(lambda x: tf.square(tf.gather(ragged(x), [2, 0, 2]).flat_values), (5,)),
        'variant': of(through_variant(True, (levels,)), (5, 2)),
        'variant_two_levels': of(through_variant(True, deep), (5,)),
        'variant_whole': of(through_variant(False, deep), (5,)),
    })


def make(w):
    ranges(w)
    rows(w)
    dense(w)
    variants(w)
