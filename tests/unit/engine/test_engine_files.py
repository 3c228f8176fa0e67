"""Models of several files: what belongs to them, what their sha256 is, and when they changed."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, PADDLE, TENSORFLOW, Format
from edgex_inference.contracts.errors import ModelRejected, ProfileError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.files import companions, digest, mark, parts
from edgex_inference.engine.store import Store, verify
from edgex_inference.testing import onnx_models


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder as TensorFlow saves it."""
    folder = tmp_path / "kws" / "1" / "saved"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def shell(command: str, folder: Path) -> str:
    """The first word that a shell prints."""
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_one_file_has_its_own_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"graph")
    (tmp_path / "m.bin").write_bytes(b"not its own")
    assert parts(path, ONNX) == [path]
    assert digest(path, ONNX) == hashlib.sha256(b"graph").hexdigest()


@pytest.mark.parametrize(
    ("format_", "graph", "weights"), [(OPENVINO_IR, "m.xml", "m.bin"), (PADDLE, "m.pdmodel", "m.pdiparams")]
)
def test_a_graph_and_its_weights_are_one_model(
    tmp_path: Path, format_: Format, graph: str, weights: str
) -> None:
    (tmp_path / graph).write_bytes(b"graph")
    (tmp_path / weights).write_bytes(b"weights")
    found = digest(tmp_path / graph, format_)
    assert found == shell(f"sha256sum {graph} {weights} | sha256sum", tmp_path)
    (tmp_path / weights).write_bytes(b"WEIGHTS")
    assert digest(tmp_path / graph, format_) != found


def test_external_data_of_onnx_count_as_files(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "m.onnx", external=True)
    (tmp_path / "other.data").write_bytes(b"not its own")
    assert [one.name for one in parts(path, ONNX)] == ["m.onnx", "m.onnx.data"]
    found = digest(path, ONNX)
    assert found == shell("sha256sum m.onnx m.onnx.data | sha256sum", tmp_path)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=())
    verify(card, build := Build(path=path, format=ONNX, sha256=found))
    data = bytearray((tmp_path / "m.onnx.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "m.onnx.data").write_bytes(data)
    with pytest.raises(ModelRejected, match="of all its files"):
        verify(card, build)


def test_external_data_outside_the_folder_are_no_files_of_the_model(tmp_path: Path) -> None:
    inside = tmp_path / "m" / "x.onnx"
    inside.parent.mkdir()
    onnx_models.write_affine(inside, external=True)
    inside.write_bytes(inside.read_bytes().replace(b"x.onnx.data", b"../../x.dat"))
    (inside.parent / "../../x.dat").resolve().write_bytes(b"secret")
    assert companions(inside, ONNX) == ["../../x.dat"]
    assert parts(inside, ONNX) == [inside]


def test_a_folder_is_one_model(saved: Path) -> None:
    found = digest(saved, TENSORFLOW)
    listing = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    assert found == shell(listing, saved)
    (saved / "variables" / "variables.index").write_bytes(b"INDEX")
    assert digest(saved, TENSORFLOW) != found


def test_the_card_s_sha256_covers_all_files(saved: Path) -> None:
    build = Build(path=saved, format=TENSORFLOW, sha256=digest(saved, TENSORFLOW))
    card = ModelCard(name="kws", version="1", task=Task.CLASSIFICATION, folder=saved.parent, builds=(build,))
    verify(card, build)
    (saved / "variables" / "more").write_bytes(b"")
    with pytest.raises(ModelRejected, match=r"saved has sha256 [0-9a-f]{64} \(of all its files"):
        verify(card, build)


def test_a_change_deep_in_a_folder_is_a_change(saved: Path) -> None:
    before = mark(saved)
    assert mark(saved) == before
    (saved / "variables" / "variables.index").write_bytes(b"longer than before")
    assert mark(saved) != before


def test_external_data_beside_the_graph_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"graph")
    before = mark(path)
    (tmp_path / "m.onnx.data").write_bytes(b"data")
    assert mark(path) != before


CARD = 'schema: 1\nname: kws\nversion: "1"\ntask: classification\nfiles: [{entry}]\n'


def test_a_folder_may_be_a_build(saved: Path, tmp_path: Path) -> None:
    (saved.parent / "model.yaml").write_text(CARD.replace("{entry}", "{path: saved}"))
    (build,) = Store([tmp_path]).find("kws").builds
    assert (build.path, build.format) == (saved, TENSORFLOW)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{path: saved, format: onnx}", "'onnx', and saved is a folder: that is how TensorFlow saves"),
        ("{path: saved/variables}", "there is no file 'saved/variables'"),
        ("{path: .., format: tensorflow}", "must be a path inside the model's folder"),
    ],
)
def test_other_folders_are_no_builds(saved: Path, tmp_path: Path, entry: str, said: str) -> None:
    (saved.parent / "model.yaml").write_text(CARD.replace("{entry}", entry))
    with pytest.raises(ProfileError, match=said):
        Store([tmp_path]).find("kws")
