"""The reduced ResNet-18 of the peers: `residual_network(width, classes)`, PyTorch's own start."""
import torch.nn as nn
import torch.nn.functional as F


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


def residual_network(width, classes):
    """Four stages of two blocks for images of one channel; 176,258 weights at width 8 with 10 classes."""
    widths = [width << stage for stage in range(4)]
    layers = [convolution(1, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
    for stage, own in enumerate(widths):
        layers += [Block(widths[max(stage - 1, 0)], own, 1 if stage == 0 else 2), Block(own, own, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
