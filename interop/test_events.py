"""TensorFlow reads the event files that our digits program writes."""
import glob

import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()


def events(folder):
    paths = sorted(glob.glob(str(folder / 'runs' / 'digits' / 'events.out.tfevents.*')))
    assert paths
    return [event for path in paths for event in tf.train.summary_iterator(path)]


def test_the_file_starts_with_its_version_and_holds_the_graph(ours):
    found = events(ours)
    assert found[0].file_version == 'brain.Event:2'
    graphs = [event for event in found if event.WhichOneof('what') == 'graph_def']
    assert graphs
    graph = tf.GraphDef.FromString(graphs[0].graph_def)
    assert 'dense/kernel' in {node.name for node in graph.node}
    meta_graphs = [event for event in found if event.WhichOneof('what') == 'meta_graph_def']
    assert meta_graphs and tf.MetaGraphDef.FromString(meta_graphs[0].meta_graph_def).collection_def


def test_losses_and_speed_are_scalars_by_step(ours):
    scalars = {}
    for event in events(ours):
        for value in event.summary.value:
            scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    steps = [step for step, _ in scalars['loss']]
    assert steps == sorted(steps) and len(steps) >= 3
    assert scalars['loss'][0][1] > 1.0 > scalars['loss'][-1][1] > 0.0
    assert all(speed > 0 for _, speed in scalars['global_step/sec'])
