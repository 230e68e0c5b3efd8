"""Cases of the ops with state or effects: variables, optimizer updates, assertions, example parsing, summaries."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case, op_case, raw, rng_for, values

INVALID_ARGUMENT, FAILED_PRECONDITION, NOT_FOUND = 3, 9, 5


class Variables:
    """A graph with variables made from values; `kind` is ref or resource."""

    def __init__(self, kind):
        self.kind = kind
        self.graph = tf.Graph()
        self.handles = {}

    def add(self, name, value):
        value = np.asarray(value)
        init = tf.constant(value, name=f'{name}_init')
        if self.kind == 'ref':
            handle = raw('VariableV2', [], dict(shape=value.shape, dtype=value.dtype), name)
            tf.raw_ops.Assign(ref=handle, value=init, name=f'{name}_assign')
            tf.identity(handle, name=f'{name}_read')
        else:
            handle = raw('VarHandleOp', [], dict(shape=value.shape, dtype=tf.as_dtype(value.dtype), shared_name=name), name)
            tf.raw_ops.AssignVariableOp(resource=handle, value=init, name=f'{name}_assign')
            tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.as_dtype(value.dtype), name=f'{name}_read')
        self.handles[name] = handle
        return handle

    def init(self):
        with self.graph.control_dependencies([self.graph.get_operation_by_name(f'{n}_assign') for n in self.handles]):
            tf.no_op(name='init')


def after(w, op, kind, variables, inputs, label, error=0, feeds=None, runs=1, dtypes=None, **attrs):
    """Initializes the variables, runs `op` on their handles and the inputs, and expects what the variables then hold."""
    v = Variables(kind)
    fed = {}
    with v.graph.as_default():
        handles = [v.add(name, value) for name, value in variables]
        v.init()
        tensors = []
        for k, value in enumerate(inputs):
            if error:
                p = tf.placeholder(tf.as_dtype(np.asarray(value).dtype), None, name=f'in{k}')
                fed[p.name] = value
                tensors.append(p)
            else:
                tensors.append(tf.constant(value, name=f'in{k}'))
        definition_attrs = dict(attrs)
        raw(op, handles + tensors, definition_attrs)
    if error:
        outputs = v.graph.get_operation_by_name('op').outputs
        finish_case(w, op, label, v.graph, [t.name for t in outputs], pre_targets=['init'], feeds=fed, error=error,
                    run_targets=[] if outputs else ['op'])
    else:
        loose = any(np.asarray(value).dtype.kind == 'f' for _, value in variables)
        wide = all(np.asarray(value).dtype == np.float64 for _, value in variables)
        half = any(np.asarray(value).dtype == np.float16 for _, value in variables)
        finish_case(w, op, label, v.graph, [f'{n}_read:0' for n, _ in variables], pre_targets=['init'] + ['op'] * runs,
                    rtol=(1e-9 if wide else 4e-3 if half else 1e-4) if loose else 0.0,
                    atol=(1e-10 if wide else 4e-3 if half else 1e-5) if loose else 0.0)


def assignments(w):
    rng = rng_for('assignments')
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half', 'bool', 'complex64'):
        after(w, 'Assign', 'ref', [('v', values(rng, [2, 3], dtype))], [values(rng, [2, 3], dtype)], dtype)
        after(w, 'AssignVariableOp', 'resource', [('v', values(rng, [2, 3], dtype))], [values(rng, [2, 3], dtype)], dtype)
    for dtype in ('float32', 'float64', 'int32', 'int64', 'half'):
        for op, kind in (('AssignAdd', 'ref'), ('AssignSub', 'ref'), ('AssignAddVariableOp', 'resource'), ('AssignSubVariableOp', 'resource')):
            after(w, op, kind, [('v', values(rng, [4], dtype))], [values(rng, [4], dtype)], dtype, runs=2)
    after(w, 'AssignAdd', 'ref', [('v', np.int64(5))], [np.int64(1)], 'scalar', runs=3)
    after(w, 'Assign', 'ref', [('v', values(rng, [2], 'f'))], [values(rng, [3], 'f')], 'error_shape', error=INVALID_ARGUMENT)
    after(w, 'AssignAdd', 'ref', [('v', values(rng, [2], 'f'))], [values(rng, [3], 'f')], 'error_shape', error=INVALID_ARGUMENT)
    after(w, 'AssignAddVariableOp', 'resource', [('v', values(rng, [2], 'f'))], [values(rng, [3], 'f')], 'error_shape', error=INVALID_ARGUMENT)
    after(w, 'Assign', 'ref', [('v', values(rng, [2], 'f'))], [values(rng, [3], 'f')], 'any_shape', validate_shape=False)
    for op in ('ScatterUpdate', 'ScatterAdd', 'ScatterSub', 'ScatterMul', 'ScatterDiv'):
        for kind, prefix in (('ref', ''), ('resource', 'Resource')):
            x, u = values(rng, [5, 2], 'f', 1, 3), values(rng, [3, 2], 'f', 1, 2)
            after(w, prefix + op, kind, [('v', x)], [np.array([4, 0, 2], np.int32), u], 'rows')
            after(w, prefix + op, kind, [('v', x)], [np.array([1, 1, 3], np.int64), u], 'repeated' if op != 'ScatterUpdate' else 'last')
            after(w, prefix + op, kind, [('v', x)], [np.int32(2), u[0]], 'one')
            after(w, prefix + op, kind, [('v', x)], [np.array([0, 5], np.int32), u[:2]], 'error_index', error=INVALID_ARGUMENT)
            after(w, prefix + op, kind, [('v', x)], [np.array([0, 1], np.int32), u], 'error_shapes', error=INVALID_ARGUMENT)
    # Reading, and the state of being initialized.
    for kind in ('ref', 'resource'):
        for ready in (False, True):
            v = Variables(kind)
            with v.graph.as_default():
                handle = v.add('v', np.array([1.5, 2.5], 'f'))
                v.init()
                op = 'IsVariableInitialized' if kind == 'ref' else 'VarIsInitializedOp'
                raw(op, [handle], {})
            finish_case(w, op, 'initialized' if ready else 'uninitialized', v.graph, ['op:0'], pre_targets=['init'] if ready else [])
            if not ready:
                finish_case(w, 'VariableV2' if kind == 'ref' else 'ReadVariableOp', 'error_uninitialized', v.graph, ['v_read:0'],
                            error=FAILED_PRECONDITION)
    v = Variables('resource')
    with v.graph.as_default():
        handle = v.add('v', np.zeros([3, 2], 'f'))
        v.init()
        raw('VariableShape', [handle], {})
    finish_case(w, 'VariableShape', '', v.graph, ['op:0'], pre_targets=['init'])
    with v.graph.as_default():
        raw('ResourceGather', [handle, tf.constant([2, 0])], dict(dtype=tf.float32), 'gather')
        raw('DestroyResourceOp', [handle], {}, 'destroy')
    finish_case(w, 'ResourceGather', '', v.graph, ['gather:0'], pre_targets=['init'])
    finish_case(w, 'DestroyResourceOp', 'error_read_after', v.graph, ['v_read:0'], pre_targets=['init', 'destroy'], error=FAILED_PRECONDITION)


def updates(w):
    """ApplyGradientDescent, ApplyMomentum and ApplyAdam: reference and resource variables, dense and sparse gradients."""
    rng = rng_for('updates')
    for kind, prefix in (('ref', ''), ('resource', 'Resource')):
        for dtype in ('float32', 'float64', 'half'):
            t = np.dtype('float16' if dtype == 'half' else dtype).type
            for shape in ([3, 5], [131], []):
                size = '_'.join(map(str, shape)) or 'scalar'
                label = f'{dtype}_{size}'
                x, m, g = (values(rng, shape, dtype, -1, 1) for _ in range(3))
                s = values(rng, shape, dtype, 0.1, 1)
                after(w, f'{prefix}ApplyGradientDescent', kind, [('var', x)], [t(0.25), g], label, runs=2)
                for nesterov in (False, True):
                    after(w, f'{prefix}ApplyMomentum', kind, [('var', x), ('accum', m)], [t(0.125), g, t(0.75)],
                          label + ('_nesterov' if nesterov else ''), runs=2, use_nesterov=nesterov)
                    after(w, f'{prefix}ApplyAdam', kind, [('var', x), ('m', m), ('v', s)],
                          [t(0.5), t(0.25), t(0.01), t(0.875), t(0.75), t(0.0625), g],
                          label + ('_nesterov' if nesterov else ''), runs=2, use_nesterov=nesterov)
        for dtype in ('float32', 'float64'):
            t = np.dtype(dtype).type
            for index in (np.int32, np.int64):
                x, m = values(rng, [6, 3], dtype), values(rng, [6, 3], dtype)
                for nesterov in (False, True):
                    after(w, f'{prefix}SparseApplyMomentum', kind, [('var', x), ('accum', m)],
                          [t(0.1), values(rng, [3, 3], dtype), np.array([4, 0, 5], index), t(0.9)],
                          f'{dtype}_{np.dtype(index).name}' + ('_nesterov' if nesterov else ''), use_nesterov=nesterov)
        x = values(rng, [3, 2], 'f')
        after(w, f'{prefix}ApplyGradientDescent', kind, [('var', x)], [np.float32(1), x[:2]], 'error_shape', error=INVALID_ARGUMENT)
        after(w, f'{prefix}ApplyGradientDescent', kind, [('var', x)], [x[0], x], 'error_alpha', error=INVALID_ARGUMENT)
        after(w, f'{prefix}ApplyAdam', kind, [('var', x), ('m', x), ('v', x)], [np.float32(0.5)] * 6 + [x[:1]], 'error_shape', error=INVALID_ARGUMENT)
        after(w, f'{prefix}SparseApplyMomentum', kind, [('var', x), ('accum', x)],
              [np.float32(1), x[:1], np.array([3], np.int32), np.float32(1)], 'error_index', error=INVALID_ARGUMENT)


def effects(w):
    for condition, error in ((True, 0), (False, INVALID_ARGUMENT)):
        graph = tf.Graph()
        with graph.as_default():
            raw('Assert', [tf.constant(condition), [tf.constant('value was'), tf.constant([1.0, 2.0])]], {})
            with tf.control_dependencies([graph.get_operation_by_name('op')]):
                tf.constant(3.0, name='after')
        finish_case(w, 'Assert', 'error_false' if error else 'true', graph, ['after:0'], error=error)
    graph = tf.Graph()
    with graph.as_default():
        with tf.control_dependencies([tf.no_op('op')]):
            tf.constant(1, name='after')
    finish_case(w, 'NoOp', '', graph, ['after:0'])
    graph = tf.Graph()
    with graph.as_default():
        raw('Print', [tf.constant([1.0, 2.0]), [tf.constant('printed'), tf.constant(7)]], dict(message='golden: '))
    finish_case(w, 'Print', '', graph, ['op:0'])
    for pred in (False, True):
        graph = tf.Graph()
        with graph.as_default():
            x = tf.constant([1.0, 2.0])
            off, on = raw('Switch', [x, tf.constant(pred)], {}, 'switch')
            raw('Merge', [[tf.negative(off), tf.square(on)]], {})
        finish_case(w, 'Merge', f'{pred}'.lower(), graph, ['op:0', 'op:1'])


def examples():
    def one(**features):
        out = tf.train.Example()
        for key, value in features.items():
            feature = out.features.feature[key]
            kind = 'bytes_list' if isinstance(value[0], bytes) else 'float_list' if isinstance(value[0], float) else 'int64_list'
            getattr(feature, kind).value.extend(value)
        return out.SerializeToString(deterministic=True)
    return [one(x=[1.5, -2.0], n=[7], s=[b'one'], many=[3, 1, 4]),
            one(x=[0.25, 8.0], n=[-1], s=[b''], many=[1]),
            one(x=[9.0, 10.0], n=[2 ** 60], s=[b'three\0'], extra=[5.0])]


def parsing(w):
    serialized = examples()
    for label, features in (
            ('dense', dict(x=tf.FixedLenFeature([2], tf.float32), n=tf.FixedLenFeature([], tf.int64), s=tf.FixedLenFeature([1], tf.string))),
            ('default', dict(y=tf.FixedLenFeature([2], tf.float32, [5.0, 6.0]), n=tf.FixedLenFeature([], tf.int64, 3))),
            ('variable', dict(many=tf.VarLenFeature(tf.int64), extra=tf.VarLenFeature(tf.float32))),
            ('sequence', dict(many=tf.FixedLenSequenceFeature([], tf.int64, allow_missing=True, default_value=-9))),
            ('shaped', dict(x=tf.FixedLenFeature([1, 2, 1], tf.float32)))):
        graph = tf.Graph()
        with graph.as_default():
            parsed = tf.parse_example(tf.constant(serialized), features)
            fetches = []
            for key in sorted(parsed):
                value = parsed[key]
                fetches += [value.indices.name, value.values.name, value.dense_shape.name] if isinstance(value, tf.SparseTensor) else [value.name]
        finish_case(w, 'ParseExampleV2', label, graph, fetches)
        if label != 'sequence':
            graph = tf.Graph()
            with graph.as_default():
                parsed = tf.parse_single_example(tf.constant(serialized[0]), features)
                fetches = []
                for key in sorted(parsed):
                    value = parsed[key]
                    fetches += [value.indices.name, value.values.name, value.dense_shape.name] if isinstance(value, tf.SparseTensor) else [value.name]
            finish_case(w, 'ParseExampleV2', f'one_{label}', graph, fetches)
    for label, bad, features in (
            ('missing', serialized[0], dict(absent=tf.FixedLenFeature([], tf.int64))),
            ('kind', serialized[0], dict(x=tf.FixedLenFeature([2], tf.int64))),
            ('shape', serialized[0], dict(x=tf.FixedLenFeature([3], tf.float32))),
            ('bytes', b'\x0a\x7f\x01', dict(x=tf.FixedLenFeature([2], tf.float32)))):
        graph = tf.Graph()
        with graph.as_default():
            parsed = tf.parse_example(tf.constant([bad]), features)
            fetches = [t.name for t in parsed.values()]
        finish_case(w, 'ParseExampleV2', f'error_{label}', graph, fetches, error=INVALID_ARGUMENT)
    graph = tf.Graph()
    with graph.as_default():
        raw('ParseExample', [tf.constant(serialized), tf.constant([], tf.string), [tf.constant('many')], [tf.constant('x'), tf.constant('n')],
                             [tf.constant([], tf.float32), tf.constant(4, tf.int64)]],
            dict(sparse_types=[tf.int64], dense_shapes=[tf.TensorShape([2]), tf.TensorShape([])]))
    finish_case(w, 'ParseExample', '', graph, [f'op:{k}' for k in range(5)])
    graph = tf.Graph()
    with graph.as_default():
        raw('ParseSingleExample', [tf.constant(serialized[0]), [tf.constant([], tf.float32)]],
            dict(num_sparse=1, sparse_keys=['many'], dense_keys=['x'], sparse_types=[tf.int64], dense_shapes=[tf.TensorShape([2])]))
    finish_case(w, 'ParseSingleExample', '', graph, [f'op:{k}' for k in range(4)])


def make_summaries(w):
    rng = rng_for('summaries')
    op_case(w, 'ScalarSummary', np.array(b'loss'), np.float32(0.75))
    op_case(w, 'ScalarSummary', np.array([b'a', b'b']), np.array([1, 2], np.int64), label='several')
    op_case(w, 'ScalarSummary', np.array([b'a']), np.array([1, 2], np.float32), label='error_shapes', error=INVALID_ARGUMENT)
    for dtype in ('float32', 'float64', 'int32'):
        op_case(w, 'HistogramSummary', np.array(b'w'), values(rng, [20], dtype), label=dtype)
    op_case(w, 'HistogramSummary', np.array(b'w'), np.zeros([3], 'f'), label='zeros')
    op_case(w, 'HistogramSummary', np.array(b'w'), np.array([1.0, np.nan], 'f'), label='error_nan', error=INVALID_ARGUMENT)
    op_case(w, 'ImageSummary', np.array(b'im'), values(rng, [2, 3, 4, 3], 'uint8', 0, 255), label='uint8')
    for dtype in ('float32', 'float64', 'half'):
        for low in (0, -1):
            op_case(w, 'ImageSummary', np.array(b'im'), values(rng, [4, 3, 4, 1], dtype, low, 2), label=f'{dtype}_{low}')
    op_case(w, 'ImageSummary', np.array(b'im'), np.array([[[[1, np.nan, 2, 3], [4, 5, 6, 7]]]], 'f'), label='not_finite', max_images=1)
    op_case(w, 'ImageSummary', np.array(b'im'), np.zeros([1, 2, 2, 3], 'f'), label='zeros')
    op_case(w, 'ImageSummary', np.array(b'im'), np.zeros([1, 2, 2, 2], 'f'), label='error_channels', error=INVALID_ARGUMENT)
    op_case(w, 'ImageSummary', np.array(b'im'), np.zeros([2, 2, 3], 'f'), label='error_rank', error=INVALID_ARGUMENT)
    graph = tf.Graph()
    with graph.as_default():
        parts = [tf.summary.scalar('a', 1.5), tf.summary.histogram('h', tf.constant([1.0, 2.0, 2.0]))]
        raw('MergeSummary', [parts], {})
    finish_case(w, 'MergeSummary', '', graph, ['op:0'])
    graph = tf.Graph()
    with graph.as_default():
        raw('MergeSummary', [[tf.summary.scalar('a', 1.5), tf.constant(tf.Summary(value=[tf.Summary.Value(tag='a', simple_value=2)]).SerializeToString())]], {})
    finish_case(w, 'MergeSummary', 'error_twice', graph, ['op:0'], error=INVALID_ARGUMENT)


def make_sounds(w):
    rng = rng_for('sounds')
    for label, sound, kw in (('mono', values(rng, [2, 5], 'float32', -1, 1), {}), ('stereo', values(rng, [4, 3, 2], 'float32', -1, 1), {}), ('one', values(rng, [2, 3], 'float32', -1, 1), dict(max_outputs=1)),
                             ('cut', np.array([[2, -2, 1, -1, .5 / 32768, 1.5 / 32768, -.5 / 32768]], 'f'), {}), ('not_finite', np.array([[np.nan, np.inf, -np.inf]], 'f'), {}),
                             ('no_frames', np.zeros([1, 0], 'f'), {}), ('no_sounds', np.zeros([0, 2], 'f'), {})):
        op_case(w, 'AudioSummaryV2', np.array(b'au'), sound, np.float32(8000), label=label, **kw)
    for rate in (.2, 1.5, 2.5, 1e9):
        op_case(w, 'AudioSummaryV2', np.array(b'au'), np.zeros([1, 2], 'f'), np.float32(rate), label=f'rate_{rate}')
    for label, tag, sound, rate in (('rate', b'au', np.ones([1, 2]), 0), ('large_rate', b'au', np.ones([1, 2]), 1e12), ('rank', b'au', np.ones([2]), 8000), ('channels', b'au', np.ones([1, 2, 0]), 8000),
                                    ('tags', [b'a', b'b'], np.ones([1, 2]), 8000)):
        op_case(w, 'AudioSummaryV2', np.array(tag), sound.astype('f'), np.float32(rate), label=f'error_{label}', error=INVALID_ARGUMENT)


def make_writers(w):
    """No event file has the same bytes twice: these say what happens where there is no writer."""
    step, tag = np.int64(1), b't'
    for op, inputs in (('FlushSummaryWriter', []), ('CloseSummaryWriter', []), ('WriteScalarSummary', [step, tag, np.float32(1)]), ('WriteHistogramSummary', [step, tag, np.ones([2], 'f')]),
                       ('WriteSummary', [step, np.ones([2]), tag, b'']), ('WriteImageSummary', [step, tag, np.ones([1, 1, 1, 1], 'f'), np.array([255, 0, 0, 255], 'u1')]),
                       ('WriteAudioSummary', [step, tag, np.ones([1, 2], 'f'), np.float32(8000)]), ('WriteGraphSummary', [step, b'']), ('WriteRawProtoSummary', [step, [b'']]), ('ImportEvent', [b''])):
        graph = tf.Graph()
        with graph.as_default():
            writer = raw('SummaryWriter', [], dict(shared_name='nobody'), name='writer')
            raw(op, [writer, *[tf.constant(v) for v in inputs]], {})
        finish_case(w, op, 'error_none', graph, [], error=NOT_FOUND, run_targets=['op'])


def make(w):
    assignments(w)
    updates(w)
    effects(w)
    parsing(w)
