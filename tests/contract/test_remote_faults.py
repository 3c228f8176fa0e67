"""What a server of the Open Inference Protocol may do to us, over both transports."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE, Batch, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceError,
    InferenceFailed,
    ModelRejected,
    Overloaded,
    SignatureMismatch,
)
from edgex_inference.engine.options import decode, option_problems

X = np.ones((1, 4), np.float32)
_opened: list[Session] = []


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, needs: Callable[..., None]) -> Iterator[Any]:
    """A server with the model `m`, y = 2x + 1."""
    needs("urllib3", "grpc", "tritonclient")
    sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
    import open_inference

    found = open_inference.OpenInference(transport=request.param)
    found.models["m"] = model(open_inference)
    found.package = open_inference
    yield found
    while _opened:
        _opened.pop().close()
    found.die()


def model(package: Any, datatype: str = "FP32", rows: int = 1, **keys: Any) -> Any:
    tensor = (datatype, (rows, 4))
    return package.Model([("x", *tensor)], [("y", *tensor)], lambda a: {"y": 2 * a["x"] + 1}, **keys)


def load(
    server: Any, name: str = "m", secrets: Mapping[str, str] | None = None, **options: object
) -> Session:
    assert PLUGIN.load is not None
    said = {"url": server.url, "timeout": 20.0, **options}
    request = LoadRequest(
        path=Path("unused.onnx"),
        format=REMOTE,
        name=name,
        options=decode(PLUGIN, said),
        secret=secrets or {},
    )
    _opened.append(PLUGIN.load(request))
    return _opened[-1]


def right(session: Session) -> bool:
    return bool(np.array_equal(session.infer({"x": X})["y"], 2 * X + 1))


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
        session.infer({"x": X}, timeout=0.2)
    assert right(session), "it lives, and is asked again"
    server.strings.script.append("hang")
    with pytest.raises(DeadlineExceeded):
        session.infer({"x": X}, timeout=0.2)
    server.models["m"].ready = False
    with pytest.raises(DeviceLost, match="gives no answers"):
        session.infer({"x": X}, timeout=20)


def test_a_server_that_hangs_again_and_again_is_lost(server: Any) -> None:
    session = load(server)
    server.strings.script.extend(["hang"] * 3)
    for error in (DeadlineExceeded, DeadlineExceeded, DeviceLost):
        with pytest.raises(error):
            session.infer({"x": X}, timeout=0.2)
    assert right(session)


def test_a_server_that_hangs_while_it_is_asked_for_the_first_time(server: Any) -> None:
    server.strings.always = "hang"
    with pytest.raises(AcceleratorUnavailable, match=r"a first run: .*no answer within|DEADLINE_EXCEEDED"):
        load(server, timeout=0.3)


def test_the_host_of_an_ingress(server: Any) -> None:
    assert right(load(server, headers={"Host": "m.models.example"}))
    if server.url.startswith("http"):
        assert server.strings.headers[-1]["host"] == "m.models.example"


def test_the_option_bounds_what_the_caller_would_wait(server: Any) -> None:
    session = load(server, timeout=0.3)
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


# Numbers


@pytest.mark.parametrize(
    "datatype", ["BOOL", "INT8", "UINT8", "UINT64", "INT64", "FP16", "FP32", "FP64", "BF16"]
)
def test_every_type_there_and_back(server: Any, datatype: str) -> None:
    server.models["m"] = model(server.package, datatype)
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    dtype = session.inputs[0].datatype.numpy
    x = np.array([[0, 1, 0, 1]]).astype(dtype)
    if dtype.itemsize == 8 and dtype.kind in "iu":
        x[0, 0] = np.iinfo(dtype).max
    assert np.array_equal(session.infer({"x": x})["y"], x)
    assert session.infer({"x": x})["y"].dtype == dtype


@pytest.mark.parametrize("datatype", ["BOOL", "INT8", "UINT8", "UINT64", "INT64", "FP32", "FP64", "BYTES"])
def test_servers_that_answer_in_typed_contents_or_json(server: Any, datatype: str) -> None:
    server.models["m"] = model(server.package, datatype)
    server.models["m"].run = lambda a: {"y": a["x"]}
    server.strings.always = "typed"
    server.strings.extensions = ()
    session = load(server)
    dtype = session.inputs[0].datatype.numpy
    x = (
        np.array([["a", "", "ü", "1"]], object)
        if dtype.kind == "O"
        else np.array([[0, 1, 0, 1]]).astype(dtype)
    )
    if dtype.itemsize == 8 and dtype.kind in "iu":
        x[0, 0] = np.iinfo(dtype).max
    if dtype.kind == "i":
        x[0, 1] = -1
    assert session.infer({"x": x})["y"].tolist() == x.tolist()


def test_bf16_is_rounded_as_its_makers_do(server: Any) -> None:
    from ml_dtypes import bfloat16

    server.models["m"] = model(server.package, "BF16")
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    rng = np.random.default_rng(3)
    halfway = np.array([[1 + 1 / 256, 1 + 3 / 256, -1 - 3 / 256, 3.4e38]], np.float32)
    random = [rng.normal(size=(1, 4)) * 10.0 ** rng.integers(-30, 30) for _ in range(20)]
    for x in (halfway, *(one.astype(np.float32) for one in random)):
        assert np.array_equal(session.infer({"x": x})["y"], x.astype(bfloat16).astype(np.float32))


def test_texts_there_and_back(server: Any) -> None:
    server.models["m"] = model(server.package, "BYTES")
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    x = np.array([["pump", "Überdruck", "", "3"]], dtype=object)
    assert session.infer({"x": x})["y"].tolist() == x.tolist()
    with pytest.raises(SignatureMismatch, match="a text is expected, not int"):
        session.infer({"x": np.array([["a", 1, "b", "c"]], dtype=object)})


def test_nan_goes_nowhere_and_infinity_does_not_fit_json(server: Any) -> None:
    session = load(server)
    seen = server.strings.calls
    with pytest.raises(SignatureMismatch, match="NaN"):
        session.infer({"x": np.array([[1, np.nan, 1, 1]], np.float32)})
    assert server.strings.calls == seen
    infinite = np.array([[1, np.inf, 1, 1]], np.float32)
    assert np.isinf(session.infer({"x": infinite})["y"][0, 1])
    if server.url.startswith("http"):
        with pytest.raises(SignatureMismatch, match="infinity"):
            load(server, encoding="json").infer({"x": infinite})


def test_the_servers_own_limit_of_rows_is_kept(server: Any) -> None:
    server.models["m"] = model(server.package, rows=-1, most=4)
    session = load(server)
    assert session.traits.batch == Batch(kind="range", most=4)
    assert session.infer({"x": np.ones((4, 4), np.float32)})["y"].shape == (4, 4)
    with pytest.raises(SignatureMismatch, match="takes 4"):
        session.infer({"x": np.ones((5, 4), np.float32)})
    server.models["m"] = model(server.package, rows=-1, most=1)
    assert load(server).traits.batch == Batch()


# Connections, secrets, options


def test_connections_are_kept_and_no_more_than_said(server: Any) -> None:
    if server.url.startswith("grpc"):
        return
    session = load(server, parallel=2)
    for _ in range(20):
        assert right(session)
    assert server.strings.connections == 1
    threads = [threading.Thread(target=lambda: right(session)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert server.strings.connections <= 2


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": "sesame-42"}, "Bearer sesame-42"),
        ({"username": "pump", "password": "sesame-42"}, "Basic cHVtcDpzZXNhbWUtNDI="),
    ],
)
def test_a_secret_opens_the_door_and_is_never_told(
    server: Any, secret: Mapping[str, str], header: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.strings.token = header
    caplog.set_level(0)
    assert right(load(server, secrets=secret, secret="triton", headers={"X-Line": "7"}))
    assert server.strings.headers[-1]["x-line"] == "7"
    session = load(server, secrets=secret, secret="triton")
    server.strings.token = "another"
    with pytest.raises(DeviceLost, match=r"options\.secret") as lost:
        session.infer({"x": X})
    with pytest.raises(AcceleratorUnavailable, match=r"options\.secret") as caught:
        load(server, secrets=secret, secret="triton")
    with pytest.raises(AcceleratorUnavailable, match=r"'triton' of options\.secret is not there"):
        load(server, secret="triton")
    for text in (str(lost.value), str(caught.value), repr(session.__dict__.values()), caplog.text):
        assert "sesame" not in text
        assert header not in text


def test_the_server_is_who_it_says_it_is(server: Any, certificates: Path) -> None:
    transport = server.url.partition(":")[0]
    secure = server.package.OpenInference(transport=transport, tls=certificates, mutual=True)
    secure.models["m"] = model(server.package)
    client = {
        "clientcert": (certificates / "client.pem").read_text(),
        "clientkey": (certificates / "client.key").read_text(),
    }
    ca = {"cacert": (certificates / "ca.pem").read_text()}
    try:
        files = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
        named = {f"{key.split('_')[0]}File": str(certificates / file) for key, file in files.items()}
        assert right(load(secure, **named))
        assert right(load(secure, secrets={**ca, **client}, secret="tls"))
        with pytest.raises(AcceleratorUnavailable, match=r"(?i)certificate"):
            load(secure, secrets=client, secret="tls", timeout=5.0)
        with pytest.raises(AcceleratorUnavailable):
            load(secure, secrets=ca, secret="tls", timeout=5.0)
        with pytest.raises(AcceleratorUnavailable, match="certFile and keyFile"):
            load(secure, certFile=str(certificates / "client.pem"))
        with pytest.raises(AcceleratorUnavailable, match="caFile: /nowhere"):
            load(secure, caFile="/nowhere")
    finally:
        secure.die()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("url", "triton:8000", "must be a URL"),
        ("url", "ftp://host", "must be a URL"),
        ("url", "http://u:secret@host", "user and password"),
        ("url", "grpc://host", "name a port"),
        ("url", "grpc://host:1/path", "no path"),
        ("url", "http://host:99999", "no URL"),
        ("timeout", 0, "above 0"),
        ("parallel", 0, "1 to 64"),
        ("headers", {"Authorization": "Bearer x"}, "belongs into a secret"),
        ("headers", {"X-A": "a\r\nb"}, "no header may have"),
        ("headers", {"content-type": "text/plain"}, "for the protocol itself"),
        ("encoding", "xml", "'xml' is not"),
    ],
)
def test_options_that_cannot_be(key: str, value: object, said: str) -> None:
    problems = option_problems(PLUGIN, {key: value})
    assert said in problems[key]
    assert "secret@" not in problems[key]


def test_a_server_must_be_named() -> None:
    assert PLUGIN.load is not None
    with pytest.raises(AcceleratorUnavailable, match=r"options\.url is missing"):
        PLUGIN.load(LoadRequest(path=Path("x"), format=REMOTE))


def test_without_the_client_of_a_transport_it_says_what_to_install(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, extra = ("grpc", "remote-grpc") if server.url.startswith("grpc") else ("urllib3", "remote")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AcceleratorUnavailable) as caught:
        load(server)
    assert f'{module} is missing: pip install "edgex-inference[{extra}]"' in str(caught.value)


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
