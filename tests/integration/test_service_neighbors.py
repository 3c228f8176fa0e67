"""The service on a real broker: models that hang, fail or lose their device, and what their neighbors notice."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.testing import onnx_models

Mosquitto = Callable[..., Any]
Bind = Callable[..., None]
WEAR = "{model: {name: affine}, outputs: {Wear: {value: value}}}"
FLOAT: tuple[int, tuple[str, int]] = (TensorProto.FLOAT, ("N", 1))


def endless(path: Path) -> Path:
    """y = x, after as many turns of a loop as the largest x."""
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["sum", "one"], ["sum_next"]),
        ],
        "body",
        [
            scalar("turn", TensorProto.INT64, []),
            scalar("go", TensorProto.BOOL, []),
            scalar("sum", TensorProto.FLOAT, []),
        ],
        [scalar("go_on", TensorProto.BOOL, []), scalar("sum_next", TensorProto.FLOAT, [])],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["turns"], to=TensorProto.INT64),
        helper.make_node("Loop", ["turns", "yes", "zero"], ["total"], body=body),
        helper.make_node("Mul", ["total", "zero"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    constants = [
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
    ]
    return onnx_models.save(path, nodes, {"x": FLOAT}, {"y": FLOAT}, constants)


def picky(path: Path) -> Path:
    """y = 7 where x is 0 or 1; every other x points outside of the table, which the runtime refuses."""
    import numpy as np

    nodes = [
        helper.make_node("Cast", ["x"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "at"], ["y"]),
    ]
    table: onnx.TensorProto = numpy_helper.from_array(np.array([7, 7], np.float32), "table")
    return onnx_models.save(path, nodes, {"x": FLOAT}, {"y": FLOAT}, [table])


@pytest.fixture
def troubled(world: Any, affine: Callable[..., None], tmp_path: Path, bind: Bind) -> Any:
    """The world of Wear, and of two bindings to models that ONNX Runtime runs for ever, or not at all."""
    affine(world)
    files = {"endless": endless(tmp_path / "endless.onnx"), "picky": picky(tmp_path / "picky.onnx")}
    for name, file in files.items():
        world.model(name, [file], f"task: regression\nfiles: [{{path: {name}.onnx}}]")
    bind(
        {
            "Wear": WEAR,
            "Endless": "{model: {name: endless}, limits: {timeout: 2s}, outputs: {EndlessY: {value: value}}}",
            "Picky": "{model: {name: picky}, outputs: {PickyY: {value: value}}}",
        }
    )
    return world


def neighbor_answers(client: Any, process: ModuleType, amount: int = 20) -> None:
    """Wear answers every event, whatever else goes on."""
    sent = [client.send_event("pump-3", process.reading("WearIn", "2e+00")) for _ in range(amount)]

    def all_there(items: Any) -> bool:
        return {one.correlation for one in items} >= set(sent)

    client.got.wait(all_there, f"{amount} answers of the neighbor")


def test_a_model_that_hangs(troubled: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    troubled.configure(broker.port)
    service = troubled.start().ready()
    client = troubled.client(broker.port)
    client.send_event("pump-3", process.reading("EndlessIn", "3e+00"))
    assert client.wait_results(1)[0].values == {"EndlessY": "3e+00"}
    client.send_event("pump-3", process.reading("EndlessIn", "1e+15"))
    neighbor_answers(client, process)
    told = client.status("pump-3", "Endless", "degraded")
    assert "2 s" in told.values["InferenceReason"]
    service.said("its session is replaced")
    neighbor_answers(client, process)
    client.send_event("pump-3", process.reading("EndlessIn", "4e+00"))
    client.got.wait(lambda items: items[-1].values == {"EndlessY": "4e+00"}, "it works again")
    told = client.told.wait(lambda items: _last(items, "Endless") == "running", "the status says so")
    counters = service.binding("Endless")["counters"]
    assert (counters["received"], counters["published"]) == (3, 2)
    assert sum(counters["failed"].values()) == 1
    assert service.stop() == 0


def _last(items: Any, binding: str) -> str:
    texts = [one.values["InferenceStatus"] for one in items if one.topic.endswith(binding)]
    return texts[-1] if texts else ""


def test_runs_that_fail(troubled: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    troubled.configure(broker.port)
    service = troubled.start().ready()
    client = troubled.client(broker.port)
    bad, good = process.reading("PickyIn", "5e+00"), process.reading("PickyIn", "1e+00")
    for _ in range(10):
        client.send_event("pump-3", bad)
    told = client.status("pump-3", "Picky", "degraded")
    assert "picky.onnx" in told.values["InferenceReason"]
    neighbor_answers(client, process)
    client.send_event("pump-3", good)
    client.got.wait(lambda items: items[-1].values == {"PickyY": "7e+00"}, "it works again")
    service.counted("Picky", "published", 1)
    counters = service.binding("Picky")["counters"]
    assert (counters["received"], sum(counters["failed"].values())) == (11, 10)
    assert service.count("level=WARN") <= 2
    assert service.stop() == 0
    assert "Traceback" not in service.log


def test_good_and_bad_events_in_one_burst(troubled: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    """A run of many samples that fails because of one of them is no loss for the others."""
    broker = mosquitto()
    troubled.configure(broker.port)
    service = troubled.start().ready()
    client = troubled.client(broker.port)
    good = [
        client.send_event("pump-3", process.reading("PickyIn", f"{1 if number % 5 else 9}e+00"))
        for number in range(200)
    ]
    client.wait_results(160)
    service.until(lambda: _settled(service, "Picky", 200), "every event has its end")
    assert [one.correlation for one in client.results] == [
        one for number, one in enumerate(good) if number % 5
    ]
    assert service.stop() == 0


def _settled(service: Any, name: str, amount: int) -> bool:
    counters = service.binding(name)["counters"]
    ends = counters["published"] + counters["suppressed"]
    return bool(ends + sum(counters["failed"].values()) + sum(counters["dropped"].values()) == amount)


def test_a_third_party_that_misbehaves(
    world: Any,
    affine: Callable[..., None],
    process: ModuleType,
    mosquitto: Mosquitto,
    acme: dict[str, str],
    acme_block: Any,
    bind: Bind,
) -> None:
    affine(world)
    names = ("Hangs", "Loses", "Leaks")
    blocks = {
        name: acme_block(name.lower(), "{timeout: 200ms}" if name == "Hangs" else "{}") for name in names
    }  # the others have time for their own trouble
    bind({"Wear": WEAR, **blocks})
    broker = mosquitto()
    world.configure(broker.port)
    service = world.start(env=acme).ready()
    client = world.client(broker.port)
    for name, number in zip(names, ("1e+03", "2e+03", "3e+03"), strict=True):
        client.send_event("pump-3", process.reading(f"{name}In", number))
    neighbor_answers(client, process)
    reasons = {name: client.status("pump-3", name, "degraded").values["InferenceReason"] for name in names}
    assert "0.2 s" in reasons["Hangs"]
    assert "unplugged" in reasons["Loses"]
    for name in names:
        before = len(client.results)

        def works(name: str = name) -> bool:
            client.send_event("pump-3", process.reading(f"{name}In", "1e+00"))
            return any(one.topic.endswith(name) for one in client.results)

        service.until(works, f"{name} works again after {before} results")
    neighbor_answers(client, process)
    assert "Traceback" not in service.log
    assert service.stop() == 0


def test_a_third_party_that_hangs_for_ever(
    world: Any,
    affine: Callable[..., None],
    process: ModuleType,
    mosquitto: Mosquitto,
    acme: dict[str, str],
    acme_block: Any,
    bind: Bind,
) -> None:
    """Threads that hang are capped; the binding says so, its neighbor works, and the service still stops."""
    affine(world)
    bind({"Wear": WEAR, "Hangs": acme_block("hangs", "{timeout: 50ms}")})
    broker = mosquitto()
    world.configure(broker.port, '[Inference]\nDrainTimeout = "200ms"')
    service = world.start(env=acme).ready()
    client = world.client(broker.port)

    def given_up() -> bool:
        client.send_event("pump-3", process.reading("HangsIn", "1e+03"))
        return service.count("threads hang in runs past their deadline") > 0

    service.until(given_up, "the lane gives up")
    neighbor_answers(client, process)
    client.status("pump-3", "Hangs", "degraded")
    threads = int(_status(service.pid, "Threads"))
    for _ in range(200):
        client.send_event("pump-3", process.reading("HangsIn", "1e+03"))
    neighbor_answers(client, process)
    assert int(_status(service.pid, "Threads")) <= threads + 2
    assert service.stop() == 0


def test_a_third_party_that_takes_its_process_down(
    world: Any,
    affine: Callable[..., None],
    process: ModuleType,
    mosquitto: Mosquitto,
    acme: dict[str, str],
    acme_block: Any,
    bind: Bind,
) -> None:
    """In a process of its own it takes down that one, and only the event that it dies of fails."""
    affine(world)
    bind({"Wear": WEAR, "Dies": acme_block("dies", "{timeout: 60s}", "{name: acme, isolation: process}")})
    broker = mosquitto()
    world.configure(broker.port)
    service = world.start(env=acme).ready()
    client = world.client(broker.port)
    for text in ("1e+00", "2e+00", "4e+03", "3e+00", "4e+00"):
        client.send_event("pump-3", process.reading("DiesIn", text))
    found = client.wait_results(4)
    assert [one.values for one in found] == [{"diesOut": f"{n}e+00"} for n in (3, 5, 7, 9)]
    assert service.binding("Dies")["counters"]["failed"] == {"deviceLost": 1}
    assert service.count("its worker process ended by SIGABRT: it is started again") > 0
    neighbor_answers(client, process)
    assert "Traceback" not in service.log
    assert service.stop() == 0


def _status(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].split()[0] for line in lines if line.startswith(f"{key}:"))
