"""What OpenCV 4's DNN module answers for a Caffe model, whose own framework nobody builds any more.

A converted detector gives boxes and scores before suppression, which OpenCV never shows: it is asked for the blobs that
its DetectionOutput reads, and the boxes are computed from these here.
"""

import json
import os

import cv2
import numpy as np
from exchange import Refused, main


def work(job):
    graph, weights = pair(job)
    try:
        net = cv2.dnn.readNetFromCaffe(graph, weights)
    except cv2.error as error:
        raise Refused("OpenCV cannot read it: %s" % str(error).strip().splitlines()[-1]) from error
    shape = job.options.get("inputs")
    cases = job.cases([(one["name"], "float32", tuple(one["shape"])) for one in shape])
    names = job.options.get("outputs") or list(net.getUnconnectedOutLayersNames())
    said = job.options.get("metadata", {})
    head, layers = json.loads(said.get("caffe.head", "{}")), json.loads(said.get("caffe.layers", "{}"))
    asked = [name for name in names if name not in (head.get("boxes"), head.get("scores"))]
    asked += [head[one] for one in ("offsets", "confidences", "priors") if head]
    answers = []
    for case in cases:
        for name, array in case.items():
            net.setInput(array, name)
        blobs = dict(zip(asked, net.forward([layers.get(name, name) for name in asked])))
        if head:
            blobs[head["boxes"]], blobs[head["scores"]] = detected(head, *(blobs[one] for one in asked[-3:]))
        answers.append([blobs[name] for name in names])
    job.reply("job.json", cases, answers, framework="opencv " + cv2.__version__, tool="")


def detected(head, offsets, confidences, priors):
    """Boxes [1, n, 4] as SSD decodes them, and scores [1, n, classes], of the blobs that DetectionOutput reads."""
    corners, spread = priors.reshape(2, -1, 4).astype(np.float64)
    moved = offsets.reshape(-1, 4) * (spread if head["variances"] else 1)
    if head["code"] == "CORNER":
        boxes = corners + moved
    else:
        sizes = corners[:, 2:] - corners[:, :2]
        centers = (corners[:, :2] + corners[:, 2:]) / 2 + moved[:, :2] * sizes
        halves = np.exp(moved[:, 2:]) * sizes / 2
        boxes = np.concatenate((centers - halves, centers + halves), 1)
    if head["clip"]:
        boxes = boxes.clip(0, 1)
    return boxes[None].astype(np.float32), confidences.reshape(1, len(corners), -1)


def pair(job):
    paths = [job.source, *job.beside]
    stem = os.path.splitext(job.source)[0]
    graph = next((one for one in paths if one.endswith(".prototxt")), stem + ".prototxt")
    weights = next((one for one in paths if one.endswith(".caffemodel")), stem + ".caffemodel")
    return graph, weights


main(work)
