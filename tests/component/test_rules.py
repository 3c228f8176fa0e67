"""Rules that are printed, on events that are really published, read as eKuiper's documentation says."""

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml

from edgex_inference.cli.main import main
from edgex_inference.contracts.events import Event, ValueType
from edgex_inference.edgex import topics

ROOT = Path(__file__).parents[2]
STATE = {"value": "state"}


@pytest.fixture(scope="session")
def ekuiper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ekuiper", ROOT / "tests" / "ekuiper.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(event: Event) -> Any:
    return json.loads(msgspec.json.encode(event))


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`printed(stage, *more)`: the rules of a stage's profiles by the end of their ids."""

    def rules(stage: Any, *more: str) -> Mapping[str, Any]:
        monkeypatch.chdir(stage.folder)
        capsys.readouterr()
        code = main(
            ["rules", str(stage.folder / "profiles"), "--models", str(stage.folder / "models"), *more]
        )
        out, err = capsys.readouterr()
        assert code == 0, err
        return {rule["id"].rpartition("-")[2]: rule for rule in json.loads(out)["rules"]}

    return rules


def pump(stage: Any, make: Any, **more: Any) -> None:
    """Load feeds the binding Wear: Y = 2·Load + 1, worn from 7 on; Speed is telemetry beside it."""
    block = make.binding(
        outputs={"Y": {"value": "y.0", "type": "Float64"}, "IsWorn": STATE},
        decide={"value": "y.0", "raise": 7},
        **more,
    )
    stage.profile("pump", Load=("Float32", {"Wear": block}), Speed="Int32", Frame="Binary")
    stage.model()


async def published(stage: Any, make: Any, *events: Event) -> list[tuple[Any, str]]:
    """The events that went in and those that came out, in this order, as on edgex/rules-events."""
    async with stage.running():
        await stage.send(*events, correlation_id="trace-1")
        await stage.have(len([one for one in events if any(r.resource_name == "Load" for r in one.readings)]))
        heard = [(plain(one.event), one.correlation_id) for one in stage.heard]
    return [*((plain(one), "trace-1") for one in events), *heard]


async def test_the_rules_speak_when_they_should(
    stage: Any, make: Any, printed: Any, ekuiper: ModuleType
) -> None:
    pump(stage, make)
    rules = printed(stage)
    assert set(rules) == {"threshold", "count", "change", "join"}
    loads = {"pump-1": (1, 3, 4, 5, 1), "pump-2": (1, 1, 2), "pump-3": (5, 1)}
    sent = [make.event(name, Load=load, Speed=900 + load) for name, all_ in loads.items() for load in all_]
    other = make.event("pump-1", Load=1, profile="fan")
    streams = ekuiper.both([*await published(stage, make, *sent), (plain(other), "")])
    threshold = ekuiper.run(rules["threshold"]["sql"], streams)
    assert sorted(one["device"] for one in threshold) == ["pump-1"] * 3 + ["pump-3"]
    assert {one["cid"] for one in threshold} == {"trace-1"}
    assert ekuiper.run(rules["count"]["sql"], streams) == [{"device": "pump-1", "times": 3}]
    assert set(ekuiper.changes(rules["change"]["sql"], streams["inference"])) == {
        ("pump-1", False, None),
        ("pump-1", False, True),
        ("pump-1", True, False),
        ("pump-2", False, None),
        ("pump-3", False, True),
        ("pump-3", True, None),
    }
    joined = ekuiper.run(rules["join"]["sql"], streams)
    assert {one["device"] for one in joined} == {"pump-1", "pump-3"}
    assert {(one["device"], one["Speed"]) for one in joined} >= {("pump-1", 904), ("pump-3", 905)}
    assert {one["value"] for one in joined} == {1}
    assert ekuiper.misplaced(rules["join"]["sql"]) == []


async def test_devices_of_their_own_are_joined_by_their_names(
    stage: Any, make: Any, printed: Any, ekuiper: ModuleType
) -> None:
    pump(stage, make, publish={"as": "device"})
    rules = printed(stage)
    streams = ekuiper.both(await published(stage, make, make.event("pump-1", Load=9, Speed=900)))
    assert [one["device"] for one in ekuiper.run(rules["threshold"]["sql"], streams)] == ["pump-1-Wear"]
    assert ekuiper.misplaced(rules["join"]["sql"]) == []
    (joined,) = ekuiper.run(rules["join"]["sql"], streams)
    assert (joined["device"], joined["Speed"], joined["Load"]) == ("pump-1", 900, 9.0)


async def test_a_rule_hears_its_own_binding_only(
    stage: Any, make: Any, printed: Any, ekuiper: ModuleType
) -> None:
    worn = {"outputs": {"IsWorn": STATE}, "decide": {"value": "y.0", "raise": 7}}
    blocks = {"A": make.binding(**worn), "B": make.binding(**worn)}
    stage.profile("pump", X=("Float32", blocks))
    stage.model()
    monitor = printed(stage)
    async with stage.running():
        await stage.send(make.event("d", X=9))
        heard = [(plain(one.event), "") for one in await stage.have(2)]
    sources = {event["sourceName"] for event, _ in heard}
    assert sources == {"A", "B"}
    assert len(ekuiper.run(monitor["threshold"]["sql"], ekuiper.both(heard))) == 1


async def test_names_that_its_language_cannot_say_plainly(
    stage: Any, make: Any, printed: Any, ekuiper: ModuleType
) -> None:
    block = make.binding(outputs={"select": STATE}, decide={"value": "y.0", "raise": 7})
    stage.profile('p "1"', **{"Load-1": ("Float32", {"B \\ x": block}), "From": "Int32"})
    stage.model()
    rules = printed(stage)
    async with stage.running():
        await stage.send(make.event("d", profile='p "1"', **{"Load-1": 9, "From": 3}))
        heard = [(plain(one.event), "") for one in await stage.have(1)]
    source = make.event("d", profile='p "1"', **{"Load-1": 9, "From": 3})
    streams = ekuiper.both([*heard, (plain(source), "")])
    assert [one["device"] for one in ekuiper.run(rules["threshold"]["sql"], streams)] == ["d"]
    assert [one["From"] for one in ekuiper.run(rules["join"]["sql"], streams)] == [3]
    assert rules["threshold"]["id"] == "p-1--B-x-threshold"


async def test_every_output_is_a_column_of_its_type(stage: Any, make: Any, ekuiper: ModuleType) -> None:
    """Nothing that we publish is lost or read otherwise: canonical types, one reading for a name, no ObjectArray."""
    types = {"Float64": float, "Float32": float, "Int32": int, "Uint16": int, "Int64": int}
    real: dict[str, Any] = {f"O{kind}": {"value": "y.0", "type": kind} for kind in types if "Float" in kind}
    real |= {"State": STATE, "Model": {"value": "model"}, "All": {"value": "y", "type": "Float32Array"}}
    whole = {f"O{kind}": {"value": "y.0", "type": kind} for kind in types if "Int" in kind or "Uint" in kind}
    stage.profile(
        "pump",
        X=("Float32", {"B": make.binding(outputs=real, decide={"value": "y.0", "raise": 1})}),
        Z=("Int32", {"C": make.binding(outputs=whole, model={"name": "whole"})}),
    )
    stage.model()
    stage.model("whole", datatype="INT32")
    outputs = {**real, **whole}
    async with stage.running():
        await stage.send(make.event("pump-1", make.reading("X", 3), make.reading("Z", 3, ValueType.INT32)))
        await stage.have(2)
        heard = [plain(one.event) for one in stage.heard]
    results = [one for one in heard if one["readings"][0]["resourceName"] != "InferenceStatus"]
    names = [reading["resourceName"] for one in results for reading in one["readings"]]
    assert sorted(names) == sorted(set(names)) == sorted(outputs)
    result = next(one for one in results if one["sourceName"] == "B")
    _, meta = ekuiper.row(result, "t")
    columns = {**ekuiper.row(results[0])[0], **ekuiper.row(results[1])[0]}
    assert {name: type(columns[name]) for name in outputs} == {
        **{f"O{kind}": python for kind, python in types.items()},
        "State": bool,
        "Model": str,
        "All": list,
    }
    assert columns["OFloat64"] == 7.0
    assert (meta["sourceName"], meta["profileName"], meta["correlationid"]) == ("B", "pump-inference", "t")
    kinds = {reading["valueType"] for one in heard for reading in one["readings"]}
    assert kinds <= {kind.value for kind in ValueType} - {"ObjectArray"}


async def test_the_bare_copy_reads_the_same(stage: Any, make: Any, ekuiper: ModuleType) -> None:
    stage.simple(publish={"rules": True})
    async with stage.running():
        await stage.send(make.event("pump-1", X=3))
        await stage.until(lambda: len([one for one in stage.heard if one.status is None]) == 2)
        both = [one for one in stage.heard if one.status is None]
    assert {one.topic for one in both} >= {topics.rules_topic(stage.service.sender.dialect)}
    first, second = (ekuiper.row(plain(one.event)) for one in both)
    assert first == second


def test_the_reading_rules_themselves(ekuiper: ModuleType) -> None:
    def read(*readings: Mapping[str, Any]) -> Any:
        event = {"readings": [{"resourceName": "A", **one} for one in readings]}
        return ekuiper.row(event)[0].get("A")

    assert read({"valueType": "Int8", "value": "1"}, {"valueType": "Int8", "value": "2"}) == 2
    assert read({"valueType": "int8", "value": "1"}) == "1", "another spelling is no number"
    assert read({"valueType": "Int8", "value": "1.5"}) is None
    assert read({"valueType": "Bool", "value": "True"}) is True
    assert read({"valueType": "Float32Array", "value": "[1e-01, 2]"}) == [0.1, 2]
    assert read({"valueType": "StringArray", "value": "[a, b]"}) is None
    assert read({"valueType": "ObjectArray", "objectValue": [{}]}) == ""
    assert read({"valueType": "Int8", "value": None}) is None
    assert read({"valueType": "Binary", "binaryValue": "AQI="}) == b"\x01\x02"


def test_conditions_that_would_be_moved_to_the_wrong_stream_are_found(ekuiper: ModuleType) -> None:
    join = "SELECT 1 FROM inference INNER JOIN telemetry ON {} WHERE {} GROUP BY TUMBLINGWINDOW(ss, 10)"
    both, one = "meta(inference.a) = meta(telemetry.a)", 'meta(telemetry.b) = "x AND y"'
    assert ekuiper.misplaced(join.format(both, one)) == [both, one]
    bound = f"({both} AND inference.X = telemetry.Y) = true"
    assert ekuiper.misplaced(join.format(bound, f"({one} AND telemetry.Y > 0) = true")) == []


# The command


def test_the_limit_of_a_card_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = {"model": {"name": "spindle-ae"}, "outputs": {"S": {"value": "score"}}}
    properties = {"valueType": "Float32Array", "readWrite": "R", "optional": {"inference": {"B": block}}}
    profile = {"name": "s", "deviceResources": [{"name": "X", "properties": properties}]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(profile))
    assert main(["rules", str(tmp_path / "s.yaml")]) == 0
    out, err = capsys.readouterr()
    rules = {rule["id"]: rule for rule in json.loads(out)["rules"]}
    assert set(rules) == {"s-B-threshold", "s-B-count"}
    assert re.search(r" S >= [\d.]+$", rules["s-B-threshold"]["sql"])
    assert "no change: no output is a truth value" in err
    assert "no join" in err


def test_ruleset_and_bodies_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    profiles = str(ROOT / "profiles")
    assert main(["rules", profiles]) == 0
    bodies = json.loads(capsys.readouterr().out)
    assert main(["rules", profiles, "--format", "ruleset"]) == 0
    ruleset = json.loads(capsys.readouterr().out)
    assert [json.loads(text) for text in ruleset["rules"].values()] == bodies["rules"]
    assert list(ruleset["streams"].values()) == [one["sql"] for one in bodies["streams"]]
    assert ruleset["tables"] == {}


@pytest.mark.parametrize(("major", "version"), [("2", "v2"), ("3", "v3"), ("4", "v3")])
def test_what_differs_between_releases(major: str, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", str(ROOT / "profiles" / "spindle.yaml"), "--edgex", major]) == 0
    rules = {rule["id"].rpartition("-")[2]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    rest = rules["threshold"]["actions"][0]["rest"]
    assert rest["url"].endswith(f"/api/{version}/notification")
    assert json.loads(rest["dataTemplate"])[0]["apiVersion"] == version
    assert (" WHEN " in rules["change"]["sql"]) is (major != "2")


def test_ids_that_would_be_the_same_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for profile, name in (("a-b", "c"), ("a", "b-c")):
        block = {"model": {"name": "part-detect"}, "outputs": {"N": {"value": "count"}}}
        properties = {
            "valueType": "Binary",
            "mediaType": "image/png",
            "optional": {"inference": {name: block}},
        }
        said = {"name": profile, "deviceResources": [{"name": "X", "properties": properties}]}
        (tmp_path / f"{profile}.yaml").write_text(yaml.safe_dump(said))
    assert main(["rules", str(tmp_path)]) == 0
    ids = [rule["id"] for rule in json.loads(capsys.readouterr().out)["rules"]]
    assert len(set(ids)) == len(ids) == 6


def test_no_rules_and_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", str(tmp_path)]) == 2
    (tmp_path / "p.yaml").write_text("name: p\ndeviceResources: []\n")
    assert main(["rules", str(tmp_path)]) == 1
    assert "no binding gives anything to write a rule on" in capsys.readouterr().err
    (tmp_path / "p.yaml").write_text(
        "name: p\ndeviceResources:\n  - name: X\n"
        "    properties: {valueType: Float32, optional: {inference: {B: {modell: {}}}}}\n"
    )
    assert main(["rules", str(tmp_path)]) == 2
    assert "modell" in capsys.readouterr().err
