"""Peer: class-incremental replay on Split Fashion-MNIST with a reduced ResNet-18 in PyTorch, one process, fp32, as plain loops.

    THREADS=1 python torch_continual.py --method er+lode --seeds 1 2 3 [--last keep|drop]

Methods joint, er, er+lode, derpp, derpp+lode at the settings of `Benchmarks/continual`'s set fashion-resnet: five tasks of two classes, three
passes, batches of 32 and as many records of a reservoir of 200. A line of JSON for every seed: accuracy and
forgetting after the last task, and the accuracy before the last step of it.
"""
import argparse
import json
import os
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from class_incremental import learn, read
from torch_residual import residual_network

RATES = {"joint": 0.1, "er": 0.1, "er+lode": 0.1, "derpp": 0.03, "derpp+lode": 0.03}
RHO = {"er+lode": 0.1, "derpp+lode": 0.05}
ALPHA, BETA, BUFFER, BATCH, EPOCHS, TASKS = 0.2, 0.5, 200, 32, 3, 5

parser = argparse.ArgumentParser()
parser.add_argument("--method", choices=sorted(RATES), required=True)
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--last", choices=["keep", "drop"], default="keep", help="of a pass, the batch that is not whole")
parser.add_argument("--data", default=str(Path(__file__).resolve().parents[2] / "launch/data/fashion-mini"))
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))


train, labels, test, wanted = (read(args.data, name) for name in ("train-images*", "train-labels*", "t*k-images*", "t*k-labels*"))
labels, wanted = labels.long(), wanted.long()
middle, spread = (train.double() / 255).mean(), (train.double() / 255).std(unbiased=False)
train, test = (((images.double() / 255 - middle) / spread).float().unsqueeze(1) for images in (train, test))


class Reservoir:
    """The n-th sample takes slot n, or replaces one of a draw from 0 … n."""

    def __init__(self):
        self.entries, self.seen = [], 0

    def add(self, *samples):
        for entry in zip(*samples):
            slot = self.seen if self.seen < BUFFER else random.randrange(self.seen + 1)
            if slot == len(self.entries):
                self.entries.append(entry)
            elif slot < BUFFER:
                self.entries[slot] = entry
            self.seen += 1

    def draw(self):
        return [torch.stack(column) for column in zip(*random.sample(self.entries, min(BATCH, len(self.entries))))]


def stream_loss(logits, targets, task):
    """Cross-entropy, with LODE decoupled into old against new and among the new; new are all classes that are not old."""
    if args.method not in RHO or task == 0:
        return F.cross_entropy(logits, targets)
    all, new = logits.logsumexp(1), logits[:, 2 * task:].logsumexp(1)
    return RHO[args.method] / task * (all - new).mean() + (new - logits.gather(1, targets[:, None])[:, 0]).mean()


def loss_of(model, images, targets, records, task):
    """The loss of a step, and the logits of its stream."""
    if args.method == "er" and records.entries:
        kept, said, _ = records.draw()
        logits = model(torch.cat([images, kept]))
        return F.cross_entropy(logits, torch.cat([targets, said])), logits[:len(images)]
    logits = model(images)
    loss = stream_loss(logits, targets, task)
    if args.method == "joint" or not records.entries:
        return loss, logits
    kept, said, _ = records.draw()
    replayed = F.cross_entropy(model(kept), said)
    if args.method == "er+lode":
        return (loss + replayed) / 2, logits
    kept, _, stored = records.draw()
    return loss + BETA * replayed + ALPHA * F.mse_loss(model(kept), stored), logits


def accuracies(model):
    model.eval()
    with torch.no_grad():
        right = (torch.cat([model(part) for part in test.split(100)]).argmax(1) == wanted).float()
    model.train()
    return [100 * right[wanted // 2 == task].mean().item() for task in range(TASKS)]


def run(seed):
    torch.manual_seed(seed)
    random.seed(seed)
    model, records = residual_network(8, 10), Reservoir()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATES[args.method])
    tasks = [torch.arange(len(train))] if args.method == "joint" else [(labels // 2 == task).nonzero()[:, 0] for task in range(TASKS)]

    def step(batch, task):
        if len(batch) < BATCH and args.last == "drop":
            return
        optimizer.zero_grad()
        loss, logits = loss_of(model, train[batch], labels[batch], records, task)
        loss.backward()
        optimizer.step()
        if args.method != "joint":
            records.add(train[batch], labels[batch], logits.detach())

    return learn(tasks, EPOCHS, BATCH, lambda: accuracies(model), step)


for seed in args.seeds:
    started = time.monotonic()
    found = run(seed)
    print(json.dumps(dict(method=args.method, last=args.last, seed=seed, **found, seconds=round(time.monotonic() - started, 1), torch=torch.__version__)), flush=True)
