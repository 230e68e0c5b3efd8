"""The graph that our API builds for the digits program equals, node for node, the one that TensorFlow's Python API builds."""
import re
import sys

import pytest
import tensorflow.compat.v1 as tf
from google.protobuf import text_format

from conftest import ROOT, execute

SHAPES = '_output_shapes'  # MonitoredTrainingSession writes graph.pbtxt with the inferred shapes


def read(path):
    return text_format.Parse(path.read_text(), tf.GraphDef())


def canonical(graph):
    """Nodes as comparable text. Functions are called by numbers that count from the process's start (and, for one-shot iterators,
    by random letters): they are renamed by what they are for."""
    names = {f.signature.name: kind(f.signature.name) for f in graph.library.function}

    def node_text(node):
        copy = type(node)()
        copy.CopyFrom(node)
        copy.attr.pop(SHAPES, None)
        copy.ClearField('experimental_debug_info')
        for attr in copy.attr.values():
            if attr.WhichOneof('value') == 'func':
                attr.func.name = names.get(attr.func.name, attr.func.name)
        attrs = {key: text_format.MessageToString(value, as_one_line=True) for key, value in sorted(copy.attr.items())}
        return f'{copy.name} ({copy.op}) {list(copy.input)} device={copy.device!r} {attrs}'

    functions = {}
    for function in graph.library.function:
        signature = function.signature
        functions[names[signature.name]] = dict(
            inputs=[tf.as_dtype(a.type).name for a in signature.input_arg], outputs=[tf.as_dtype(a.type).name for a in signature.output_arg],
            returns=dict(function.ret), nodes=[node_text(n) for n in function.node_def])
    return [node_text(node) for node in graph.node], functions


def kind(name):
    """__inference_Dataset_map_parse_digit_25 -> Dataset_map: Python calls the function by its callable's name, which C++ has not."""
    if name.startswith('_make_dataset'):
        return '_make_dataset'
    found = re.match(r'__inference_(Dataset_(?:flat_map|map))_', name)
    return found.group(1) if found else name


@pytest.fixture(scope='module')
def python_graphs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('graphs')
    execute(sys.executable, ROOT / 'interop' / 'digits_tf.py', 'dump', folder)
    return folder


def test_the_training_graph_is_the_same_node_for_node(ours, python_graphs):
    our_nodes, our_functions = canonical(read(ours / 'runs' / 'digits' / 'graph.pbtxt'))
    their_nodes, their_functions = canonical(read(python_graphs / 'train.pbtxt'))
    different = [f'ours   {ours_text}\ntheirs {theirs_text}' for ours_text, theirs_text in zip(our_nodes, their_nodes) if ours_text != theirs_text]
    assert not different, '\n'.join(different[:20])
    assert len(our_nodes) == len(their_nodes)
    assert our_functions == their_functions
