"""Keeps what Kaldi's own programs answer for our networks of nnet1 and nnet2, in tests/data/kaldi/answers.npz.

    PYTHONPATH=. python tests/kaldi_oracle.py COMMIT

COMMIT is Kaldi's, as its users build it; `nnet-forward` and `nnet-compute` are looked for on the PATH. Every network is
written as text and as binary, which must be answered alike, and every utterance is a process of its own.
"""

import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgex_inference.testing.kaldi_older import LENGTHS, OLDER, utterance

OUT = Path(__file__).parent / "data" / "kaldi" / "answers.npz"
_PROGRAMS = {"nnet1": "nnet-forward", "nnet2": "nnet-compute"}
_NAME = b"u \0BFM "


def main(commit: str) -> int:
    answers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (net, _) in OLDER.items():
            first, second = (
                np.concatenate(
                    [_asked(_PROGRAMS[net.generation], file, utterance(name, one)) for one in LENGTHS]
                )
                for file in (
                    net.write(Path(folder) / f"net{int(binary)}", binary=binary) for binary in (True, False)
                )
            )
            if not np.array_equal(first, second):
                sys.exit(f"{name}: text and binary are answered unlike, by {np.abs(first - second).max():g}")
            answers[name] = first
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(OUT, kaldi=np.array(commit), **answers)
    print(f"{len(answers)} answers of Kaldi {commit} in {OUT} ({OUT.stat().st_size} bytes)")
    return 0


def _asked(program: str, net: Path, data: Any) -> Any:
    """What a program answers for one utterance [frames, columns]."""
    source, target = net.with_name("in.ark"), net.with_name("out.ark")
    sizes = b"".join(b"\x04" + struct.pack("<i", extent) for extent in data.shape)
    source.write_bytes(_NAME + sizes + np.asarray(data, "<f4").tobytes())
    asked = subprocess.run(
        [program, str(net), f"ark:{source}", f"ark:{target}"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        sys.exit(f"{program} {net.read_bytes()[:60]!r}: {asked.stderr}")
    found = target.read_bytes()
    at = len(_NAME)
    assert found.startswith(_NAME), found[:40]
    rows, columns = (struct.unpack_from("<i", found, at + 1 + 5 * axis)[0] for axis in range(2))
    return np.frombuffer(found, "<f4", rows * columns, at + 10).reshape(rows, columns).copy()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
