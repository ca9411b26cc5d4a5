"""The SVI loop: chunks of compiled steps, validation, early stopping and the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.data.encoded_later import held, is_later
from pyfairme.inference.cluster_buckets import (
    can_be_filled,
    filled_spec,
    levels_of,
    resized_params,
)
from pyfairme.inference.compiled_steps import Engine, Pace, engine, is_adversary
from pyfairme.inference.device_rows import DeviceRows
from pyfairme.inference.fit_stages import Progress, Report, silent
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.training_rows import HeldTable, TakenTable
from pyfairme.model.penalties import adversary_site
from pyfairme.model.program import ModelSpec, Objective, Totals

FEW_COUNT = 1024
TABLE_SIZES = (256, 1024, 2048, 4096)  # that those of few rows are filled up to
FLOOR_STEPS = 100  # a chunk is an epoch, but never fewer steps than this


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train, and on how many devices.

    ``warm_up`` is the fraction of steps in which λ rises; ``weight_decay`` that of the weights of
    hidden layers (or of a linear model's one layer), per unit of the learning rate. ``decays``
    are several to choose from by held-out rows (see `decay_choice`); none: ``weight_decay`` alone.
    ``others`` multiplies the rate of all but adversaries: 0 freezes it.
    """

    epochs: int = 30
    min_steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up: float = 0.2
    early_stopping: bool = False
    patience: int = 10
    weight_decay: float = 0.0
    devices: int = 1
    decays: tuple[float, ...] = ()
    others: float = 1.0


class Trained(NamedTuple):
    """Constrained parameters (NumPy), the history's rows, and the number of chunks that ran."""

    params: dict[str, Any]
    history: list[dict[str, float]]
    best: int


class Score(NamedTuple):
    """The objective that early stopping compares, and the weighted disparities in it."""

    total: float
    disparity: float


def bucket(count: int) -> int:
    """Round up, so that what is nearly as many shares compiled code.

    To a power of two up to 1,024, then by at most one sixteenth.

    Examples
    --------
    >>> [bucket(count) for count in (40, 371, 600, 1025, 20_000)]
    [64, 512, 1024, 1088, 20480]
    """
    bits = max(count - 1, 0).bit_length()
    unit = 2 ** (max(bits, 5) if count <= FEW_COUNT else bits - 5)
    return -(-count // unit) * unit


def table_bucket(rows: int) -> int:
    """Round up the rows of a table: folds, and tables of a cluster less, share compiled code.

    Rows that fill up cost next to nothing beside a compilation where steps take batches, so sizes
    up to 4,096 rows are few; above, and where each step takes the whole table, `bucket` rounds.

    Examples
    --------
    >>> [table_bucket(rows) for rows in (40, 371, 600, 1025, 5000, 20_000)]
    [256, 1024, 1024, 2048, 5120, 20480]
    """
    return next((size for size in TABLE_SIZES if rows <= size), bucket(rows))


def training_size(rows: int, batch_size: int) -> int:
    """Return to how many rows those of the training are filled up.

    Where every step takes all of them, more would cost in each.

    Examples
    --------
    >>> training_size(40, 256), training_size(300, 256)
    (64, 1024)
    """
    return (bucket if rows <= batch_size else table_bucket)(rows)


def pad(batch: Batch, rows: int) -> Batch:
    """Pad every array to ``rows`` by repeating zeros; padded rows weigh nothing.

    Their target is the last row's: 0 may be impossible, and no weight makes up for a NaN.
    """
    extra = rows - len(batch.weight)
    if not extra:
        return batch
    padded = Batch(
        *(None if a is None else np.pad(a, [(0, extra)] + [(0, 0)] * (a.ndim - 1)) for a in batch)
    )
    if batch.y is None or not len(batch.y):
        return padded
    return padded._replace(y=np.pad(batch.y, (0, extra), "edge"))


def fit(
    spec: ModelSpec,
    guide: GuideChoice,
    training: Batch,
    validation: Batch | None,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    report: Report = silent,
) -> Trained:
    """Fit a program by SVI.

    Parameters
    ----------
    spec, guide
        The program's structure, and its guide: a name or an object.
    training, validation
        Encoded rows; validation rows are only looked at.
    objective
        Strengths of the terms.
    schedule
        Length and speed; with ``early_stopping`` the best validation score after the warm-up wins.
    seed
        Seeds initial values, noise of the guide and order of the rows.
    report
        Told of the stages "compiling" and "training", with the steps done after each chunk.

    Raises
    ------
    FloatingPointError
        When a term of the loss stops being finite.
    """
    return fit_members(spec, guide, training, validation, objective, schedule, (seed,), report)[0]


def fit_members(
    spec: ModelSpec,
    guide: GuideChoice,
    training: Batch,
    validation: Batch | None,
    objective: Objective,
    schedule: Schedule,
    seeds: Sequence[int],
    report: Report = silent,
    start: Sequence[dict[str, Any]] | None = None,
    fresh: bool = False,
) -> list[Trained]:
    """Fit one program per seed, all of them as one vmapped program over a shared table.

    Each member has its own start, noise and order of rows, and keeps the state of its own best
    score; training ends when every member has stopped. A member does not depend on its company.

    Parameters
    ----------
    seeds
        One per member; the other parameters are those of `fit`.
    report
        As in `fit`; the loss is the mean over the members still training.
    start
        Parameters to begin from, one tree per member, as of `Trained`; None: the seeds'. The state
        of the optimiser is new.
    fresh
        Whether the adversaries of sensitive attributes begin as the seeds' own, whatever ``start``
        holds of them, of this form or another.

    Raises
    ------
    FloatingPointError
        When a term of a member's loss stops being finite.
    ValueError
        When ``start`` has other parameters than the program.
    """
    several = len(seeds) > 1
    own = spec  # the rest is about a structure that has room for more clusters
    if can_be_filled(guide):
        spec, objective = filled_spec(own), objective._replace(levels=levels_of(own))
    machine = engine(spec, guide, several)
    rows = len(training.weight)
    total_weight = float(training.weight.sum())
    size = min(schedule.batch_size, bucket(rows))
    full = rows <= schedule.batch_size
    placed = DeviceRows(schedule.devices, size)
    room = training_size(rows, schedule.batch_size)
    table = _on_device(machine, held(training) if full else training, placed, room)
    held_out = None if validation is None else _held_out(validation, placed)
    batch_rows = total_weight if full else total_weight * size / rows
    totals = Totals(total_weight, batch_rows)
    per_epoch = -(-rows // size)
    chunk = max(-(-bucket(rows) // size), FLOOR_STEPS)
    chunks = -(-max(schedule.epochs * per_epoch, schedule.min_steps) // chunk)
    pace = Pace(
        schedule.learning_rate, float(chunks * chunk), schedule.warm_up, schedule.weight_decay,
        schedule.others,
    )  # fmt: skip
    orders = [_Order(rows, size, full, np.random.default_rng(seed)) for seed in seeds]
    members = [
        _Member(member if several else None, schedule.patience) for member in range(len(seeds))
    ]
    report(Progress("compiling", 0, 1, "once for each shape of table"))
    state = table.start(_start_key(seeds), objective)
    if start is not None:
        filled = [resized_params(member, own, spec) for member in start]
        new = attribute_adversaries(own, state.params) if fresh else {}
        state = state._replace(params=_placed(machine, filled, state.params, len(seeds), new))
    state = placed.whole(state)
    for number in range(chunks):
        taken = [order.take(chunk) for order in orders]
        told = _Told(report, number * chunk, chunks * chunk)
        state, terms = table.run(
            state, np.stack(taken) if several else taken[0], objective, totals, pace, told
        )
        epoch = (number + 1) * chunk * size / (size if full else rows)
        if held_out is not None:
            terms |= _validate(machine, state.params, held_out, objective)
        warm = (number + 1) / chunks >= schedule.warm_up
        training_on = [member for member in members if not member.stopped]
        for member in training_on:
            row = member.record(epoch, terms)
            _check_finite(row)
            if schedule.early_stopping and held_out is not None and warm:
                member.judge(_score(row, spec, objective), state.params)
        loss = _mean_row([member.history[-1] for member in training_on])["mixed"]
        steps = (number + 1) * chunk
        report(Progress("training", steps, chunks * chunk, f"loss {loss:.4f}", "steps"))
        if all(member.stopped for member in members):
            break
    found = [member.trained(machine, state.params) for member in members]
    return [one._replace(params=resized_params(one.params, spec, own)) for one in found]


class _Told(NamedTuple):
    """Who is told of steps within a chunk: that training began, and of the parts of a chunk."""

    report: Report
    before: int
    total: int

    def __call__(self, steps: int) -> None:
        done = self.before + steps
        if steps or not done:
            self.report(Progress("training", done, self.total, unit="steps"))


def _on_device(
    machine: Engine, training: Batch, placed: DeviceRows, room: int
) -> HeldTable | TakenTable:
    if not is_later(training):
        return HeldTable(machine, placed.whole(pad(training, room)), placed)
    outcomes = {name: getattr(training, name) for name in ("y", "weight", "offset")}
    empty = Batch(*(None for _ in Batch._fields))
    return TakenTable(machine, training, pad(empty._replace(**outcomes), room), placed)


def _start_key(seeds: Sequence[int]) -> Array:
    """Return the seed's key; of several seeds, one key per member."""
    keys = [jax.random.key(seed) for seed in seeds]
    return jnp.stack(keys) if len(keys) > 1 else keys[0]


@dataclass
class _Member:
    """One member's history and best state; ``index`` is its place in arrays, None if alone."""

    index: int | None
    patience: int
    history: list[dict[str, float]] = field(default_factory=list)
    best: tuple[float, int, dict[str, Any]] = (np.inf, -1, {})
    stopped: bool = False

    def own(self, tree: Any) -> Any:
        """Return this member's part; a copy, so that nothing keeps the others' arrays alive."""
        if self.index is None:
            return tree
        return jax.tree.map(lambda leaf: np.array(np.asarray(leaf)[self.index]), tree)

    def record(self, epoch: float, terms: Mapping[str, Any]) -> dict[str, float]:
        """Append a row to the history, and return it."""
        self.history.append({"epoch": epoch} | {k: float(v) for k, v in self.own(terms).items()})
        return self.history[-1]

    def judge(self, score: float, params: dict[str, Any]) -> None:
        """Keep the state of the best score; stop after ``patience`` rows without a better one."""
        number = len(self.history) - 1
        self.history[-1]["validation/score"] = score
        if score < self.best[0]:
            self.best = (score, number, self.own(params))
        else:
            self.stopped = number - self.best[1] >= self.patience

    def trained(self, machine: Engine, params: dict[str, Any]) -> Trained:
        """Return the best state, or ``params``, the last one, where no score was kept."""
        _, number, chosen = self.best
        if number < 0:
            number, chosen = len(self.history) - 1, self.own(params)
        return Trained(jax.tree.map(np.asarray, machine.constrain(chosen)), self.history, number)


def _placed(
    machine: Engine,
    start: Sequence[dict[str, Any]],
    own: dict[str, Any],
    members: int,
    new: dict[str, Any],
) -> dict[str, Any]:
    """Lay given parameters out as the machine's ``own`` initial ones, which they replace.

    Of these, the ``new`` stay: what is given for them may have another form.
    """
    kept = [{site: v for site, v in member.items() if site not in new} for member in start]
    found = _stacked(machine, kept) | new
    if len(start) != members or jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, own):
        raise ValueError(
            "start must hold the parameters of this program, for every seed: those of a fit with "
            "the same spec, guide and number of members. [bad-start]"
        )
    return found


def _stacked(machine: Engine, params: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the members' parameters, unconstrained, as the machine takes them."""
    free = [machine.unconstrain(jax.tree.map(jnp.asarray, member)) for member in params]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *free) if len(free) > 1 else free[0]


def attribute_adversaries(spec: ModelSpec, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of adversaries of sensitive attributes."""
    kept = {adversary_site(name) for name, _ in spec.adversaries}
    return {k: v for k, v in params.items() if is_adversary(k, v) and k not in kept}


def _mean_row(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


class _Order:
    """An endless stream of row numbers: one permutation of all rows after another.

    With ``full`` every step takes all (padded) rows in their order.
    """

    def __init__(self, rows: int, size: int, full: bool, generator: np.random.Generator) -> None:
        self._rows, self._size, self._full = rows, size, full
        self._generator = generator
        self._left = np.empty(0, np.int32)

    def take(self, steps: int) -> np.ndarray:
        """Return the rows of the next steps, (steps, size)."""
        if self._full:
            return np.arange(self._size)[None].repeat(steps, 0)
        count = steps * self._size
        while self._left.size < count:
            fresh = self._generator.permutation(self._rows).astype(np.int32)
            self._left = np.concatenate([self._left, fresh])
        taken, self._left = self._left[:count], self._left[count:]
        return taken.reshape(steps, self._size)


def _held_out(validation: Batch, placed: DeviceRows) -> tuple[Batch, float]:
    padded = pad(held(validation), table_bucket(len(validation.weight)))
    return placed.whole(padded), float(validation.weight.sum())


def _validate(
    machine: Engine, params: dict[str, Any], held_out: tuple[Batch, float], objective: Objective
) -> dict[str, Array]:
    batch, total = held_out
    terms = machine.evaluate(params, batch, objective, Totals(1.0, total))
    return {f"validation/{name}": value for name, value in terms.items()}


def objective_scores(
    spec: ModelSpec,
    guide: GuideChoice,
    fitted: Sequence[Trained],
    rows: Batch,
    objective: Objective,
) -> list[Score]:
    """Return what early stopping compares, on any rows, of all members of one fit.

    No adversary of a sensitive attribute has a part in it, so they may have any form.
    """
    spec = replace(spec, penalties=())
    own, several = spec, len(fitted) > 1
    if can_be_filled(guide):
        spec, objective = filled_spec(own), objective._replace(levels=levels_of(own))
    machine = engine(spec, guide, several)
    left_out = attribute_adversaries(own, fitted[0].params)
    kept = [{k: v for k, v in one.params.items() if k not in left_out} for one in fitted]
    filled = [resized_params(one, own, spec) for one in kept]
    held_out = _held_out(rows, DeviceRows(1, 1))
    terms = _validate(machine, _stacked(machine, filled), held_out, objective)
    each = [
        {name: float(np.atleast_1d(value)[at]) for name, value in terms.items()}
        for at in range(len(fitted))
    ]
    return [Score(_score(one, spec, objective), _disparity(one, spec, objective)) for one in each]


def _check_finite(row: Mapping[str, float]) -> None:
    broken = [name for name, value in row.items() if not np.isfinite(value)]
    if broken:
        raise FloatingPointError(
            f"the loss is not finite at epoch {row['epoch']:.0f} (terms: {', '.join(broken)}). "
            "Lower learning_rate or the fairness_weight / cluster_weight, or look for extreme "
            "values among the numeric columns and the target. [loss-not-finite]"
        )


def _score(row: Mapping[str, float], spec: ModelSpec, objective: Objective) -> float:
    """L_M + λ_F L_F plus the weighted disparities, on validation rows (lower is better)."""
    loss = row["validation/mixed"] + float(objective.fixed) * row.get("validation/fixed", 0.0)
    return loss + _disparity(row, spec, objective)


def _disparity(row: Mapping[str, float], spec: ModelSpec, objective: Objective) -> float:
    score = 0.0
    for views in objective.fairness.values():
        for view, strengths in views.items():
            for attribute, strength in zip(spec.attributes, strengths, strict=True):
                score += float(strength) * row[f"validation/disparity/{view}/{attribute.name}"]
    return score
