"""Peer: the code of API's authors itself, GPM and finetune on kanji-100, task-incremental, with their AlexNet at a quarter of its channels.

    git clone https://github.com/liangyanshuo/Adaptive-Plasticity-Improvement-for-Continual-Learning api && git -C api checkout f0e8449
    THREADS=1 python authors_projection.py --code api --data FOLDER --method gpm --seeds 1 2 3 [--more 5]

Network, step, projection and memory are theirs (model/gpm.py), imported from the folder; finetune is the same without projection. What is here is the
loop over tasks and passes with early stopping, as in their main_gpm.py. FOLDER holds 32 × 32 images as IDX files, ten classes a task. Settings are
those of `Benchmarks/continual`'s set kanji-alexnet: ten passes a task and --more of them from the second task on. A line of
JSON for every seed. Needs PyTorch and numpy.
"""
import argparse
import contextlib
import copy
import importlib
import io
import json
import math
import os
import random
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch

from class_incremental import read

parser = argparse.ArgumentParser()
parser.add_argument("--code", required=True, help="a checkout of the authors' repository")
parser.add_argument("--data", required=True, help="a folder with the kanji as IDX files")
parser.add_argument("--method", choices=["finetune", "gpm"], required=True)
parser.add_argument("--epochs", type=int, default=10, help="passes over a task")
parser.add_argument("--more", type=int, default=0, help="passes in addition from the second task on")
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))
TASKS, BATCH, RATE, PATIENCE = 10, 64, 0.05, 6


def package(name):
    module = types.ModuleType(name)
    module.__path__ = [str(Path(args.code) / name)]
    sys.modules[name] = module
    return module


sys.modules["ipdb"] = types.ModuleType("ipdb")
sys.path.insert(0, args.code)
networks = package("networks")
for name in ("alexnet_gpm", "resnet_gpm", "lenet_gpm"):
    setattr(networks, name, importlib.import_module(f"networks.{name}"))
package("model")
in_single = np.linalg.svd


def svd(matrix, full_matrices):
    """numpy's, which the authors call; what does not converge in single precision is tried in double."""
    try:
        return in_single(matrix, full_matrices=full_matrices)
    except np.linalg.LinAlgError:
        return in_single(matrix.astype(np.float64), full_matrices=full_matrices)


np.linalg.svd = svd
projection = importlib.import_module("model.gpm")
options = types.SimpleNamespace(
    glances=1, model_arch="alexnet", model_size=0.25, step=0, dataset="cifar_kanji", lr=RATE, n_epochs=args.epochs, cuda=False)


def pixels(name):
    return ((read(args.data, name).float() / 255 - 0.20568) / 0.35305).unsqueeze(1).repeat(1, 3, 1, 1)


train, labels = pixels("train*images*"), read(args.data, "train*labels*").long()
test, wanted = pixels("t*t*-images*"), read(args.data, "t*t*-labels*").long()


def shuffled(count):
    order = np.arange(count)
    np.random.shuffle(order)
    return torch.LongTensor(order)


def measure(model, images, targets, task):
    """Loss and accuracy in batches of the training's size: norms are those of the batch."""
    model.net.eval()
    loss = right = 0.0
    with torch.no_grad():
        for batch in shuffled(len(images)).split(BATCH):
            logits = model(images[batch], task)
            first, end = model.compute_offsets(task)
            loss += model.loss_ce(logits[:, first:end], targets[batch] - first).item() * len(batch)
            right += (logits.argmax(1) == targets[batch]).sum().item()
    return loss / len(images), right / len(images)


def learn_task(model, task):
    """Learns one task and returns the samples that it was learned from."""
    samples = (labels // TASKS == task).nonzero()[:, 0]
    samples = samples[shuffled(len(samples))]
    held = int(0.05 * len(samples))
    images, targets = train[samples[held:]], labels[samples[held:]]
    rate, best, patience, kept = RATE, math.inf, PATIENCE, copy.deepcopy(model.net.state_dict())
    model.update_optimizer(rate)
    for _ in range(args.epochs + (args.more if task else 0)):
        model.net.train()
        for batch in shuffled(len(images)).split(BATCH):
            model.observe(images[batch], targets[batch], task)
        loss, _ = measure(model, train[samples[:held]], labels[samples[:held]], task)
        if loss < best:
            best, patience, kept = loss, PATIENCE, copy.deepcopy(model.net.state_dict())
            continue
        patience -= 1
        if patience <= 0:
            rate, patience = rate / 2, PATIENCE
            model.update_optimizer(rate)
    model.net.load_state_dict(kept)
    return images, targets


def learn(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        model = projection.Net(3 * 32 * 32, 10 * TASKS, TASKS, options)
    if args.method == "finetune":
        model.grad_projection = lambda task: None
    matrix = np.zeros((TASKS, TASKS))
    for task in range(TASKS):
        images, targets = learn_task(model, task)
        for old in range(task + 1):
            own = (wanted // TASKS == old).nonzero()[:, 0]
            matrix[task, old] = 100 * measure(model, test[own], wanted[own], old)[1]
        if args.method == "gpm":
            model.update_threshold(task)
            with contextlib.redirect_stdout(io.StringIO()):
                model.update_GPM(model.get_representation_matrix_for_alexnet(images, targets), model.threshold)
            model.feature_mat = [torch.Tensor(basis @ basis.T) for basis in model.feature_list]
    return matrix[-1].mean(), (matrix[-1] - matrix.diagonal()).sum() / (TASKS - 1)


for seed in args.seeds:
    started = time.monotonic()
    accuracy, transfer = learn(seed)
    print(json.dumps(dict(code="authors", set="kanji", method=args.method, more=args.more, seed=seed, accuracy=round(accuracy, 2), bwt=round(transfer, 2),
                          seconds=round(time.monotonic() - started, 1), torch=torch.__version__)), flush=True)
