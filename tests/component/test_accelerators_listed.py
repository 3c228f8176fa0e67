"""The command that lists the accelerators, in a process of its own."""

import json
import subprocess
import sys


def test_the_command_lists_every_plugin() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _COMMAND, "--json"],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    listed = json.loads(done.stdout)
    assert {"onnxruntime", "openvino", "reference"} <= {one["name"] for one in listed}
    assert all(
        set(one) == {"name", "level", "shown", "version", "formats", "devices", "reason"} for one in listed
    )
    table = subprocess.run(
        [sys.executable, "-P", "-c", _COMMAND], capture_output=True, text=True, timeout=250, check=True
    ).stdout
    assert table.splitlines()[0].split() == ["NAME", "LEVEL", "VERSION", "FORMATS", "DEVICES"]
    assert [line.split()[:2] for line in table.splitlines() if line.startswith(("open", "refer"))] == [
        ["openvino", "tuned"],
        ["reference", "proven"],
    ]


_COMMAND = """
import argparse, sys
from edgex_inference.cli import accelerators
parser = argparse.ArgumentParser()
accelerators.add_arguments(parser)
sys.exit(accelerators.run(parser.parse_args()))
"""
