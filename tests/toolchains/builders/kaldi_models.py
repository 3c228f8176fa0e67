"""Networks of nnet3, written as Kaldi writes them; Kaldi's own code then reads them and answers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from edgex_inference.testing.kaldi_networks import NETWORKS, OTHERS, written

folder = Path(sys.argv[1])
for name, (specs, _) in NETWORKS.items():
    written(specs).write(folder / f"{name}.raw", binary=True)
for name, net in OTHERS.items():
    net.write(folder / f"{name}.raw", binary=False)
