"""SSD nets with priors and a DetectionOutput, written as Caffe writes them; OpenCV then reads them and answers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from edgex_inference.testing.caffe_models import ORACLE

for name in ("ssd centers", "ssd corners"):
    prototxt, weights = ORACLE[name].write(Path(sys.argv[1]))
    prototxt.rename(prototxt.with_name(f"{name}.prototxt"))
    weights.rename(weights.with_name(f"{name}.caffemodel"))
