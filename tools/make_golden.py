#!/usr/bin/env python3
"""Makes tests/golden: what real TensorFlow computes, as records that `millrace conformance` runs (tests/golden/README.md).

    python3 -m venv /tmp/tf && /tmp/tf/bin/pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0
    /tmp/tf/bin/python tools/make_golden.py [FOLDER]... [--output DIR]

Only making them needs TensorFlow. Names of folders (ops, random, gradients...) limit the work to these.
"""
import argparse
import os
import pathlib

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'

from golden import (arrays, audio, batching, calls, convolution, ctc, data, elementwise, files, images, linear, maths,  # noqa: E402
                    matrices, metrics, programs, quantization, queues, ragged, record, resources, rows, segments,
                    sequences, sparse, special, staging, state, strings, tensor_arrays, training, updates, vision)  # after the environment

FOLDERS = {
    'ops': [elementwise.make, arrays.make, images.make, maths.make, queues.make, state.make, convolution.make, special.make,
            segments.make, matrices.make, tensor_arrays.make, strings.make, updates.make, sparse.make, resources.make,
            programs.calls, linear.make, quantization.make, rows.make, ragged.make, calls.make, sequences.make, staging.make,
            batching.make, audio.make, vision.make, ctc.make],
    'programs': [programs.make],
    'random': [maths.make_random],
    'events/summary_ops': [state.make_summaries, state.make_sounds, state.make_writers],
    'gradients': [training.make_gradients, ragged.gradients, ctc.make_gradients],
    'losses': [training.make_losses],
    'metrics': [metrics.make],
    'training': [training.make_trajectories, training.make_learning_rates],
    'data': [data.make],
}
TREES = {'checkpoints': files.make_checkpoints, 'metagraph': files.make_metagraphs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='*', help=', '.join(FOLDERS))
    default = pathlib.Path(__file__).resolve().parent.parent / 'tests' / 'golden'
    parser.add_argument('--output', type=pathlib.Path, default=default)
    args = parser.parse_args()
    os.chdir(default.parent.parent)
    for folder, makers in FOLDERS.items():
        if not args.folders or folder in args.folders:
            writer = record.Writer(args.output / folder)
            for make in makers:
                make(writer)
            writer.write()
    for folder, make in TREES.items():
        if not args.folders or folder in args.folders:
            make(args.output / folder)
            print(f'{args.output / folder}: written')


if __name__ == '__main__':
    main()
