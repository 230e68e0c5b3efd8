"""Cases of the image ops: resizing, crops, colours, boxes, patches, decoding and encoding of files."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, session, values

INVALID_ARGUMENT = 3
OUT_OF_RANGE = 11
MAPPINGS = (('', {}), ('corners', dict(align_corners=True)), ('centers', dict(half_pixel_centers=True)))


def i32(*numbers):
    return np.array(numbers, np.int32)


def pixels(rng, shape, dtype=np.uint8):
    """Smooth enough for JPEG."""
    steps = np.cumsum(np.cumsum(rng.randint(-2, 3, shape), 0), 1)
    return np.clip(steps + 128, 0, 255).astype(dtype)


def resizing(w):
    rng = rng_for('resizing')
    for op in ('ResizeBilinear', 'ResizeNearestNeighbor', 'ResizeBicubic'):
        for label, attrs in MAPPINGS:
            for size in ((3, 9), (7, 2), (1, 1), (5, 4), (11, 13)):
                op_case(w, op, values(rng, [2, 5, 4, 3], 'f'), i32(*size), label=f'{label}_{size[0]}x{size[1]}', **attrs)
            op_case(w, op, values(rng, [1, 1, 6, 2], 'f'), i32(4, 3), label=f'{label}_one_row', **attrs)
        for dtype in ('uint8', 'int8', 'int16', 'uint16', 'int32', 'int64', 'half', 'float64', 'bfloat16'):
            op_case(w, op, values(rng, [1, 4, 3, 2], tf.as_dtype(dtype).as_numpy_dtype, 0, 90), i32(6, 5), label=dtype)
        op_case(w, op, values(rng, [0, 4, 3, 2], 'f'), i32(6, 5), label='no_images')
        op_case(w, op, values(rng, [2, 4, 3, 0], 'f'), i32(6, 5), label='error_no_channels', error=INVALID_ARGUMENT)
        for label, shape, size in (('zero', [1, 4, 3, 2], i32(0, 3)), ('negative', [1, 4, 3, 2], i32(3, -1)), ('rank', [4, 3, 2], i32(3, 3)),
                                   ('sizes', [1, 4, 3, 2], i32(3, 3, 3)), ('no_pixels', [1, 0, 3, 2], i32(3, 3))):
            op_case(w, op, values(rng, shape, 'f'), size, label=f'error_{label}', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [1, 4, 3, 2], 'f'), i32(2, 2), label='error_both', error=INVALID_ARGUMENT, align_corners=True, half_pixel_centers=True)
    for label, attrs in (('', {}), ('corners', dict(align_corners=True))):
        for size in ((3, 9), (7, 2), (1, 1), (2, 3)):
            op_case(w, 'ResizeArea', values(rng, [2, 5, 7, 3], 'f'), i32(*size), label=f'{label}_{size[0]}x{size[1]}', **attrs)
    for op in ('ResizeBilinearGrad', 'ResizeBicubicGrad'):
        for label, attrs in MAPPINGS:
            op_case(w, op, values(rng, [2, 3, 9, 2], 'f'), values(rng, [2, 5, 4, 2], 'f'), label=label, **attrs)
        op_case(w, op, values(rng, [2, 3, 9, 2], 'f'), values(rng, [2, 5, 4, 2], 'd'), label='float64')
    for label, attrs in MAPPINGS:
        for dtype in ('float32', 'float64', 'int32'):
            op_case(w, 'ResizeNearestNeighborGrad', values(rng, [2, 3, 9, 2], dtype), i32(5, 4), label=f'{label}_{dtype}', **attrs)


def colours(w):
    rng = rng_for('colours')
    for shape in ([3], [2, 4, 3], [2, 2, 5, 3], [0, 3]):
        for dtype in ('float32', 'float64'):
            op_case(w, 'RGBToHSV', values(rng, shape, dtype, 0, 1), label=f'{len(shape)}_{dtype}')
            op_case(w, 'HSVToRGB', values(rng, shape, dtype, 0, 1), label=f'{len(shape)}_{dtype}')
    grays = np.repeat(np.linspace(0, 1, 4, dtype='f')[:, None], 3, 1)
    op_case(w, 'RGBToHSV', grays, label='gray')
    op_case(w, 'RGBToHSV', np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0], [-1, 0, 1]], 'f'), label='ties')
    for op in ('RGBToHSV', 'HSVToRGB'):
        op_case(w, op, values(rng, [], 'f'), label='error_rank', error=INVALID_ARGUMENT)
    for number in (-0.7, 0.0, 0.3, 1.9):
        op_case(w, 'AdjustHue', values(rng, [2, 3, 4, 3], 'f', 0, 1), np.float32(number), label=f'{number}')
        op_case(w, 'AdjustSaturation', values(rng, [2, 3, 4, 3], 'f', 0, 1), np.float32(abs(number)), label=f'{number}')
        op_case(w, 'AdjustContrastv2', values(rng, [2, 3, 4, 2], 'f'), np.float32(number), label=f'{number}')
    op_case(w, 'AdjustContrastv2', values(rng, [5, 4, 1], 'f'), np.float32(2), label='one_image')
    for op in ('AdjustHue', 'AdjustSaturation'):
        op_case(w, op, values(rng, [2, 3, 4], 'f'), np.float32(1), label='error_channels', error=INVALID_ARGUMENT)
    for op in ('AdjustHue', 'AdjustSaturation', 'AdjustContrastv2'):
        op_case(w, op, values(rng, [2, 3], 'f'), np.float32(1), label='error_rank', error=INVALID_ARGUMENT)
        op_case(w, op, values(rng, [2, 3, 3], 'f'), values(rng, [2], 'f'), label='error_factor', error=INVALID_ARGUMENT)


def boxes(w):
    rng = rng_for('boxes')
    where = np.concatenate([np.sort(rng.uniform(-0.3, 1.3, (4, 2, 2)), 1).reshape(4, 4), [[1, 1, 0, 0]]]).astype('f')
    index = i32(0, 1, 1, 0, 1)
    for method in ('bilinear', 'nearest'):
        for size in ((3, 4), (1, 1), (1, 5)):
            op_case(w, 'CropAndResize', values(rng, [2, 6, 5, 3], 'f'), where, index, i32(*size), label=f'{method}_{size[0]}x{size[1]}', method=method,
                    extrapolation_value=-1.5)
            grads = values(rng, [5, size[0], size[1], 3], 'f')
            for dtype in (tf.float32, tf.float64):
                op_case(w, 'CropAndResizeGradImage', grads, where, index, i32(2, 6, 5, 3), label=f'{method}_{size[0]}x{size[1]}_{dtype.name}', method=method, T=dtype)
    for size in ((3, 4), (1, 1), (1, 5)):
        op_case(w, 'CropAndResizeGradBoxes', values(rng, [5, size[0], size[1], 3], 'f'), values(rng, [2, 6, 5, 3], 'f'), where, index, label=f'{size[0]}x{size[1]}')
    for dtype in ('uint8', 'int16', 'int64', 'float64', 'half'):
        op_case(w, 'CropAndResize', values(rng, [2, 6, 5, 1], dtype, 0, 50), where, index, i32(2, 3), label=dtype)
    op_case(w, 'CropAndResize', values(rng, [2, 6, 5, 1], 'f'), np.zeros([0, 4], 'f'), i32(), i32(2, 3), label='no_boxes')
    image = values(rng, [2, 6, 5, 1], 'f')
    for label, args, code in (('index', (where, i32(0, 1, 2, 0, 1), i32(2, 2)), OUT_OF_RANGE), ('size', (where, index, i32(0, 2)), INVALID_ARGUMENT),
                              ('columns', (where[:, :3], index, i32(2, 2)), INVALID_ARGUMENT), ('count', (where, index[:3], i32(2, 2)), INVALID_ARGUMENT)):
        op_case(w, 'CropAndResize', image, *args, label=f'error_{label}', error=code)
    lines = np.sort(rng.uniform(-0.2, 1.2, (2, 11, 2, 2)), 2).reshape(2, 11, 4).astype('f')
    for depth in (1, 3, 4):
        op_case(w, 'DrawBoundingBoxes', values(rng, [2, 9, 8, depth], 'f', 0, 1), lines, label=f'{depth}')
        op_case(w, 'DrawBoundingBoxesV2', values(rng, [2, 9, 8, depth], 'f', 0, 1), lines, values(rng, [3, 4], 'f', 0, 1), label=f'{depth}')
    op_case(w, 'DrawBoundingBoxes', values(rng, [2, 9, 8, 2], 'f'), lines, label='error_depth', error=INVALID_ARGUMENT)
    corners = rng.uniform(0, 0.6, (12, 2))
    many = np.concatenate([corners, corners + rng.uniform(0.1, 0.5, (12, 2))], 1).astype('f')
    many[3] = many[3, [2, 3, 0, 1]]
    scores = rng.uniform(0, 1, 12).astype('f')
    scores[5] = scores[2]
    for overlap in (0.0, 0.3, 1.0):
        limit = np.float32(overlap)
        op_case(w, 'NonMaxSuppression', many, scores, np.int32(6), label=f'{overlap}', iou_threshold=overlap)
        op_case(w, 'NonMaxSuppressionV2', many, scores, np.int32(20), limit, label=f'{overlap}')
        op_case(w, 'NonMaxSuppressionV3', many, scores, np.int32(20), limit, np.float32(0.4), label=f'{overlap}')
        for pad in (False, True):
            op_case(w, 'NonMaxSuppressionV4', many, scores, np.int32(15), limit, np.float32(0.2), label=f'{overlap}_{pad}', pad_to_max_output_size=pad)
            op_case(w, 'NonMaxSuppressionV5', many, scores, np.int32(9), limit, np.float32(0.2), np.float32(0.5), label=f'{overlap}_{pad}', pad_to_max_output_size=pad)
        op_case(w, 'NonMaxSuppressionWithOverlaps', values(rng, [12, 12], 'f', 0, 1), scores, np.int32(9), limit, np.float32(0.2), label=f'{overlap}')
    op_case(w, 'NonMaxSuppressionV3', many, scores[:5], np.int32(20), np.float32(0.5), np.float32(0.4), label='error_count', error=INVALID_ARGUMENT)
    op_case(w, 'NonMaxSuppressionV3', many, scores, np.int32(20), np.float32(1.5), np.float32(0.4), label='error_threshold', error=INVALID_ARGUMENT)


def patches(w):
    rng = rng_for('patches')
    for padding in ('SAME', 'VALID'):
        for k, s, r in (((2, 3), (1, 1), (1, 1)), ((3, 2), (2, 3), (1, 1)), ((2, 2), (1, 2), (2, 3)), ((1, 1), (4, 4), (1, 1))):
            for dtype in ('float32', 'int32'):
                op_case(w, 'ExtractImagePatches', values(rng, [2, 7, 8, 3], dtype), label=f'{padding}_{dtype}', ksizes=[1, *k, 1], strides=[1, *s, 1],
                        rates=[1, *r, 1], padding=padding)


def decoded(w, op, label, contents, error=0, atol=None, **attrs):
    op_case(w, op, np.array(contents, object), label=label, error=error, atol=atol, dtypes=[tf.string], **attrs)


def encoded(op, image, **attrs):
    graph = tf.Graph()
    with graph.as_default():
        raw(op, [tf.constant(image)], attrs)
    with session(graph) as sess:
        return sess.run('op:0')


def files(w):
    rng = rng_for('image files')
    for channels in (1, 2, 3, 4):
        png, png16 = (encoded('EncodePng', pixels(rng, (6, 7, channels), dtype) * dtype(1)) for dtype in (np.uint8, np.uint16))
        for wanted in (0, 1, 3, 4):
            decoded(w, 'DecodePng', f'{channels}_as_{wanted}', png, channels=wanted)
            decoded(w, 'DecodePng', f'{channels}_16_as_{wanted}', png16, channels=wanted, dtype=tf.uint16)
        decoded(w, 'DecodePng', f'{channels}_widened', png, dtype=tf.uint16)
        decoded(w, 'DecodePng', f'{channels}_narrowed', png16)
        for dtype in (tf.uint8, tf.uint16, tf.float32):
            decoded(w, 'DecodeImage', f'png_{channels}_{dtype.name}', png, dtype=dtype)
            decoded(w, 'DecodeImage', f'png16_{channels}_{dtype.name}', png16, dtype=dtype)
    for channels in (1, 3):
        image = pixels(rng, (20, 17, channels))
        for label, attrs in (('plain', {}), ('progressive', dict(progressive=True)), ('full_chroma', dict(chroma_downsampling=False, quality=60)),
                             ('optimized', dict(optimize_size=True))):
            jpeg = encoded('EncodeJpeg', image, **attrs)
            for wanted in (0, 1, 3):
                decoded(w, 'DecodeJpeg', f'{label}_{channels}_as_{wanted}', jpeg, channels=wanted, atol=2.0)
            decoded(w, 'ExtractJpegShape', f'{label}_{channels}', jpeg)
        for ratio in (2, 4, 8):
            decoded(w, 'DecodeJpeg', f'ratio_{ratio}_{channels}', jpeg, ratio=ratio, atol=2.0)
        for dct in ('INTEGER_FAST', 'INTEGER_ACCURATE'):
            decoded(w, 'DecodeJpeg', f'{dct}_{channels}', jpeg, dct_method=dct, atol=3.0)
        decoded(w, 'DecodeJpeg', f'rough_upscaling_{channels}', jpeg, fancy_upscaling=False, atol=2.0)
        decoded(w, 'DecodeJpeg', f'recovered_{channels}', jpeg[:-2], try_recover_truncated=True, atol=2.0)
        decoded(w, 'DecodePng', f'jpeg_{channels}', jpeg, atol=2.0)
        for part in (0, 10, len(jpeg) // 2, len(jpeg) - 2):
            decoded(w, 'DecodeJpeg', f'error_part_{channels}', jpeg[:part], error=INVALID_ARGUMENT)
    for part in (0, 8, 20, len(png) // 2, len(png) - 12):
        decoded(w, 'DecodePng', 'error_part', png[:part], error=INVALID_ARGUMENT)
    decoded(w, 'DecodeJpeg', 'error_ratio', jpeg, error=INVALID_ARGUMENT, ratio=3)
    decoded(w, 'DecodeJpeg', 'error_channels', jpeg, error=INVALID_ARGUMENT, channels=4)
    for op in ('DecodePng', 'DecodeJpeg', 'DecodeImage', 'DecodeBmp'):
        decoded(w, op, 'error_other', b'this is not an image', error=INVALID_ARGUMENT)
    for label, bits, height in (('gray', 8, 3), ('rgb', 24, 3), ('rgba', 32, 3), ('top_down', 24, -3)):
        row = (5 * bits // 8 + 3) // 4 * 4
        header = b'BM' + np.array([54 + row * 3, 0, 54, 40, 5, height], '<i4').tobytes() + np.array([1, bits], '<i2').tobytes() + bytes(24)
        bmp = header + rng.randint(0, 256, row * 3).astype(np.uint8).tobytes()
        decoded(w, 'DecodeBmp', label, bmp)
        decoded(w, 'DecodeImage', f'bmp_{label}', bmp)
        decoded(w, 'DecodeBmp', f'error_{label}_cut', bmp[:-5], error=INVALID_ARGUMENT)
    for channels in (1, 2, 3, 4):
        for dtype in (np.uint8, np.uint16):
            graph = tf.Graph()
            with graph.as_default():
                file = raw('EncodePng', [tf.constant(pixels(rng, (4, 5, channels), dtype))], {}, name='file')
                raw('DecodePng', [file], dict(dtype=tf.as_dtype(dtype)))
            finish_case(w, 'EncodePng', f'{channels}_{np.dtype(dtype).name}', graph, ['op:0'])
    for shape in ([4, 4, 5], [4, 4]):
        op_case(w, 'EncodePng', pixels(rng, (4, 4, 5))[..., 0] if len(shape) == 2 else pixels(rng, shape), label='error_shape', error=INVALID_ARGUMENT)
    op_case(w, 'EncodeJpeg', pixels(rng, (4, 4, 2)), label='error_channels', error=INVALID_ARGUMENT)
    op_case(w, 'EncodeJpeg', pixels(rng, (4, 4, 3)), label='error_format', error=INVALID_ARGUMENT, format='grayscale')


def make(w):
    resizing(w)
    colours(w)
    boxes(w)
    patches(w)
    files(w)
