"""Paddle to ONNX by paddle2onnx; answers come from Paddle's own predictor."""

import os

import paddle2onnx
from exchange import Refused, main
from predictor import ask_all, described, exported, opened

OPSET = 16


def work(job):
    model, weights = job.source, weights_of(job)
    predictor = opened(model, weights)
    content = exported(model, weights, min(job.opset or OPSET, 19))
    with open(job.path("model.onnx"), "wb") as file:
        file.write(content)
    cases = job.cases(described(job, content))
    answers, framework = ask_all(predictor, cases)
    job.reply(
        "model.onnx", cases, answers, framework=framework, tool="paddle2onnx " + paddle2onnx.__version__
    )


def weights_of(job):
    weights = job.beside[0] if job.beside else os.path.splitext(job.source)[0] + ".pdiparams"
    if not os.path.isfile(weights):
        raise Refused("needs its weights beside it, %s: name them with --weights" % os.path.basename(weights))
    return weights


main(work)
