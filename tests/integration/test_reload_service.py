"""Edits under load: a process of the service on a real broker, ONNX Runtime and OpenVINO, and nothing is lost."""

import shutil
from collections.abc import Callable
from typing import Any

from edgex_inference.testing import onnx_models
from tests.integration.plant import DEVICES, SIDE_CAR, edit, said_as_documented, version

GARBAGE = b"\x08\x09garbage"


def test_profile_side_car_and_override_change(plant: Any, under_load: Callable[..., Any]) -> None:
    profiles = plant.folder / "profiles"
    with under_load() as (service, stream, client):
        edit(plant, level=0)
        stream.until("q", "High", "true")
        (profiles / "ours.yaml").write_text(SIDE_CAR.format(level=1e9))
        stream.until("q", "High", "false")
        (profiles / "devices.yaml").write_text(DEVICES.format(level=0))
        stream.until("p", "High", "true")
        assert stream.last("q").values["High"] == "false"
        (profiles / "ours.yaml").unlink()
        stream.until("q", "High", "true")
        service.said("binding Wear of profile pump: the change is taken up", 2)
    values = {device: [float(one.values["Wear"]) for one in stream.of(device)] for device in ("p", "q")}
    assert values["q"] == [2 * x + 1 for x in range(1, stream.sent + 1)], "in order"
    assert sorted(values["p"]) == values["q"]
    assert {one.values["InferenceStatus"] for one in client.told.items} == {"running"}


def test_versions_and_cards_change(plant: Any, under_load: Callable[..., Any]) -> None:
    with under_load() as (service, stream, client):
        second = version(plant, "2", scale=4)
        stream.until_tag("modelVersion", "2")
        card = second / "model.yaml"
        card.write_text(
            card.read_text() + "inputs: {x: {kind: vector, normalize: {mean: [0.25], std: [1]}}}\n"
        )
        client.got.wait(lambda _: float(stream.last("q").values["Wear"]) % 4 == 0, "the card's offset")
        version(plant, "3", made=GARBAGE)
        told = client.status("q", "Wear", "degraded")
        assert told.values["InferenceReason"].startswith(
            "onnxruntime:CPU answers as before; the change is refused: "
        )
        assert "affine.onnx" in told.values["InferenceReason"]
        assert service.get("/ready")[0] == 200
        assert service.count("the change is refused, what ran goes on: ") == 1
        shutil.rmtree(plant.folder / "models" / "affine" / "3")
        service.until(lambda: service.binding("Wear")["status"] == "running", "running again")
        assert stream.last("q").event["tags"]["modelVersion"] == "2"
    for device in ("p", "q"):
        answers = [
            (float(one.values["Wear"]), one.event["tags"]["modelVersion"]) for one in stream.of(device)
        ]
        assert [number for _, number in answers] == sorted(number for _, number in answers), "1, then 2"
        for x, (answer, number) in enumerate(answers, 1):
            assert answer in ({2 * x + 1} if number == "1" else {4 * x + 1, 4 * x})


def test_the_file_is_harmed_in_place_and_mended(plant: Any, under_load: Callable[..., Any]) -> None:
    """As `cp` does it, on a disk that is full: the file that is in use gets other bytes, fewer, or goes."""
    folder = plant.folder / "models" / "affine" / "1"
    file = folder / "affine.onnx"
    onnx_models.write_affine(file, shape=("N", 1), external=True)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    harms: list[Callable[[], object]] = [
        lambda: file.write_bytes(GARBAGE),
        lambda: file.write_bytes(whole[file.name][:99]),
        lambda: (folder / f"{file.name}.data").write_bytes(b""),
        file.unlink,
        lambda: shutil.rmtree(folder),
    ]
    with under_load() as (service, stream, client):
        for number, harm in enumerate(harms, 1):
            harm()
            service.said("the change is refused, what ran goes on: ", number)
            before = len(client.results)
            client.wait_results(before + 20)
            assert service.binding("Wear")["status"] == "degraded"
            folder.mkdir(exist_ok=True)
            for name, content in whole.items():
                (folder / name).write_bytes(content)
            service.said("the change is taken up", number)
            assert service.binding("Wear")["status"] == "running"
        said_as_documented(service, "refused", "mended")
    for device in ("p", "q"):
        answers = [float(one.values["Wear"]) for one in stream.of(device)]
        assert answers == [2 * x + 1 for x in range(1, stream.sent + 1)]
