"""Grouping and splitting: nobody's rows are lost, swapped or mixed with other shapes and types."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec
from edgex_inference.engine.batching import Hopper, Item, RowsLost, join, signature, split, unsound

ANY = Batch(kind="any")
batches = st.one_of(
    st.just(ANY),
    st.just(Batch()),
    st.builds(lambda most: Batch(kind="range", most=most), st.integers(1, 8)),
    st.builds(lambda most: Batch(kind="fixed", most=most), st.integers(1, 8)),
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def item(loop: asyncio.AbstractEventLoop, tensors: Tensors) -> Item:
    rows, key = signature(tensors)
    return Item(tensors, rows, key, loop.create_future(), 5.0, 0.0)


def answered(feed: Tensors) -> dict[str, Array]:
    return {"y": feed["x"].astype(np.float64) * 2}


@given(
    batch=batches,
    arrivals=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from(["float32", "int32"])), max_size=30
    ),
)
def test_everybody_gets_the_own_rows_in_order(
    loop: asyncio.AbstractEventLoop, batch: Batch, arrivals: list[tuple[int, int, str]]
) -> None:
    hopper, items = Hopper(), []
    for number, (rows, width, dtype) in enumerate(arrivals):
        made = item(loop, {"x": np.full((rows, width), number, dtype=dtype)})
        items.append(made)
        hopper.put(made)
    seen: list[Item] = []
    while len(hopper):
        taken = hopper.take(batch)
        assert len({one.key for one in taken}) == 1
        rows = sum(one.rows for one in taken)
        assert len(taken) == 1 or batch.most is None or rows <= batch.most
        assert len(taken) == 1 or batch.kind != "none"
        feed = join(taken, batch)
        assert feed["x"].dtype == taken[0].tensors["x"].dtype
        if batch.kind == "fixed" and rows <= (batch.most or 0):
            assert len(feed["x"]) == batch.most
        for one, answer in zip(taken, split(answered(feed), taken, batch), strict=True):
            assert np.array_equal(answer["y"], answered(one.tensors)["y"])
        seen.extend(taken)
    assert sorted(map(items.index, seen)) == list(range(len(items)))
    for key in {one.key for one in items}:
        order = [items.index(one) for one in seen if one.key == key]
        assert order == sorted(order), "equal shapes keep their order"


@pytest.mark.parametrize("shape", [(), (3, 2), (1, 2)])
def test_outputs_without_the_rows_are_noticed(
    loop: asyncio.AbstractEventLoop, shape: tuple[int, ...]
) -> None:
    items = [item(loop, {"x": np.zeros((1, 2), np.float32)}) for _ in range(2)]
    with pytest.raises(RowsLost):
        split({"y": np.zeros(shape)}, items, ANY)


@pytest.mark.parametrize("batch", [Batch(), ANY])
@pytest.mark.parametrize("open_", [(), (None,)])
def test_a_shape_without_a_known_extent_promises_nothing(open_: tuple[int | None, ...], batch: Batch) -> None:
    def told(shape: tuple[int | None, ...], *have: int) -> str:
        spec = TensorSpec(name="y", datatype=Datatype.FP32, shape=shape)
        return unsound([spec], {"y": np.zeros(have, np.float32)}, batch)

    assert [told(open_, *have) for have in ((), (3,), (2, 3))] == [""] * 3
    assert told((None, 3), 3).startswith("it gave y as float32[3], and has declared")
    assert told((3,)).startswith("it gave y as float32[], and has declared")
    assert told((None, 3), 2, 4).startswith("it gave y as float32[2, 4], and has declared")


def test_what_cannot_be_stacked_has_no_key() -> None:
    assert signature({"x": np.float32(1.0).reshape(())})[1] is None
    assert signature({"x": np.zeros((2, 3)), "y": np.zeros((1, 3))})[1] is None
    assert signature({"x": np.zeros((0, 3))})[1] is None
    assert signature({})[1] is None
    assert signature({"x": np.zeros((2, 3)), "y": np.zeros((2, 5))})[0] == 2


def test_types_and_widths_tell_items_apart() -> None:
    keys = [signature({"x": np.zeros((1, n), dtype)})[1] for n in (2, 3) for dtype in ("float32", "float64")]
    assert len(set(keys)) == 4
    assert signature({"x": np.zeros((5, 2), "float32")})[1] == keys[0]


def test_large_inputs_are_grouped_by_bytes(loop: asyncio.AbstractEventLoop) -> None:
    hopper = Hopper()
    picture = {"x": np.zeros((1, 3, 1000, 1000), np.float32)}
    for _ in range(12):
        hopper.put(item(loop, picture))
    assert [len(hopper.take(ANY)) for _ in range(3)] == [5, 5, 2]


def test_given_up_items_are_passed_over(loop: asyncio.AbstractEventLoop) -> None:
    hopper = Hopper()
    items = [item(loop, {"x": np.zeros((1, 2))}) for _ in range(3)]
    for one in items:
        hopper.put(one)
    items[0].ready.cancel()
    items[1].ready.cancel()
    assert hopper.take(ANY) == []
    assert hopper.take(ANY) == []
    assert hopper.take(ANY) == [items[2]]


def test_a_waiting_taker_can_be_woken_and_drained(loop: asyncio.AbstractEventLoop) -> None:
    hopper, taken = Hopper(), list[list[Item]]()
    thread = threading.Thread(target=lambda: taken.append(hopper.take(ANY)), daemon=True)
    thread.start()
    hopper.wake()
    thread.join(20)
    assert taken == [[]]
    items = [item(loop, {"x": np.zeros((1, width))}) for width in (1, 2, 1)]
    for one in items:
        hopper.put(one)
    assert hopper.take(ANY) == [items[0], items[2]]
    assert hopper.drain() == [items[1]]
    assert len(hopper) == 0
