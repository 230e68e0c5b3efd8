"""Cases of TensorArrays and stacks: graphs of several ops, as both live only as long as a step."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, rng_for, values

INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12
R = tf.raw_ops


class Array:
    """A TensorArrayV3 whose ops follow each other along the flow."""

    def __init__(self, size, dtype=tf.float32, handle=None, flow=None, **attrs):
        self.dtype = dtype
        if handle is None:
            handle, flow = R.TensorArrayV3(size=size, dtype=dtype, **attrs)
        self.handle, self.flow = handle, flow

    def write(self, index, value):
        self.flow = R.TensorArrayWriteV3(handle=self.handle, index=index, value=value, flow_in=self.flow)
        return self

    def scatter(self, indices, value):
        self.flow = R.TensorArrayScatterV3(handle=self.handle, indices=indices, value=value, flow_in=self.flow)
        return self

    def split(self, value, lengths):
        self.flow = R.TensorArraySplitV3(handle=self.handle, value=value, lengths=lengths, flow_in=self.flow)
        return self

    def read(self, index, name=None):
        return R.TensorArrayReadV3(handle=self.handle, index=index, flow_in=self.flow, dtype=self.dtype, name=name)

    def gather(self, indices, shape=None):
        return R.TensorArrayGatherV3(handle=self.handle, indices=indices, flow_in=self.flow, dtype=self.dtype,
                                     element_shape=tf.TensorShape(shape))

    def concat(self, shape=None):
        return R.TensorArrayConcatV3(handle=self.handle, flow_in=self.flow, dtype=self.dtype,
                                     element_shape_except0=tf.TensorShape(shape))

    def size(self):
        return R.TensorArraySizeV3(handle=self.handle, flow_in=self.flow)

    def gradient(self, source='gradients', prepend=None):
        if prepend is None:
            handle, flow = R.TensorArrayGradV3(handle=self.handle, flow_in=self.flow, source=source)
        else:
            handle, flow = R.TensorArrayGradWithShape(handle=self.handle, flow_in=self.flow, shape_to_prepend=prepend, source=source)
        return Array(None, self.dtype, handle, flow)


def hidden(value):
    """A value that no shape function knows, so that a failure is the run's."""
    return tf.placeholder_with_default(tf.constant(value), None)


def make(w):
    rng = rng_for('tensor arrays')

    def case(op, label, build, error=0):
        graph = tf.Graph()
        with graph.as_default():
            fetched = build()
            fetched = list(fetched) if isinstance(fetched, (list, tuple)) else [fetched]
        finish_case(w, op, label, graph, [t.name for t in fetched], error=error)

    def bad(op, label, build, error=INVALID_ARGUMENT):
        case(op, f'error_{label}', build, error)

    rows, more = values(rng, [4, 3], 'float32'), values(rng, [4, 3], 'float32')
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'bool', 'complex64'):
        x = values(rng, [3, 2], dtype)
        case('TensorArrayWriteV3', dtype, lambda x=x: Array(3, tf.as_dtype(x.dtype)).scatter([2, 0, 1], x).gather([0, 1, 2]))
    case('TensorArrayWriteV3', 'string', lambda: Array(2, tf.string).write(0, ['a', 'bc']).write(1, ['', 'd']).gather([1, 0]))
    case('TensorArrayWriteV3', 'grows', lambda: Array(0, dynamic_size=True).write(3, rows[0]).size())
    case('TensorArrayWriteV3', 'other_shapes', lambda: (lambda a: [a.read(0), a.read(1)])(Array(2).write(0, rows).write(1, rows[1])))
    bad('TensorArrayWriteV3', 'index', lambda: Array(3).write(3, rows[0]).size())
    bad('TensorArrayWriteV3', 'negative', lambda: Array(3, dynamic_size=True).write(-1, rows[0]).size())
    bad('TensorArrayWriteV3', 'twice', lambda: Array(3).write(0, rows[0]).write(0, rows[1]).size())
    bad('TensorArrayWriteV3', 'dtype', lambda: Array(3).write(0, tf.constant([1], tf.int32)).size())
    bad('TensorArrayWriteV3', 'element_shape', lambda: Array(3, element_shape=[2]).write(0, hidden(rows[0])).size())
    bad('TensorArrayWriteV3', 'identical', lambda: Array(3, identical_element_shapes=True).write(0, hidden(rows[0])).write(1, hidden(rows)).size())
    bad('TensorArrayWriteV3', 'index_shape', lambda: Array(3).write(hidden([0]), rows[0]).size())
    bad('TensorArrayV3', 'negative_size', lambda: Array(-1).size())
    bad('TensorArrayV3', 'size_shape', lambda: Array(hidden([1, 2])).size())
    case('TensorArrayV3', 'flow', lambda: Array(2).flow)

    case('TensorArrayReadV3', 'one', lambda: Array(3).write(1, rows).read(1))
    case('TensorArrayReadV3', 'zeros', lambda: Array(3, element_shape=[2, 2]).read(2))
    for clear in (True, False):
        def twice(clear=clear):
            a = Array(3, clear_after_read=clear).write(1, rows[0])
            with tf.control_dependencies([a.read(1, 'first')]):
                return a.read(1)
        if clear:
            bad('TensorArrayReadV3', 'twice', twice)
        else:
            case('TensorArrayReadV3', 'twice', twice)
    bad('TensorArrayReadV3', 'index', lambda: Array(3).read(3))
    bad('TensorArrayReadV3', 'negative', lambda: Array(3).read(-1))
    bad('TensorArrayReadV3', 'unwritten', lambda: Array(3).read(0))
    bad('TensorArrayReadV3', 'dtype', lambda: R.TensorArrayReadV3(handle=Array(3).handle, index=0, flow_in=0.0, dtype=tf.int32))

    def closed():
        a = Array(3).write(0, rows)
        with tf.control_dependencies([a.flow]):
            close = R.TensorArrayCloseV3(handle=a.handle)
        with tf.control_dependencies([close]):
            return a.read(0)
    bad('TensorArrayCloseV3', 'read_after', closed)

    case('TensorArrayGatherV3', 'rows', lambda: Array(4).scatter([0, 1, 2, 3], rows).gather([3, 0, 2], [3]))
    case('TensorArrayGatherV3', 'none', lambda: Array(4).gather(np.zeros([0], 'int32'), [2, 3]))
    case('TensorArrayGatherV3', 'repeated', lambda: Array(4, clear_after_read=False).scatter([0, 1, 2, 3], rows).gather([1, 1]))
    bad('TensorArrayGatherV3', 'none_unknown', lambda: Array(4).gather(hidden(np.zeros([0], 'int32'))), UNIMPLEMENTED)
    bad('TensorArrayGatherV3', 'repeated', lambda: Array(4).scatter([0, 1, 2, 3], rows).gather([1, 1]))
    bad('TensorArrayGatherV3', 'index', lambda: Array(4).scatter([0, 1, 2, 3], rows).gather([1, 4]))
    bad('TensorArrayGatherV3', 'shapes', lambda: Array(4).write(0, hidden(rows)).write(1, hidden(rows[0])).gather([0, 1]))
    bad('TensorArrayGatherV3', 'element_shape', lambda: Array(4).write(0, hidden(rows)).gather([0], [2, 2]))
    bad('TensorArrayGatherV3', 'indices_shape', lambda: Array(4).write(0, rows).gather(hidden([[0]])))

    case('TensorArrayScatterV3', 'grows', lambda: Array(0, dynamic_size=True).scatter([5, 1, 0, 2], rows).size())
    case('TensorArrayScatterV3', 'some', lambda: (lambda a: [a.read(1), a.read(3)])(Array(5).scatter([3, 1], rows[:2])))
    bad('TensorArrayScatterV3', 'index', lambda: Array(3).scatter([0, 1, 2, 3], rows).size())
    bad('TensorArrayScatterV3', 'negative', lambda: Array(4).scatter([0, 1, 2, -1], rows).size())
    bad('TensorArrayScatterV3', 'repeated', lambda: Array(4).scatter([0, 1, 2, 0], rows).size())
    bad('TensorArrayScatterV3', 'count', lambda: Array(4).scatter(hidden([0, 1]), hidden(rows)).size())
    bad('TensorArrayScatterV3', 'scalar', lambda: Array(4).scatter([0], hidden(np.float32(1))).size())

    pieces = np.array([1, 0, 3], 'int64')
    case('TensorArraySplitV3', 'pieces', lambda: (lambda a: [a.read(0), a.read(1), a.read(2)])(Array(3).split(rows, pieces)))
    case('TensorArraySplitV3', 'grows', lambda: Array(1, dynamic_size=True).split(rows, pieces).size())
    bad('TensorArraySplitV3', 'sum', lambda: Array(3).split(rows, np.array([1, 1, 1], 'int64')).size())
    bad('TensorArraySplitV3', 'count', lambda: Array(3).split(rows, np.array([1, 3], 'int64')).size())
    bad('TensorArraySplitV3', 'count_dynamic', lambda: Array(5, dynamic_size=True).split(rows, pieces).size())
    bad('TensorArraySplitV3', 'scalar', lambda: Array(1).split(hidden(np.float32(1)), np.array([1], 'int64')).size())
    bad('TensorArraySplitV3', 'lengths_shape', lambda: Array(1).split(rows, hidden(np.int64(4))).size())

    case('TensorArrayConcatV3', 'pieces', lambda: Array(3).split(rows, pieces).concat([3]))
    case('TensorArrayConcatV3', 'none', lambda: Array(0).concat([2, 3]))
    bad('TensorArrayConcatV3', 'none_unknown', lambda: Array(0).concat(), UNIMPLEMENTED)
    bad('TensorArrayConcatV3', 'unwritten', lambda: Array(2).write(0, rows).concat())
    bad('TensorArrayConcatV3', 'scalars', lambda: Array(1).write(0, np.float32(1)).concat())
    bad('TensorArrayConcatV3', 'shapes', lambda: Array(2).write(0, rows).write(1, rows[0]).concat())
    bad('TensorArrayConcatV3', 'element_shape', lambda: Array(1).write(0, rows).concat([2]))
    case('TensorArraySizeV3', 'given', lambda: Array(7).size())

    case('TensorArrayGradV3', 'zeros', lambda: Array(3).write(1, rows).gradient().read(1))
    for dtype in ('float32', 'float64', 'half', 'int32', 'complex64'):
        x, y = values(rng, [2, 3], dtype), values(rng, [2, 3], dtype)
        case('TensorArrayGradV3', f'adds_{dtype}', lambda x=x, y=y: Array(3, tf.as_dtype(x.dtype)).write(1, x).gradient().write(1, x).write(1, y).write(1, x).read(1))
    case('TensorArrayGradV3', 'two_sources', lambda: (lambda a: [a.gradient('g').write(0, rows).write(0, more).read(0), a.gradient('h').write(0, more).read(0)])(Array(2)))
    case('TensorArrayGradV3', 'concat', lambda: (lambda a: a.gradient().concat())(Array(3).split(rows, pieces)))
    bad('TensorArrayGradV3', 'shape', lambda: Array(3).write(1, rows).gradient().write(1, hidden(rows[0])).size())
    bad('TensorArrayGradV3', 'bool', lambda: Array(3, tf.bool).gradient().write(1, True).write(1, True).size())
    bad('TensorArrayGradV3', 'of_gradient', lambda: Array(3).gradient().gradient().size())
    bad('TensorArrayGradV3', 'does_not_grow', lambda: Array(3, dynamic_size=True).gradient().write(3, rows).size())
    case('TensorArrayGradWithShape', 'zeros', lambda: Array(3).write(1, rows).gradient(prepend=[2]).read(1))
    bad('TensorArrayGradWithShape', 'negative', lambda: Array(3).write(1, rows).gradient(prepend=hidden([-2])).read(1))

    def stacked(pushes, pops, max_size=-1, dtype=tf.float32, old=False, close=False):
        new, push, pop = (R.Stack, R.StackPush, R.StackPop) if old else (R.StackV2, R.StackPushV2, R.StackPopV2)
        stack = new(elem_type=dtype, **({} if old else {'max_size': max_size}))
        after, popped = [], []
        for value in pushes:
            with tf.control_dependencies(after):
                after = [push(handle=stack, elem=value)]
        if close:
            with tf.control_dependencies(after):
                after = [(R.StackClose if old else R.StackCloseV2)(handle=stack)]
        for _ in range(pops):
            with tf.control_dependencies(after):
                after = [pop(handle=stack, elem_type=dtype)]
            popped += after
        return popped or after
    case('StackV2', 'last_in_first_out', lambda: stacked([rows, rows[0], np.float32(7)], 3))
    case('StackV2', 'string', lambda: stacked(['a', 'b'], 2, 5, tf.string))
    case('StackV2', 'push', lambda: stacked([rows], 0))
    bad('StackV2', 'empty', lambda: stacked([rows], 2))
    bad('StackV2', 'full', lambda: stacked([rows, rows], 1, 1))
    bad('StackV2', 'dtype', lambda: stacked([tf.constant(1)], 1))
    bad('StackV2', 'size_shape', lambda: stacked([rows], 1, hidden([1, 2])))

    case('Stack', 'last_in_first_out', lambda: stacked([rows, rows[0], np.float32(7)], 3, old=True))
    case('Stack', 'string', lambda: stacked(['a', 'b'], 2, dtype=tf.string, old=True))
    case('Stack', 'push', lambda: stacked([rows], 0, old=True))
    bad('Stack', 'empty', lambda: stacked([rows], 2, old=True))
    bad('Stack', 'dtype', lambda: stacked([tf.constant(1)], 1, old=True))
    bad('Stack', 'closed', lambda: stacked([rows], 1, old=True, close=True))
    bad('StackV2', 'closed', lambda: stacked([rows], 1, close=True))
