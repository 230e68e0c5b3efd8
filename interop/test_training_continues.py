"""A run goes on in the other framework: checkpoints and meta graphs, both ways, with the same losses."""
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from conftest import millrace_run

tf.disable_v2_behavior()

LOSS = 'sparse_softmax_cross_entropy_loss/value:0'


def tensorflow_losses(folder, prefix, steps):
    """Per number of steps: the loss that a run after so many training steps sees, each in a session that starts at the checkpoint."""
    losses = []
    os.chdir(folder)
    for count in steps:
        with tf.Graph().as_default(), tf.Session() as session:
            saver = tf.train.import_meta_graph(prefix + '.meta')
            saver.restore(session, prefix)
            for _ in range(count):
                session.run('Adam')
            losses.append(float(session.run(LOSS)))
    return losses


@pytest.mark.parametrize('who', ['ours', 'theirs'])
def test_the_other_framework_continues_with_the_same_losses(who, request):
    folder = request.getfixturevalue(who)
    prefix = tf.train.latest_checkpoint(str(folder / 'runs' / 'digits'))
    assert prefix.endswith('model.ckpt-300')
    steps = [0, 1, 5, 40]
    theirs = tensorflow_losses(folder, prefix, steps)
    ours = [millrace_run(folder, '--meta', prefix + '.meta', '--checkpoint', prefix, '--target', 'Adam', '--steps', count, '--fetch', LOSS)
            ['fetches'][LOSS] for count in steps]
    assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize('who', ['ours', 'theirs'])
def test_both_read_the_same_values(who, request):
    folder = request.getfixturevalue(who)
    prefix = tf.train.latest_checkpoint(str(folder / 'runs' / 'digits'))
    reader = tf.train.load_checkpoint(prefix)
    for name in ('dense/kernel', 'dense_1/bias', 'dense/kernel/Adam_1', 'global_step', 'beta1_power'):
        fetched = millrace_run(folder, '--meta', prefix + '.meta', '--checkpoint', prefix, '--steps', 0, '--fetch', name + ':0')
        np.testing.assert_array_equal(np.array(fetched['fetches'][name + ':0'], np.float64), np.array(reader.get_tensor(name), np.float64))


def test_tensorflow_resumes_our_directory(ours, tmp_path):
    """MonitoredTrainingSession of TensorFlow picks up our checkpoint directory by itself."""
    import shutil
    import digits_tf
    shutil.copytree(ours / 'runs' / 'digits', tmp_path / 'digits')
    os.chdir(ours)
    digits_tf.train(str(tmp_path / 'digits'), 310)
    assert tf.train.latest_checkpoint(str(tmp_path / 'digits')).endswith('model.ckpt-310')
