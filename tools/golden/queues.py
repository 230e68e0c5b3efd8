"""Cases of the queues: what leaves them, in which order, and what a closed one says."""
import numpy as np
import tensorflow.compat.v1 as tf

from golden.record import finish_case

CANCELLED, INVALID_ARGUMENT, OUT_OF_RANGE = 1, 3, 11
SCALAR = []


def case(writer, op, label, make, error=0):
    """`make(prepare)` builds the graph, notes operations to run first with `prepare`, and returns what to fetch or run."""
    graph = tf.Graph()
    first = []
    with graph.as_default():
        result = make(lambda operation: first.append(operation.name))
    fetches = [] if isinstance(result, tf.Operation) else [t.name for t in (result if isinstance(result, list) else [result])]
    finish_case(writer, op, label, graph, fetches, pre_targets=first, error=error,
                run_targets=[result.name] if isinstance(result, tf.Operation) else [])


def filled(prepare, queue, values, close=False):
    prepare(queue.enqueue_many([values]))
    if close:
        prepare(queue.close())
    return queue


def fifo(capacity=20, dtype=tf.int32, shape=SCALAR):
    return tf.FIFOQueue(capacity, dtype, [shape])


def make(writer):
    count = np.arange(12, dtype=np.int32)
    for dtype in (tf.float32, tf.string, tf.bool, tf.bfloat16, tf.complex64):
        value = tf.cast(tf.constant([[1, 0], [3, 4]]), dtype) if dtype != tf.string else tf.constant([['a', ''], ['c', 'd']])
        with tf.Session(graph=tf.get_default_graph()) as session:
            rows = session.run(value)
        case(writer, 'QueueDequeueV2', dtype.name,
             lambda prepare: filled(prepare, fifo(dtype=dtype, shape=[2]), tf.constant(rows, dtype)).dequeue())
    case(writer, 'QueueDequeueV2', 'closed_and_empty', lambda prepare: filled(prepare, fifo(), count[:0], True).dequeue(), OUT_OF_RANGE)
    case(writer, 'QueueDequeueManyV2', 'all', lambda prepare: filled(prepare, fifo(), count).dequeue_many(12))
    case(writer, 'QueueDequeueManyV2', 'none', lambda prepare: filled(prepare, fifo(shape=[]), count).dequeue_many(0))
    case(writer, 'QueueDequeueManyV2', 'too_few', lambda prepare: filled(prepare, fifo(), count, True).dequeue_many(13), OUT_OF_RANGE)
    case(writer, 'QueueDequeueManyV2', 'shapes_unknown',
         lambda prepare: filled(prepare, tf.FIFOQueue(20, tf.int32), count).dequeue_many(2), INVALID_ARGUMENT)
    case(writer, 'QueueDequeueUpToV2', 'rest', lambda prepare: filled(prepare, fifo(), count, True).dequeue_up_to(40))
    case(writer, 'QueueDequeueUpToV2', 'enough', lambda prepare: filled(prepare, fifo(), count).dequeue_up_to(5))
    case(writer, 'QueueDequeueUpToV2', 'closed_and_empty',
         lambda prepare: filled(prepare, fifo(), count[:0], True).dequeue_up_to(5), OUT_OF_RANGE)
    case(writer, 'QueueEnqueueV2', 'closed', lambda prepare: filled(prepare, fifo(), count, True).enqueue(1), CANCELLED)
    case(writer, 'QueueEnqueueManyV2', 'shape_mismatch',
         lambda prepare: fifo(shape=[3]).enqueue_many([tf.placeholder_with_default(np.ones([2, 2], np.int32), None)]), INVALID_ARGUMENT)
    case(writer, 'QueueCloseV2', 'twice', lambda prepare: filled(prepare, fifo(), count, True).close(), CANCELLED)
    case(writer, 'QueueIsClosedV2', 'open', lambda prepare: filled(prepare, fifo(), count).is_closed())
    case(writer, 'QueueIsClosedV2', 'closed', lambda prepare: filled(prepare, fifo(), count, True).is_closed())
    case(writer, 'QueueSizeV2', '', lambda prepare: filled(prepare, fifo(), count).size())
    for seed in (1, 2):
        for n in (1, 5, 12):
            case(writer, 'RandomShuffleQueueV2', f'seed{seed}_{n}',
                 lambda prepare: filled(prepare, tf.RandomShuffleQueue(20, 0, tf.int32, [SCALAR], seed=seed), count).dequeue_many(n))
    case(writer, 'RandomShuffleQueueV2', 'closed',
         lambda prepare: filled(prepare, tf.RandomShuffleQueue(20, 10, tf.int32, [SCALAR], seed=3), count, True).dequeue_up_to(15))
    case(writer, 'PriorityQueueV2', 'reversed', lambda prepare: prioritized(prepare, [5, 4, 3, 2, 1]))
    case(writer, 'PriorityQueueV2', 'equal', lambda prepare: prioritized(prepare, [2, 1, 2, 1, 2]))
    case(writer, 'PaddingFIFOQueueV2', 'matrices', padded)
    case(writer, 'PaddingFIFOQueueV2', 'strings', padded_strings)


def prioritized(prepare, priorities):
    queue = tf.PriorityQueue(10, [tf.string], [SCALAR])
    prepare(queue.enqueue_many([np.asarray(priorities, np.int64), [f'element {i}' for i in range(len(priorities))]]))
    return list(queue.dequeue_many(len(priorities)))


def padded(prepare):
    queue = tf.PaddingFIFOQueue(10, [tf.float32], [[None, 2, None]])
    for rows, columns in ((1, 3), (2, 1), (0, 2)):
        prepare(queue.enqueue([np.arange(rows * 2 * columns, dtype=np.float32).reshape(rows, 2, columns) + 1]))
    return queue.dequeue_many(3)


def padded_strings(prepare):
    queue = tf.PaddingFIFOQueue(10, [tf.string, tf.int64], [[None], SCALAR])
    for n in (2, 0, 3):
        prepare(queue.enqueue([tf.constant(['x'] * n, tf.string, [n]), np.int64(n)]))
    return list(queue.dequeue_many(3))
