#!/usr/bin/env python3
"""make_master_seeds.py: writes fuzz/corpus/master, conversations of a client with a server as fuzz/master_fuzz.cc reads them.

Needs protoc. Each call is a byte for the method, two for the length (little endian), and the message.
"""
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
METHODS = ['CreateSession', 'ExtendSession', 'RunStep', 'PartialRunSetup', 'MakeCallable', 'RunCallable', 'ReleaseCallable', 'CloseSession',
           'ListDevices', 'Reset']

FLOAT = 'attr { key: "dtype" value { type: DT_FLOAT } }'
GRAPH = '''graph_def { versions { producer: 1800 }
  node { name: "x" op: "Placeholder" %(float)s attr { key: "shape" value { shape { unknown_rank: true } } } }
  node { name: "one" op: "Const" %(float)s attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 1 } } } }
  node { name: "y" op: "AddV2" input: "x" input: "one" attr { key: "T" value { type: DT_FLOAT } } }
  node { name: "v" op: "VariableV2" %(float)s attr { key: "shape" value { shape {} } } }
  node { name: "init" op: "Assign" input: "v" input: "one" attr { key: "T" value { type: DT_FLOAT } } }
  node { name: "q" op: "FIFOQueueV2" attr { key: "component_types" value { list { type: DT_FLOAT } } } }
  node { name: "get" op: "QueueDequeueV2" input: "q" attr { key: "component_types" value { list { type: DT_FLOAT } } } }
  node { name: "put" op: "QueueEnqueueV2" input: "q" input: "one" attr { key: "Tcomponents" value { list { type: DT_FLOAT } } } }
}''' % {'float': FLOAT}
FEED = 'feed { name: "x:0" tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1, 2] } }'
CALLABLE = 'options { feed: "x:0" fetch: "y:0" target: "init" }'
MORE = '''graph_def { versions { producer: 1800 }
  node { name: "z" op: "Mul" input: "y" input: "y" attr { key: "T" value { type: DT_FLOAT } } } } current_graph_version: 1'''

CONVERSATIONS = {
    'run_step': [('CreateSession', GRAPH), ('RunStep', 'target: "init"'), ('RunStep', FEED + ' fetch: ["y:0", "v:0"] target: "put"'),
                 ('RunStep', 'fetch: "get:0" options { trace_level: FULL_TRACE output_partition_graphs: true }'), ('CloseSession', '')],
    'blocked': [('CreateSession', GRAPH), ('RunStep', 'fetch: "get:0" options { timeout_in_ms: 20 }'), ('Reset', 'container: "c"'), ('Reset', '')],
    'extend': [('CreateSession', GRAPH), ('ExtendSession', MORE), ('RunStep', FEED + ' fetch: "z:0" store_errors_in_response_body: true')],
    'partial_run': [('CreateSession', GRAPH), ('PartialRunSetup', 'feed: "x:0" fetch: "y:0" fetch: "v:0" target: "init"'),
                    ('RunStep', 'partial_run_handle: "latest" ' + FEED + ' fetch: "y:0"'),
                    ('RunStep', 'partial_run_handle: "latest" fetch: "v:0"')],
    'callable': [('CreateSession', 'config { isolate_session_state: true } ' + GRAPH), ('MakeCallable', CALLABLE),
                 ('RunCallable', 'feed { dtype: DT_FLOAT tensor_shape {} tensor_content: "abcd" }'), ('ReleaseCallable', ''), ('ListDevices', '')],
}


def encode(method, text):
    return subprocess.run(['protoc', f'--proto_path={ROOT / "proto"}', f'--encode=tensorflow.{method}Request',
                           'tensorflow/core/protobuf/master.proto'], input=text.encode(), capture_output=True, check=True).stdout


def main():
    folder = ROOT / 'fuzz' / 'corpus' / 'master'
    folder.mkdir(parents=True, exist_ok=True)
    for name, calls in CONVERSATIONS.items():
        messages = [(METHODS.index(method), encode(method, text)) for method, text in calls]
        (folder / name).write_bytes(b''.join(struct.pack('<BH', method, len(message)) + message for method, message in messages))


if __name__ == '__main__':
    main()
