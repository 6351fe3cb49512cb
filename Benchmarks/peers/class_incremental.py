"""What peers share that learn images task after task in PyTorch: IDX files, and the loop over tasks, passes and batches."""
import gzip
import struct
from pathlib import Path

import torch


def read(folder, name):
    """The one IDX file of a folder whose name matches."""
    data = gzip.open(next(Path(folder).glob(name))).read()
    shape = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    return torch.frombuffer(bytearray(data[4 + 4 * data[3]:]), dtype=torch.uint8).reshape(shape)


def learn(tasks, epochs, size, accuracies, step, ended=lambda: None):
    """Learns tasks, each given by its samples, and returns accuracy and forgetting at the end, and the accuracy one step before it.

    `accuracies()` measures every task; `step(batch, task)` learns from some samples; `ended()` is told of the end of a task.
    """
    rows = []
    for task, samples in enumerate(tasks):
        for epoch in range(epochs):
            batches = samples[torch.randperm(len(samples))].split(size)
            for number, batch in enumerate(batches):
                if epoch == epochs - 1 and number == len(batches) - 1:
                    before = accuracies()  # that of the last task stays
                step(batch, task)
        ended()
        rows.append(accuracies())
    final = rows[-1]
    lost = [max(row[task] for row in rows) - final[task] for task in range(len(final) - 1)]
    return dict(accuracy=round(sum(final) / len(final), 2), before=round(sum(before) / len(before), 2), forgetting=round(sum(lost) / len(lost), 2))
