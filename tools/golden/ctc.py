"""Cases of connectionist temporal classification, of the gradient of gamma samples and of TF1's first batch normalization."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import example, finish_case, op_case, rng_for, session, tensor_proto, values

INVALID_ARGUMENT, FAILED_PRECONDITION = 3, 9


def sparse(rows):
    indices = [(b, t) for b, row in enumerate(rows) for t in range(len(row))]
    return np.array(indices, np.int64).reshape(-1, 2), np.array([v for row in rows for v in row], np.int32)


def loss(w):
    rng = rng_for('ctc loss')
    rows = [[0, 1, 1, 2], [3], [2, 2, 2], [0, 1, 0, 1]]
    lengths = np.array([9, 7, 6, 4], np.int32)
    for dtype in ('f', 'd'):
        logits = values(rng, [9, 4, 5], dtype)
        for label, attrs in (('', {}), ('unmerged', dict(ctc_merge_repeated=False)), ('collapsed', dict(preprocess_collapse_repeated=True)),
                             ('both', dict(ctc_merge_repeated=False, preprocess_collapse_repeated=True))):
            # TensorFlow's logarithms are float's for double too.
            op_case(w, 'CTCLoss', logits, *sparse(rows), lengths, label=f'{label}_{dtype}', rtol=1e-5, atol=1e-6, **attrs)
        op_case(w, 'CTCLoss', logits, *sparse(rows), np.array([9, 0, 2, 5], np.int32), label=f'too_long_{dtype}', rtol=1e-5, atol=1e-6,
                ignore_longer_outputs_than_inputs=True)
    op_case(w, 'CTCLoss', values(rng, [3, 2, 4], 'f'), *sparse([[1, 1], [2, 2, 2]]), np.array([2, 3], np.int32), label='no_path')
    op_case(w, 'CTCLoss', values(rng, [4, 2, 4], 'f'), *sparse([[1, 3, 3], [2, 7]]), np.array([4, 4], np.int32), label='padded', rtol=1e-5, atol=1e-6)
    op_case(w, 'CTCLoss', values(rng, [60, 2, 30], 'f', -9, 9), *sparse([rng.randint(0, 29, 20), rng.randint(0, 29, 11)]), np.array([60, 50], np.int32),
            label='long', rtol=2e-4, atol=2e-4)
    logits, (indices, labels), lengths = values(rng, [5, 2, 4], 'f'), sparse([[0, 1], [2]]), np.array([5, 4], np.int32)
    for label, args in (('lengths', (logits, indices, labels, lengths[:1])), ('long', (logits, indices, labels, lengths + 1)),
                        ('negative', (logits, indices, labels, lengths * 0 - 1)), ('no_time', (logits, indices, labels, np.array([1, 4], np.int32))),
                        ('order', (logits, indices[::-1], labels, lengths)), ('repeated', (logits, indices[[0, 0, 2]], labels, lengths)),
                        ('batch', (logits, indices + 1, labels, lengths)), ('empty', (logits, indices[:2], labels[:2], lengths)),
                        ('columns', (logits, indices[:, :1], labels, lengths)), ('rows', (logits, indices, labels[:2], lengths)),
                        ('label', (logits, indices, labels - 1, lengths)), ('null', (logits, indices, np.array([3, 0, 1], np.int32), lengths)),
                        ('rank', (logits[0], indices, labels, lengths)), ('time', (logits[:0], indices, labels, lengths * 0))):
        op_case(w, 'CTCLoss', *args, label=f'error_{label}', error=INVALID_ARGUMENT)


def decoders(w):
    rng = rng_for('ctc decoders')
    lengths = np.array([12, 7, 1, 0], np.int32)
    for dtype in ('f', 'd'):
        logits = values(rng, [12, 4, 5], dtype)
        for merge in (False, True):
            for blank in (-1, 0, 2):
                op_case(w, 'CTCGreedyDecoder', logits, lengths, label=f'{merge}_{blank}_{dtype}', merge_repeated=merge, blank_index=blank)
            for width, paths in ((1, 1), (3, 1), (8, 4), (100, 2)):
                few = np.maximum(lengths, 0 if paths == 1 else 1)
                op_case(w, 'CTCBeamSearchDecoder', logits, few, label=f'{merge}_{width}_{paths}_{dtype}', merge_repeated=merge, beam_width=width, top_paths=paths,
                        rtol=1e-5, atol=1e-5)
    op_case(w, 'CTCBeamSearchDecoder', values(rng, [40, 3, 12], 'f', -4, 4), np.array([40, 30, 20], np.int32), label='long', beam_width=30, top_paths=3, rtol=1e-4, atol=1e-4)
    op_case(w, 'CTCBeamSearchDecoder', np.log(values(rng, [30, 2, 4], 'f', 0, 1)), np.array([30, 25], np.int32), label='likely', beam_width=16, top_paths=5, rtol=1e-4, atol=1e-4)
    logits, lengths = values(rng, [5, 2, 4], 'f'), np.array([5, 4], np.int32)
    for op, attrs in (('CTCGreedyDecoder', {}), ('CTCBeamSearchDecoder', dict(beam_width=4, top_paths=2))):
        for label, args, code in (('lengths', (logits, lengths[:1]), FAILED_PRECONDITION), ('long', (logits, lengths + 1), FAILED_PRECONDITION),
                                  ('empty', (logits[:0], lengths * 0), INVALID_ARGUMENT), ('rank', (logits[0], lengths), INVALID_ARGUMENT),
                                  ('vector', (logits, lengths[None]), INVALID_ARGUMENT)):
            op_case(w, op, *args, label=f'error_{label}', error=code, **attrs)
    for blank in (4, -5):
        op_case(w, 'CTCGreedyDecoder', logits, lengths, label='error_blank', error=INVALID_ARGUMENT, blank_index=blank)
    op_case(w, 'CTCBeamSearchDecoder', logits, lengths, label='error_paths', error=INVALID_ARGUMENT, beam_width=2, top_paths=3)
    op_case(w, 'CTCBeamSearchDecoder', logits, lengths * 0, label='error_leaves', error=INVALID_ARGUMENT, beam_width=2, top_paths=2)


def gamma_grad(w):
    rng = rng_for('gamma gradient')
    for dtype in ('f', 'd'):
        accuracy = dict(rtol=2e-4 if dtype == 'f' else 1e-9, atol=1e-6 if dtype == 'f' else 1e-12)
        alpha = np.exp(values(rng, [6, 1], dtype, -3, 4))
        sample = alpha * np.exp(values(rng, [6, 5], dtype, -1, 1))
        op_case(w, 'RandomGammaGrad', alpha, sample, label=f'near_{dtype}', **accuracy)
        op_case(w, 'RandomGammaGrad', values(rng, [3], dtype, 0.3, 5), values(rng, [2, 3], dtype, 0.05, 9), label=f'any_{dtype}', **accuracy)
        odd = np.array([0, -1, np.nan, 1, 1, 2], dtype), np.array([1, 1, 1, 0, -1, np.nan], dtype)
        op_case(w, 'RandomGammaGrad', *odd, label=f'odd_{dtype}')
    graph = tf.Graph()
    with graph.as_default():  # the derivative by alpha, of the samples that are drawn in the same run
        alpha = tf.constant(values(rng, [2, 3], 'f', 0.5, 4))
        grads = tf.gradients(tf.raw_ops.RandomGamma(shape=[5, 2], alpha=alpha, seed=3, seed2=8), alpha)
    finish_case(w, 'RandomGammaGrad', 'of_samples', graph, [grads[0].name], rtol=2e-4, atol=1e-5)
    op_case(w, 'RandomGammaGrad', values(rng, [2], 'f', 1, 2), values(rng, [3], 'f', 1, 2), label='error_shapes', error=INVALID_ARGUMENT)


def old_graph(op, inputs, **attrs):
    """A graph of version 8 with the op, which later versions do not know any more, on constants in0, in1..."""
    with tf.Graph().as_default() as graph:
        for i, value in enumerate(inputs):
            tf.constant(value, name=f'in{i}')
    old = graph.as_graph_def()
    old.versions.producer = 8
    node = old.node.add(name='op', op=op, input=[f'in{i}' for i in range(len(inputs))])
    node.attr['T'].type = tf.as_dtype(inputs[0].dtype).as_datatype_enum
    node.attr['variance_epsilon'].f = attrs['variance_epsilon']
    node.attr['scale_after_normalization'].b = attrs['scale_after_normalization']
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(old, name='')
    return graph


def batch_norm(w):
    rng = rng_for('global batch norm')
    for dtype in ('f', 'd', 'e'):
        vectors = [values(rng, [3], dtype), values(rng, [3], dtype, 0.1, 2), values(rng, [3], dtype), values(rng, [3], dtype)]
        image, grad = values(rng, [2, 4, 5, 3], dtype), values(rng, [2, 4, 5, 3], dtype)
        for scale in (False, True):
            attrs = dict(variance_epsilon=0.01, scale_after_normalization=scale)
            op, label = 'BatchNormWithGlobalNormalization', f'{scale}_{dtype}'
            finish_case(w, op, label, old_graph(op, [image, *vectors], **attrs), ['op:0'])
            # Halves are added up as halves there.
            loose = dict(rtol=0.05, atol=0.1) if dtype == 'e' else {}
            finish_case(w, op + 'Grad', label, old_graph(op + 'Grad', [image, *vectors[:3], grad], **attrs), [f'op:{i}' for i in range(5)], **loose)


def expressions():
    """name: function of a random generator that gives y and the xs."""
    def ctc(rng):
        x = tf.constant(values(rng, [7, 3, 4], 'f'))
        indices, labels = sparse([[0, 1, 1], [2], [0, 2]])
        return tf.raw_ops.CTCLoss(inputs=x, labels_indices=indices, labels_values=labels, sequence_length=[7, 5, 6])[0] * [1.0, 2.0, -3.0], [x]

    def volume(rng):
        x = tf.constant(values(rng, [2, 4, 3, 5, 2], 'f'))
        return tf.square(tf.raw_ops.ExtractVolumePatches(input=x, ksizes=[1, 2, 2, 3, 1], strides=[1, 1, 2, 1, 1], padding='SAME')), [x]

    def resampled(rng):
        x = tf.constant(values(rng, [2, 5, 4, 2], 'f'))
        return tf.square(tf.raw_ops.ScaleAndTranslate(images=x, size=[3, 7], scale=[0.6, 1.7], translation=[0.1, -0.3])), [x]

    def dilated(rng):
        x, f = tf.constant(values(rng, [2, 5, 4, 2], 'f')), tf.constant(values(rng, [2, 3, 2], 'f'))
        return tf.square(tf.nn.dilation2d(x, f, strides=[1, 2, 1, 1], rates=[1, 1, 2, 1], padding='SAME')), [x, f]

    def pooled(op):
        def build(rng):
            x = tf.constant(values(rng, [2, 7, 6, 2], 'f'))
            return tf.square(op(value=x, pooling_ratio=[1.0, 1.6, 1.9, 1.0], overlapping=True, deterministic=True, seed=1, seed2=2)[0]), [x]
        return build

    return dict(ctc_loss=ctc, volume_patches=volume, scale_and_translate=resampled, dilation2d=dilated,
                fractional_max_pool=pooled(tf.raw_ops.FractionalMaxPool), fractional_avg_pool=pooled(tf.raw_ops.FractionalAvgPool))


def make_gradients(w):
    for name, build in expressions().items():
        graph = tf.Graph()
        with graph.as_default():
            y, xs = build(rng_for('gradient ' + name))
            forward = graph.as_graph_def().SerializeToString(deterministic=True)
            grads = tf.gradients(y, xs)
            with session(graph) as sess:
                y_value, values_ = sess.run([y, grads])
            types = sorted({op.type for op in graph.get_operations()})
        w.add('sequences_and_images', example(
            name=f'gradients/{name}', graph_def=forward, xs=[x.name for x in xs], ys=[y.name], expected_y=[tensor_proto(y_value)],
            expected_grads=[tensor_proto(v) for v in values_], grad_kinds=['dense'] * len(xs), op_types_with_gradients=types, rtol=1e-4, atol=1e-5))


def make(w):
    loss(w)
    decoders(w)
    gamma_grad(w)
    batch_norm(w)
