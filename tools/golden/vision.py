"""Cases of pooling over random cells, morphology, resampling, patches of volumes, glimpses and random boxes."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, supported, values

INVALID_ARGUMENT, OUT_OF_RANGE, UNIMPLEMENTED = 3, 11, 12


def fractional(w):
    rng = rng_for('fractional pooling')
    for kind in ('Max', 'Avg'):
        op = f'Fractional{kind}Pool'
        for pseudo in (False, True):
            for overlap in (False, True):
                flags = dict(pseudo_random=pseudo, overlapping=overlap, deterministic=True)
                for rows, columns, seed in ((1.5, 2.2, 1), (1.0, 1.41421, 2), (2.0, 3.0, 3), (2.7, 1.1, 4), (12.0, 1.9, 5)):
                    label = f'{"pseudo" if pseudo else "random"}{"_overlapping" if overlap else ""}_{seed}'
                    op_case(w, op, values(rng, [2, 13, 17, 3], 'f'), label=label, pooling_ratio=[1.0, rows, columns, 1.0], seed=seed, seed2=7 * seed, **flags)
                gradient(w, op, rng, flags)
        for dtype in ('float64', 'int32', 'int64'):
            op_case(w, op, values(rng, [1, 9, 7, 2], dtype, -90, 90), label=dtype, pooling_ratio=[1.0, 1.7, 1.3, 1.0], seed=9, seed2=1, deterministic=True)
        image = values(rng, [2, 6, 7, 2], 'f')
        for label, ratio, code in (('batch', [2.0, 1.5, 1.5, 1.0], UNIMPLEMENTED), ('channels', [1.0, 1.5, 1.5, 2.0], UNIMPLEMENTED),
                                   ('too_high', [1.0, 7.5, 1.5, 1.0], INVALID_ARGUMENT)):
            op_case(w, op, image, label=f'error_{label}', error=code, pooling_ratio=ratio, seed=1, seed2=1, deterministic=True)
        op_case(w, op, image, label='error_seeds', error=INVALID_ARGUMENT, pooling_ratio=[1.0, 1.5, 1.5, 1.0], seed=1, seed2=1)
        op_case(w, op, image[0], label='error_rank', error=INVALID_ARGUMENT, pooling_ratio=[1.0, 1.5, 1.5, 1.0])
        op_case(w, op, image[:0], label='error_empty', error=INVALID_ARGUMENT, pooling_ratio=[1.0, 1.5, 1.5, 1.0])


def gradient(w, op, rng, flags):
    """The gradient op on cells that TensorFlow drew, from one graph."""
    for dtype in ('float32', 'float64', 'int32', 'int64'):
        graph = tf.Graph()
        with graph.as_default():
            image = tf.constant(values(rng, [2, 11, 9, 2], dtype, -50, 50))
            pooled = raw(op, [image], dict(pooling_ratio=[1.0, 1.8, 2.3, 1.0], seed=3, seed2=4, **flags), name='pooled')
            grad = tf.constant(values(rng, [2, 6, 3, 2], dtype, -50, 50))
            first = [image, pooled[0]] if 'Max' in op else [tf.constant([2, 11, 9, 2], tf.int64)]
            raw(op + 'Grad', [*first, grad, pooled[1], pooled[2]], dict(overlapping=flags['overlapping']))
        label = f'{dtype}{"_overlapping" if flags["overlapping"] else ""}{"_pseudo" if flags["pseudo_random"] else ""}'
        finish_case(w, op + 'Grad', label, graph, ['op:0'])


def fractional_errors(w):
    image = np.arange(2 * 6 * 7 * 2).reshape(2, 6, 7, 2).astype('f')
    pooled = image[:, 1::2][:, :, [1, 3, 6]]
    rows, columns = np.array([0, 2, 4, 6], np.int64), np.array([0, 2, 4, 7], np.int64)
    op_case(w, 'FractionalMaxPoolGrad', image, pooled, pooled, rows, columns, label='given')
    for label, args in (('output', (image, pooled + 1, pooled, rows, columns)), ('short', (image, pooled, pooled, rows[:3], columns)),
                        ('negative', (image, pooled, pooled, rows - 1, columns)), ('empty', (image, pooled, pooled, rows[:0], columns)),
                        ('unsorted', (image, pooled, pooled, rows[[0, 2, 1, 3]], columns))):
        op_case(w, 'FractionalMaxPoolGrad', *args, label=f'error_{label}', error=INVALID_ARGUMENT)
    shape = np.array([2, 6, 7, 2], np.int64)
    for label, args in (('shape', (shape[:3], pooled, rows, columns)), ('size', (-shape, pooled, rows, columns)), ('short', (shape, pooled, rows[:3], columns)),
                        ('negative', (shape, pooled, rows - 1, columns)), ('rank', (shape, pooled[0], rows, columns))):
        op_case(w, 'FractionalAvgPoolGrad', *args, label=f'error_{label}', error=INVALID_ARGUMENT)


def dilation(w):
    rng = rng_for('dilation')
    attrs = dict(strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding='SAME')
    for padding in ('SAME', 'VALID'):
        for k, s, r in (((2, 3), (1, 1), (1, 1)), ((3, 2), (2, 3), (1, 1)), ((2, 2), (1, 2), (2, 3)), ((1, 1), (4, 4), (1, 1))):
            for dtype in (t.as_numpy_dtype for t in supported('Dilation2D')) if k == (2, 3) else ('float32',):
                image, kernel = values(rng, [2, 7, 8, 3], dtype, -9, 9), values(rng, [*k, 3], dtype, -9, 9)
                options = dict(strides=[1, *s, 1], rates=[1, *r, 1], padding=padding)
                label = f'{padding}_{np.dtype(dtype).name}_{k[0]}x{k[1]}'
                op_case(w, 'Dilation2D', image, kernel, label=label, **options)
                with tf.Graph().as_default():
                    size = tf.nn.dilation2d(np.zeros([2, 7, 8, 3], 'f'), np.zeros([*k, 3], 'f'), **options).shape.as_list()
                grad = values(rng, size, dtype, -9, 9)
                op_case(w, 'Dilation2DBackpropInput', image, kernel, grad, label=label, **options)
                op_case(w, 'Dilation2DBackpropFilter', image, kernel, grad, label=label, **options)
    image, kernel = values(rng, [2, 4, 5, 2], 'f'), values(rng, [2, 3, 2], 'f')
    op_case(w, 'Dilation2D', image[:0], kernel, label='no_images', **attrs)
    op_case(w, 'Dilation2D', image, kernel[:0], label='no_filter', **attrs)
    for label, args, changed, code in (('stride', (image, kernel), dict(strides=[1, 0, 1, 1]), INVALID_ARGUMENT),
                                       ('batch', (image, kernel), dict(strides=[2, 1, 1, 1]), UNIMPLEMENTED),
                                       ('depth', (image, kernel), dict(rates=[1, 1, 1, 2]), UNIMPLEMENTED),
                                       ('channels', (image, kernel[..., :1]), {}, INVALID_ARGUMENT), ('rank', (image[0], kernel), {}, INVALID_ARGUMENT),
                                       ('large', (image, np.zeros([9, 9, 2], 'f')), dict(padding='VALID'), INVALID_ARGUMENT)):
        op_case(w, 'Dilation2D', *args, label=f'error_{label}', error=code, **{**attrs, **changed})
    for op in ('Dilation2DBackpropInput', 'Dilation2DBackpropFilter'):
        op_case(w, op, image, kernel, image[:, :3], label='error_grad', error=INVALID_ARGUMENT, **attrs)


def resampling(w):
    rng = rng_for('resampling')
    kernels = ('lanczos1', 'lanczos3', 'lanczos5', 'gaussian', 'box', 'triangle', 'keyscubic', 'mitchellcubic')
    changes = (((4, 3), (0.5, 0.4), (0.3, -0.7)), ((13, 15), (1.9, 2.1), (0.0, 0.5)), ((7, 8), (1.0, 1.0), (2.5, -40.0)))
    f = lambda *v: np.array(v, 'f')  # noqa: E731
    for kernel in kernels:
        for antialias in (True, False):
            for size, scale, translation in changes:
                label = f'{kernel}{"" if antialias else "_aliased"}_{size[0]}x{size[1]}'
                image = values(rng, [2, 7, 8, 3], 'f')
                args = (f(*scale), f(*translation))
                options = dict(kernel_type=kernel, antialias=antialias)
                op_case(w, 'ScaleAndTranslate', image, np.array(size, np.int32), *args, label=label, **options)
                op_case(w, 'ScaleAndTranslateGrad', values(rng, [2, *size, 3], 'f'), image, *args, label=label, **options)
    for dtype in (t.as_numpy_dtype for t in supported('ScaleAndTranslate')):
        op_case(w, 'ScaleAndTranslate', values(rng, [1, 4, 5, 2], dtype, 0, 90), np.array([6, 3], np.int32), f(1.5, 0.5), f(0.0, 0.0), label=np.dtype(dtype).name)
    image, size = values(rng, [1, 4, 5, 2], 'f'), np.array([3, 3], np.int32)
    op_case(w, 'ScaleAndTranslate', image[:0], size, f(1, 1), f(0, 0), label='no_images')
    for label, args in (('size', (image, size * 0, f(1, 1), f(0, 0))), ('sizes', (image, size[:1], f(1, 1), f(0, 0))), ('scale', (image, size, f(0, 1), f(0, 0))),
                        ('nan', (image, size, f(np.nan, 1), f(0, 0))), ('scales', (image, size, f(1), f(0, 0))), ('translations', (image, size, f(1, 1), f(0))),
                        ('channels', (image[..., :0], size, f(1, 1), f(0, 0))), ('rank', (image[0], size, f(1, 1), f(0, 0)))):
        op_case(w, 'ScaleAndTranslate', *args, label=f'error_{label}', error=INVALID_ARGUMENT)
    op_case(w, 'ScaleAndTranslate', image, size, f(1, 1), f(0, 0), label='error_kernel', error=INVALID_ARGUMENT, kernel_type='sinc')
    op_case(w, 'ScaleAndTranslateGrad', image, image, f(0, 1), f(0, 0), label='error_scale', error=INVALID_ARGUMENT)
    op_case(w, 'ScaleAndTranslateGrad', image, image[0], f(1, 1), f(0, 0), label='error_rank', error=INVALID_ARGUMENT)


def volumes(w):
    rng = rng_for('volumes')
    for padding in ('SAME', 'VALID'):
        for k, s in (((2, 3, 1), (1, 1, 1)), ((3, 2, 2), (2, 3, 1)), ((1, 1, 1), (2, 2, 4)), ((2, 2, 3), (3, 1, 2))):
            op_case(w, 'ExtractVolumePatches', values(rng, [2, 5, 4, 6, 2], 'f'), label=padding, ksizes=[1, *k, 1], strides=[1, *s, 1], padding=padding)
    for dtype in (t.as_numpy_dtype for t in supported('ExtractVolumePatches')):
        op_case(w, 'ExtractVolumePatches', values(rng, [1, 3, 4, 3, 1], dtype), label=np.dtype(dtype).name, ksizes=[1, 2, 2, 2, 1], strides=[1, 1, 2, 1, 1],
                padding='SAME')
    volume = values(rng, [1, 4, 5, 6, 2], 'f')
    ones = [1, 1, 1, 1, 1]
    op_case(w, 'ExtractVolumePatches', volume[:0], label='no_volumes', ksizes=[1, 2, 2, 2, 1], strides=ones, padding='SAME')
    for label, ksizes, strides, code in (('batch', [2, 2, 2, 2, 1], ones, UNIMPLEMENTED), ('zero', [1, 0, 2, 2, 1], ones, OUT_OF_RANGE),
                                         ('stride', [1, 2, 2, 2, 1], [1, 0, 1, 1, 1], OUT_OF_RANGE), ('large', [1, 9, 9, 9, 1], ones, INVALID_ARGUMENT)):
        op_case(w, 'ExtractVolumePatches', volume, label=f'error_{label}', error=code, ksizes=ksizes, strides=strides, padding='VALID')
    op_case(w, 'ExtractVolumePatches', volume[0], label='error_rank', error=INVALID_ARGUMENT, ksizes=ones, strides=ones, padding='VALID')


def glimpses(w):
    rng = rng_for('glimpses')
    offsets = np.array([[0, 0], [0.5, -0.5], [-1.2, 0.9], [3, 2], [-5, 1]], 'f')
    zero = dict(uniform_noise=False, noise='zero')
    for op in ('ExtractGlimpse', 'ExtractGlimpseV2'):
        for centered in (True, False):
            for normalized in (True, False):
                for size in ((3, 4), (9, 2), (1, 1), (8, 9)):
                    op_case(w, op, values(rng, [5, 7, 6, 2], 'f'), np.array(size, np.int32), offsets, label=f'{centered}_{normalized}_{size[0]}x{size[1]}',
                            centered=centered, normalized=normalized, **zero)
        image = values(rng, [2, 5, 4, 1], 'f')
        size, middle = np.array([3, 3], np.int32), np.zeros([2, 2], 'f')
        op_case(w, op, image, size, middle, label='inside')  # no noise at all
        op_case(w, op, image, size * 0, middle, label='empty', **zero)
        for label, args in (('negative', (image, -size, middle)), ('sizes', (image, size[:1], middle)), ('count', (image, size, middle[:1])),
                            ('columns', (image, size, np.zeros([2, 3], 'f'))), ('rank', (image[0], size, middle))):
            op_case(w, op, *args, label=f'error_{label}', error=INVALID_ARGUMENT, **zero)
        op_case(w, op, image, size, middle, label='error_noise', error=INVALID_ARGUMENT, uniform_noise=False, noise='pink')


def boxes(w):
    rng = rng_for('random boxes')
    one = np.array([[[0.1, 0.2, 0.8, 0.9]]], 'f')
    many = np.sort(rng.uniform(0, 1, (1, 5, 2, 2)), 2).reshape(1, 5, 4).astype('f')
    use = dict(use_image_if_no_bounding_boxes=True)
    for seed in range(1, 13):
        for label, size, given, options in (('one', [300, 200, 3], one, {}), ('many', [37, 53, 1], many, dict(aspect_ratio_range=[0.2, 3.0])),
                                            ('image', [64, 64, 3], many[:, :0], use), ('small', [5, 4, 3], one, dict(area_range=[0.3, 0.9])),
                                            ('covered', [90, 70, 3], one, dict(min_object_covered=0.9, max_attempts=20))):
            op_case(w, 'SampleDistortedBoundingBox', np.array(size, np.int32), given, label=f'{label}_{seed}', seed=seed, seed2=3 * seed, **options)
        op_case(w, 'SampleDistortedBoundingBoxV2', np.array([120, 90, 3], np.int64), many, np.float32(0.3), label=f'{seed}', seed=seed, seed2=11)
    for dtype in (t.as_numpy_dtype for t in supported('SampleDistortedBoundingBox')):
        op_case(w, 'SampleDistortedBoundingBox', np.array([100, 120, 3], dtype), one, label=np.dtype(dtype).name, seed=4, seed2=5)
    two_runs = tf.Graph()
    with two_runs.as_default():
        raw('SampleDistortedBoundingBox', [tf.constant([100, 120, 3]), tf.constant(one)], dict(seed=4, seed2=5, aspect_ratio_range=[0.75, 1.33], area_range=[0.05, 1.0]))
    finish_case(w, 'SampleDistortedBoundingBox', 'third_run', two_runs, ['op:0', 'op:1', 'op:2'], pre_targets=['op', 'op'])
    size = np.array([10, 12, 3], np.int32)
    errors = (('negative', -size, one, {}), ('size', size[:2], one, {}), ('box', size, one + 1, {}), ('rank', size, one[0], {}), ('columns', size, one[..., :3], {}),
              ('none', size, one[:, :0], {}), ('covered', size, one, dict(min_object_covered=-1.0)), ('ratio', size, one, dict(aspect_ratio_range=[0.0, 1.0])),
              ('ratios', size, one, dict(aspect_ratio_range=[1.0])), ('area', size, one, dict(area_range=[0.5, 1.5])), ('attempts', size, one, dict(max_attempts=0)))
    for label, image, given, options in errors:
        op_case(w, 'SampleDistortedBoundingBox', image, given, label=f'error_{label}', error=INVALID_ARGUMENT, seed=1, **options)
    for label, covered in (('negative', np.float32(-1)), ('rank', np.array([0.1], 'f')), ('nan', np.float32(np.nan))):
        op_case(w, 'SampleDistortedBoundingBoxV2', size, one, covered, label=f'error_{label}', error=INVALID_ARGUMENT, seed=1)


def make(w):
    fractional(w)
    fractional_errors(w)
    dilation(w)
    resampling(w)
    volumes(w)
    glimpses(w)
    boxes(w)
