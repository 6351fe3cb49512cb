"""Peer: a step of class-incremental experience replay with a reduced ResNet-18 in PyTorch, one process, fp32.

    THREADS=1 python torch_replay.py --steps 60

32 images of the stream and 32 drawn from a reservoir of 200 go through the network as one batch; plain SGD; then the reservoir takes the
stream's images in. Pixels are random: the time does not depend on them.
"""
import argparse
import os
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
for name, value in dict(width=8, batch=32, draw=32, buffer=200, steps=60, warmup=10, classes=10, side=28).items():
    parser.add_argument(f"--{name}", type=int, default=value)
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))
torch.manual_seed(0)
random.seed(0)


def convolution(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.branch = nn.Sequential(
            convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU(), convolution(outputs, outputs, 3),
            nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x))


widths = [args.width << stage for stage in range(4)]
layers = [convolution(1, args.width, 3), nn.BatchNorm2d(args.width), nn.ReLU()]
for stage, width in enumerate(widths):
    layers += [Block(widths[max(stage - 1, 0)], width, 1 if stage == 0 else 2), Block(width, width, 1)]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], args.classes))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
shape = (1, args.side, args.side)
kept, labels, seen = torch.zeros(args.buffer, *shape), torch.zeros(args.buffer, dtype=torch.long), 0

times = []
for step in range(args.warmup + args.steps):
    images, targets = torch.randn(args.batch, *shape), torch.randint(args.classes, (args.batch,))
    start = time.perf_counter()
    inputs, wanted = images, targets
    if seen:
        drawn = torch.tensor(random.sample(range(min(seen, args.buffer)), min(args.draw, seen, args.buffer)))
        inputs, wanted = torch.cat([images, kept[drawn]]), torch.cat([targets, labels[drawn]])
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), wanted).backward()
    optimizer.step()
    for image, target in zip(images, targets):
        slot = seen if seen < args.buffer else random.randrange(seen + 1)
        if slot < args.buffer:
            kept[slot], labels[slot] = image, target
        seen += 1
    times.append(time.perf_counter() - start)
times = sorted(times[args.warmup:])
print(f"{sum(p.numel() for p in model.parameters())} weights, {args.batch} + {args.draw} images: {1e3 * times[len(times) // 2]:.1f} ms")
