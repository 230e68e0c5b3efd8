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

BATCHES, SECONDS_PER_BATCH = 5, 0.5


class Perceptron(torch.nn.Module):
    def __init__(self, arrays):
        super().__init__()
        count = sum(key.endswith('/kernel') for key in arrays)
        self.layers = torch.nn.ModuleList()
        for number in range(count):
            kernel, bias = arrays[f'variable layer{number}/kernel'], arrays[f'variable layer{number}/bias']
            layer = torch.nn.Linear(*kernel.shape)
            layer.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.T))
            layer.bias.data = torch.from_numpy(bias)
            self.layers.append(layer)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def main():
    directory, name = pathlib.Path(sys.argv[2]), sys.argv[3]
    arrays = np.load(directory / f'{name}.npz')
    model = Perceptron(arrays)
    x, y = torch.from_numpy(arrays['feed x']), torch.from_numpy(arrays['feed y'])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=1e-8, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    before = torch.nn.functional.cross_entropy(model(x), y).item()
    for _ in range(10):
        step()
    after = torch.nn.functional.cross_entropy(model(x), y).item()
    for _ in range(20):
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
