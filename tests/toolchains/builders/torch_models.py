"""Synthetic PyTorch models in every form that it saves, and one whose weights are a program."""

import io
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch

folder = sys.argv[1]
Path(folder, "nets.py").write_text(
    "import torch\nfrom torch import nn\n\ndef small():\n    torch.manual_seed(0)\n"
    "    return nn.Sequential(nn.Conv2d(3, 8, 3), "
    "nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), nn.Softmax(1))\n"
    "\ndef other():\n    net = small()\n    net.extra = nn.Linear(1, 1)\n    return net\n"
)
sys.path.insert(0, folder)
import nets  # noqa: E402

net, x = nets.small().eval(), torch.rand(2, 3, 32, 32)
shapes = ({0: torch.export.Dim("batch")},)
torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes), f"{folder}/net.pt2")
torch.jit.trace(net, x).save(f"{folder}/script.pt")
torch.save(net.state_dict(), f"{folder}/state.pt")
torch.save(net, f"{folder}/whole.pt")
parallel = {f"module.{name}": one for name, one in net.state_dict().items()}
torch.save({"epoch": 3, "state_dict": parallel}, f"{folder}/parallel.pt")
np.savez(f"{folder}/state.npz", **{name: one.numpy() for name, one in net.state_dict().items()})
height = torch.export.Dim("height", min=3, max=64)
sizes = ({2: 8 * height, 3: 8 * height},)
torch.export.save(torch.export.export(net, (x,), dynamic_shapes=sizes), f"{folder}/derived.pt2")


class Listed(torch.nn.Module):
    def forward(self, xs: list[torch.Tensor]) -> torch.Tensor:
        return xs[0] * 2


torch.jit.script(Listed()).save(f"{folder}/listed.pt")


class Trap:
    def __reduce__(self):
        return os.mkdir, (f"{folder}/sprung",)


content = io.BytesIO()
torch.save(Trap(), content)
with zipfile.ZipFile(f"{folder}/net.pt2") as good, zipfile.ZipFile(f"{folder}/trap.pt2", "w") as bad:
    for name in good.namelist():
        data = good.read(name)
        if name.endswith("model_weights_config.json"):
            said = json.loads(data)
            for one in said["config"].values():
                one["use_pickle"] = True
            data = json.dumps(said).encode()
        bad.writestr(name, content.getvalue() if "/weights/weight_" in name else data)
