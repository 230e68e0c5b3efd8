#!/usr/bin/env python3
"""Supervised sessions in TensorFlow (1.15.5 or 2.21), as supervision/scenarios.cc makes them in Millrace: the same programs, call by call.

    supervision_tf.py > tests/data/supervision_records.json

Per scenario the lines of its record, in the order in which things happened on the program's thread: calls of hooks, runs of sessions
(what was fed, fetched and run, by name), files that appeared or went, lines that were logged; at the end the events of each event file.
"""
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow.compat.v1 as tf  # noqa: E402
from tensorflow.python.client import session as session_module  # noqa: E402

tf.disable_v2_behavior()
T = tf.train
lines = []  # the record of the scenario that runs
files = set()


def present():
    """Event files are left out: a thread of their writer makes them."""
    return {os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk('.') for name in names if 'tfevents' not in name}


def note(line):
    if threading.current_thread() is not threading.main_thread():
        return
    now = present()
    lines.extend('file ' + name for name in sorted(now - files))
    lines.extend('gone ' + name for name in sorted(files - now))
    files.clear()
    files.update(now)
    lines.append(line)


def name_of(thing):
    if isinstance(thing, bytes):
        return thing.decode()
    return thing if isinstance(thing, str) else thing.name


def record_runs():
    do_run = session_module.BaseSession._do_run

    def recorded(self, handle, target_list, fetch_list, feed_dict, options, run_metadata):
        fetched = sorted(t.name for t in fetch_list)
        run = sorted(op.name for op in target_list)
        fed = sorted((t.deref() if hasattr(t, 'deref') else t).name for t in feed_dict)  # 2.21 keeps references
        note('run fetch=%s target=%s feed=%s' % (fetched, run, fed))
        return do_run(self, handle, target_list, fetch_list, feed_dict, options, run_metadata)

    session_module.BaseSession._do_run = recorded


class Log(logging.Handler):
    def emit(self, record):
        line = record.getMessage()
        # What TensorFlow says of itself, and a warning that depends on how fast the threads are.
        if not re.search(r'Instructions for updating|\(from tensorflow|has not been increased', line):
            note('log ' + line)


class Tracer(T.SessionRunHook):
    """Notes its calls, and raises `error` in the count-th call of the method that it names."""

    def __init__(self, name, raise_in='', count=1, error=None):
        self.name, self.raise_in, self.left, self.error = name, raise_in, count, error

    def call(self, method, more=''):
        note('hook %s.%s%s' % (self.name, method, more))
        if method == self.raise_in:
            self.left -= 1
            if self.left == 0:
                raise self.error

    def begin(self):
        self.call('begin', ' finalized=%s' % tf.get_default_graph().finalized)

    def after_create_session(self, session, coord):
        self.call('after_create_session', ' stop=%s' % coord.should_stop())

    def before_run(self, run_context):
        fetches = run_context.original_args.fetches
        fetches = fetches if isinstance(fetches, list) else [fetches]
        self.call('before_run', ' %s stop=%s' % ([name_of(f) for f in fetches], run_context.stop_requested))
        return None

    def after_run(self, run_context, run_values):
        self.call('after_run', ' results=%s' % (run_values.results is not None))

    def end(self, session):
        self.call('end')


class Fetcher(T.SessionRunHook):
    """Adds a fetch and a feed to each run."""

    def __init__(self, fetch, feed):
        self.fetch, self.feed = fetch, feed

    def before_run(self, run_context):
        return T.SessionRunArgs([self.fetch], feed_dict={self.feed: 0.5})

    def after_run(self, run_context, run_values):
        note('hook Fetcher.after_run %.6g' % run_values.results[0])


class Listener(T.CheckpointSaverListener):
    def begin(self):
        note('listener begin')

    def before_save(self, session, global_step_value):
        note('listener before_save %d' % global_step_value)

    def after_save(self, session, global_step_value):
        note('listener after_save %d' % global_step_value)
        return global_step_value == 4

    def end(self, session, global_step_value):
        note('listener end %d' % global_step_value)


def model():
    """(1.5 w - 1)^2 from w = 2, by gradient descent."""
    step = T.get_or_create_global_step()
    w = tf.get_variable('w', initializer=2.0)
    loss = tf.square(w * 1.5 - 1.0, name='loss')
    tf.summary.scalar('loss', loss)
    return loss, T.GradientDescentOptimizer(0.1).minimize(loss, step)


def loop(session, fetches):
    while not session.should_stop():
        session.run(fetches)


def note_graph():
    """All ops, as they were made; hooks read the global step in another way."""
    note('graph %s' % [op.name for op in tf.get_default_graph().get_operations() if not re.match(r'global_step/(cond|add|initial)', op.name)])


# --- scenarios

def training():
    loss, train = model()
    with T.MonitoredTrainingSession(
            checkpoint_dir='ck', hooks=[Tracer('A'), Tracer('B'), T.StopAtStepHook(last_step=7), T.LoggingTensorHook({'loss': loss}, every_n_iter=2)],
            chief_only_hooks=[Tracer('C')], save_checkpoint_steps=3, save_summaries_steps=2, log_step_count_steps=4) as session:
        loop(session, [loss, train])
        note_graph()


def defaults():
    loss, train = model()
    with T.MonitoredTrainingSession(checkpoint_dir='ck', hooks=[T.StopAtStepHook(num_steps=3)], summary_dir='summaries') as session:
        loop(session, train)


def resume():
    for stop in (3, 5):
        with tf.Graph().as_default():
            loss, train = model()
            with T.MonitoredTrainingSession(checkpoint_dir='ck', hooks=[Tracer('A'), T.StopAtStepHook(last_step=stop)],
                                            save_checkpoint_steps=100, save_summaries_steps=None, save_summaries_secs=None) as session:
                loop(session, train)


def keep_two():
    loss, train = model()
    scaffold = T.Scaffold(saver=T.Saver(max_to_keep=2))
    with T.MonitoredTrainingSession(checkpoint_dir='ck', scaffold=scaffold, hooks=[T.StopAtStepHook(last_step=4)], save_checkpoint_steps=1,
                                    save_summaries_steps=None, save_summaries_secs=None, log_step_count_steps=None) as session:
        loop(session, train)


def listeners():
    loss, train = model()
    saver_hook = T.CheckpointSaverHook('ck', save_steps=2, saver=T.Saver(), listeners=[Listener()])
    with T.MonitoredSession(hooks=[saver_hook, Tracer('A')]) as session:
        loop(session, train)


def nan_loss(fail):
    T.get_or_create_global_step()
    x = tf.placeholder(tf.float32, [], name='x')
    loss = tf.log(x)
    with T.MonitoredSession(hooks=[Tracer('A'), T.NanTensorHook(loss, fail_on_nan_loss=fail)]) as session:
        for value in (1., 2., -1., 3.):
            if session.should_stop():
                break
            session.run(loss, {x: value})


def lost_machine(where):
    loss, train = model()
    hooks = [Tracer('A'), Tracer('F', where, 2 if where.endswith('run') else 1, tf.errors.AbortedError(None, None, 'preempted')),
             T.StopAtStepHook(last_step=3)]
    with T.MonitoredTrainingSession(checkpoint_dir='ck', hooks=hooks, save_checkpoint_steps=1, save_summaries_steps=None,
                                    save_summaries_secs=None, log_step_count_steps=None) as session:
        loop(session, train)


def hook_raises(where):
    loss, train = model()
    hooks = [Tracer('A'), Tracer('F', where, 1, tf.errors.DataLossError(None, None, 'broken')), Tracer('B'), T.StopAtStepHook(last_step=2)]
    with T.MonitoredSession(hooks=hooks) as session:
        loop(session, train)


def end_of_data():
    T.get_or_create_global_step()
    following = tf.data.make_one_shot_iterator(tf.data.Dataset.range(2)).get_next()
    with T.MonitoredSession(hooks=[Tracer('A')]) as session:
        while not session.should_stop():
            session.run(following)
    note('after the session')


def step_function():
    loss, train = model()
    with T.MonitoredSession(hooks=[Tracer('A')]) as session:
        def step(step_context):
            step_context.session.run(loss)
            step_context.run_with_hooks(train)
        session.run_step_fn(step)
        note('should_stop=%s' % session.should_stop())
        session.run_step_fn(lambda step_context: step_context.request_stop())  # leaves the session's scope


def fetches_and_feeds():
    T.get_or_create_global_step()
    x = tf.placeholder_with_default(1.0, [], name='x')
    y = tf.multiply(x, 2.0, name='y')
    z = tf.placeholder_with_default(3.0, [], name='z')
    final = T.FinalOpsHook([y], {x: 10.0})
    hooks = [Fetcher(y, x), T.FeedFnHook(lambda: {z: 5.0}), T.GlobalStepWaiterHook(0), final]
    with T.MonitoredSession(hooks=hooks) as session:
        note('value %.6g' % session.run(y))
        try:
            session.run(y, {x: 2.0})
        except RuntimeError:
            note('both feed x')
    note('final %.6g' % final.final_ops_values[0])


def singular():
    loss, train = model()
    with T.SingularMonitoredSession(hooks=[Tracer('A'), Tracer('F', 'after_run', 2, tf.errors.UnavailableError(None, None, 'gone'))],
                                    checkpoint_dir='ck') as session:
        loop(session, train)


def scaffolded():
    w = tf.get_variable('w', initializer=1.0)
    local = tf.get_variable('local', initializer=3.0, collections=[tf.GraphKeys.LOCAL_VARIABLES])
    seed = tf.placeholder(tf.float32, [], name='seed')
    T.get_or_create_global_step()
    init = tf.group(tf.global_variables_initializer(), name='init_all')
    with tf.control_dependencies([init]):
        init = tf.assign(w, seed, name='start_at_seed').op
    scaffold = T.Scaffold(init_op=init, init_feed_dict={seed: 4.0}, init_fn=lambda scaffold, session: note('init_fn'))
    with T.MonitoredSession(T.ChiefSessionCreator(scaffold), hooks=[Tracer('A')]) as session:
        note('w %.6g local %.6g' % tuple(session.run([w, local])))
    note('pieces %s' % [scaffold.init_op.name, scaffold.ready_op.name, scaffold.ready_for_local_init_op.name, scaffold.local_init_op.name,
                        scaffold.saver.saver_def.restore_op_name])
    note_graph()


def worker():
    T.get_or_create_global_step()
    ready = tf.constant([], tf.string, name='nothing_missing')
    one = tf.constant(1.0, name='one')
    scaffold = T.Scaffold(ready_op=ready, ready_for_local_init_op=ready)
    with T.MonitoredTrainingSession(is_chief=False, scaffold=scaffold, hooks=[Tracer('A')], chief_only_hooks=[Tracer('C')],
                                    checkpoint_dir='ck') as session:
        session.run(one)


def supervised():
    loss, train = model()
    supervisor = T.Supervisor(logdir='ld', save_model_secs=0, save_summaries_secs=0, summary_op=None)
    with supervisor.managed_session() as session:
        for _ in range(3):
            if supervisor.should_stop():
                break
            session.run(train)
        supervisor.saver.save(session, supervisor.save_path, global_step=supervisor.global_step)
        supervisor.request_stop()
    note('should_stop=%s' % supervisor.should_stop())
    note_graph()


def supervised_resume():
    for steps in (2, 1):
        with tf.Graph().as_default():
            loss, train = model()
            supervisor = T.Supervisor(logdir='ld', save_model_secs=0, save_summaries_secs=0, init_fn=lambda session: note('init_fn'))
            with supervisor.managed_session() as session:
                for _ in range(steps):
                    session.run(train)
                supervisor.summary_computed(session, session.run(supervisor.summary_op))
                supervisor.saver.save(session, supervisor.save_path, global_step=supervisor.global_step)
        time.sleep(1.1)  # TensorFlow names event files by the second


def queue_runners():
    T.get_or_create_global_step()
    queue = tf.FIFOQueue(10, tf.int64, shapes=[[]])
    runner = T.QueueRunner(queue, [queue.enqueue(tf.data.make_one_shot_iterator(tf.data.Dataset.range(3)).get_next())])
    T.add_queue_runner(runner)
    value = queue.dequeue()
    with T.MonitoredSession(hooks=[Tracer('A')]) as session:
        while not session.should_stop():
            note('value %d' % session.run(value))
    note('runner %s' % [runner.name, [e.name for e in runner.enqueue_ops], runner.close_op.name, runner.cancel_op.name])


def profiled():
    loss, train = model()
    # The hook's read of the global step is not ordered with its update: one thread takes them in the same order each time.
    creator = T.ChiefSessionCreator(config=tf.ConfigProto(inter_op_parallelism_threads=1, use_per_session_threads=True))
    with T.MonitoredSession(creator, hooks=[T.ProfilerHook(save_steps=2, output_dir='profile'), T.StopAtStepHook(last_step=5)]) as session:
        loop(session, train)


def coordinated():
    coord = T.Coordinator()
    note('stopped in time %s' % coord.wait_for_stop(0.01))
    for error in (tf.errors.DataLossError(None, None, 'lost'), tf.errors.OutOfRangeError(None, None, 'the end')):
        with coord.stop_on_exception():
            raise error
        note('should_stop=%s' % coord.should_stop())
        try:
            coord.join([])
            note('joined')
        except tf.errors.DataLossError as raised:
            note('join raised %s' % raised.message)
        coord.clear_stop()
    counted = []

    def count():
        counted.append(len(counted))
        if len(counted) == 3:
            coord.request_stop()

    coord.join([T.LooperThread.loop(coord, None, target=count)])
    note('counted %d' % len(counted))
    coord.clear_stop()
    release = threading.Event()
    slow = threading.Thread(name='slow', target=release.wait)
    slow.start()
    coord.request_stop()
    try:
        coord.join([slow], stop_grace_period_secs=0.05)
    except RuntimeError as raised:
        note(str(raised))
    release.set()
    slow.join()


def supervised_errors():
    loss, train = model()
    supervisor = T.Supervisor()
    for error in (tf.errors.OutOfRangeError(None, None, 'the end'), tf.errors.DataLossError(None, None, 'lost')):
        try:
            with supervisor.managed_session() as session:
                session.run(train)
                raise error
        except tf.errors.DataLossError as raised:
            note('left by %s' % raised.message)
        note('should_stop=%s' % supervisor.should_stop())


# --- what is refused: the error's class, and whose words stand in its message

# Python's classes, and what stands for them.
CLASSES = dict(ValueError='InvalidArgumentError', TypeError='InvalidArgumentError', KeyError='NotFoundError', LookupError='NotFoundError',
               RuntimeError='FailedPreconditionError')


def class_of(error):
    return CLASSES.get(type(error).__name__, type(error).__name__)


def refused(what, words, body):
    try:
        with tf.Graph().as_default():
            body()
        note('%s: no error' % what)
    except Exception as error:  # pylint: disable=broad-except
        message = ' '.join(str(error).split())
        note('%s: %s %s' % (what, class_of(error), [word for word in words if word.lower() in message.lower()]))


def bad_input():
    def foreign_fetch():
        with tf.Graph().as_default():
            other = tf.constant(1.0)
        T.get_or_create_global_step()
        with T.MonitoredSession() as session:
            session.run(other)

    def hook_of_another_graph():
        with tf.Graph().as_default():
            other, fed = tf.constant(1.0), tf.placeholder(tf.float32, [])
        T.get_or_create_global_step()
        one = tf.constant(1.0)
        with T.MonitoredSession(hooks=[Fetcher(other, fed)]) as session:
            session.run(one)

    def finalized():
        T.get_or_create_global_step()
        with T.MonitoredSession():
            tf.constant(1.0)

    def two_savers():
        model()
        for _ in range(2):
            tf.add_to_collection(tf.GraphKeys.SAVERS, T.Saver())
        T.MonitoredTrainingSession(checkpoint_dir='two')

    def another_model():
        with tf.Graph().as_default():
            T.get_or_create_global_step()
            tf.get_variable('other', initializer=1.0)
            with T.MonitoredTrainingSession(checkpoint_dir='other', save_checkpoint_steps=1):
                pass
        model()
        T.MonitoredTrainingSession(checkpoint_dir='other')

    def another_shape():
        for shape in ([2], [3]):
            with tf.Graph().as_default():
                T.get_or_create_global_step()
                tf.get_variable('v', shape)
                with T.MonitoredTrainingSession(checkpoint_dir='shape', save_checkpoint_steps=1):
                    pass

    def not_initialized():
        T.get_or_create_global_step()
        tf.get_variable('lonely', initializer=1.0)
        T.MonitoredSession(T.ChiefSessionCreator(T.Scaffold(init_op=tf.no_op())))

    def two_inits():
        T.get_or_create_global_step()
        for _ in range(2):
            tf.add_to_collection(tf.GraphKeys.INIT_OP, tf.no_op())
        T.Scaffold().finalize()

    def two_global_steps():
        for name in ('a', 'b'):
            tf.add_to_collection(tf.GraphKeys.GLOBAL_STEP, tf.get_variable(name, initializer=0))
        T.get_global_step()

    def float_global_step():
        tf.add_to_collection(tf.GraphKeys.GLOBAL_STEP, tf.get_variable('f', initializer=0.0))
        T.get_global_step()

    def second_global_step():
        T.create_global_step()
        T.create_global_step()

    def after_stop():
        class Stop(T.SessionRunHook):
            def after_run(self, run_context, run_values):
                run_context.request_stop()

        T.get_or_create_global_step()
        one = tf.constant(1.0)
        with T.MonitoredSession(hooks=[Stop()]) as session:
            session.run(one)
            session.run(one)

    refused('no number of steps', ['num_steps', 'last_step'], T.StopAtStepHook)
    refused('two numbers of steps', ['num_steps', 'last_step'], lambda: T.StopAtStepHook(1, 2))
    refused('two cadences of a timer', ['every_secs', 'every_steps'], lambda: T.SecondOrStepTimer(1., 1))
    refused('no cadence of a timer', ['every_secs', 'every_steps'], T.SecondOrStepTimer)
    refused('two cadences of a counter', ['every_n_secs', 'every_n_steps', 'exactly one'], lambda: T.StepCounterHook(1, 1.))
    refused('two cadences of a log', ['every_n_iter', 'every_n_secs'], lambda: T.LoggingTensorHook({}, 1, 1.))
    refused('two savers of a hook', ['saver', 'scaffold'],
            lambda: T.CheckpointSaverHook('x', save_steps=1, saver=T.Saver(allow_empty=True), scaffold=T.Scaffold()))
    refused('no summary', ['scaffold', 'summary_op'], lambda: T.SummarySaverHook(save_steps=1))
    refused('two sources of summaries', ['scaffold', 'summary_op'],
            lambda: T.SummarySaverHook(save_steps=1, scaffold=T.Scaffold(), summary_op=tf.constant('')))
    refused('two cadences of checkpoints', ['every_secs', 'every_steps'],
            lambda: T.MonitoredTrainingSession(checkpoint_dir='x', save_checkpoint_secs=1, save_checkpoint_steps=1))
    refused('two cadences of summaries', ['every_secs', 'every_steps'],
            lambda: T.MonitoredTrainingSession(checkpoint_dir='x', save_summaries_secs=1, save_summaries_steps=1))
    refused('ready for a local init that is not there', ['local_init_op'],
            lambda: T.SessionManager(ready_for_local_init_op=tf.constant([], tf.string)))
    refused('no global step', ['global step'], lambda: T.MonitoredSession(hooks=[T.StopAtStepHook(1)]))
    refused('a fetch of another graph', ['graph'], foreign_fetch)
    refused('a hook\'s fetch of another graph', ['graph'], hook_of_another_graph)
    refused('a finalized graph', ['finalized'], finalized)
    refused('two savers', ['savers'], two_savers)
    refused('a checkpoint of another model', ['not found in checkpoint'], another_model)
    refused('a checkpoint of another shape', ['[2]', '[3]'], another_shape)
    refused('a variable that is not initialized', ['lonely', 'not initialized'], not_initialized)
    refused('two init ops', ['init_op'], two_inits)
    refused('two global steps', ['global_step'], two_global_steps)
    refused('a global step of floats', ['integer'], float_global_step)
    refused('a second global step', ['already exists'], second_global_step)
    refused('a session that was asked to stop', ['should_stop'], after_stop)
    refused('a queue runner without ops', ['enqueue'], lambda: T.QueueRunner(tf.FIFOQueue(1, tf.int32), []))
    refused('a worker\'s variables on no device', ['device'], lambda: (model(), T.Supervisor(is_chief=False)))


SCENARIOS = dict(
    training=training, defaults=defaults, resume=resume, keep_two=keep_two, listeners=listeners, nan_stops=lambda: nan_loss(False),
    nan_raises=lambda: nan_loss(True), end_of_data=end_of_data, step_function=step_function, fetches_and_feeds=fetches_and_feeds,
    singular=singular, scaffolded=scaffolded, worker=worker, supervised=supervised, supervised_resume=supervised_resume,
    queue_runners=queue_runners, profiled=profiled, coordinated=coordinated,
    supervised_errors=supervised_errors, bad_input=bad_input)
for place in ('after_create_session', 'before_run', 'after_run'):
    SCENARIOS['lost_machine_in_' + place] = lambda place=place: lost_machine(place)
for place in ('begin', 'after_create_session', 'before_run', 'after_run', 'end'):
    SCENARIOS['hook_raises_in_' + place] = lambda place=place: hook_raises(place)


def event_kind(event):
    if event.HasField('summary'):
        return 'summary:' + ','.join(value.tag for value in event.summary.value)
    if event.HasField('session_log'):
        return 'session_log:%d' % event.session_log.status
    return event.WhichOneof('what')


def events():
    for folder, _, names in sorted(os.walk('.')):
        found = [f for f in sorted(names) if 'tfevents' in f]
        for event in [e for f in found for e in tf.train.summary_iterator(os.path.join(folder, f))]:
            lines.append('event %s %s %d' % (os.path.relpath(folder), event_kind(event), event.step))


def comparable(line):
    """The line without what may differ from run to run, or from Millrace: docs/compatibility.md. None: no line."""
    text = re.sub(r'\d+\.\d+ sec\)', 'T sec)', line)
    text = re.sub(r'global_step/sec: [\d.e+-]+', 'global_step/sec: R', text)
    if text.startswith(('run ', 'hook ')):
        text = re.sub(r"(\w)/add:0'", r"\1:0'", text)
    # Hooks read the step beside the update: whether they see the old one, and look again, is a matter of luck.
    if text == "run fetch=['global_step:0'] target=[] feed=[]":
        return None
    text = re.sub(r" listener: <.*>$|<class '[^']*'>, ", '', text)  # how Python prints objects and classes
    return re.sub(r'(?<=^log loss = )[\d.]+', lambda number: '%.4g' % float(number.group()), text)


def record(scenario):
    del lines[:]
    files.clear()
    back, folder = os.getcwd(), tempfile.mkdtemp()
    os.chdir(folder)
    try:
        with tf.Graph().as_default():
            scenario()
    except Exception as error:  # pylint: disable=broad-except
        note('left by ' + class_of(error))
    note('end')
    tf.summary.FileWriterCache.clear()
    events()
    os.chdir(back)
    shutil.rmtree(folder)
    return [text for text in map(comparable, lines) if text]


def main():
    record_runs()
    tf.logging.set_verbosity(tf.logging.INFO)
    logger = logging.getLogger('tensorflow')
    logger.handlers = [Log()]
    logger.propagate = False
    json.dump({name: record(scenario) for name, scenario in SCENARIOS.items()}, sys.stdout, indent=0)


if __name__ == '__main__':
    main()
