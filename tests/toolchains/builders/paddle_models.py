"""Synthetic Paddle models: of Paddle 3 (PIR), and with FLAGS_enable_pir_api=0 of the older kind."""

import sys

import paddle
from paddle import nn

folder, name = sys.argv[1:]
paddle.seed(0)
net = nn.Sequential(
    nn.Conv2D(3, 8, 3, padding=1),
    nn.BatchNorm2D(8),
    nn.ReLU(),
    nn.AdaptiveAvgPool2D(1),
    nn.Flatten(),
    nn.Linear(8, 5),
    nn.Softmax(),
)
net.eval()
paddle.jit.save(
    net, f"{folder}/{name}", input_spec=[paddle.static.InputSpec([None, 3, 32, 32], "float32", "image")]
)
