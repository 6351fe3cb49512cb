"""Peer: the code of LODE's authors itself, class-incremental on Split Fashion-MNIST with their reduced ResNet-18.

    git clone https://github.com/liangyanshuo/Loss-Decoupling-for-Task-Agnostic-Continual-Learning lode && git -C lode checkout 10c72cd
    THREADS=1 python authors_replay.py --code lode --method er+lode --seeds 1 2 3

Network, methods and buffer are theirs, imported from the folder; what is here is the loop over tasks, as in their utils/training.py, and stand-ins for
modules that they import and do not need. Their repository has no joint training: it is plain SGD on all tasks at once with their network. Settings are
those of `Benchmarks/continual`'s set fashion-resnet: five tasks of two classes, three passes, batches of 32 and as many of 200 records, the last
batch of a pass kept. A line of JSON for every seed, as from torch_continual.py. Needs PyTorch and numpy.
"""
import argparse
import gzip
import importlib
import json
import os
import random
import struct
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

CLASSES = {"er": ("er", "Er"), "er+lode": ("lode_er", "LODEER"), "derpp": ("derpp", "Derpp"), "derpp+lode": ("lode_derpp", "LODEDerpp")}
RATES = {"joint": 0.1, "er": 0.1, "er+lode": 0.1, "derpp": 0.03, "derpp+lode": 0.03}
RHO = {"er+lode": 0.1, "derpp+lode": 0.05}
BATCH, EPOCHS, TASKS = 32, 3, 5

parser = argparse.ArgumentParser()
parser.add_argument("--code", required=True, help="a checkout of the authors' repository")
parser.add_argument("--method", choices=sorted(RATES), required=True)
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--data", default=str(Path(__file__).resolve().parents[2] / "launch/data/fashion-mini"))
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))


def stand_in(name, **contents):
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module
    return module


class Sequence:
    """What their methods ask of a data set."""

    N_TASKS, N_CLASSES_PER_TASK, NAME, SETTING = TASKS, 2, "fashion", "class-il"


stand_in("ipdb")
stand_in("torchvision", transforms=stand_in("torchvision.transforms"))
stand_in("datasets", get_dataset=lambda _: Sequence, NAMES=[Sequence.NAME], ContinualDataset=Sequence)
stand_in("models", get_all_models=list).__path__ = [str(Path(args.code) / "models")]
sys.path.insert(0, args.code)
residual_network = importlib.import_module("backbone.ResNet18").resnet18


def read(name):
    data = gzip.open(next(Path(args.data).glob(f"{name}*"))).read()
    shape = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    return torch.frombuffer(bytearray(data[4 + 4 * data[3]:]), dtype=torch.uint8).reshape(shape)


def pixels(name):
    return ((read(name).float() / 255 - 0.28735) / 0.35438).unsqueeze(1)


train, labels, test, wanted = pixels("train-images"), read("train-labels").long(), pixels("t10k-images"), read("t10k-labels").long()


class Joint(nn.Module):
    """Plain steps, in the form of their methods."""

    def __init__(self, network):
        super().__init__()
        self.net = network
        self.opt = torch.optim.SGD(network.parameters(), lr=RATES["joint"])

    def forward(self, images):
        return self.net(images)

    def observe(self, images, targets, _):
        self.opt.zero_grad()
        nn.functional.cross_entropy(self.net(images), targets).backward()
        self.opt.step()


def method():
    network = residual_network(2 * TASKS, 8)
    network.conv1 = nn.Conv2d(1, 8, 3, 1, 1, bias=False)  # one colour instead of three
    if args.method == "joint":
        return Joint(network)
    file, name = CLASSES[args.method]
    options = types.SimpleNamespace(
        lr=RATES[args.method], buffer_size=200, minibatch_size=BATCH, batch_size=BATCH, alpha=0.2, beta=0.5, C=1.0, rho=RHO.get(args.method))
    return getattr(importlib.import_module(f"models.{file}"), name)(network, nn.functional.cross_entropy, options, None)


def accuracies(model):
    model.net.eval()
    with torch.no_grad():
        right = (torch.cat([model(part) for part in test.split(BATCH)]).argmax(1) == wanted).float()
    model.net.train()
    return [100 * right[wanted // 2 == task].mean().item() for task in range(TASKS)]


def learn(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    model, rows = method(), []
    model.net.train()
    tasks = [torch.arange(len(train))] if args.method == "joint" else [(labels // 2 == task).nonzero()[:, 0] for task in range(TASKS)]
    for samples in tasks:
        for epoch in range(EPOCHS):
            batches = samples[torch.randperm(len(samples))].split(BATCH)
            for number, batch in enumerate(batches):
                if epoch == EPOCHS - 1 and number == len(batches) - 1:
                    before = sum(accuracies(model)) / TASKS  # that of the last task stays
                model.observe(train[batch], labels[batch], train[batch])
        if hasattr(model, "end_task"):
            model.end_task(None)
        rows.append(accuracies(model))
    lost = [max(row[task] for row in rows) - rows[-1][task] for task in range(TASKS - 1)]
    return sum(rows[-1]) / TASKS, before, sum(lost) / len(lost)


for seed in args.seeds:
    started = time.monotonic()
    accuracy, before, forgetting = learn(seed)
    print(json.dumps(dict(code="authors", method=args.method, last="keep", seed=seed, accuracy=round(accuracy, 2), before=round(before, 2),
                          forgetting=round(forgetting, 2), seconds=round(time.monotonic() - started, 1), torch=torch.__version__)), flush=True)
