"""Cases of quantized numbers and of rounding to a few bits."""
import numpy as np
import tensorflow.compat.v1 as tf

from .record import finish_case, op_case, raw, rng_for, values

INVALID_ARGUMENT = 3
QUANTIZED = (tf.qint8, tf.quint8, tf.qint16, tf.quint16, tf.qint32)


def quantize(w):
    """Quantized results are compared as numbers: cast back to integers, and dequantized again."""
    rng = rng_for('quantize')
    x = np.concatenate([values(rng, [14], 'f', -12, 12), np.array([0, 0.5, -0.5, 10, -10, 1.25], 'f')]).reshape(4, 5)

    def case(dtype, label, low, high, **attrs):
        graph = tf.Graph()
        with graph.as_default():
            arguments = [tf.constant(v, tf.float32) for v in (x, low, high)]
            raw('QuantizeV2', arguments, dict(T=dtype, **attrs))
            q = graph.get_operation_by_name('op').outputs
            number = tf.cast(q[0], tf.int32, name='number')
            shared = {k: v for k, v in attrs.items() if k in ('mode', 'narrow_range', 'axis')}
            raw('Dequantize', [q[0], q[1], q[2]], shared, name='back')
        fetches = [number.name, q[1].name, q[2].name, 'back:0']
        exact = dtype != tf.qint32
        finish_case(w, 'QuantizeV2', f'{dtype.name}_{label}', graph, fetches if exact else fetches[1:], rtol=1e-5, atol=1e-5)
    for dtype in QUANTIZED:
        for mode in ('MIN_COMBINED', 'MIN_FIRST', 'SCALED'):
            if dtype == tf.qint32:  # the ends of the range overflow in TensorFlow
                case(dtype, mode.lower(), -20, 20, mode=mode)
                continue
            case(dtype, mode.lower(), -10, 10, mode=mode)
            case(dtype, mode.lower() + '_uneven', -1, 6, mode=mode)
    case(tf.qint8, 'to_even', -10, 10, mode='SCALED', round_mode='HALF_TO_EVEN')
    case(tf.qint8, 'narrow', -10, 10, mode='SCALED', narrow_range=True)
    case(tf.qint8, 'axis', [-10., -5., -1., -2.], [10., 1., 6., 2.], mode='SCALED', axis=0)
    case(tf.quint8, 'small_range', 0, 1e-6)
    op_case(w, 'QuantizeV2', x, np.float32(3), np.float32(1), label='error_range', T=tf.qint8, error=INVALID_ARGUMENT)
    op_case(w, 'QuantizeV2', x, np.zeros([3], 'f'), np.ones([3], 'f'), label='error_axis', T=tf.qint8, axis=0, error=INVALID_ARGUMENT)
    for source in (tf.float32, tf.int32, tf.bool) + QUANTIZED:
        for target in QUANTIZED:
            graph = tf.Graph()
            with graph.as_default():
                start = tf.constant([1, 0, 100, 3])
                there = tf.cast(tf.cast(start, source), target)
                back = tf.cast(there, tf.int32, name='back')
            finish_case(w, 'Dequantize', f'cast_{source.name}_to_{target.name}', graph, [back.name], op='Cast')


def fake(w):
    rng = rng_for('fake')
    x, d = values(rng, [3, 4], 'f', -8, 8), values(rng, [3, 4], 'f')
    low, high = np.array([-1, -.5, 0, .4], 'f'), np.array([2, 1, 0, 3.], 'f')
    for bits, narrow in ((8, False), (8, True), (2, False), (16, True)):
        attrs = dict(num_bits=bits, narrow_range=narrow)
        label = f'{bits}' + ('_narrow' if narrow else '')
        op_case(w, 'FakeQuantWithMinMaxArgs', x, label=label, min=-3.1, max=5., **attrs)
        op_case(w, 'FakeQuantWithMinMaxArgsGradient', d, x, label=label, min=-3.1, max=5., **attrs)
        op_case(w, 'FakeQuantWithMinMaxVars', x, np.float32(-3.1), np.float32(5), label=label, **attrs)
        op_case(w, 'FakeQuantWithMinMaxVarsGradient', d, x, np.float32(-3.1), np.float32(5), label=label, **attrs)
        op_case(w, 'FakeQuantWithMinMaxVarsPerChannel', x, low, high, label=label, **attrs)
        op_case(w, 'FakeQuantWithMinMaxVarsPerChannelGradient', d, x, low, high, label=label, **attrs)
    op_case(w, 'FakeQuantWithMinMaxVars', x, np.float32(0), np.float32(0), label='nothing')
    op_case(w, 'FakeQuantWithMinMaxVarsGradient', d, x, np.float32(0), np.float32(0), label='nothing')
    op_case(w, 'FakeQuantWithMinMaxArgs', x, label='error_bits', num_bits=1, error=INVALID_ARGUMENT)
    op_case(w, 'FakeQuantWithMinMaxArgs', x, label='error_order', min=2., max=1., error=INVALID_ARGUMENT)
    op_case(w, 'FakeQuantWithMinMaxVarsPerChannel', x, low[:3], high[:3], label='error_size', error=INVALID_ARGUMENT)


def in_place(w):
    rng = rng_for('in_place')
    for dtype in ('float32', 'float64'):
        x = values(rng, [3, 4], dtype)
        kind = x.dtype
        for signed in (True, False):
            sign = 'signed' if signed else 'unsigned'
            for given in (True, False):
                op_case(w, 'QuantizeAndDequantizeV2', x, kind.type(-1), kind.type(2), label=f'{dtype}_{sign}_{"given" if given else "measured"}',
                        signed_input=signed, range_given=given, num_bits=6)
        op_case(w, 'QuantizeAndDequantizeV3', x, kind.type(-2), kind.type(2), np.int32(4), label=dtype)
    x = values(rng, [3, 4], 'f')
    op_case(w, 'QuantizeAndDequantizeV2', x, np.float32(-2), np.float32(2), label='half_up', round_mode='HALF_UP', range_given=True)
    op_case(w, 'QuantizeAndDequantizeV2', x, np.float32(-2), np.float32(2), label='narrow', narrow_range=True, range_given=True)
    op_case(w, 'QuantizeAndDequantizeV2', x, np.zeros([4], 'f'), np.zeros([4], 'f'), label='axis_measured', axis=1)
    op_case(w, 'QuantizeAndDequantizeV3', x, np.float32(-2), np.float32(2), np.int32(0), label='error_bits', error=INVALID_ARGUMENT)
    op_case(w, 'QuantizeAndDequantizeV2', x, np.float32(3), np.float32(1), label='error_range', range_given=True, error=INVALID_ARGUMENT)


def make(w):
    quantize(w)
    fake(w)
    in_place(w)
