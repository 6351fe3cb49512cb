"""Peer: saving and loading a training state with torch.distributed.checkpoint.

    torchrun --nproc-per-node 2 torch_checkpoint.py --parameters 50000000 --directory peer-checkpoint --sync files
"""
import argparse
import os
import shutil
import subprocess
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

parser = argparse.ArgumentParser()
parser.add_argument("--parameters", type=int, default=50_000_000)
parser.add_argument("--directory", default="peer-checkpoint")
parser.add_argument("--sync", choices=["none", "files", "all"], default="files")
args = parser.parse_args()
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
mesh = init_device_mesh("cpu", (world,))
rows = args.parameters // 1024
torch.manual_seed(0)
state = {name: distribute_tensor(torch.randn(rows, 1024) * 0.02, mesh, [Shard(0)]) for name in ("value", "m", "v")}
size = 3 * rows * 1024 * 4
if rank == 0:
    shutil.rmtree(args.directory, ignore_errors=True)
dist.barrier()


def save():
    # `files` is what dcp.save does when nothing is said.
    dcp.save(state, storage_writer=FileSystemWriter(args.directory, sync_files=args.sync != "none"))
    dist.barrier()
    if args.sync == "all" and rank == 0:
        subprocess.run(["sync", "-f", args.directory], check=True)


for label, action in (("save", save), ("load", lambda: dcp.load(state, checkpoint_id=args.directory))):
    dist.barrier()
    start = time.perf_counter()
    action()
    dist.barrier()
    if rank == 0:
        seconds = time.perf_counter() - start
        print(f"dcp {label} {seconds:.3f} s {size / seconds / 1e9:.2f} GB/s")
if rank == 0:
    stored = sum(os.path.getsize(os.path.join(args.directory, f)) for f in os.listdir(args.directory))
    print(f"dcp bytes {stored} of {size}")
    shutil.rmtree(args.directory)
dist.destroy_process_group()
