# Reads espalier.safetensors with the official package, both strictly and by its framework, and compares every bit.
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file

path = sys.argv[1]
expected = {
    "blocks.0.weight": (torch.float32, [2, 3], bytes(i * 11 & 0xFF for i in range(24))),
    "half": (torch.float16, [3], bytes([0, 0x3C, 1, 0x7E, 0xFF, 0xFB])),
    "brain@adamw.m": (torch.bfloat16, [1, 2], bytes([0xC0, 0x7F, 0x80, 0x3F])),
    "empty": (torch.float32, [0, 4], b""),
    "scalar": (torch.float32, [], bytes([0, 0, 0xC0, 0xBF])),
    "long": (torch.int64, [1], bytes([1, 2, 3, 4, 5, 6, 7, 0x88])),
    'größe "µ"': (torch.int32, [1], bytes([0xFF, 0xFF, 0xFF, 0x7F])),
}
tensors = load_file(path)
assert set(tensors) == set(expected), set(tensors)
for name, (dtype, shape, content) in expected.items():
    tensor = tensors[name]
    assert tensor.dtype == dtype and list(tensor.shape) == shape, name
    assert tensor.reshape(-1).view(torch.uint8).numpy().tobytes() == content, name
with safe_open(path, framework="pt") as file:
    assert file.metadata() == {"format": "pt", "note": "line\nbreak and é"}, file.metadata()
print("read bit for bit:", len(expected), "tensors")
