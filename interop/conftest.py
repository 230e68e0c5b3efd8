"""Fixtures: scratch folders with the digits data, the programs of this project, and servers."""
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get('MILLRACE_BIN', ROOT / 'build' / 'release' / 'bin'))
sys.path.insert(0, str(ROOT / 'interop'))


def execute(*command, cwd=ROOT):
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f'{command} ended with {result.returncode}:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}'
    return result.stdout


def millrace_run(cwd, *options):
    """What `millrace run ... --json` prints."""
    return json.loads(execute(BIN / 'millrace', 'run', *options, '--json', cwd=cwd))


class ServerProcess:
    def __init__(self, *command):
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        assert line and line[0] == 'READY', line
        self.target = line[1]

    def status(self, field):
        with open(f'/proc/{self.process.pid}/status') as f:
            return next(int(line.split()[1]) for line in f if line.startswith(field))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def scratch(factory, name):
    folder = factory.mktemp(name)
    (folder / 'data').symlink_to(ROOT / 'data')
    return folder


@pytest.fixture(scope='session')
def ours(tmp_path_factory):
    """A folder where our digits program has trained 300 steps; checkpoints and event files are in runs/digits."""
    folder = scratch(tmp_path_factory, 'ours')
    execute(BIN / 'digits', '--steps', '300', '--fresh', cwd=folder)
    return folder


@pytest.fixture(scope='session')
def theirs(tmp_path_factory):
    """The same, trained by TensorFlow."""
    folder = scratch(tmp_path_factory, 'theirs')
    execute(sys.executable, ROOT / 'interop' / 'digits_tf.py', 'train', folder / 'runs' / 'digits', '--steps', '300', cwd=folder)
    return folder
