"""GraphDefs that our API builds (interop/graphs.cc) run in TensorFlow with equal results."""
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from conftest import BIN, ROOT, execute

tf.disable_v2_behavior()


@pytest.fixture(scope='module')
def graphs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('graphs')
    execute(BIN / 'interop_graphs', folder)
    return folder


NAMES = ['elementwise', 'reductions', 'matmul', 'gradients', 'variables', 'losses', 'dataset', 'random']


@pytest.mark.parametrize('name', NAMES)
def test_runs_with_equal_results(graphs, name):
    case = json.loads((graphs / f'{name}.json').read_text())
    graph_def = tf.GraphDef.FromString((graphs / f'{name}.pb').read_bytes())
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name='')
        with tf.Session() as session:
            for target in case['targets']:
                session.run(target)
            values = session.run([fetch['tensor'] for fetch in case['fetches']])
    for fetch, value in zip(case['fetches'], values):
        assert list(value.shape) == fetch['shape'], fetch['tensor']
        np.testing.assert_allclose(value.flatten(), np.array(fetch['values']), rtol=2e-5, atol=2e-6, err_msg=fetch['tensor'])
