"""What a server of the Open Inference Protocol may do to us, over both transports."""

import threading
from typing import Any

import pytest

from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceError,
    InferenceFailed,
    ModelRejected,
    Overloaded,
)
from tests.contract.remote_stage import X, load, right

# While loading


def test_a_server_that_is_away(server: Any) -> None:
    server.die()
    with pytest.raises(AcceleratorUnavailable) as caught:
        load(server)
    said = str(caught.value)
    assert server.url in said
    assert "connection refused" in said
    assert "start the server, or mend options.url" in said


def test_a_name_that_nobody_knows(server: Any) -> None:
    scheme = server.url.partition(":")[0]
    with pytest.raises(AcceleratorUnavailable, match="cannot be resolved"):
        load(server, url=f"{scheme}://no-such-host.invalid:{server.port}")


def test_a_model_or_a_version_that_the_server_has_not(server: Any) -> None:
    with pytest.raises(ModelRejected, match=r"has no such model.*'nobody' is not found"):
        load(server, "nobody")
    with pytest.raises(ModelRejected, match="not this version"):
        load(server, version=7)
    assert right(load(server, version=1))
    assert right(load(server, "another card's name", model="m"))


def test_a_model_that_is_not_ready_is_not_there_yet(server: Any) -> None:
    server.models["m"].ready = False
    with pytest.raises(AcceleratorUnavailable, match="the model is not ready"):
        load(server)
    server.models["m"].ready = True
    assert right(load(server))


def test_a_server_that_cannot_be_asked_whether_a_model_is_ready(server: Any) -> None:
    server.strings.asked_ready = False
    session = load(server)
    server.strings.script.append("400")
    with pytest.raises(InferenceFailed):
        session.infer({"x": X})
    assert right(session)
    server.strings.script.append("400")
    del server.models["m"]
    with pytest.raises(DeviceLost):
        session.infer({"x": X})


def test_a_model_that_says_nothing_of_its_tensors(server: Any) -> None:
    server.models["m"].inputs = []
    with pytest.raises(ModelRejected, match="does not say what goes in"):
        load(server)


def test_a_type_that_the_protocol_has_not(server: Any) -> None:
    server.models["m"].outputs = [("y", "FP8", (1, 4))]
    with pytest.raises(ModelRejected, match="output y is of type 'FP8'"):
        load(server)


def test_another_kind_of_server(server: Any) -> None:
    scheme = "grpc" if server.url.startswith("http") else "http"
    with pytest.raises(AcceleratorUnavailable) as caught:
        load(server, url=f"{scheme}://localhost:{server.port}", timeout=5.0)
    assert "options.url" in str(caught.value)


# While running


def test_a_server_killed_in_the_middle_of_a_run_and_back_again(server: Any) -> None:
    session = load(server)
    server.strings.script.append("die")
    with pytest.raises(DeviceLost) as caught:
        session.infer({"x": X})
    assert server.url in str(caught.value)
    assert "'m'" in str(caught.value)
    with pytest.raises(AcceleratorUnavailable):
        load(server)
    server.start()
    assert right(load(server))


def test_a_server_restarted_between_two_runs_is_not_noticed(server: Any) -> None:
    if server.url.startswith("grpc"):
        return  # its channel reconnects by itself, after its own back-off
    session = load(server)
    server.die()
    server.start()
    assert right(session)


def test_a_server_that_hangs_costs_one_deadline(server: Any) -> None:
    session = load(server)
    server.strings.script.append("hang")
    with pytest.raises(DeadlineExceeded):
        session.infer({"x": X}, timeout=1)
    assert right(session), "it lives, and is asked again"
    server.strings.script.append("hang")
    with pytest.raises(DeadlineExceeded):
        session.infer({"x": X}, timeout=1)
    server.models["m"].ready = False
    with pytest.raises(DeviceLost, match="gives no answers"):
        session.infer({"x": X}, timeout=20)


def test_a_server_that_hangs_again_and_again_is_lost(server: Any) -> None:
    session = load(server)
    server.strings.script.extend(["hang"] * 3)
    for error in (DeadlineExceeded, DeadlineExceeded, DeviceLost):
        with pytest.raises(error):
            session.infer({"x": X}, timeout=1)
    assert right(session)


def test_a_server_that_hangs_while_it_is_asked_for_the_first_time(server: Any) -> None:
    server.strings.always = "hang"
    with pytest.raises(AcceleratorUnavailable, match=r"a first run: .*no answer within|DEADLINE_EXCEEDED"):
        load(server, timeout=2.0)


def test_the_host_of_an_ingress(server: Any) -> None:
    assert right(load(server, headers={"Host": "m.models.example"}))
    if server.url.startswith("http"):
        assert server.strings.headers[-1]["host"] == "m.models.example"


def test_the_option_bounds_what_the_caller_would_wait(server: Any) -> None:
    session = load(server, timeout=2.0)
    server.strings.script.append("hang")
    with pytest.raises(DeadlineExceeded, match=r"options\.timeout"):
        session.infer({"x": X}, timeout=3600)


def test_closing_ends_a_run_that_hangs(server: Any) -> None:
    session = load(server, timeout=3600.0)
    server.strings.begun.clear()
    server.strings.always = "hang"
    ends: list[BaseException] = []

    def run() -> None:
        try:
            session.infer({"x": X}, timeout=3600)
        except InferenceError as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert server.strings.begun.wait(30)
    session.close()
    thread.join(30)
    assert [type(error) for error in ends] == [InferenceFailed]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400", InferenceFailed),
        ("401", DeviceLost),
        ("404", DeviceLost),
        ("429", Overloaded),
        ("500", InferenceFailed),
        ("503", Overloaded),
    ],
)
def test_refusals_have_their_reaction(server: Any, status: str, error: type[Exception]) -> None:
    session = load(server)
    server.strings.script.append(status)
    with pytest.raises(error, match="told to") as caught:
        session.infer({"x": X})
    assert server.url in str(caught.value)
    assert right(session)


@pytest.mark.parametrize("status", ["400", "500", "503"])
def test_a_model_that_was_unloaded_is_lost(server: Any, status: str) -> None:
    session = load(server)
    server.strings.script.append(status)
    server.models["m"].ready = False
    with pytest.raises(DeviceLost, match="no longer ready"):
        session.infer({"x": X})


@pytest.mark.parametrize("fault", ["shape", "short", "other", "type", "garbage", "html", "half", "drop"])
def test_wrong_answers_are_none(server: Any, fault: str) -> None:
    if server.url.startswith("grpc") and fault in ("html", "half", "drop"):
        return
    session = load(server)
    broken_off = fault in ("drop", "garbage") and server.url.startswith("http")
    server.strings.script.extend(
        [fault, fault] if broken_off else [fault]
    )  # a kept connection gets another try
    with pytest.raises(InferenceError) as caught:
        session.infer({"x": X})
    assert server.url in str(caught.value)
    assert right(session)


def test_wrong_answers_in_json_are_none(server: Any) -> None:
    session = load(server, encoding="json")
    for fault in ("shape", "short", "other", "type"):
        server.strings.script.append(fault)
        with pytest.raises(InferenceFailed):
            session.infer({"x": X})
    assert right(session)


def test_an_answer_byte_by_byte_has_one_deadline(server: Any) -> None:
    if server.url.startswith("grpc"):
        return
    session = load(server)
    server.strings.script.append("drip")
    with pytest.raises(DeadlineExceeded):
        session.infer({"x": X}, timeout=0.3)
    assert right(session)


def test_nothing_but_our_own_errors_comes_out(server: Any) -> None:
    """Whatever bytes of an answer are wrong."""
    for seed in range(60):
        session = load(server)
        server.strings.script.extend([f"noise-{seed}"] * 2)
        try:
            session.infer({"x": X}, timeout=1)
        except EdgexInferenceError:
            continue
        finally:
            session.close()
