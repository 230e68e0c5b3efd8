"""Cases of the ops that make, reshape, move and pick elements."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, rng_for, values

INVALID_ARGUMENT = 3
TYPES = ['float32', 'float64', 'int32', 'int64', 'bool', 'complex64', 'half', 'uint8']


def i32(*numbers):
    return np.array(numbers, np.int32)


def i64(*numbers):
    return np.array(numbers, np.int64)


def shapes(w):
    rng = rng_for('shapes')
    x = values(rng, [4, 1, 3], 'f')
    for out in (tf.int32, tf.int64):
        op_case(w, 'Shape', x, label=out.name, out_type=out)
        op_case(w, 'ShapeN', [x, values(rng, [2], 'f'), values(rng, [], 'f')], label=out.name, out_type=out)
        op_case(w, 'Size', x, label=out.name, out_type=out)
    op_case(w, 'Shape', values(rng, [0, 2], 'i'), label='empty')
    op_case(w, 'Size', values(rng, [0, 2], 'i'), label='empty')
    for shape in ([], [5], [2, 3, 1, 1]):
        op_case(w, 'Rank', values(rng, shape, 'd'), label=f'{len(shape)}')
    for dtype in TYPES:
        op_case(w, 'Reshape', values(rng, [6, 4], dtype), i32(3, 8), label=dtype)
    for label, shape, to in (('infer', [6, 4], i32(-1, 2)), ('infer_last', [6, 4], i64(2, 3, -1)), ('scalar', [1, 1], i32()),
                             ('from_scalar', [], i32(1, 1, 1)), ('empty', [0, 5], i32(5, 0)), ('empty_infer', [3, 0], i32(0, -1)[:1])):
        op_case(w, 'Reshape', values(rng, shape, 'f'), to, label=label)
    for label, shape, to in (('size', [6], i32(4)), ('two_unknown', [6], i32(-1, -1)), ('negative', [6], i32(-2, -3)),
                             ('not_divisible', [7], i32(2, -1)), ('rank', [4], np.array([[2, 2]], np.int32)),
                             ('overflow', [4], i64(2 ** 40, 2 ** 40))):
        op_case(w, 'Reshape', values(rng, shape, 'f'), to, label=f'error_{label}', error=INVALID_ARGUMENT)
    for axis in (0, 1, 2, -1, -3):
        op_case(w, 'ExpandDims', values(rng, [3, 2], 'f'), np.int32(axis), label=f'{axis}'.replace('-', 'minus_'))
    op_case(w, 'ExpandDims', values(rng, [], 'q'), np.int64(0), label='scalar')
    op_case(w, 'ExpandDims', values(rng, [3, 2], 'f'), np.int32(4), label='error_axis', error=INVALID_ARGUMENT)
    op_case(w, 'Squeeze', values(rng, [1, 3, 1, 2], 'f'), label='all')
    op_case(w, 'Squeeze', values(rng, [1, 3, 1, 2], 'f'), label='one', squeeze_dims=[2])
    op_case(w, 'Squeeze', values(rng, [1, 3, 1], 'f'), label='negative', squeeze_dims=[-1, 0])
    op_case(w, 'Squeeze', values(rng, [2, 1], 'f'), label='error_size', error=INVALID_ARGUMENT, squeeze_dims=[0])
    op_case(w, 'Squeeze', values(rng, [2, 1], 'f'), label='error_axis', error=INVALID_ARGUMENT, squeeze_dims=[5])
    for dtype in ('float32', 'int32', 'float64', 'int64', 'bool', 'half'):
        op_case(w, 'Fill', i32(3, 2), values(rng, [], dtype), label=dtype)
    op_case(w, 'Fill', i64(), np.float32(2.5), label='scalar')
    op_case(w, 'Fill', i32(0, 3), np.float32(1), label='empty')
    op_case(w, 'Fill', i32(-1), np.float32(1), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'Fill', i32(2), values(rng, [2], 'f'), label='error_vector', error=INVALID_ARGUMENT)
    for start, limit, delta in ((2, 11, 3), (7, 0, -2), (4, 4, 1)):
        for dtype in (np.int32, np.int64, np.float32, np.float64):
            op_case(w, 'Range', dtype(start), dtype(limit), dtype(delta), label=np.dtype(dtype).name)
    op_case(w, 'Range', np.float32(0.5), np.float32(2.05), np.float32(0.3), label='fractions')
    for label, args in (('zero', (0, 4, 0)), ('sign', (0, 4, -1)), ('up', (4, 0, 1))):
        op_case(w, 'Range', *(np.int32(a) for a in args), label=f'error_{label}', error=INVALID_ARGUMENT)
    op_case(w, 'LinSpace', np.float32(-1), np.float32(3), np.int32(5))
    op_case(w, 'LinSpace', np.float64(2), np.float64(3), np.int32(1), label='one')
    op_case(w, 'BroadcastTo', values(rng, [2, 1, 3], 'f'), i32(4, 2, 5, 3))
    op_case(w, 'BroadcastTo', values(rng, [], 'i'), i32(3), label='scalar')
    op_case(w, 'BroadcastTo', values(rng, [3], 'f'), i32(2), label='error', error=INVALID_ARGUMENT)
    op_case(w, 'BroadcastArgs', i32(2, 1), i32(3, 1, 4))
    for a, b in ((i32(4, 1, 3), i32(2, 1)), (i32(), i32(2, 3)), (i32(5), i32(5)), (i32(1, 1), i32(1))):
        op_case(w, 'BroadcastGradientArgs', a, b)
    op_case(w, 'InvertPermutation', i32(2, 0, 3, 1))
    op_case(w, 'InvertPermutation', i32(2, 0, 2, 1), label='error_twice', error=INVALID_ARGUMENT)
    op_case(w, 'InvertPermutation', i32(4, 0, 1, 2), label='error_range', error=INVALID_ARGUMENT)
    op_case(w, 'EnsureShape', values(rng, [3, 2], 'f'), shape=tf.TensorShape([None, 2]))
    op_case(w, 'EnsureShape', values(rng, [3, 2], 'f'), label='error', shape=tf.TensorShape([None, 4]), error=INVALID_ARGUMENT)


def moving(w):
    rng = rng_for('moving')
    for dtype in TYPES:
        op_case(w, 'Transpose', values(rng, [3, 4], dtype), i32(1, 0), label=dtype)
    for perm in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1]):
        op_case(w, 'Transpose', values(rng, [2, 3, 5], 'f'), i32(*perm), label=''.join(map(str, perm)))
    op_case(w, 'Transpose', values(rng, [2, 3, 2, 4], 'f'), i64(0, 3, 1, 2), label='rank_4')
    op_case(w, 'Transpose', values(rng, [2, 1, 3, 2, 2], 'f'), i32(4, 2, 0, 1, 3), label='rank_5')
    op_case(w, 'Transpose', values(rng, [], 'f'), i32(), label='scalar')
    op_case(w, 'Transpose', values(rng, [3, 0], 'f'), i32(1, 0), label='empty')
    op_case(w, 'Transpose', np.array([[b'a', b'b', b'c']]), i32(1, 0), label='string')
    op_case(w, 'ConjugateTranspose', values(rng, [2, 3], 'complex64'), i32(1, 0))
    for label, perm in (('size', i32(0)), ('twice', i32(0, 0)), ('range', i32(0, 2)), ('negative', i32(0, -5))):
        op_case(w, 'Transpose', values(rng, [2, 2], 'f'), perm, label=f'error_{label}', error=INVALID_ARGUMENT)
    for dtype in TYPES:
        op_case(w, 'ConcatV2', [values(rng, [2, 3], dtype), values(rng, [2, 2], dtype)], np.int32(1), label=dtype)
    op_case(w, 'ConcatV2', [values(rng, [n, 2], 'f') for n in (1, 4, 0, 2)], np.int32(0), label='rows')
    op_case(w, 'ConcatV2', [values(rng, [2, 3, n], 'f') for n in (2, 1)], np.int64(-1), label='negative')
    op_case(w, 'ConcatV2', [np.array([b'ab']), np.array([b'', b'c'])], np.int32(0), label='string')
    op_case(w, 'Concat', np.int32(1), [values(rng, [3, n], 'f') for n in (2, 3)])
    for label, parts, axis in (('shapes', ([2, 3], [3, 3]), 1), ('axis', ([2, 3], [2, 3]), 2), ('ranks', ([2], [2, 1]), 0)):
        op_case(w, 'ConcatV2', [values(rng, s, 'f') for s in parts], np.int32(axis), label=f'error_{label}', error=INVALID_ARGUMENT)
    op_case(w, 'ConcatOffset', np.int32(1), [i32(2, 3, 4), i32(2, 5, 4), i32(2, 1, 4)])
    op_case(w, 'ConcatOffset', np.int32(0), [i32(2, 3), i32(2, 5)], label='error', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'half', 'bool'):
        op_case(w, 'Split', np.int32(1), values(rng, [3, 6], dtype), label=dtype, num_split=3)
    op_case(w, 'Split', np.int32(0), values(rng, [4, 3], 'f'), label='rows', num_split=4)
    op_case(w, 'Split', np.int32(-2), values(rng, [2, 4, 3], 'f'), label='negative', num_split=2)
    op_case(w, 'Split', np.int32(0), values(rng, [5, 2], 'f'), label='error_uneven', num_split=2, error=INVALID_ARGUMENT)
    op_case(w, 'Split', np.int32(3), values(rng, [4, 2], 'f'), label='error_axis', num_split=2, error=INVALID_ARGUMENT)
    op_case(w, 'SplitV', values(rng, [7, 2], 'f'), i32(4, 1, 2), np.int32(0), num_split=3)
    op_case(w, 'SplitV', values(rng, [2, 6], 'd'), i64(1, -1, 2), np.int32(1), label='infer', num_split=3)
    op_case(w, 'SplitV', values(rng, [2, 6], 'f'), i32(4, 4), np.int32(1), label='error_sum', num_split=2, error=INVALID_ARGUMENT)
    for dtype in TYPES:
        op_case(w, 'Pack', [values(rng, [3], dtype) for _ in range(2)], label=dtype)
        op_case(w, 'Unpack', values(rng, [2, 3], dtype), label=dtype, num=2)
    op_case(w, 'Pack', [values(rng, [2, 3], 'f') for _ in range(4)], label='axis_1', axis=1)
    op_case(w, 'Pack', [values(rng, [2, 3], 'f') for _ in range(2)], label='axis_last', axis=-1)
    op_case(w, 'Pack', [np.int32(k) for k in (3, 1, 2)], label='scalars')
    op_case(w, 'Pack', [values(rng, [2], 'f'), values(rng, [3], 'f')], label='error_shapes', error=INVALID_ARGUMENT)
    op_case(w, 'Unpack', values(rng, [2, 3, 2], 'f'), label='axis_1', num=3, axis=1)
    op_case(w, 'Unpack', values(rng, [2, 3], 'f'), label='error_number', num=3, error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int64', 'bool', 'complex64'):
        op_case(w, 'Tile', values(rng, [2, 3], dtype), i32(2, 3), label=dtype)
    op_case(w, 'Tile', values(rng, [3], 'f'), i64(1), label='once')
    op_case(w, 'Tile', values(rng, [2, 2, 2], 'f'), i32(1, 3, 0), label='none')
    op_case(w, 'Tile', np.array([b'p', b'qq']), i32(2), label='string')
    op_case(w, 'Tile', values(rng, [2, 3], 'f'), i32(2), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'Tile', values(rng, [2], 'f'), i32(-1), label='error_negative', error=INVALID_ARGUMENT)
    pads = np.array([[1, 0], [2, 3]], np.int32)
    for dtype in ('float32', 'float64', 'int32', 'half', 'bool'):
        op_case(w, 'Pad', values(rng, [2, 3], dtype), pads, label=dtype)
        op_case(w, 'PadV2', values(rng, [2, 3], dtype), pads, values(rng, [], dtype), label=dtype)
    op_case(w, 'Pad', values(rng, [2], 'f'), np.array([[0, 0]], np.int64), label='nothing')
    for mode in ('REFLECT', 'SYMMETRIC'):
        op_case(w, 'MirrorPad', values(rng, [3, 4], 'f'), np.array([[1, 2], [2, 1]], np.int32), label=mode.lower(), mode=mode)
        op_case(w, 'MirrorPad', values(rng, [2], 'f'), np.array([[3, 0]], np.int32), label=f'error_{mode.lower()}', mode=mode,
                error=INVALID_ARGUMENT)
    op_case(w, 'Pad', values(rng, [2], 'f'), np.array([[-1, 0]], np.int32), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'Pad', values(rng, [2, 2], 'f'), np.array([[1, 1]], np.int32), label='error_rank', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'bool', 'half'):
        op_case(w, 'ReverseV2', values(rng, [3, 4], dtype), i32(1), label=dtype)
    op_case(w, 'ReverseV2', values(rng, [3, 2, 2], 'f'), i64(0, -1), label='two')
    op_case(w, 'ReverseV2', values(rng, [3], 'f'), i32(1), label='error_axis', error=INVALID_ARGUMENT)
    op_case(w, 'Reverse', values(rng, [3, 2], 'f'), np.array([True, False]))


def picking(w):
    rng = rng_for('picking')
    for dtype in TYPES:
        op_case(w, 'Slice', values(rng, [4, 5], dtype), i32(1, 2), i32(2, 3), label=dtype)
    op_case(w, 'Slice', values(rng, [4, 5, 2], 'f'), i64(0, 3, 1), i64(-1, 2, -1), label='to_end')
    op_case(w, 'Slice', values(rng, [3], 'f'), i32(3), i32(0), label='empty')
    for label, begin, size in (('begin', i32(4), i32(1)), ('size', i32(1), i32(3)), ('negative', i32(-1), i32(1)),
                               ('rank', i32(0, 0), i32(1, 1))):
        op_case(w, 'Slice', values(rng, [3], 'f'), begin, size, label=f'error_{label}', error=INVALID_ARGUMENT)
    x = values(rng, [4, 5, 3], 'f')
    for label, begin, end, stride, masks in (
            ('plain', (1, 0, 1), (3, 4, 3), (1, 2, 1), {}), ('negative_stride', (3, 4, 2), (0, 0, 0), (-1, -2, -1), {}),
            ('masks', (1, 2, 0), (3, 4, 0), (1, 1, 1), dict(begin_mask=2, end_mask=5)),
            ('shrink', (1, 0, -1), (2, 5, 0), (1, 1, 1), dict(shrink_axis_mask=5)),
            ('ellipsis', (0, 1), (0, 2), (1, 1), dict(ellipsis_mask=1)),
            ('new_axis', (0, 1, 0), (0, 3, 0), (1, 1, 1), dict(new_axis_mask=1, end_mask=4)),
            ('clipped', (-9, 2, 1), (9, 100, 3), (1, 1, 1), {}), ('empty', (3, 0, 0), (1, 5, 3), (1, 1, 1), {}),
            ('fewer', (2,), (4,), (1,), {}), ('reverse_all', (0, 0, 0), (0, 0, 0), (-1, 1, -1), dict(begin_mask=7, end_mask=7))):
        op_case(w, 'StridedSlice', x, i32(*begin), i32(*end), i32(*stride), label=label, **masks)
        shape = np.zeros([4, 5, 3])
        graph = tf.Graph()
        with graph.as_default(), tf.Session() as sess:
            cut = sess.run(tf.strided_slice(shape, begin, end, stride, **masks)).shape
        op_case(w, 'StridedSliceGrad', i32(4, 5, 3), i32(*begin), i32(*end), i32(*stride), values(rng, cut, 'f'), label=label, **masks)
    for dtype in TYPES:
        op_case(w, 'StridedSlice', values(rng, [6], dtype), i64(1), i64(6), i64(2), label=dtype)
    for label, begin, end, stride, masks in (('stride', (0,), (2,), (0,), {}), ('shrink', (7,), (8,), (1,), dict(shrink_axis_mask=1)),
                                             ('rank', (0,) * 4, (1,) * 4, (1,) * 4, {}),
                                             ('ellipses', (0, 0), (1, 1), (1, 1), dict(ellipsis_mask=3))):
        op_case(w, 'StridedSlice', x, i32(*begin), i32(*end), i32(*stride), label=f'error_{label}', error=INVALID_ARGUMENT, **masks)
    for dtype in TYPES:
        op_case(w, 'GatherV2', values(rng, [5, 3], dtype), i32(4, 0, 2, 2), np.int32(0), label=dtype)
    for axis, shape, indices in ((1, [3, 4], i64(3, 1)), (-1, [2, 3, 4], i32(0, 3)), (0, [4, 2], np.array([[0, 3], [1, 1]], np.int32)),
                                 (1, [2, 5, 2], np.int32(4)), (0, [3], i32())):
        op_case(w, 'GatherV2', values(rng, shape, 'f'), indices, np.int32(axis), label=f'axis_{axis}'.replace('-', 'minus_'))
    op_case(w, 'GatherV2', values(rng, [2, 4, 3], 'f'), np.array([[0, 3], [2, 1]], np.int32), np.int32(1), label='batch', batch_dims=1)
    op_case(w, 'GatherV2', np.array([b'a', b'b']), i32(1, 0, 1), np.int32(0), label='string')
    op_case(w, 'GatherV2', values(rng, [3, 2], 'f'), i32(0, 3), np.int32(0), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'GatherV2', values(rng, [3, 2], 'f'), i32(-1), np.int32(0), label='error_negative', error=INVALID_ARGUMENT)
    op_case(w, 'GatherV2', values(rng, [3, 2], 'f'), i32(0), np.int32(2), label='error_axis', error=INVALID_ARGUMENT)
    op_case(w, 'Gather', values(rng, [5, 2], 'f'), i32(4, 1))
    op_case(w, 'Gather', values(rng, [5], 'i'), i64(5), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'GatherNd', values(rng, [3, 4, 2], 'f'), np.array([[0, 1], [2, 3]], np.int32))
    op_case(w, 'GatherNd', values(rng, [3, 4], 'd'), np.array([[[0, 3]], [[2, 0]]], np.int64), label='elements')
    op_case(w, 'GatherNd', values(rng, [3, 4], 'f'), np.array([[3, 0]], np.int32), label='error_index', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'int32', 'float64', 'half'):
        op_case(w, 'UnsortedSegmentSum', values(rng, [5, 2], dtype), i32(2, 0, 2, -1, 1), np.int32(4), label=dtype)
    op_case(w, 'UnsortedSegmentSum', values(rng, [2], 'f'), i32(0, 5), np.int32(3), label='error_index', error=INVALID_ARGUMENT)
    op_case(w, 'DynamicStitch', [i32(0, 3), i32(1, 2)], [values(rng, [2, 2], 'f'), values(rng, [2, 2], 'f')])
    op_case(w, 'DynamicStitch', [i32(2), np.int32(0)], [values(rng, [1], 'i'), values(rng, [], 'i')], label='gap')
    for dtype in (np.int32, np.int64, np.uint8):
        op_case(w, 'OneHot', np.array([1, 3, 0], dtype), np.int32(4), np.float32(1), np.float32(0), label=np.dtype(dtype).name)
    op_case(w, 'OneHot', np.array([[2, -1], [0, 9]], np.int32), np.int32(3), np.float64(5), np.float64(-2), label='outside')
    op_case(w, 'OneHot', i64(1, 0), np.int32(2), np.int32(7), np.int32(1), label='axis_0', axis=0)
    op_case(w, 'OneHot', np.array([[1], [0]], np.int64), np.int32(3), np.bool_(True), np.bool_(False), label='axis_1', axis=1)
    op_case(w, 'OneHot', i32(0), np.int32(-1), np.float32(1), np.float32(0), label='error_depth', error=INVALID_ARGUMENT)
    op_case(w, 'Unique', i32(4, 2, 4, 4, 7, 2))
    op_case(w, 'Unique', np.array([b'b', b'a', b'b']), label='string', out_idx=tf.int64)


CAST_TYPES = [tf.float32, tf.float64, tf.half, tf.bfloat16, tf.int8, tf.uint8, tf.int16, tf.uint16, tf.int32, tf.int64, tf.bool,
              tf.complex64]


def casts(w):
    numbers = np.array([0.0, 1.0, 2.75, 100.5, 0.499])
    for source in CAST_TYPES:
        for target in CAST_TYPES:
            if source != target:
                op_case(w, 'Cast', numbers.astype(source.as_numpy_dtype), label=f'{source.name}_to_{target.name}', DstT=target)
    op_case(w, 'Cast', np.array([1.0 + 2 ** -9, 3.14159265, 65504.0, 1e-3], 'f'), label='rounds_half', DstT=tf.half)
    op_case(w, 'Cast', np.array([1.0 + 2 ** -9, 3.14159265, 65504.0, np.nan, np.inf], 'f'), label='rounds_bfloat16', DstT=tf.bfloat16)
    op_case(w, 'Cast', np.array([1.0 + 2 ** -9, 3.14159265, -7.3], 'f'), label='truncates', DstT=tf.half, Truncate=True)
    op_case(w, 'Cast', np.array([-2.9, -0.5, 2.9], 'f'), label='toward_zero', DstT=tf.int32)
    op_case(w, 'Cast', np.array([-1, 255, 256, 70000], 'i'), label='wraps', DstT=tf.uint8)
    rng = rng_for('bitcast')
    op_case(w, 'Bitcast', values(rng, [3], 'f'), label='float_int', type=tf.int32)
    op_case(w, 'Bitcast', values(rng, [3], 'f'), label='narrow', type=tf.uint8)
    op_case(w, 'Bitcast', values(rng, [2, 8], 'uint8', 0, 255), label='wide', type=tf.int64)
    op_case(w, 'Bitcast', values(rng, [3], 'uint8', 0, 255), label='error', error=INVALID_ARGUMENT, type=tf.int64)


def plain(w):
    """Constants, placeholders and the ops that only pass values on."""
    rng = rng_for('plain')
    for op in ('StopGradient', 'PreventGradient', 'Snapshot'):
        op_case(w, op, values(rng, [2, 2], 'f'))
    op_case(w, 'Identity', np.array([b'abc', b'', b'\0x']), label='string')
    op_case(w, 'IdentityN', [values(rng, [2], 'f'), values(rng, [], 'i')])
    for dtype in CAST_TYPES + [tf.complex128, tf.uint32, tf.uint64]:
        graph = tf.Graph()
        with graph.as_default():
            tf.constant(values(rng, [2, 3], dtype), dtype, name='op')
        finish_case(w, 'Const', dtype.name, graph, ['op:0'])
    for label, value in (('scalar', 3.5), ('empty', np.zeros([2, 0], 'f')), ('string', [[b'a', b'\xff\0']]), ('filled', np.full([40], 7, 'i'))):
        graph = tf.Graph()
        with graph.as_default():
            tf.constant(value, name='op')
        finish_case(w, 'Const', label, graph, ['op:0'])
    for label, shape, fed, error in (('fed', [None, 2], np.ones([3, 2], 'f'), 0), ('error_unfed', [2], None, INVALID_ARGUMENT),
                                     ('any', None, np.float32(4), 0)):
        graph = tf.Graph()
        with graph.as_default():
            p = tf.placeholder(tf.float32, shape, name='p')
            tf.identity(p, name='op')
        finish_case(w, 'Placeholder', label, graph, ['op:0'], feeds={} if fed is None else {'p:0': fed}, error=error)
    for label, fed in (('default', None), ('fed', np.array([5.0, 6.0, 7.0], 'f'))):
        graph = tf.Graph()
        with graph.as_default():
            tf.placeholder_with_default(np.array([1.0, 2.0], 'f'), [None], name='op')
        finish_case(w, 'PlaceholderWithDefault', label, graph, ['op:0'], feeds={} if fed is None else {'op:0': fed})
    op_case(w, 'StringJoin', [np.array([b'a', b'b']), np.array(b'-'), np.array([b'', b'c'])])
    op_case(w, 'StringJoin', [np.array(b'x'), np.array(b'y')], label='separator', separator=', ')
    op_case(w, 'StringJoin', [np.array([b'x', b'z']), np.array([b'y'] * 3)], label='error', error=INVALID_ARGUMENT)
    op_case(w, 'StaticRegexFullMatch', np.array([b's3://bucket/a', b'/tmp/a', b'']), pattern='^s3://.*')
    op_case(w, 'ShardedFilename', np.array(b'dir/model'), np.int32(2), np.int32(10))
    op_case(w, 'StringLength', np.array([b'abc', b'', b'\0\0']))
    raw_bytes = np.array([np.array([1.5, -2.0], '<f4').tobytes(), np.array([0.25, 9.0], '<f4').tobytes()], object)
    op_case(w, 'DecodeRaw', raw_bytes, out_type=tf.float32, dtypes=['string'])
    op_case(w, 'DecodeRaw', raw_bytes, label='bytes', out_type=tf.uint8, dtypes=['string'])
    op_case(w, 'DecodeRaw', np.array([b'\1\2\3\4', b'\0\0\0\1'], object), label='big_endian', out_type=tf.int32, little_endian=False, dtypes=['string'])
    op_case(w, 'DecodeRaw', np.array([b'abcd', b'ab'], object), label='error_lengths', out_type=tf.uint8, error=INVALID_ARGUMENT, dtypes=['string'])
    op_case(w, 'DecodeRaw', np.array([b'abc'], object), label='error_size', out_type=tf.int32, error=INVALID_ARGUMENT, dtypes=['string'])


def make(w):
    shapes(w)
    moving(w)
    picking(w)
    casts(w)
    plain(w)
