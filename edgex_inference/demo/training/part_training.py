"""Training of the part detector on pictures of the virtual conveyor."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from multiprocessing import get_context

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray
from PIL import Image

from edgex_inference.demo.training.part_network import (
    COLUMNS,
    MEAN,
    ROWS,
    STD,
    Heads,
    Moments,
    Weights,
    folded,
    initial,
    normalized_forward,
    prepared,
)
from edgex_inference.demo.world.conveyor import HEIGHT, LABELS, WIDTH, Conveyor, TruePart

_SPREAD = 0.75  # of a center's bump in the heatmap, in cells
_MOST = 20  # parts of one picture at most
_GROUPS = 60  # batches of training pictures that the final normalization is measured on


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How long and on what to train; the defaults made the committed model."""

    conveyors: int = 1500
    pictures: int = 3  # of each conveyor
    epochs: int = 13
    batch: int = 8
    rate: float = 4e-3
    first_seed: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Pictures [n, 240, 320, 3], their parts [n, 20, 4] (center, extent; 0..1), labels [n, 20] (-1: none)."""

    pictures: NDArray[np.uint8]
    parts: NDArray[np.float32]
    labels: NDArray[np.int32]


def render(recipe: Recipe) -> Examples:
    """Renders the training pictures, in one process for each core."""
    seeds = range(recipe.first_seed, recipe.first_seed + recipe.conveyors)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(partial(_pictures, count=recipe.pictures), seeds, chunksize=25))
    frames = [frame for run in runs for frame in run]
    parts = np.zeros((len(frames), _MOST, 4), dtype=np.float32)
    labels = np.full((len(frames), _MOST), -1, dtype=np.int32)
    for row, (_, truth) in enumerate(frames):
        for column, part in enumerate(truth):
            x0, y0, x1, y1 = part.box
            parts[row, column] = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
            labels[row, column] = LABELS.index(part.label)
    return Examples(pictures=np.stack([picture for picture, _ in frames]), parts=parts, labels=labels)


def _pictures(seed: int, count: int) -> list[tuple[NDArray[np.uint8], tuple[TruePart, ...]]]:
    conveyor = Conveyor(seed)
    indices = np.random.default_rng([seed, 4]).choice(1500, count, replace=False)
    frames = [conveyor.frame(int(index)) for index in indices]
    return [(np.asarray(Image.open(BytesIO(frame.jpeg()))), frame.truth) for frame in frames]


def train(examples: Examples, recipe: Recipe, report: Sequence[int] = ()) -> Weights:
    """Weights after all epochs; prints the loss at the steps of `report`."""
    steps = recipe.epochs * (len(examples.pictures) // recipe.batch)
    schedule = optax.cosine_onecycle_schedule(
        steps, recipe.rate, pct_start=0.15, div_factor=10, final_div_factor=300
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))
    weights = initial(jax.random.key(0))
    state = optimizer.init(weights)

    def step(
        weights: Weights, state: optax.OptState, pictures: jax.Array, parts: jax.Array, labels: jax.Array
    ) -> tuple[Weights, optax.OptState, jax.Array]:
        loss, slope = jax.value_and_grad(_loss)(weights, (pictures - MEAN) / STD, parts, labels)
        change, state = optimizer.update(slope, state, weights)
        return optax.apply_updates(weights, change), state, loss

    compiled = jax.jit(step)
    for number, (pictures, parts, labels) in enumerate(_batches(examples, recipe)):
        weights, state, loss = compiled(weights, state, pictures, parts, labels)
        if number in report:
            print(f"  step {number}/{steps}: loss {float(loss):.4f}", flush=True)
    return folded(weights, _moments(weights, examples))


def _moments(weights: Weights, examples: Examples) -> Moments:
    """What the layers see over many training pictures."""
    compiled = jax.jit(lambda pictures: normalized_forward(weights, pictures)[1])
    groups = [
        prepared(examples.pictures[start::_GROUPS]) for start in range(min(_GROUPS, len(examples.pictures)))
    ]
    moments: Moments = jax.tree.map(
        lambda *seen: jnp.stack(seen).mean(0), *[compiled(group) for group in groups]
    )
    return moments


def _batches(
    examples: Examples, recipe: Recipe
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]]:
    """Shuffled batches, each picture mirrored and lit in its own way; pixels in 0..1."""
    rng = np.random.default_rng(7)
    for _ in range(recipe.epochs):
        order = rng.permutation(len(examples.pictures))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            chosen = np.sort(order[start : start + recipe.batch])
            pictures = examples.pictures[chosen].astype(np.float32) / 255.0
            parts = examples.parts[chosen].copy()
            for row in range(len(chosen)):
                if rng.random() < 0.5:
                    pictures[row], parts[row, :, 0] = pictures[row, :, ::-1], 1 - parts[row, :, 0]
                if rng.random() < 0.5:
                    pictures[row], parts[row, :, 1] = pictures[row, ::-1], 1 - parts[row, :, 1]
            pictures *= rng.uniform(0.8, 1.2, (len(chosen), 1, 1, 1)) * rng.uniform(
                0.94, 1.06, (len(chosen), 1, 1, 3)
            )
            yield np.minimum(pictures, 1.0).astype(np.float32), parts, examples.labels[chosen]


def _loss(weights: Weights, pictures: jax.Array, parts: jax.Array, labels: jax.Array) -> jax.Array:
    heads, _ = normalized_forward(weights, pictures)
    return jax.vmap(_picture_loss)(heads, parts, labels).mean()


def _picture_loss(heads: Heads, parts: jax.Array, labels: jax.Array) -> jax.Array:
    """CenterNet's focal loss of the centers, cross entropy of the labels and distances near them."""
    real = labels >= 0
    center = parts[:, :2] * jnp.array([COLUMNS, ROWS])
    cell = jnp.clip(jnp.floor(center), 0, jnp.array([COLUMNS - 1, ROWS - 1]))
    x, y = jnp.meshgrid(jnp.arange(COLUMNS), jnp.arange(ROWS))
    away = (x[None] - cell[:, 0, None, None]) ** 2 + (y[None] - cell[:, 1, None, None]) ** 2
    bumps = jnp.exp(-away / (2 * _SPREAD**2)) * real[:, None, None]
    owner, bump = bumps.argmax(0), bumps.max(0)
    at_center = bump > 0.999
    count = jnp.maximum(real.sum(), 1)

    logit = heads["present"][..., 0]
    chance = jax.nn.sigmoid(logit)
    hit = -jax.nn.log_sigmoid(logit) * (1 - chance) ** 2
    miss = -jax.nn.log_sigmoid(-logit) * chance**2 * (1 - bump) ** 4
    present = jnp.where(at_center, hit, miss).sum() / count

    near = jnp.where(bump > 0.3, bump, 0.0)
    label = optax.softmax_cross_entropy_with_integer_labels(heads["label"], jnp.maximum(labels[owner], 0))
    extent = jnp.abs(heads["extent"] - parts[owner][..., 2:]) * jnp.array([WIDTH, HEIGHT]) / 8
    shift = jnp.abs(heads["shift"] - (center - cell)[owner])
    weighted = (near * (2 * label + 0.1 * extent.sum(-1))).sum() / jnp.maximum(near.sum(), 1)
    total: jax.Array = present + weighted + 0.3 * (at_center[..., None] * shift).sum() / count
    return total
