"""What core-metadata is told of results: companion profiles, written once and never fought over."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from edgex_inference.config.schema import Seconds
from edgex_inference.edgex.metadata.client import MetadataClient, Verdict
from edgex_inference.pipeline.platform.companion import Companion, Resource
from edgex_inference.pipeline.platform.registrar import Registrar

STATUS = {"InferenceStatus": ("String", ""), "InferenceReason": ("String", "")}


async def test_the_outputs_are_resources_and_each_binding_is_a_command(
    stage: Any, core: Any, words: Any
) -> None:
    outputs = {
        "Y": {"value": "y.0", "type": "Float64", "units": "C"},
        "Who": {"value": "accelerator"},
        "All": {"value": "y"},
    }
    bindings = {
        "Twice": words.block(outputs=outputs),
        "Again": words.block(outputs={"Who": {"value": "model"}}),
    }
    await core.profile(bindings=bindings)
    async with stage.running():
        await stage.until(lambda: bool(core.companion()))
    expected = {"Y": ("Float64", "C"), "Who": ("String", ""), "All": ("Float32Array", "")}
    assert core.results() == {**expected, **STATUS}
    assert core.commands() == {
        "Twice": ["Y", "Who", "All", *STATUS],
        "Again": ["Who", *STATUS],
    }
    assert core.companion()["description"] == "What the inference bindings of profile pump publish"


async def test_a_binding_without_a_model_is_described_as_far_as_its_block_tells(
    stage: Any, core: Any, words: Any
) -> None:
    missing = {"model": {"name": "nowhere", "task": "detection"}, "outputs": {"Count": {"value": "count"}}}
    await core.profile(bindings={"Parts": missing})
    async with stage.running():
        await stage.until(lambda: bool(core.companion()))
    assert core.results() == {"Count": ("Uint16", ""), **STATUS}


async def test_it_is_written_once_and_again_only_when_it_says_something_else(
    stage: Any, core: Any, words: Any
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    await core.profile()
    core.double.seen.clear()
    async with stage.running() as service:
        await stage.until(lambda: bool(core.companion()))
        first = core.companion()["id"]
        asked = len(core.double.seen)
        await stage.until(lambda: len(core.double.seen) > asked + 30)
        assert core.writes() == 1
        await core.profile("PUT", outputs={"Z": {"value": "y.0", "type": "Float64"}})
        await stage.until(lambda: "Z" in core.results())
        assert core.results() == {"Z": ("Float64", ""), **STATUS}
        assert core.commands() == {"Twice": ["Z", *STATUS]}
        assert core.companion()["id"] == first
        assert service.platform.trouble == ""
    core.double.seen.clear()
    async with stage.running():
        await stage.until(lambda: len(core.double.seen) > 30)
        assert core.writes() == 0


async def test_a_companion_that_somebody_deleted_comes_back(stage: Any, core: Any) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    await core.profile()
    async with stage.running():
        await stage.until(lambda: bool(core.companion()))
        await core.delete("/deviceprofile/name/pump-inference")
        await stage.until(lambda: bool(core.companion()))


async def test_what_others_put_into_it_stays(stage: Any, core: Any) -> None:
    await core.profile()
    theirs = {"name": "Note", "properties": {"valueType": "String", "readWrite": "R"}}
    operations = [{"deviceResource": "Note"}]
    command = {"name": "Notes", "readWrite": "R", "resourceOperations": operations}
    there = {"name": "pump-inference", "deviceResources": [theirs], "deviceCommands": [command]}
    assert await core.send("POST", "/deviceprofile", "profile", there) == 201
    async with stage.running():
        await stage.until(lambda: "Y" in core.results())
    assert core.results() == {"Note": ("String", ""), "Y": ("Float64", ""), **STATUS}
    assert core.commands() == {"Notes": ["Note"], "Twice": ["Y", *STATUS]}


def companion(*resources: tuple[str, str], service: str) -> Companion:
    """What an instance wants of profile pump: names and value types."""
    found = {
        name: Resource(name=name, type=kind, bindings=("B",), service=service)  # type: ignore[arg-type]
        for name, kind in resources
    }
    return Companion(profile="pump", resources=found, commands={"B": tuple(found)})


class Instance(Registrar):
    """A registrar whose wishes a test says."""

    def __init__(self, client: MetadataClient, service: str, *resources: tuple[str, Any]) -> None:
        super().__init__(client, service, lambda: ())
        self._wanted = [companion(*resources, service=service)]

    @property
    def stale(self) -> bool:
        return any(self._done.get(one.profile) != one for one in self._wanted)


@pytest.fixture
async def client(core: Any) -> Any:
    made = MetadataClient(core.double.url)
    await made.version()
    yield made
    await made.close()


async def test_two_instances_never_take_turns(
    core: Any, client: MetadataClient, caplog: pytest.LogCaptureFixture
) -> None:
    from edgex_inference.contracts.events import ValueType as V

    one = Instance(client, "app-inference_a", ("Y", V.FLOAT64), ("Mine", V.STRING))
    other = Instance(client, "app-inference_b", ("Y", V.FLOAT32), ("Theirs", V.BOOL))
    for _ in range(5):
        await asyncio.gather(one.write(all_anew=True), other.write(all_anew=True))
    settled = core.results()
    assert settled.keys() == {"Y", "Mine", "Theirs"}
    core.double.seen.clear()
    for _ in range(5):
        await one.write(all_anew=True)
        await other.write(all_anew=True)
    assert core.writes() == 0
    assert core.results() == settled
    told = [record for record in caplog.records if "with another type or units" in record.getMessage()]
    assert len(told) == 1


async def test_two_instances_that_say_the_same_write_once(core: Any, client: MetadataClient) -> None:
    from edgex_inference.contracts.events import ValueType as V

    instances = [Instance(client, f"app-inference_{name}", ("Y", V.FLOAT64)) for name in "ab"]
    core.double.seen.clear()
    for instance in instances * 3:
        await instance.write(all_anew=True)
    assert core.writes() == 1


async def test_units_that_edgex_does_not_know_are_left_out(
    stage: Any, core: Any, caplog: pytest.LogCaptureFixture
) -> None:
    core.double.state.policies.validate_units = True
    await core.profile(outputs={"Y": {"value": "y.0", "type": "Float64", "units": "furlong"}})
    async with stage.running():
        await stage.until(lambda: bool(core.companion()))
    assert core.results()["Y"] == ("Float64", "")
    assert len([text for text in caplog.messages if "registered without units" in text]) == 1


async def test_units_of_others_stay(core: Any, client: MetadataClient) -> None:
    from edgex_inference.contracts.events import ValueType as V

    theirs = {"name": "Other", "properties": {"valueType": "Float32", "readWrite": "R", "units": "celsius"}}
    there = {"name": "pump-inference", "deviceResources": [theirs]}
    assert await core.send("POST", "/deviceprofile", "profile", there) == 201
    instance = Instance(client, "app-inference", ("Y", V.FLOAT64))
    instance._without_units.add("pump-inference")
    await instance.write()
    assert core.results() == {"Other": ("Float32", "celsius"), "Y": ("Float64", "")}


async def test_what_core_metadata_could_not_do_is_tried_again(core: Any, client: MetadataClient) -> None:
    from edgex_inference.contracts.events import ValueType as V

    instance = Instance(client, "app-inference", ("Y", V.FLOAT64))
    add = client.add_profile

    async def broken(_profile: Any) -> Verdict:
        return Verdict(status=503, message="request timeout")

    client.add_profile = broken  # type: ignore[method-assign]
    await instance.write()
    client.add_profile = add  # type: ignore[method-assign]
    await instance.write()
    assert "Y" in core.results()


async def test_a_platform_that_allows_no_changes_is_told_once(
    stage: Any, core: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    await core.profile()
    async with stage.running() as service:
        await stage.until(lambda: bool(core.companion()))
        core.double.state.policies.strict_profile_changes = True
        (run,) = service.router.runs
        core.double.state.profiles.replace(
            dict(core.double.state.profiles.get("pump"))
            | {"deviceResources": [_with_output(core.double.state.profiles.get("pump"))]}
        )
        await stage.until(lambda: run.binding.outputs[0].name == "Z" and run.status == "running")
        await stage.until(lambda: any("is not registered" in text for text in caplog.messages))
        asked = len(core.double.seen)
        await stage.until(lambda: len(core.double.seen) > asked + 20)
    told = [
        record for record in caplog.records if "is not registered in core-metadata" in record.getMessage()
    ]
    assert [record.levelno for record in told] == [logging.WARNING]


def _with_output(profile: Any) -> Any:
    """The profile's one resource with an output of another name."""
    (resource,) = profile["deviceResources"]
    outputs = {"Z": {"value": "y.0", "type": "Float64"}}
    inference = {"Twice": {"model": {"name": "double"}, "outputs": outputs}}
    if "attributes" in resource and "inference" in (resource["attributes"] or {}):
        return resource | {"attributes": {"inference": inference}}
    return resource | {"properties": resource["properties"] | {"optional": {"inference": inference}}}


@pytest.mark.parametrize("configured", ["auto", "4", "3"])
async def test_the_major_is_asked_for_unless_it_is_said(
    stage: Any, core: Any, make: Any, caplog: pytest.LogCaptureFixture, configured: str
) -> None:
    stage.inference = {"edgex_version": configured}
    await core.profile()
    there = core.double.state.generation.version[0]
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        spoken = service.sender.dialect.major
        with suppress(ValueError):
            assert (await stage.get("/api/v3/version"))[1]["sdk_version"] == spoken
    assert spoken == (there if configured == "auto" else configured)
    warned = any("Inference.EdgexVersion is" in text for text in caplog.messages)
    assert warned == (configured not in ("auto", there))
