"""Keeps what OpenCV 4's importer of Caffe (gone in OpenCV 5) answers, in tests/data/caffe/opencv.npz.

    python3 -m venv build/opencv4 && build/opencv4/bin/pip install 'opencv-python-headless>=4.13,<5' msgspec
    PYTHONPATH=. build/opencv4/bin/python tests/caffe_oracle.py

Real models are read from EDGEX_INFERENCE_TESTDATA; of RFB-320 every 64th row is kept.
"""

import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from edgex_inference.testing.caffe_models import ORACLE, REAL, kept, sample

OUT = Path(__file__).parent / "data" / "caffe" / "opencv.npz"


def main() -> int:
    answers: dict[str, np.ndarray] = {}
    models = Path(os.environ["EDGEX_INFERENCE_TESTDATA"]) / "models"
    for name, (shape, outputs) in REAL.items():
        net = cv2.dnn.readNetFromCaffe(f"{models / name}.prototxt", f"{models / name}.caffemodel")
        net.setInput(sample(shape))
        for output, array in zip(outputs, net.forward(list(outputs)), strict=True):
            answers[f"{name}:{output}"] = kept(array)
    with tempfile.TemporaryDirectory() as folder:
        for name, case in ORACLE.items():
            net = cv2.dnn.readNetFromCaffe(*map(str, case.write(Path(folder))))
            net.setInput(case.input())
            answers[name] = net.forward()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, opencv=np.array(cv2.__version__), **answers)
    print(f"{len(answers)} answers of OpenCV {cv2.__version__} in {OUT} ({OUT.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
