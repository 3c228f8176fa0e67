"""`try`: pictures, folders, tables, captured events; what is printed is what would go out; mistakes name the fix."""

import base64
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.cli.main import main

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "profiles"
CAMERA = PROFILES / "conveyor-camera.yaml"
MODELS = ROOT / "edgex_inference" / "demo" / "models"
PICTURES = MODELS / "part-detect/2026.11/golden"
PARTS = json.loads((PICTURES / "conveyor-1.json").read_text())
FAULTY = json.loads((MODELS / "spindle-ae/2026.11/golden/faulty.json").read_text())
FAULTY_SCORE = json.loads((MODELS / "spindle-ae/2026.11/golden/faulty.expect.json").read_text())["score"]

Run = subprocess.CompletedProcess[str]


def answers(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the objects of --json, standard error."""
    code = main(["try", *map(str, arguments), "--json"])
    found = capsys.readouterr()
    return code, [json.loads(line) for line in found.out.splitlines()], found.err


def values(answer: dict[str, Any]) -> dict[str, str]:
    return {one["resourceName"]: one.get("value", "") for one in answer["event"]["readings"]}


def spindle_row() -> dict[str, str]:
    rows = dict(zip(("AccelX", "AccelY", "AccelZ"), map(json.dumps, FAULTY["accel"]), strict=True))
    (temperature,) = (
        FAULTY["temperature"] if isinstance(FAULTY["temperature"], list) else (FAULTY["temperature"],)
    )
    return {**rows, "Temperature": str(temperature)}


def table(path: Path, *rows: dict[str, str], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def request(profile: str = "spindle", device: str = "spindle-1", identity: int = 1) -> dict[str, Any]:
    """An AddEventRequest of the spindle."""
    kinds = {"Temperature": "Float32"}
    common = {"origin": 1_700_000_000_000_000_000, "deviceName": device, "profileName": profile}
    readings = [
        {**common, "id": f"{identity:08}-0000-4000-8000-{at:012}", "resourceName": name, "value": text,
         "valueType": kinds.get(name, "Float32Array")}
        for at, (name, text) in enumerate(spindle_row().items())
    ]  # fmt: skip
    event = {**common, "apiVersion": "v3", "id": f"{identity:08}-0000-4000-8000-00000000000a"}
    return {
        "apiVersion": "v3",
        "requestId": "",
        "event": {**event, "sourceName": "Vibration", "readings": readings},
    }


def test_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    code, (answer,), err = answers(capsys, CAMERA, "PartInspection", PICTURES / "conveyor-1.jpg")
    assert code == 0
    assert "part-detect 2026.11 on onnxruntime:CPU, loaded in" in err
    assert values(answer)["PartCount"] == str(len(PARTS["detections"]["items"]))
    assert answer["topic"] == "edgex/events/device/app-inference/conveyor-camera-inference/try/PartInspection"
    assert answer["event"]["profileName"] == "conveyor-camera-inference"
    assert answer["event"]["sourceName"] == "PartInspection"
    assert answer["event"]["tags"]["accelerator"] == "onnxruntime:CPU"
    assert list(answer["milliseconds"]) == ["preprocess", "infer", "postprocess", "encode"]
    assert answer["held"] == ""


def test_a_folder_and_annotated_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image, ImageChops

    out = tmp_path / "new" / "out"
    assert main(["try", str(PROFILES), "PartInspection", str(PICTURES), "--save", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 inputs, 0 without an answer; p50 preprocess" in said
    assert f"saved as {out / 'conveyor-2.PartInspection.jpg'}" in said
    with (
        Image.open(PICTURES / "conveyor-1.jpg") as plain,
        Image.open(out / "conveyor-1.PartInspection.jpg") as drawn,
    ):
        assert plain.size == drawn.size
        box = PARTS["detections"]["items"][0]["box"]
        left = round(box[0] * plain.width)
        middle = round((box[1] + box[3]) / 2 * plain.height)
        area = (max(0, left - 3), middle - 2, left + 3, middle + 2)
        change = ImageChops.difference(plain.convert("RGB").crop(area), drawn.convert("RGB").crop(area))
        assert max(high for _, high in change.getextrema()) > 60, "no box is drawn there"


def test_compact_and_pretty(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["try", str(CAMERA), "PartInspection", str(PICTURES / "conveyor-1.jpg")]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[2])["deviceName"] == "try"
    assert main([*arguments, "--pretty", "--device", "cam-7"]) == 0
    assert '\n  "deviceName": "cam-7",\n' in capsys.readouterr().out


def test_what_auto_found_out_is_shown_once_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INFERENCE_AUTOACCELERATORS", "onnxruntime,openvino")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["try", str(CAMERA), "PartInspection", str(PICTURES / "conveyor-1.jpg")]
    assert main(arguments) == 0
    head = capsys.readouterr().out.splitlines()
    assert head[1] == "auto measured 2 on 2 golden samples, measured now:"
    columns = ["ACCELERATOR", "ANSWERS", "DIFFERENCE", "P50", "THROUGHPUT", "BATCH", "PRECISION", "PLACEMENT"]
    assert head[2].split() == columns
    assert {line.split()[0] for line in head[3:5]} == {"onnxruntime:CPU", "openvino:CPU"}
    assert {line.split()[1] for line in head[3:5]} == {"right"}
    first = head[3].split()[0]
    assert f" on {first}, loaded in" in head[0]
    assert main([*arguments, "--json"]) == 0
    found = capsys.readouterr()
    assert ", kept since:" in found.err.splitlines()[1]
    choice = json.loads(found.out)["choice"]
    assert choice["candidates"][0]["accelerator"] == first
    assert choice["kept"] is True


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rows_of_a_table_in_turn_raise_the_state(
    delimiter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"origin": "1700000000000000000", **spindle_row(), "device": "spindle-9", "note": "x"}
    path = table(tmp_path / "s.csv", row, row, delimiter=delimiter)
    code, found, _ = answers(capsys, PROFILES, "SpindleHealth", path)
    assert code == 0
    assert [values(one)["IsAnomaly"] for one in found] == ["false", "true"], "raiseAfter is 2"
    assert float(values(found[0])["AnomalyScore"]) == pytest.approx(FAULTY_SCORE, rel=0.02)
    assert found[1]["event"]["origin"] == 1_700_000_000_000_000_000
    assert found[1]["event"]["deviceName"] == "spindle-9"
    assert [one["input"] for one in found] == [f"{path}:2", f"{path}:3"]


def test_elements_of_an_array_may_be_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = spindle_row()
    wide = {f"AccelX[{at}]": str(number) for at, number in enumerate(json.loads(row.pop("AccelX")))}
    row["AccelY"] = row["AccelY"].strip("[]").replace(",", "")
    code, (one,), _ = answers(capsys, PROFILES, "SpindleHealth", table(tmp_path / "w.csv", wide | row))
    assert code == 0
    assert float(values(one)["AnomalyScore"]) == pytest.approx(FAULTY_SCORE, rel=0.02)


def captured(tmp_path: Path, form: str) -> Path:
    body = json.dumps(request())
    envelope = {"apiVersion": "v3", "correlationID": "c", "contentType": "application/json"}
    plain = json.dumps({**envelope, "payload": request()})
    coded = json.dumps({**envelope, "payload": base64.b64encode(body.encode()).decode()})
    topic = "edgex/events/device/device-x/spindle/spindle-1/Vibration"
    other = json.dumps({**envelope, "payload": request("pump", identity=2)})
    texts = {
        "request": body,
        "indented": json.dumps(request(), indent=1),
        "event": json.dumps(request()["event"]),
        "message": coded,
        "lines": f"{topic} {plain}\n{topic} {coded}\nedgex/other {other}\nedgex/system nothing\n",
        "tabs": f"0.5\t{topic}\t{plain}\n",
        "jsonl": f"{body}\n{json.dumps(request('pump', identity=2))}\n",
    }
    path = tmp_path / f"{form}.txt"
    path.write_text(texts[form])
    return path


@pytest.mark.parametrize("form", ["request", "indented", "event", "message", "lines", "tabs", "jsonl"])
def test_captured_events(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answers(capsys, PROFILES, "SpindleHealth", captured(tmp_path, form))
    assert code == 0
    assert len(found) == 1, "the same event twice is one"
    assert found[0]["event"]["deviceName"] == "spindle-1"
    assert float(values(found[0])["AnomalyScore"]) == pytest.approx(FAULTY_SCORE, rel=0.02)


def test_a_device_has_its_own_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text((PROFILES / "spindle.yaml").read_text())
    (tmp_path / "d.yaml").write_text(
        "deviceList:\n- {name: spindle-1, profileName: spindle, properties: {inference: "
        "{SpindleHealth: {decide: {raiseAfter: 1}, publish: {when: change}}}}}\n"
    )
    row = table(tmp_path / "s.csv", spindle_row(), spindle_row())
    _, found, _ = answers(capsys, tmp_path, "spindle/SpindleHealth", row, "--device", "spindle-1")
    assert [values(one)["IsAnomaly"] for one in found] == ["true", "true"]
    assert [one["held"] for one in found] == ["", "publish.when change: nothing discrete has changed"]
    _, found, _ = answers(capsys, tmp_path, "SpindleHealth", row)
    assert [values(one)["IsAnomaly"] for one in found] == ["false", "true"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((CAMERA, "PartInspecton", PICTURES), 1, "did you mean PartInspection?"),
        ((ROOT / "nowhere.yaml", "A", PICTURES), 2, "nowhere.yaml: cannot be read: No such file"),
        ((ROOT / "LICENSE", "A", PICTURES), 1, "LICENSE"),
        ((CAMERA, "PartInspection", ROOT / "no.jpg"), 2, "no.jpg: cannot be read: No such file"),
        ((CAMERA, "PartInspection", PROFILES), 2, "has no picture"),
        ((CAMERA, "PartInspection", ROOT / "LICENSE"), 2, "has no event that can be read"),
        ((PROFILES, "SpindleHealth", PICTURES / "conveyor-1.jpg"), 2, "give a CSV with these columns"),
        ((CAMERA, "PartInspection", PICTURES, "--accelerator", "onnxruntim"), 1, "did you mean onnxruntime?"),
        ((CAMERA, "PartInspection", PICTURES, "--limit", "0"), 2, "no whole number from 1 on"),
    ],
)
def test_mistakes_name_the_fix(
    arguments: tuple[object, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", *map(str, arguments)]) == code
    found = capsys.readouterr()
    assert words in found.err
    assert "Traceback" not in found.err


def broken_tables() -> dict[str, tuple[str, str]]:
    head = "AccelX,AccelY,AccelZ,Temperature"
    return {
        "column": (
            "AccelX,AccelY,AccelZ,Temprature\n1,2,3,4\n",
            "no column Temperature (did you mean Temprature?)",
        ),
        "cells": (f"{head}\n1,2\n", "b.csv:2: has 2 cells"),
        "twice": (f"{head},AccelX\n", "two columns are named AccelX"),
        "time": (f"{head},origin\n1,2,3,4,noon\n", "b.csv:2: origin 'noon' is no time"),
        "order": ("AccelX[1],AccelY,AccelZ,Temperature\n", "column AccelX[1] should be AccelX[0]"),
    }


@pytest.mark.parametrize("name", broken_tables())
def test_a_table_that_cannot_be_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, words = broken_tables()[name]
    (tmp_path / "b.csv").write_text(text)
    assert main(["try", str(PROFILES), "SpindleHealth", str(tmp_path / "b.csv")]) == 2
    assert words in capsys.readouterr().err


def test_a_bad_reading_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = spindle_row() | {"Temperature": "warm"}
    code, found, _ = answers(capsys, PROFILES, "SpindleHealth", table(tmp_path / "s.csv", bad, spindle_row()))
    assert code == 1
    assert "Temperature" in found[0]["error"]
    assert found[1]["event"] is not None


def test_events_of_another_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.json").write_text(json.dumps(request("pump")))
    assert main(["try", str(PROFILES), "SpindleHealth", str(tmp_path / "e.json")]) == 2
    assert "its events are of profile pump" in capsys.readouterr().err


def test_the_program_itself() -> None:
    done: Run = subprocess.run(
        [sys.executable, "-m", "edgex_inference", "try", str(CAMERA), "PartInspection", str(PICTURES)],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "PartCount" in done.stdout
