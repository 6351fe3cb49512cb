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
import torch.nn.functional as F

from torch_residual import residual_network

parser = argparse.ArgumentParser()
for name, value in dict(width=8, batch=32, draw=32, buffer=200, steps=60, warmup=10, classes=10, side=28).items():
    parser.add_argument(f"--{name}", type=int, default=value)
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))
torch.manual_seed(0)
random.seed(0)

model = residual_network(args.width, args.classes)
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
