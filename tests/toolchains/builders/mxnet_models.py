"""Synthetic MXNet models, written by MXNet: a Gluon network and one with the old softmax layer."""

import sys

import mxnet as mx
from mxnet.gluon import nn

folder = sys.argv[1]
mx.random.seed(0)
net = nn.HybridSequential()
net.add(
    nn.Conv2D(8, 3, padding=1, in_channels=3),
    nn.BatchNorm(),
    nn.Activation("relu"),
    nn.MaxPool2D(2),
    nn.Conv2D(16, 3),
    nn.LeakyReLU(0.1),
    nn.GlobalAvgPool2D(),
    nn.Flatten(),
    nn.Dense(10),
)
net.initialize(mx.init.Xavier())
net.hybridize()
net(mx.nd.random.normal(shape=(1, 3, 32, 32)))
net.export(f"{folder}/cnn")
dense = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
mx.sym.SoftmaxOutput(dense, name="softmax").save(f"{folder}/mlp-symbol.json")
weights = {"arg:fc_weight": mx.nd.random.normal(shape=(4, 6)), "arg:fc_bias": mx.nd.zeros(4)}
mx.nd.save(f"{folder}/mlp-0001.params", weights)
