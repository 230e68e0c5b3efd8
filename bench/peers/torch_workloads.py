#!/usr/bin/env python3
"""The workloads in PyTorch, eager, from the start values and feeds that tensorflow_workloads.py exported.

    torch_workloads.py time DIR NAME    one line of JSON: loss before and after ten steps, then time per step
"""
import json
import pathlib
import sys
import time

import numpy as np
import torch

from torch_models import MODELS

BATCHES, SECONDS_PER_BATCH = 5, 0.5


def main():
    directory, name = pathlib.Path(sys.argv[2]), sys.argv[3]
    arrays = np.load(directory / f'{name}.npz')
    model = MODELS[name]({key.split(' ', 1)[1]: arrays[key] for key in arrays if key.startswith('variable ')})
    x, y = torch.from_numpy(arrays['feed x']), torch.from_numpy(arrays['feed y'])
    optimizer = model.optimizer()

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(x, y).backward()
        model.before_update()
        optimizer.step()

    def loss():
        with torch.no_grad():
            return model(x, y).item()

    before = loss()
    for _ in range(10):
        step()
    after = loss()
    for _ in range(10):
        step()
    batches = []
    for _ in range(BATCHES):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS_PER_BATCH:
            step()
            steps += 1
        batches.append((time.perf_counter() - start) / steps * 1e6)
    print(json.dumps(dict(before=before, after_10=after, median_us=float(np.median(batches)), best_us=min(batches),
                          version=torch.__version__)))


if __name__ == '__main__':
    main()
