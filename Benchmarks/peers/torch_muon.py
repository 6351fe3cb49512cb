"""Peer: torch.optim.Muon on the matrices of the reference decoder, gradients given, one thread.

    THREADS=1 python torch_muon.py --steps 5 [--bfloat16]

It works in bfloat16, which takes minutes a step on a processor without such arithmetic: by default its Newton–Schulz runs in float32.
Query, key and value, gate and up are parameters of their own, so that it orthogonalises the same matrices as Espalier.
"""
import argparse
import inspect
import os
import time

import torch
from torch.optim import _muon

parser = argparse.ArgumentParser()
for name, value in dict(layers=6, width=384, steps=5, warmup=1).items():
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--bfloat16", action="store_true", help="as it ships")
args = parser.parse_args()
torch.set_num_threads(int(os.environ.get("THREADS", "1")))
torch.manual_seed(0)

if not args.bfloat16:
    source = inspect.getsource(_muon._zeropower_via_newtonschulz)
    assert source.count("torch.bfloat16") == 1
    exec(source.replace("torch.bfloat16", "torch.float32"), _muon.__dict__)

hidden = -(-int(8 * args.width / 3) // 64) * 64
shapes = [(args.width, args.width)] * 4 + [(hidden, args.width)] * 2 + [(args.width, hidden)]
matrices = [torch.nn.Parameter(0.02 * torch.randn(shape)) for _ in range(args.layers) for shape in shapes]
for matrix in matrices:
    matrix.grad = torch.randn_like(matrix)
optimizer = torch.optim.Muon(matrices, lr=1e-3, adjust_lr_fn="match_rms_adamw")

times = []
for _ in range(args.warmup + args.steps):
    start = time.perf_counter()
    optimizer.step()
    times.append(time.perf_counter() - start)
times = sorted(times[args.warmup:])
print(f"{sum(m.numel() for m in matrices)} weights in {len(matrices)} matrices, {'bfloat16' if args.bfloat16 else 'float32'}: "
      f"{1e3 * times[len(times) // 2]:.1f} ms")
