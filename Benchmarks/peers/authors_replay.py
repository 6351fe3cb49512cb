"""Peer: the code of LODE's authors itself, class-incremental on Split Fashion-MNIST with their reduced ResNet-18.

    git clone https://github.com/liangyanshuo/Loss-Decoupling-for-Task-Agnostic-Continual-Learning lode && git -C lode checkout 10c72cd
    THREADS=1 python authors_replay.py --code lode --method er+lode --seeds 1 2 3

Network, methods and buffer are theirs, imported from the folder; what is here is the loop over tasks, as in their utils/training.py, and stand-ins for
modules that they import and do not need. Their repository has no joint training: it is plain SGD on all tasks at once with their network. Settings are
those of `Benchmarks/continual`'s set fashion-resnet: five tasks of two classes, three passes, batches of 32 and as many of 200 records, the last
batch of a pass kept. A line of JSON for every seed, as from torch_continual.py. Needs PyTorch and numpy.
"""
import argparse
import importlib
import json
import os
import random
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

from class_incremental import learn, read

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


def pixels(name):
    return ((read(args.data, name).float() / 255 - 0.28735) / 0.35438).unsqueeze(1)


train, labels = pixels("train-images*"), read(args.data, "train-labels*").long()
test, wanted = pixels("t10k-images*"), read(args.data, "t10k-labels*").long()


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


def run(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    model = method()
    model.net.train()
    tasks = [torch.arange(len(train))] if args.method == "joint" else [(labels // 2 == task).nonzero()[:, 0] for task in range(TASKS)]

    def ended():
        if hasattr(model, "end_task"):
            model.end_task(None)

    return learn(tasks, EPOCHS, BATCH, lambda: accuracies(model), lambda batch, _: model.observe(train[batch], labels[batch], train[batch]), ended)


for seed in args.seeds:
    started = time.monotonic()
    found = run(seed)
    print(json.dumps(dict(code="authors", method=args.method, last="keep", seed=seed, **found, seconds=round(time.monotonic() - started, 1),
                          torch=torch.__version__)), flush=True)
