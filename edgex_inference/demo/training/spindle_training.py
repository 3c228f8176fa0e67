"""Training of the spindle's auto-encoder on healthy bursts of the virtual spindle."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from edgex_inference.demo.training.spindle_network import Weights, initial, raw_features, reconstructed
from edgex_inference.demo.world.spindle import Spindle

_CONSTANTS = ("mean", "deviation")  # of the training data, not learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How long and on what to train; the defaults made the committed model."""

    spindles: int = 240
    bursts: int = 120  # of each spindle, out of its first ten minutes
    epochs: int = 40
    batch: int = 256
    rate: float = 3e-3
    first_seed: int = 10_000


def record(recipe: Recipe) -> NDArray[np.float32]:
    """The features [n, 49] of healthy bursts."""
    features = []
    for seed in range(recipe.first_seed, recipe.first_seed + recipe.spindles):
        spindle = Spindle(seed, fault_at=None)
        indices = np.random.default_rng([seed, 13]).choice(2400, recipe.bursts, replace=False)
        bursts = [spindle.burst(int(index)) for index in indices]
        accel = np.stack([burst.acceleration for burst in bursts])
        temperature = np.array([[burst.temperature] for burst in bursts], dtype=np.float32)
        features.append(np.asarray(_features(accel, temperature)))
    return np.concatenate(features)


_features = jax.jit(raw_features)


def train(features: NDArray[np.float32], recipe: Recipe) -> Weights:
    """Weights after all epochs; prints the loss at the end."""
    weights = initial(jax.random.key(1), features)
    constants = {name: weights.pop(name) for name in _CONSTANTS}
    targets = (features - features.mean(0)) / features.std(0)
    steps = recipe.epochs * (len(targets) // recipe.batch)
    optimizer = optax.adam(optax.cosine_decay_schedule(recipe.rate, steps))
    state = optimizer.init(weights)

    def loss_of(weights: Weights, batch: jax.Array, noise: jax.Array) -> jax.Array:
        return jnp.mean((reconstructed(weights, batch + noise) - batch) ** 2)

    def step(
        weights: Weights, state: optax.OptState, batch: jax.Array, noise: jax.Array
    ) -> tuple[Weights, optax.OptState, jax.Array]:
        loss, slope = jax.value_and_grad(loss_of)(weights, batch, noise)
        change, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, change), state, loss

    compiled = jax.jit(step)
    rng = np.random.default_rng(8)
    loss = jnp.zeros(())
    for _ in range(recipe.epochs):
        order = rng.permutation(len(targets))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            batch = targets[order[start : start + recipe.batch]]
            noise = rng.normal(0, 0.1, batch.shape).astype(np.float32)
            weights, state, loss = compiled(weights, state, batch, noise)
    print(f"  loss {float(loss):.4f} after {steps} steps", flush=True)
    return weights | constants
