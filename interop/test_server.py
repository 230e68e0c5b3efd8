"""A real TensorFlow client drives `millrace serve`; the same programs at TensorFlow's own server say what is right."""
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import client_programs
from conftest import BIN, ROOT, ServerProcess


@pytest.fixture(scope='module')
def millrace():
    server = ServerProcess(BIN / 'millrace', 'serve', '--port', 0)
    yield server
    assert server.end() == 0


@pytest.fixture(scope='module')
def tensorflow():
    server = ServerProcess(sys.executable, ROOT / 'interop' / 'serve_tf.py')
    yield server
    server.process.kill()


@pytest.mark.parametrize('program', client_programs.PROGRAMS, ids=lambda p: p.__name__)
def test_gives_what_tensorflow_gives(program, millrace, tensorflow, tmp_path):
    results = []
    for name, server in (('millrace', millrace), ('tensorflow', tensorflow)):
        folder = tmp_path / name
        folder.mkdir()
        with tf.Graph().as_default():
            results.append(program(server.target, str(folder)))
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, (str, bool, bytes)) or (isinstance(value, list) and value and isinstance(value[0], (str, bytes, tuple))):
            assert ours[key] == value, key
        else:
            np.testing.assert_allclose(np.array(ours[key]), np.array(value), rtol=2e-4, atol=1e-5, err_msg=key)


@pytest.fixture(scope='module')
def crowded():
    """A server with room for 66 sessions: one that forgets to close them refuses its clients soon."""
    server = ServerProcess(BIN / 'millrace', 'serve', '--port', 0, '--max-sessions', 66)
    yield server
    assert server.end() == 0


def test_64_clients_and_1000_sessions_without_growth(crowded):
    def client(sessions, failures):
        try:
            with tf.Graph().as_default():
                v = tf.Variable(tf.zeros([1000]))
                init = tf.global_variables_initializer()
                for _ in range(sessions):
                    with tf.Session(crowded.target, config=client_programs.CONFIG) as session:
                        session.run(init)
                        assert session.run(v).sum() == 0
        except Exception as e:
            failures.append(e)

    def round_(sessions):
        failures = []
        threads = [threading.Thread(target=client, args=(sessions, failures)) for _ in range(64)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures[0]

    round_(2)
    memory, threads = crowded.status('VmRSS'), crowded.status('Threads')
    round_(16)
    assert crowded.status('VmRSS') < memory + 20_000  # kB
    assert crowded.status('Threads') <= threads + 2


def test_50_mb_both_ways_without_growth(crowded):
    with tf.Graph().as_default(), tf.Session(crowded.target, config=client_programs.CONFIG) as session:
        x = tf.placeholder(tf.float32, [None])
        value = np.arange(12_500_000, dtype=np.float32)
        y = x + 1
        for step in range(6):
            assert np.array_equal(session.run(y, {x: value}), value + 1)
            if step == 2:
                memory = crowded.status('VmRSS')
        assert crowded.status('VmRSS') < memory + 60_000  # kB: one tensor at most


def test_clients_killed_in_a_step_leave_nothing(crowded):
    code = ('import sys, tensorflow.compat.v1 as tf; tf.disable_v2_behavior()\n'
            'q = tf.FIFOQueue(1, [tf.float32]); dequeued = q.dequeue()\n'
            'sessions = [tf.Session(sys.argv[1]) for _ in range(33)]\n'
            'import threading; [threading.Thread(target=s.run, args=(dequeued,)).start() for s in sessions]\n'
            'import time; time.sleep(1); print("RUNS", flush=True)')
    threads = crowded.status('Threads')
    for _ in range(3):  # 99 sessions, where there is room for 66
        client = subprocess.Popen([sys.executable, '-c', code, crowded.target], stdout=subprocess.PIPE, text=True)
        assert client.stdout.readline().strip() == 'RUNS'
        client.kill()
        client.wait()
        time.sleep(1)
    with tf.Graph().as_default(), tf.Session(crowded.target, config=client_programs.CONFIG) as session:
        assert session.run(tf.constant(2) * 3) == 6
    assert crowded.status('Threads') <= threads + 2


def test_reset_aborts_sessions(millrace):
    with tf.Graph().as_default():
        v = tf.Variable(1.0, name='kept')
        session = tf.Session(millrace.target)
        session.run(v.initializer)
        other = tf.Session(millrace.target)
        assert other.run(v) == 1
        tf.Session.reset(millrace.target)
        with pytest.raises(tf.errors.AbortedError, match='is not found'):
            session.run(v)
        with tf.Session(millrace.target) as fresh:
            assert not fresh.run(tf.is_variable_initialized(v))
