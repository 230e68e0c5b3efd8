"""The same supervised programs in TensorFlow (supervision_tf.py) and here (supervision/scenarios.cc): hooks are called, sessions run, files written and
events recorded in the same order. Where TensorFlow 1.15.5 and 2.21 differ, 2.21 decides."""
import json
import os
import pathlib
import sys

import pytest

from conftest import BIN, ROOT, execute

SCENARIOS = [
    'training', 'defaults', 'resume', 'keep_two', 'listeners', 'nan_stops', 'nan_raises', 'end_of_data', 'step_function', 'fetches_and_feeds',
    'singular', 'scaffolded', 'worker', 'supervised', 'supervised_resume', 'supervised_errors', 'queue_runners', 'profiled', 'coordinated',
    'bad_input', 'lost_machine_in_after_create_session', 'lost_machine_in_before_run', 'lost_machine_in_after_run', 'hook_raises_in_begin',
    'hook_raises_in_after_create_session', 'hook_raises_in_before_run', 'hook_raises_in_after_run', 'hook_raises_in_end']
VERSIONS = ['2.21', '1.15.5']


def python_of(version):
    if version == '2.21':
        return sys.executable
    python = os.environ.get('MILLRACE_INTEROP_TF1_PYTHON')
    if not python:
        pytest.skip('TensorFlow 1.15.5 is not installed: MILLRACE_INTEROP_TF1_PYTHON names no interpreter (see interop/run)')
    assert pathlib.Path(python).exists(), python
    return python


@pytest.fixture(scope='module')
def ours():
    return json.loads(execute(BIN / 'interop_supervision'))


@pytest.fixture(scope='module')
def recorded():
    """The records of a version, made once."""
    made = {}

    def records(version):
        if version not in made:
            python = python_of(version)
            assert execute(python, '-c', 'import tensorflow; print(tensorflow.__version__)').startswith(version)
            made[version] = json.loads(execute(python, ROOT / 'interop' / 'supervision_tf.py'))
        return made[version]

    return records


def without_what_1_15_lacks(record):
    """Its graphs have other nodes (of gradients, for one)."""
    return [line for line in record if not line.startswith(('log Calling checkpoint listeners', 'graph '))]


def as_in_2_21(record):
    """A record of 1.15.5, mended by what is known to differ (docs/compatibility.md)."""
    lines = without_what_1_15_lacks(record)
    for i, line in enumerate(lines[:-1]):  # listeners are told after that line
        if line.startswith('log Saving checkpoints for') and lines[i + 1].startswith('listener before_save'):
            lines[i], lines[i + 1] = lines[i + 1], lines[i]
    return lines


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('scenario', SCENARIOS)
def test_the_same_things_happen_in_the_same_order(scenario, version, ours, recorded):
    theirs, our_lines = recorded(version)[scenario], ours[scenario]
    if version == '1.15.5':
        theirs = as_in_2_21(theirs)
        our_lines = without_what_1_15_lacks(our_lines)
    assert our_lines == theirs


def test_every_scenario_is_compared(ours, recorded):
    assert sorted(ours) == sorted(recorded('2.21')) == sorted(SCENARIOS)
    for scenario, record in ours.items():
        if scenario not in ('hook_raises_in_begin', 'coordinated'):  # no session yet, none at all
            assert any(line.startswith('run ') for line in record), scenario
