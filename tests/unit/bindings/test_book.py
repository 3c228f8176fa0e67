"""The book: layers in their order, overrides for one device, identity, and what is refused."""

from pathlib import Path

import pytest

from edgex_inference.bindings.book import Book, load

PROFILE = """\
name: cam-4k
deviceResources:
  - name: jpeg
    properties:
      valueType: Binary
      optional:
        inference:
          People:
            model: {name: person, version: "3", task: detection}
            accelerator: {name: onnxruntime, threads: 2}
            postprocess: {scoreThreshold: 0.4, nmsIou: 0.5}
            outputs: {PersonCount: {value: count, type: Uint16}}
  - {name: Level, properties: {valueType: Float32}}
  - {name: Lever, properties: {valueType: Float32}}
"""
CARS = "Cars: {model: {name: car, task: detection}, outputs: {CarCount: {value: count, type: Uint16}}}"


def book(folder: Path, **files: str) -> Book:
    for name, text in {"cam": PROFILE, **files}.items():
        (folder / f"{name}.yaml").write_text(text)
    return load(folder)


def said(found: Book) -> list[str]:
    return [str(problem) for problem in found.problems]


def test_layers_go_from_profile_to_side_car_to_device_and_say_so(tmp_path: Path) -> None:
    found = book(
        tmp_path,
        tune="match: {profile: 'cam-*'}\ninference: {People: {postprocess: {scoreThreshold: 0.5, top: 9}}}",
        devices=(
            "deviceList:\n- name: lobby\n  profileName: cam-4k\n"
            "  properties: {inference: {People: {postprocess: {top: 3}, enabled: false}}}\n"
        ),
    )
    assert found.problems == ()
    (base,) = found.bindings
    (lobby,) = found.match("cam-4k", "lobby")
    assert (base.postprocess.score_threshold, base.postprocess.nms_iou, base.postprocess.top) == (0.5, 0.5, 9)
    assert (lobby.postprocess.score_threshold, lobby.postprocess.top, lobby.enabled) == (0.5, 3, False)
    assert lobby.origins["postprocess.nmsIou"] == "profile cam.yaml"
    assert lobby.origins["postprocess.scoreThreshold"] == "side-car tune.yaml"
    assert lobby.origins["postprocess.top"] == "device lobby"
    assert lobby.origins["enabled"] == "device lobby"
    assert base.origins["postprocess.top"] == "side-car tune.yaml"
    assert "enabled" not in base.origins


def test_equal_layers_are_one_binding_object(tmp_path: Path) -> None:
    found = book(tmp_path)
    (one,) = found.match("cam-4k", "a")
    (two,) = found.match("cam-4k", "b")
    assert one is two is found.bindings[0]
    assert found.match("cam-4k", "a") is found.match("cam-4k", "a")


def test_an_unknown_profile_has_no_bindings(tmp_path: Path) -> None:
    assert book(tmp_path).match("other", "a") == ()


def test_another_model_name_replaces_the_whole_model_and_accelerator(tmp_path: Path) -> None:
    found = book(
        tmp_path,
        x="match: {profile: cam-4k}\ninference: {People: {model: {name: p2}, accelerator: {name: openvino}}}",
    )
    assert found.problems == ()
    model, accelerator = found.bindings[0].model, found.bindings[0].accelerator[0]
    assert model is not None
    assert (model.name, model.version, model.task) == ("p2", None, None)
    assert (accelerator.name, accelerator.threads) == ("openvino", None)
    same = book(
        tmp_path,
        x="match: {profile: cam-4k}\ninference: {People: {accelerator: {name: onnxruntime, device: CPU}}}",
    )
    assert same.bindings[0].accelerator[0].threads == 2


def test_a_side_car_brings_bindings_to_profiles_never_seen(tmp_path: Path) -> None:
    found = book(tmp_path, cars=f"match: {{profile: 'onvif*', resource: Snapshot}}\ninference: {{{CARS}}}")
    assert found.problems == ()
    (binding,) = found.match("onvif-9", "gate")
    assert (binding.profile, binding.resource, binding.name) == ("onvif-9", "Snapshot", "Cars")
    assert found.match("onvif-9", "gate2")[0] is binding
    assert found.match("ONVIF", "gate") == ()
    assert [one.name for one in found.bindings] == ["People"]


def test_a_side_car_for_some_devices_only(tmp_path: Path) -> None:
    found = book(
        tmp_path, cars=f"match: {{profile: cam-4k, device: 'gate-*', resource: jpeg}}\ninference: {{{CARS}}}"
    )
    assert found.problems == ()
    assert [one.name for one in found.match("cam-4k", "gate-1")] == ["People", "Cars"]
    assert [one.name for one in found.match("cam-4k", "door")] == ["People"]
    assert found.match("cam-4k", "gate-1")[1] is found.match("cam-4k", "gate-2")[1]


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("{profile: cam-4k}", "names no resource to read"),
        ("{profile: cam-4k, resource: jpg}", "no resource of profile cam-4k (did you mean jpeg?)"),
        ("{profile: cam-4k, resource: 'Leve?'}", "matches several resources (Level, Lever): name one"),
        ("{profile: other, resource: 'Leve?'}", "is a glob, and profile other is not among these files"),
        ("{profile: cam-4k, device: 'x*', resource: jpg}", "did you mean jpeg?"),
    ],
)
def test_a_side_car_needs_one_resource(tmp_path: Path, match: str, message: str) -> None:
    found = book(tmp_path, cars=f"match: {match}\ninference: {{{CARS}}}")
    (problem,) = found.problems
    assert message in problem.message
    assert (problem.path, problem.line) == ("Cars", 2)
    assert [one.binding for one in found.rejected] == ["Cars"]
    assert [one.name for one in found.match("cam-4k", "xx")] == ["People"]


def test_a_side_car_that_says_another_resource_than_the_profile(tmp_path: Path) -> None:
    text = "match: {profile: cam-4k, resource: Level}\ninference: {People: {enabled: false}}"
    found = book(tmp_path, x=text)
    assert "sits on resource jpeg, match.resource says Level" in said(found)[0]
    assert not found.bindings


def test_an_override_for_a_profile_that_is_not_here_is_a_warning(tmp_path: Path) -> None:
    found = book(tmp_path, x="match: {profile: other}\ninference: {People: {enabled: false}}")
    assert [problem.severity for problem in found.problems] == ["warning"]
    assert "not checked" in found.problems[0].message


DEVICE = "deviceList:\n- name: lobby\n  profileName: cam-4k\n"


def test_overrides_as_json_in_protocols(tmp_path: Path) -> None:
    text = DEVICE + '  protocols: {inference: {People: \'{"postprocess": {"top": 4}}\'}}\n'
    found = book(tmp_path, d=text)
    assert found.problems == ()
    assert found.match("cam-4k", "lobby")[0].postprocess.top == 4
    assert list(found.devices) == ["lobby"]


@pytest.mark.parametrize(
    ("override", "place", "message"),
    [
        ("properties: {inference: {Peple: {}}}", (4, 35), "has no binding Peple (did you mean People?)"),
        ("properties: {inference: {People: {postproces: {}}}}", (4, 37), "did you mean postprocess?"),
        ("properties: {inference: {People: 3}}", (4, 36), "must be a map, not a number"),
        ("properties: {inference: 3}", (4, 27), "must be a map of binding names to blocks"),
        ("protocols: {inference: {People: '{'}}", (4, 35), "the text holds no JSON"),
        (
            "protocols: {inference: {People: '{\"roi\": [0, 0, 0, 0]}'}}",
            (4, 35),
            "People.roi: is an empty region",
        ),
        ('protocols: {inference: {People: \'{"roi": 1, "roi": 2}\'}}', (4, 35), "written twice"),
    ],
)
def test_overrides_that_are_wrong(
    tmp_path: Path, override: str, place: tuple[int, int], message: str
) -> None:
    found = book(tmp_path, d=f"{DEVICE}  {override}\n")
    matching = [problem for problem in found.problems if message in str(problem)]
    assert matching, said(found)
    assert (matching[0].line, matching[0].column) == place
    assert [one.name for one in found.bindings] == ["People"]


def test_a_wrong_override_rejects_the_binding_for_that_device_only(tmp_path: Path) -> None:
    found = book(tmp_path, d=f"{DEVICE}  properties: {{inference: {{People: {{roi: 7}}}}}}\n")
    assert found.match("cam-4k", "lobby") == ()
    assert len(found.match("cam-4k", "door")) == 1
    (rejected,) = found.look_up("cam-4k", "lobby").rejected
    assert (rejected.binding, rejected.device) == ("People", "lobby")
    assert "People.roi: must be a list" in rejected.reason
    assert [(one.binding, one.device) for one in found.rejected] == [("People", "lobby")]


def test_an_override_counts_only_with_the_device_s_own_profile(tmp_path: Path) -> None:
    other = PROFILE.replace("cam-4k", "cam-8k").replace("PersonCount", "Persons")
    found = book(
        tmp_path, other=other, d=f"{DEVICE}  properties: {{inference: {{People: {{enabled: false}}}}}}\n"
    )
    assert [one.enabled for one in found.match("cam-4k", "lobby")] == [False]
    assert [one.enabled for one in found.match("cam-8k", "lobby")] == [True]


def test_overrides_in_both_places_that_differ_are_refused(tmp_path: Path) -> None:
    both = (
        "  properties: {inference: {People: {enabled: true}}}\n"
        "  protocols: {inference: {People: '{\"enabled\": false}'}}\n"
    )
    found = book(tmp_path, d=DEVICE + both)
    assert "properties.inference and protocols.inference both have it, and they differ" in said(found)[0]
    assert found.match("cam-4k", "lobby") == ()


def test_devices_of_one_name_and_of_unknown_profiles(tmp_path: Path) -> None:
    twice = (
        DEVICE
        + "- {name: lobby, profileName: cam-4k}\n- {name: x, profileName: y, properties: {inference: {A: {}}}}\n"
    )
    found = book(tmp_path, d=twice)
    assert any("a second device named 'lobby'; the first is in" in one for one in said(found))
    assert any(
        "device x: profile y is not among these files: whether it fits is not checked" in one
        for one in said(found)
    )


ABSENT = """
- name: x
  profileName: absent
  properties:
    inference:
      A: {decide: {raise: high}, limit: {timeout: 5s}, publish: {when: somtimes}}
      B: {decide: {clear: 2}, enabled: false, outputs: {N: {value: count, type: Uint16}}, accelerator: "openvino:GPU"}
"""


def test_overrides_of_absent_profiles_are_checked_as_far_as_they_go(tmp_path: Path) -> None:
    found = book(tmp_path, d=ABSENT)
    errors = [problem for problem in found.problems if problem.severity == "error"]
    assert [problem.path for problem in errors] == ["A.decide.raise", "A.limit", "A.publish.when"]
    warnings = [problem.path for problem in found.problems if problem.severity == "warning"]
    assert warnings == ["A", "B"], "what it leaves out is no mistake"


def test_an_override_in_a_side_car_for_an_absent_profile_is_checked(tmp_path: Path) -> None:
    found = book(tmp_path, x="match: {profile: other}\ninference: {People: {enabeld: false}}")
    assert "People.enabeld" in {problem.path for problem in found.problems if problem.severity == "error"}


def test_a_second_profile_of_a_name_is_checked_too(tmp_path: Path) -> None:
    found = book(tmp_path, other=PROFILE.replace("value: count", "value: cuont"))
    assert any("a second profile named 'cam-4k'" in one for one in said(found))
    wrong = [problem for problem in found.problems if "'cuont'" in problem.message]
    assert [Path(problem.file).name for problem in wrong] == ["other.yaml"]
    assert [one.name for one in found.bindings] == ["People"], "the first one's"


def test_a_profile_without_a_name_is_checked_and_its_bindings_refused(tmp_path: Path) -> None:
    text = PROFILE.replace("name: cam-4k", "model: x").replace("value: count", "value: cuont")
    found = book(tmp_path, cam=text)
    assert [problem.path for problem in found.problems] == ["name", "People.outputs.PersonCount.value"]
    assert not found.bindings
    assert [one.binding for one in found.rejected] == ["People"]


def test_a_broken_override_of_a_device_without_a_profile_is_said(tmp_path: Path) -> None:
    text = "deviceList: [{name: d, protocols: {inference: {People: '{'}}}]"
    found = book(tmp_path, d=text)
    assert any("the text holds no JSON" in one for one in said(found))
    assert found.match("cam-4k", "d") == ()
    assert len(found.match("cam-4k", "e")) == 1


def test_one_binding_name_on_two_resources_is_refused(tmp_path: Path) -> None:
    block = "properties: {valueType: Binary, optional: {inference: {A: {model: {name: m}, outputs: {N: {value: x}}}}}}"
    text = f"name: two\ndeviceResources:\n- name: a\n  {block}\n- name: b\n  {block}\n"
    found = book(tmp_path, two=text)
    assert "a second binding named A in profile two; the first is in line 4" in said(found)[0]
    assert [one.binding for one in found.rejected] == ["A"]
    assert [one.name for one in found.bindings] == ["People"]


@pytest.mark.parametrize(
    ("output", "clashes"),
    [
        ("{value: count, type: Uint16}", False),
        ("{value: count}", False),
        ("{value: count, type: Uint32}", True),
        ("{value: count, type: Uint16, units: people}", True),
    ],
)
def test_an_output_name_may_be_shared_with_equal_type_and_units(
    tmp_path: Path, output: str, clashes: bool
) -> None:
    block = f"Staff: {{model: {{name: m, task: detection}}, outputs: {{PersonCount: {output}}}}}"
    found = book(tmp_path, staff=f"match: {{profile: cam-4k, resource: jpeg}}\ninference: {{{block}}}")
    names = ["People"] if clashes else ["People", "Staff"]
    assert [one.name for one in found.match("cam-4k", "a")] == names
    assert any("binding People publishes PersonCount too, as Uint16" in one for one in said(found)) is clashes


def test_the_place_of_a_key_is_where_it_was_written(tmp_path: Path) -> None:
    found = book(tmp_path, x="match: {profile: cam-4k}\ninference: {People: {postprocess: {top: 9}}}")
    (binding,) = found.bindings
    top = found.place(binding, "postprocess", "top").problem("too many")
    assert str(top).endswith("x.yaml:2:41: People.postprocess.top: too many")
    model = found.place(binding, "model", "name").problem("no such model", severity="warning")
    assert str(model).endswith("cam.yaml:9:27: People.model.name: no such model")
    assert model.source.strip().startswith("model:")
    assert found.place(binding, "limits", "queue").problem("m").line == 9
    assert found.place(binding, "outputs", key=True).problem("m").column == 13
    (elsewhere,) = load(tmp_path).bindings
    assert str(found.place(elsewhere, "roi").problem("m")) == "cam-4k: People.roi: m"


def test_the_four_example_profiles_pass_and_name_what_is_not_built(testdata: Path) -> None:
    found = load(testdata.parent / "examples")
    assert {problem.severity for problem in found.problems} == {"warning"}
    assert not found.rejected
    keys = {binding.name: set(binding.unsupported) for binding in found.bindings}
    assert keys["PersonDetection"] >= {"stream", "track", "zones", "lines", "snapshot"}
    assert keys["ScannedItem"] == {"steps"}
    assert keys["SpindleHealth"] >= {
        "window",
        "features",
        "inputs[0].rate",
        "inputs[3].align",
        "inputs[3].maxAge",
    }
    assert keys["PartInspection"] >= {"poll.mediaProfile", "steps", "snapshot"}
    said_paths = {problem.path for problem in found.problems if "not yet supported" in problem.message}
    assert said_paths == {f"{name}.{key}" for name, every in keys.items() for key in every}
