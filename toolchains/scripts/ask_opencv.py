"""What OpenCV 4's DNN module answers for a Caffe model, whose own framework nobody builds any more."""

import os

import cv2
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
    answers = []
    for case in cases:
        for name, array in case.items():
            net.setInput(array, name)
        answers.append(list(net.forward(names)))
    job.reply("job.json", cases, answers, framework="opencv " + cv2.__version__, tool="")


def pair(job):
    paths = [job.source, *job.beside]
    stem = os.path.splitext(job.source)[0]
    graph = next((one for one in paths if one.endswith(".prototxt")), stem + ".prototxt")
    weights = next((one for one in paths if one.endswith(".caffemodel")), stem + ".caffemodel")
    return graph, weights


main(work)
