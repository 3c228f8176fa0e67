"""Labels: built-in sets, files in the forms that are about, and what fits a model."""

from pathlib import Path

import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.postprocess.labels import COCO80, fit, resolve


def test_coco80() -> None:
    assert resolve("coco80", None) == COCO80
    assert (len(COCO80), len(set(COCO80))) == (80, 80)
    assert (COCO80[0], COCO80[39], COCO80[79]) == ("person", "bottle", "toothbrush")
    assert all(name == name.strip() and name for name in COCO80)


def test_given_labels_stay() -> None:
    assert resolve(("a", "b"), None) == ("a", "b")
    assert resolve(None, None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bolt\nnut\n", ("bolt", "nut")),
        ("\ufeffbolt\r\nhex nut\r\n\r\n\r\n", ("bolt", "hex nut")),
        ("0 person\n1 fire hydrant\n", ("person", "fire hydrant")),
        ("0: person\n2:  car\n", ("person", "n/a", "car")),
        ("1 one\n\n0 zero\n", ("zero", "one")),
        ("3 bolts\nbolt\n", ("3 bolts", "bolt")),
        ("10\n20\n", ("10", "20")),
        ("a\n\nb\n", ("a", "n/a", "b")),
        ("a\nn/a\nb\n", ("a", "n/a", "b")),
    ],
)
def test_files(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8", newline="")
    assert resolve("labels.txt", tmp_path) == expected


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "labels.txt is empty"),
        (b"\n\n", "labels.txt is empty"),
        (b"\xff\xfe\x00", "cannot be read as UTF-8"),
        (b"0 a\n0 b\n", "a class number stands on two lines"),
    ],
)
def test_files_that_are_no_labels(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(ModelRejected, match=text):
        resolve("labels.txt", tmp_path)


@pytest.mark.parametrize("name", ["coco8", "../labels.txt", "/etc/hostname", "", "deeper/labels.txt"])
def test_only_files_beside_the_card(tmp_path: Path, name: str) -> None:
    (tmp_path / "labels.txt").write_text("a\n")
    folder = tmp_path / "1"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "labels.txt").write_text("a\n")
    with pytest.raises(ModelRejected, match="neither a built-in set"):
        resolve(name, folder)


def test_a_near_miss_is_named() -> None:
    with pytest.raises(ModelRejected, match=r"did you mean coco80\?"):
        resolve("coco-80", None)


def test_places_without_a_name_go_where_only_the_others_fit() -> None:
    labels = ("a", "n/a", "b", "N/A")
    assert fit(labels, 4) == labels
    assert fit(labels, 2) == ("a", "b")
    assert fit(labels, 3) is None


def test_the_coco_file_of_coral_is_coco80(testdata: Path) -> None:
    found = resolve("coco_labels.txt", testdata / "models" / "coral")
    assert found is not None
    assert len(found) == 90
    assert fit(found, 80) == COCO80
