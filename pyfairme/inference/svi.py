"""The SVI loop: chunks of compiled steps, validation, early stopping and the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.engine import Engine, Pace, engine
from pyfairme.model.program import ModelSpec, Weights

__all__ = ["Schedule", "Trained", "bucket", "fit", "pad"]

# For the guide's noise only, never under vmap, where these keys are weak: a step is a sixth
# faster and compiling shorter than with the default generator on a CPU.
TRAINING_KEYS = "unsafe_rbg"
FLOOR_STEPS = 100  # a chunk is an epoch, but never fewer steps than this


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; ``warm_up`` is the fraction of steps in which λ rises."""

    epochs: int = 30
    min_steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up: float = 0.2
    early_stopping: bool = False
    patience: int = 10


class Trained(NamedTuple):
    """Constrained parameters (NumPy), the history's rows, and the number of chunks that ran."""

    params: dict[str, Any]
    history: list[dict[str, float]]
    best: int


def bucket(rows: int) -> int:
    """Round up by at most one sixteenth, so that folds of similar size share compiled code."""
    unit = 2 ** max(0, int(rows).bit_length() - 5)
    return -(-rows // unit) * unit


def pad(batch: Batch, rows: int) -> Batch:
    """Pad every array to ``rows`` by repeating zeros; padded rows weigh nothing."""
    extra = rows - batch.x.shape[0]
    return Batch(
        *(None if a is None else np.pad(a, [(0, extra)] + [(0, 0)] * (a.ndim - 1)) for a in batch)
    )


def fit(
    spec: ModelSpec,
    guide: str,
    training: Batch,
    validation: Batch | None,
    weights: Weights,
    schedule: Schedule,
    seed: int,
    report: Callable[[int, int, dict[str, float]], None] = lambda done, total, row: None,
) -> Trained:
    """Fit a program by SVI.

    Parameters
    ----------
    spec, guide
        The program's structure and the name of its guide.
    training, validation
        Encoded rows; validation rows are only looked at.
    weights
        Strengths of the terms; rows, batch_rows and ramp are filled in here.
    schedule
        Length and speed; with ``early_stopping`` the best validation score after the warm-up wins.
    seed
        Seeds initial values, noise of the guide and order of the rows.
    report
        Called after each chunk with chunks done, chunks in all, and the history's newest row.

    Raises
    ------
    FloatingPointError
        When a term of the loss stops being finite.
    """
    machine = engine(spec, guide)
    rows = training.x.shape[0]
    total_weight = float(training.weight.sum())
    size = min(schedule.batch_size, bucket(rows))
    full = rows <= schedule.batch_size
    table = jax.tree.map(jnp.asarray, pad(training, bucket(rows)))
    held_out = None if validation is None else _held_out(validation)
    batch_rows = total_weight if full else total_weight * size / rows
    weights = weights._replace(rows=total_weight, batch_rows=batch_rows, ramp=1.0)
    per_epoch = -(-rows // size)
    chunk = max(-(-bucket(rows) // size), FLOOR_STEPS)
    chunks = -(-max(schedule.epochs * per_epoch, schedule.min_steps) // chunk)
    pace = Pace(schedule.learning_rate, float(chunks * chunk), schedule.warm_up)
    generator = np.random.default_rng(seed)
    state = machine.init(jax.random.key(seed, impl=TRAINING_KEYS), table, weights)
    order = _Order(rows, generator)
    history: list[dict[str, float]] = []
    best: tuple[float, int, dict[str, Any]] = (np.inf, -1, {})
    for number in range(chunks):
        index = np.arange(size)[None].repeat(chunk, 0) if full else order.take(chunk * size)
        state, terms = machine.run(state, index.reshape(chunk, size), table, weights, pace)
        row = {"epoch": (number + 1) * chunk * size / (size if full else rows)}
        row |= {k: float(v) for k, v in terms.items()}
        if held_out is not None:
            row |= _validate(machine, state.params, held_out, weights)
        _check_finite(row)
        history.append(row)
        report(number + 1, chunks, row)
        warm = (number + 1) / chunks >= schedule.warm_up
        if schedule.early_stopping and held_out is not None and warm:
            score = _score(row, spec, weights)
            row["validation/score"] = score
            if score < best[0]:
                best = (score, number, state.params)
            elif number - best[1] >= schedule.patience:
                break
    params = best[2] if best[1] >= 0 else state.params
    chosen = best[1] if best[1] >= 0 else len(history) - 1
    return Trained(jax.tree.map(np.asarray, machine.constrain(params)), history, chosen)


class _Order:
    """An endless stream of row numbers: one permutation of all rows after another."""

    def __init__(self, rows: int, generator: np.random.Generator) -> None:
        self._rows, self._generator = rows, generator
        self._left = np.empty(0, np.int32)

    def take(self, count: int) -> np.ndarray:
        while self._left.size < count:
            fresh = self._generator.permutation(self._rows).astype(np.int32)
            self._left = np.concatenate([self._left, fresh])
        taken, self._left = self._left[:count], self._left[count:]
        return taken


def _held_out(validation: Batch) -> tuple[Batch, float]:
    padded = pad(validation, bucket(validation.x.shape[0]))
    return jax.tree.map(jnp.asarray, padded), float(validation.weight.sum())


def _validate(
    machine: Engine, params: dict[str, Any], held_out: tuple[Batch, float], weights: Weights
) -> dict[str, float]:
    batch, total = held_out
    terms = machine.evaluate(params, batch, weights._replace(batch_rows=total))
    return {f"validation/{name}": float(value) for name, value in terms.items()}


def _check_finite(row: Mapping[str, float]) -> None:
    broken = [name for name, value in row.items() if not np.isfinite(value)]
    if broken:
        raise FloatingPointError(
            f"the loss is not finite at epoch {row['epoch']:.0f} (terms: {', '.join(broken)}). "
            "Lower learning_rate or the fairness_weight / cluster_weight, or look for extreme "
            "values among the numeric columns and the target."
        )


def _score(row: Mapping[str, float], spec: ModelSpec, weights: Weights) -> float:
    """L_M + λ_F L_F plus the weighted disparities, on validation rows (lower is better)."""
    score = row["validation/mixed"] + float(weights.fixed) * row.get("validation/fixed", 0.0)
    for views in weights.fairness.values():
        for view, strengths in views.items():
            for attribute, strength in zip(spec.attributes, strengths, strict=True):
                score += float(strength) * row[f"validation/disparity/{view}/{attribute.name}"]
    return score
