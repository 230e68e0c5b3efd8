"""Our C++ sessions at a server: TensorFlow's and `millrace serve` give the same programs the same results as a session in the process."""
import json
import sys

import numpy as np
import pytest

from conftest import BIN, ROOT, ServerProcess, execute

PROGRAMS = ['training', 'strings', 'growth', 'callables', 'partial_runs', 'queues', 'errors', 'closing', 'devices', 'traces',
            'supervised']
CASES = ['elementwise', 'reductions', 'matmul', 'gradients', 'variables', 'losses', 'dataset', 'random']
SERVERS = ['millrace', 'tensorflow']


@pytest.fixture(scope='module')
def targets():
    servers = {'millrace': ServerProcess(BIN / 'millrace', 'serve', '--port', 0),
               'tensorflow': ServerProcess(sys.executable, ROOT / 'interop' / 'serve_tf.py')}
    yield {'here': '', **{name: server.target for name, server in servers.items()}}
    assert servers['millrace'].end() == 0
    servers['tensorflow'].process.kill()


@pytest.fixture(scope='module')
def found(targets, tmp_path_factory):
    return {name: json.loads(execute(BIN / 'interop_session', target, tmp_path_factory.mktemp(name)))
            for name, target in targets.items()}


def numbers(value):
    """All numbers of nested lists, in order; None for what holds anything else."""
    if isinstance(value, list):
        parts = [numbers(part) for part in value]
        return None if None in parts else [n for part in parts for n in part]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize('program', PROGRAMS)
def test_programs_find_the_same(found, server, program):
    here, there = found['here'][program], found[server][program]
    assert not (isinstance(here, str) and here.startswith('failed')), here
    assert program != 'traces' or here == [True, True]
    if numbers(here) is None:
        assert there == here
    else:
        np.testing.assert_allclose(numbers(there), numbers(here), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('server', SERVERS)
def test_graphs_run_with_equal_results(targets, server, tmp_path):
    folders = {name: tmp_path / name for name in ('here', server)}
    for name, folder in folders.items():
        folder.mkdir()
        execute(BIN / 'interop_graphs', folder, targets[name])
    for case in CASES:
        here, there = (json.loads((folder / f'{case}.json').read_text())['fetches'] for folder in folders.values())
        for ours, theirs in zip(here, there, strict=True):
            assert ours['shape'] == theirs['shape'], ours['tensor']
            np.testing.assert_allclose(theirs['values'], ours['values'], rtol=2e-5, atol=2e-6, err_msg=ours['tensor'])
