"""Cases of convolutions, pooling and the normalization of channels.

CPU TensorFlow has kernels for NHWC only: cases labelled `nchw` expect the NHWC results transposed."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, finish_case, op_case, raw, rng_for, session, tensor_proto, tolerance, values

INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12
TOLERANCE = {'float32': (5e-5, 2e-5), 'float64': (1e-10, 1e-11), 'float16': (1e-2, 1e-2), 'bfloat16': (5e-2, 5e-2),
             'int32': (0.0, 0.0)}


def i32(*numbers):
    return np.array(numbers, np.int32)


def loose(dtype):
    rtol, atol = TOLERANCE[np.dtype(dtype).name if not isinstance(dtype, str) else dtype]
    return {'rtol': rtol, 'atol': atol}


def channels_first(array):
    return np.moveaxis(array, -1, 1)


def reorder(values, first):
    """An attribute with a value per dimension, moved to NCHW."""
    return [values[0], values[-1], *values[1:-1]] if first else list(values)


def nchw_case(w, op, inputs, images, sizes=(), outputs=(0,), label='', rtol=5e-5, atol=2e-5, **attrs):
    """`images`: which inputs are images; `sizes`: which are the sizes of images; `outputs`: which outputs are images."""
    def graph_of(first):
        graph = tf.Graph()
        with graph.as_default():
            tensors = []
            for i, value in enumerate(inputs):
                value = np.asarray(value)
                if first and i in images:
                    value = channels_first(value)
                if first and i in sizes:
                    value = np.array(reorder(list(value), True), value.dtype)
                tensors.append(tf.constant(value, name=f'in{i}'))
            used = dict(attrs, data_format='NCHW' if first else 'NHWC')
            for name in ('strides', 'ksize', 'dilations'):
                if name in used:
                    used[name] = reorder(used[name], first)
            raw(op, tensors, used)
        return graph

    graph = graph_of(False)
    fetches = [t.name for t in graph.get_operation_by_name('op').outputs]
    with session(graph) as sess:
        expected = sess.run(fetches)
    expected = [channels_first(v) if i in outputs else v for i, v in enumerate(expected)]
    # What an op leaves undefined (room for cuDNN) is not compared.
    kept = [(f, v) for f, v in zip(fetches, expected) if op.startswith('FusedBatchNorm') is False or f in
            ('op:0', 'op:1', 'op:2')]
    used_rtol, used_atol = tolerance([v for _, v in kept], rtol, atol)
    name = f'{op}/{w.number(op):02d}_nchw' + (f'_{label}' if label else '')
    w.add(op, example(name=name, op=op, graph_def=graph_of(True).as_graph_def().SerializeToString(deterministic=True),
                      fetches=[f for f, _ in kept], expected=[tensor_proto(v) for _, v in kept],
                      rtol=float(used_rtol), atol=float(used_atol), error_code=0))


# name, input, filter [h, w, in / groups, out], strides, padding, dilations, explicit paddings
CONVOLUTIONS = [
    ('same_5x5', (2, 7, 9, 2), (5, 5, 2, 3), (1, 1), 'SAME', (1, 1), None),
    ('same_even', (1, 6, 5, 3), (2, 4, 3, 2), (1, 1), 'SAME', (1, 1), None),
    ('same_strides', (3, 9, 8, 1), (3, 3, 1, 4), (2, 3), 'SAME', (1, 1), None),
    ('valid_strides', (1, 10, 11, 2), (3, 2, 2, 5), (3, 2), 'VALID', (1, 1), None),
    ('valid_dilated', (2, 9, 9, 2), (3, 2, 2, 2), (1, 1), 'VALID', (2, 3), None),
    ('same_dilated', (1, 7, 8, 3), (2, 3, 3, 2), (1, 1), 'SAME', (3, 2), None),
    ('explicit', (2, 4, 5, 2), (3, 3, 2, 3), (1, 2), 'EXPLICIT', (1, 1), (0, 0, 2, 1, 0, 2, 0, 0)),
    ('groups', (2, 5, 4, 6), (3, 2, 2, 9), (1, 1), 'SAME', (1, 1), None),
    ('pointwise', (2, 3, 4, 7), (1, 1, 7, 3), (1, 1), 'VALID', (1, 1), None),
    ('whole', (2, 4, 3, 2), (4, 3, 2, 6), (1, 1), 'VALID', (1, 1), None),
    ('wide', (1, 6, 6, 16), (3, 3, 16, 32), (1, 1), 'SAME', (1, 1), None),
    ('stride_beyond', (1, 5, 7, 2), (2, 2, 2, 3), (4, 6), 'VALID', (1, 1), None),
]


def conv_attrs(case):
    name, _, _, strides, padding, dilations, explicit = case
    attrs = {'strides': [1, *strides, 1], 'padding': padding, 'dilations': [1, *dilations, 1]}
    if explicit:
        attrs['explicit_paddings'] = list(explicit)
    return attrs


def run(op, inputs, attrs):
    graph = tf.Graph()
    with graph.as_default():
        raw(op, [tf.constant(v) for v in inputs], attrs)
    with session(graph) as sess:
        return sess.run('op:0')


def conv2d(w):
    for case in CONVOLUTIONS:
        name, shape, filter_shape = case[:3]
        rng = rng_for('conv2d' + name)
        attrs = conv_attrs(case)
        x, f = values(rng, shape, 'f'), values(rng, filter_shape, 'f', -1, 1)
        y = run('Conv2D', [x, f], attrs)
        dy = values(rng, y.shape, 'f')
        op_case(w, 'Conv2D', x, f, label=name, **attrs, **loose('float32'))
        # CPU TensorFlow has no backprops of grouped and dilated convolutions.
        has_backprops = shape[3] == filter_shape[2] and case[5] == (1, 1)
        if has_backprops:
            op_case(w, 'Conv2DBackpropInput', i32(*shape), f, dy, label=name, **attrs, **loose('float32'))
            op_case(w, 'Conv2DBackpropFilter', x, i32(*filter_shape), dy, label=name, **attrs, **loose('float32'))
        if not attrs.get('explicit_paddings'):
            nchw_case(w, 'Conv2D', [x, f], images=(0,), label=name, **attrs)
        if not attrs.get('explicit_paddings') and has_backprops:
            nchw_case(w, 'Conv2DBackpropInput', [i32(*shape), f, dy], images=(2,), sizes=(0,), label=name, **attrs)
            nchw_case(w, 'Conv2DBackpropFilter', [x, i32(*filter_shape), dy], images=(0, 2), outputs=(), label=name,
                      **attrs)
    rng = rng_for('conv2d dtypes')
    attrs = {'strides': [1, 2, 1, 1], 'padding': 'SAME'}
    for dtype in ('float64', 'float16', 'bfloat16', 'int32'):
        kind = tf.as_dtype(dtype).as_numpy_dtype
        x, f = values(rng, (2, 5, 6, 3), kind), values(rng, (3, 3, 3, 2), kind, -1, 1)
        op_case(w, 'Conv2D', x, f, label=dtype, **attrs, **loose(dtype))
        dy = values(rng, (2, 3, 6, 2), kind)
        op_case(w, 'Conv2DBackpropInput', i32(2, 5, 6, 3), f, dy, label=dtype, **attrs, **loose(dtype))
        if dtype != 'int32':
            rtol, atol = TOLERANCE[dtype]
            if dtype == 'bfloat16':
                # TensorFlow adds up in bfloat16 here: up to 0.21 off the sums in double, whose largest is 40 (spacing 0.25).
                atol = 0.2
            op_case(w, 'Conv2DBackpropFilter', x, i32(3, 3, 3, 2), dy, label=dtype, rtol=rtol, atol=atol, **attrs)
    conv2d_edges(w, rng)


def conv2d_edges(w, rng):
    image, kernel = values(rng, (1, 4, 4, 2), 'f'), values(rng, (2, 2, 2, 3), 'f')
    valid = {'strides': [1, 1, 1, 1], 'padding': 'VALID'}
    same = {'strides': [1, 1, 1, 1], 'padding': 'SAME'}
    op_case(w, 'Conv2D', values(rng, (0, 4, 4, 2), 'f'), kernel, label='no_images', **valid)
    op_case(w, 'Conv2D', image, values(rng, (2, 2, 2, 0), 'f'), label='no_filters', **valid)
    op_case(w, 'Conv2D', values(rng, (1, 0, 4, 2), 'f'), kernel, label='no_rows', **same)
    op_case(w, 'Conv2D', values(rng, (1, 2, 2, 2), 'f'), values(rng, (3, 3, 2, 1), 'f'), label='window_one_too_large',
            feeds=True, **valid)
    op_case(w, 'Conv2D', image, kernel, label='huge_dilation', strides=[1, 1, 1, 1], padding='SAME',
            dilations=[1, 2**31 - 1, 1, 1], **loose('float32'))
    op_case(w, 'Conv2DBackpropInput', i32(4, 4), kernel, values(rng, (1, 3, 3, 3), 'f'), label='two_sizes', **valid,
            **loose('float32'))
    op_case(w, 'Conv2DBackpropFilter', values(rng, (0, 4, 4, 2), 'f'), i32(2, 2, 2, 3), values(rng, (0, 3, 3, 3), 'f'),
            label='no_images', **valid)
    op_case(w, 'Conv2DBackpropInput', i32(1, 4, 4, 2), values(rng, (2, 2, 2, 0), 'f'), values(rng, (1, 3, 3, 0), 'f'),
            label='no_filters', **valid)
    bad = {'error': INVALID_ARGUMENT}
    op_case(w, 'Conv2D', image, values(rng, (2, 2, 3, 3), 'f'), label='error_depth', **bad, **valid)
    op_case(w, 'Conv2D', values(rng, (1, 4, 4, 4), 'f'), values(rng, (2, 2, 2, 3), 'f'), label='error_groups', **bad,
            **valid)
    op_case(w, 'Conv2D', image, values(rng, (6, 2, 2, 3), 'f'), label='error_window', **bad, **valid)
    op_case(w, 'Conv2D', image, values(rng, (0, 2, 2, 3), 'f'), label='error_no_window', **bad, **valid)
    op_case(w, 'Conv2D', values(rng, (4, 4, 2), 'f'), kernel, label='error_rank', **bad, **valid)
    op_case(w, 'Conv2D', image, values(rng, (2, 2, 2), 'f'), label='error_filter_rank', **bad, **valid)
    op_case(w, 'Conv2D', image, kernel, label='error_batch_stride', strides=[2, 1, 1, 1], padding='VALID',
            error=UNIMPLEMENTED)
    op_case(w, 'Conv2D', image, kernel, label='error_depth_dilation', dilations=[1, 1, 1, 2], error=UNIMPLEMENTED,
            **valid)
    dy = values(rng, (1, 3, 3, 3), 'f')
    for sizes, label in ((i32(1, 4, 4), 'length'), (i32(1, -4, 4, 2), 'negative'), (i32(1, 9, 4, 2), 'mismatch'),
                         (i32(2, 4, 4, 2), 'batch'), (i32(1, 4, 4, 3), 'depth')):
        op_case(w, 'Conv2DBackpropInput', sizes, kernel, dy, label=f'error_{label}', **bad, **valid)
    op_case(w, 'Conv2DBackpropInput', i32(1, 4, 4, 2), kernel, values(rng, (1, 3, 3, 2), 'f'), label='error_out_depth',
            **bad, **valid)
    for sizes, label in ((i32(2, 2, 2), 'length'), (i32(2, -2, 2, 3), 'negative'), (i32(3, 2, 2, 3), 'mismatch')):
        op_case(w, 'Conv2DBackpropFilter', image, sizes, dy, label=f'error_{label}', **bad, **valid)


def depthwise(w):
    op, to_input, to_filter = ('DepthwiseConv2dNative', 'DepthwiseConv2dNativeBackpropInput',
                               'DepthwiseConv2dNativeBackpropFilter')
    cases = [('same', (2, 6, 7, 3), (3, 3, 3, 1), 1, 'SAME', None), ('valid', (1, 7, 6, 2), (2, 3, 2, 3), 2, 'VALID', None),
             ('same_strides', (2, 8, 5, 4), (3, 2, 4, 2), 2, 'SAME', None),
             ('explicit', (1, 5, 6, 3), (3, 3, 3, 2), 2, 'EXPLICIT', (0, 0, 1, 2, 2, 0, 0, 0)),
             ('wide', (1, 6, 6, 32), (3, 3, 32, 1), 1, 'SAME', None)]
    for name, shape, filter_shape, stride, padding, explicit in cases:
        rng = rng_for('depthwise' + name)
        attrs = {'strides': [1, stride, stride, 1], 'padding': padding}
        if explicit:
            attrs['explicit_paddings'] = list(explicit)
        for dtype in ('float32', 'float64', 'float16') if name == 'valid' else ('float32',):
            x, f = values(rng, shape, dtype), values(rng, filter_shape, dtype, -1, 1)
            dy = values(rng, run(op, [x, f], attrs).shape, dtype)
            label = name if dtype == 'float32' else f'{name}_{dtype}'
            op_case(w, op, x, f, label=label, **attrs, **loose(dtype))
            op_case(w, to_input, i32(*shape), f, dy, label=label, **attrs, **loose(dtype))
            op_case(w, to_filter, x, i32(*filter_shape), dy, label=label, **attrs, **loose(dtype))
            if dtype == 'float32' and not explicit:
                nchw_case(w, op, [x, f], images=(0,), label=name, **attrs)
                nchw_case(w, to_input, [i32(*shape), f, dy], images=(2,), sizes=(0,), label=name, **attrs)
                nchw_case(w, to_filter, [x, i32(*filter_shape), dy], images=(0, 2), outputs=(), label=name, **attrs)
    rng = rng_for('depthwise errors')
    x = values(rng, (1, 4, 4, 2), 'f')
    one = {'strides': [1, 1, 1, 1], 'padding': 'VALID', 'error': INVALID_ARGUMENT}
    op_case(w, op, x, values(rng, (2, 2, 3, 1), 'f'), label='error_channels', **one)
    op_case(w, op, x, values(rng, (7, 7, 2, 1), 'f'), label='error_window', **one)
    op_case(w, op, x, values(rng, (2, 2, 2, 1), 'f'), label='error_strides', strides=[1, 1, 2, 1], padding='VALID',
            error=INVALID_ARGUMENT)
    op_case(w, to_input, i32(1, 4, 4), values(rng, (2, 2, 2, 1), 'f'), values(rng, (1, 3, 3, 2), 'f'),
            label='error_sizes', **one)
    op_case(w, to_filter, x, i32(2, 2, 2, 1), values(rng, (1, 3, 3, 4), 'f'), label='error_depth', **one)


def conv3d(w):
    for name, stride, padding, dtype in (('same', 1, 'SAME', 'float32'), ('strides', 2, 'SAME', 'float32'),
                                         ('valid', 1, 'VALID', 'float32'), ('double', 2, 'VALID', 'float64')):
        rng = rng_for('conv3d' + name)
        attrs = {'strides': [1, stride, stride, stride, 1], 'padding': padding}
        shape, filter_shape = (2, 4, 5, 3, 2), (2, 3, 2, 2, 3)
        x, f = values(rng, shape, dtype), values(rng, filter_shape, dtype, -1, 1)
        dy = values(rng, run('Conv3D', [x, f], attrs).shape, dtype)
        op_case(w, 'Conv3D', x, f, label=name, **attrs, **loose(dtype))
        op_case(w, 'Conv3DBackpropInputV2', i32(*shape), f, dy, label=name, **attrs, **loose(dtype))
        op_case(w, 'Conv3DBackpropFilterV2', x, i32(*filter_shape), dy, label=name, **attrs, **loose(dtype))
    one = {'strides': [1, 1, 1, 1, 1], 'padding': 'VALID', 'error': INVALID_ARGUMENT}
    op_case(w, 'Conv3D', np.ones((1, 3, 3, 3, 4), 'f'), np.ones((2, 2, 2, 3, 1), 'f'), label='error_depth', **one)
    op_case(w, 'Conv3D', np.ones((1, 3, 3, 3), 'f'), np.ones((2, 2, 2, 3, 1), 'f'), label='error_rank', **one)


# name, images, window, strides, padding
POOLS = [('same', (2, 7, 6, 3), (3, 2), (2, 2), 'SAME'), ('valid', (1, 8, 7, 2), (2, 3), (1, 2), 'VALID'),
         ('overlap', (2, 6, 6, 4), (3, 3), (1, 1), 'SAME'), ('sparse', (1, 9, 9, 2), (2, 2), (4, 3), 'VALID'),
         ('large', (2, 3, 4, 2), (7, 9), (2, 2), 'SAME'), ('wide', (1, 4, 4, 33), (2, 2), (2, 2), 'VALID')]


def pooled(shape, window, strides, padding):
    sizes = [(n + s - 1) // s if padding == 'SAME' else (n - k + s) // s
             for n, k, s in zip(shape[1:-1], window, strides)]
    return (shape[0], *sizes, shape[-1])


def pooling(w):
    for name, shape, window, strides, padding in POOLS:
        rng = rng_for('pool' + name)
        attrs = {'ksize': [1, *window, 1], 'strides': [1, *strides, 1], 'padding': padding}
        v2 = {'padding': padding}
        x = values(rng, shape, 'f')
        y = run('MaxPool', [x], attrs)
        dy, ddx = values(rng, y.shape, 'f'), values(rng, shape, 'f')
        op_case(w, 'MaxPool', x, label=name, **attrs)
        op_case(w, 'MaxPoolV2', x, i32(1, *window, 1), i32(1, *strides, 1), label=name, **v2)
        op_case(w, 'MaxPoolGrad', x, y, dy, label=name, **attrs)
        op_case(w, 'MaxPoolGradV2', x, y, dy, i32(1, *window, 1), i32(1, *strides, 1), label=name, **v2)
        op_case(w, 'MaxPoolGradGrad', x, y, ddx, label=name, **attrs)
        op_case(w, 'AvgPool', x, label=name, rtol=1e-5, atol=1e-6, **attrs)
        op_case(w, 'AvgPoolGrad', i32(*shape), dy, label=name, rtol=1e-5, atol=1e-6, **attrs)
        for batch in (False, True):
            argmax = run_argmax(x, attrs, batch)
            label = f'{name}_batch' if batch else name
            op_case(w, 'MaxPoolWithArgmax', x, label=label, include_batch_in_index=batch, **attrs)
            op_case(w, 'MaxPoolGradWithArgmax', x, dy, argmax, label=label, include_batch_in_index=batch, **attrs)
        nchw_case(w, 'MaxPool', [x], images=(0,), label=name, **attrs)
        nchw_case(w, 'MaxPoolGrad', [x, y, dy], images=(0, 1, 2), label=name, **attrs)
        nchw_case(w, 'MaxPoolGradGrad', [x, y, ddx], images=(0, 1, 2), label=name, **attrs)
        nchw_case(w, 'AvgPool', [x], images=(0,), label=name, **attrs)
        nchw_case(w, 'AvgPoolGrad', [i32(*shape), dy], images=(1,), sizes=(0,), label=name, **attrs)
    pooling_dtypes(w)
    pooling_edges(w)
    pooling_3d(w)


def run_argmax(x, attrs, batch):
    graph = tf.Graph()
    with graph.as_default():
        raw('MaxPoolWithArgmax', [tf.constant(x)], dict(attrs, include_batch_in_index=batch, Targmax=tf.int64))
    with session(graph) as sess:
        return sess.run('op:1')


def pooling_dtypes(w):
    attrs = {'ksize': [1, 2, 3, 1], 'strides': [1, 2, 1, 1], 'padding': 'SAME'}
    rng = rng_for('pool dtypes')
    for dtype in ('float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'int16', 'int8', 'uint16'):
        kind = tf.as_dtype(dtype).as_numpy_dtype
        x = values(rng, (2, 4, 5, 2), kind)
        op_case(w, 'MaxPool', x, label=dtype, **attrs)
        y = run('MaxPool', [x], attrs)
        dy = values(rng, y.shape, kind)
        op_case(w, 'MaxPoolGrad', x, y, dy, label=dtype, rtol=2e-2 if 'float' in dtype and dtype != 'float64' else None,
                atol=2e-2 if 'float' in dtype and dtype != 'float64' else None, **attrs)
        if 'float' in dtype:
            loose16 = {'rtol': 2e-2, 'atol': 2e-2} if dtype != 'float64' else {}
            op_case(w, 'AvgPool', x, label=dtype, **loose16, **attrs)
            op_case(w, 'AvgPoolGrad', i32(2, 4, 5, 2), dy, label=dtype, **loose16, **attrs)


def pooling_edges(w):
    rng = rng_for('pool edges')
    window = {'ksize': [1, 2, 2, 1], 'strides': [1, 1, 1, 1], 'padding': 'VALID'}
    x = values(rng, (1, 4, 4, 2), 'f')
    special = np.array([[1, np.nan, 2, 3], [4, -np.inf, np.inf, np.nan]], 'f').reshape(1, 2, 4, 1)
    op_case(w, 'MaxPool', special, label='special', **window)
    op_case(w, 'MaxPoolWithArgmax', special, label='special', **window)
    op_case(w, 'MaxPool', np.array([2, 5, 5, 2], 'f').reshape(1, 2, 2, 1), label='ties', **window)
    op_case(w, 'MaxPoolWithArgmax', np.array([2, 5, 5, 2], 'f').reshape(1, 2, 2, 1), label='ties', Targmax=tf.int32,
            **window)
    op_case(w, 'MaxPool', x, label='explicit', ksize=[1, 3, 2, 1], strides=[1, 1, 2, 1], padding='EXPLICIT',
            explicit_paddings=[0, 0, 1, 2, 0, 1, 0, 0])
    op_case(w, 'MaxPool', values(rng, (2, 2, 3, 6), 'f'), label='depth', ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3],
            padding='VALID')
    for op in ('MaxPool', 'AvgPool'):
        op_case(w, op, values(rng, (0, 4, 4, 2), 'f'), label='no_images', **window)
        op_case(w, op, values(rng, (1, 2, 2, 1), 'f'), label='window_one_too_large', feeds=True, ksize=[1, 3, 3, 1],
                strides=[1, 1, 1, 1], padding='VALID')
        op_case(w, op, x, label='huge_window', ksize=[1, 2**31 - 1, 2**31 - 1, 1], strides=[1, 3, 3, 1],
                padding='SAME', rtol=1e-5, atol=1e-6)
        op_case(w, op, x, label='error_window', ksize=[1, 6, 2, 1], strides=[1, 1, 1, 1], padding='VALID',
                error=INVALID_ARGUMENT)
        op_case(w, op, x, label='error_zero_window', ksize=[1, 0, 2, 1], strides=[1, 1, 1, 1], padding='VALID',
                error=INVALID_ARGUMENT)
        op_case(w, op, x, label='error_negative_window', ksize=[1, -1, 2, 1], strides=[1, 1, 1, 1], padding='VALID',
                error=INVALID_ARGUMENT)
        op_case(w, op, x, label='error_batch_window', ksize=[2, 1, 1, 1], strides=[1, 1, 1, 1], padding='VALID',
                error=UNIMPLEMENTED)
        op_case(w, op, x, label='error_batch_stride', ksize=[1, 1, 1, 1], strides=[2, 1, 1, 1], padding='VALID',
                error=UNIMPLEMENTED)
        op_case(w, op, values(rng, (4, 4, 2), 'f'), label='error_rank', error=INVALID_ARGUMENT, **window)
        op_case(w, op, values(rng, (1, 0, 4, 2), 'f'), label='error_no_rows', error=INVALID_ARGUMENT, **window)
    op_case(w, 'MaxPool', x, label='error_explicit', ksize=[1, 2, 2, 1], strides=[1, 1, 1, 1], padding='EXPLICIT',
            explicit_paddings=[0, 0, 2, 0, 0, 0, 0, 0], error=INVALID_ARGUMENT)
    op_case(w, 'MaxPoolV2', x, i32(1, 2, 2), i32(1, 1, 1, 1), label='error_length', padding='VALID',
            error=INVALID_ARGUMENT)
    op_case(w, 'MaxPoolV2', x, i32(1, 2, 2, 1), i32(1, 0, 1, 1), label='error_stride', padding='VALID',
            error=INVALID_ARGUMENT)
    y, dy = values(rng, (1, 3, 3, 2), 'f'), values(rng, (1, 3, 3, 2), 'f')
    wrong = values(rng, (1, 2, 2, 2), 'f')
    op_case(w, 'MaxPoolGrad', x, wrong, dy, label='error_output', error=INVALID_ARGUMENT, **window)
    op_case(w, 'MaxPoolGrad', x, y, wrong, label='error_gradient', error=INVALID_ARGUMENT, **window)
    op_case(w, 'MaxPoolGradGrad', x, y, wrong, label='error_gradient', error=INVALID_ARGUMENT, **window)
    op_case(w, 'AvgPoolGrad', i32(1, 4, 4), dy, label='error_length', error=INVALID_ARGUMENT, **window)
    op_case(w, 'AvgPoolGrad', i32(1, -4, 4, 2), dy, label='error_negative', error=INVALID_ARGUMENT, **window)


def pooling_3d(w):
    for name, stride, padding in (('same', 2, 'SAME'), ('valid', 1, 'VALID')):
        rng = rng_for('pool3d' + name)
        attrs = {'ksize': [1, 2, 3, 2, 1], 'strides': [1, stride, stride, stride, 1], 'padding': padding}
        shape = (2, 4, 5, 3, 2)
        x = values(rng, shape, 'f')
        y = run('MaxPool3D', [x], attrs)
        dy = values(rng, y.shape, 'f')
        op_case(w, 'MaxPool3D', x, label=name, **attrs)
        op_case(w, 'MaxPool3DGrad', x, y, dy, label=name, **attrs)
        op_case(w, 'MaxPool3DGradGrad', x, y, values(rng, shape, 'f'), label=name, **attrs)
        op_case(w, 'AvgPool3D', x, label=name, rtol=1e-5, atol=1e-6, **attrs)
        op_case(w, 'AvgPool3DGrad', i32(*shape), dy, label=name, rtol=1e-5, atol=1e-6, **attrs)


def batch_norm_case(w, op, label, shape, dtype='float32', **attrs):
    """The op and, on its own outputs, its gradient; outputs that are left undefined are not compared."""
    rng = rng_for(op + label)
    kind = tf.as_dtype(dtype).as_numpy_dtype
    channels = [shape[-1]]
    training = attrs.get('is_training', True)
    given = not training or attrs.get('exponential_avg_factor', 1.0) != 1.0
    x = values(rng, shape, kind)
    vectors = [values(rng, channels, 'f', 0.5, 2), values(rng, channels, 'f')]
    vectors += [values(rng, channels if given else [0], 'f'), values(rng, channels if given else [0], 'f', 0.5, 2)]
    rtol, atol = (1e-4, 2e-5) if dtype == 'float32' else (3e-2, 3e-2)
    if label.startswith('nchw'):
        nchw_case(w, op, [x, *vectors], images=(0,), rtol=rtol, atol=atol, label=label[5:], **attrs)
        return
    graph = tf.Graph()
    with graph.as_default():
        inputs = [tf.constant(v, name=f'in{i}') for i, v in enumerate([x, *vectors])]
        y = raw(op, inputs, attrs)
        wanted = [f'op:{i}' for i in range(5 if training else 3)]
    finish_case(w, op, label, graph, wanted, rtol=rtol, atol=atol)
    grad = {'FusedBatchNorm': 'FusedBatchNormGrad', 'FusedBatchNormV2': 'FusedBatchNormGradV2',
            'FusedBatchNormV3': 'FusedBatchNormGradV3'}[op]
    graph = tf.Graph()
    with graph.as_default():
        inputs = [tf.constant(v) for v in [x, *vectors]]
        y = raw(op, inputs, attrs, name='forward')
        dy = tf.constant(values(rng, shape, kind))
        stats = [y[3], y[4]] if training else inputs[3:]
        extra = [y[5]] if op.endswith('V3') else []
        raw(grad, [dy, inputs[0], inputs[1], *stats, *extra],
            {k: v for k, v in attrs.items() if k != 'exponential_avg_factor'})
    finish_case(w, grad, label, graph, ['op:0', 'op:1', 'op:2'], rtol=10 * rtol, atol=10 * atol)


def normalization(w):
    for op in ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3'):
        batch_norm_case(w, op, 'training', (3, 5, 4, 6), epsilon=1e-3)
        batch_norm_case(w, op, 'inference', (2, 3, 4, 5), is_training=False)
        batch_norm_case(w, op, 'average', (2, 3, 3, 17), exponential_avg_factor=0.25)
        batch_norm_case(w, op, 'one_element', (1, 1, 1, 4))
        batch_norm_case(w, op, 'wide', (2, 3, 2, 40), epsilon=1e-2)
        batch_norm_case(w, op, 'nchw_training', (3, 4, 5, 3))
        batch_norm_case(w, op, 'nchw_inference', (2, 4, 5, 3), is_training=False)
        if op != 'FusedBatchNorm':
            batch_norm_case(w, op, 'half', (2, 5, 4, 3), 'float16', epsilon=1e-2)
            batch_norm_case(w, op, 'bfloat16', (2, 5, 4, 3), 'bfloat16', epsilon=1e-2)
        rng = rng_for(op + 'errors')
        x, c, none = values(rng, (2, 2, 2, 3), 'f'), values(rng, [3], 'f'), np.zeros([0], 'f')
        bad = {'error': INVALID_ARGUMENT}
        op_case(w, op, x, values(rng, [2], 'f'), c, none, none, label='error_scale', **bad)
        op_case(w, op, x, values(rng, [3, 1], 'f'), c, none, none, label='error_scale_rank', **bad)
        op_case(w, op, values(rng, (2, 2, 3), 'f'), c, c, none, none, label='error_rank', **bad)
        op_case(w, op, x, c, c, none, none, label='error_no_mean', is_training=False, **bad)
        op_case(w, op, x, c, c, none, none, label='error_no_average', exponential_avg_factor=0.5, **bad)
    for dtype in ('float32', 'float16'):
        kind = tf.as_dtype(dtype).as_numpy_dtype
        rng = rng_for('lrn' + dtype)
        for shape, attrs, label in (((2, 3, 2, 7), {'depth_radius': 2}, 'narrow'),
                                    ((1, 2, 2, 5), {'depth_radius': 9, 'bias': 2.0, 'alpha': 0.1, 'beta': 0.75}, 'all'),
                                    ((2, 2, 1, 4), {'depth_radius': 0, 'beta': 1.0}, 'alone')):
            used = dict({'bias': 1.0, 'alpha': 1.0, 'beta': 0.5}, **attrs)
            x = values(rng, shape, kind)
            name = label if dtype == 'float32' else f'{label}_{dtype}'
            op_case(w, 'LRN', x, label=name, **used, **loose(dtype))
            op_case(w, 'LRNGrad', values(rng, shape, kind), x, run('LRN', [x], used), label=name, **used, **loose(dtype))
    op_case(w, 'LRN', np.ones((2, 2, 3), 'f'), label='error_rank', error=INVALID_ARGUMENT)
    op_case(w, 'LRN', np.ones((1, 2, 2, 3), 'f'), label='error_radius', depth_radius=-1, error=INVALID_ARGUMENT)
    op_case(w, 'LRNGrad', np.ones((1, 2, 2, 3), 'f'), np.ones((1, 2, 2, 3), 'f'), np.ones((1, 2, 2, 2), 'f'),
            label='error_shape', error=INVALID_ARGUMENT)


def make(w):
    conv2d(w)
    depthwise(w)
    conv3d(w)
    pooling(w)
    normalization(w)
