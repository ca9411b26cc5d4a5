"""Training rows as steps take them: all on the device, or of a large table those of some steps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from pyfairme.data import Batch
from pyfairme.data.batch import some_rows
from pyfairme.inference.compiled_steps import Engine, Pace, State
from pyfairme.inference.device_rows import DeviceRows
from pyfairme.model.program import Objective, Totals

TAKEN_BYTES = 2**26  # of x and slopes that are on the device at a time
FIRST_ROWS = 64  # from which the shapes of parameters are found


@dataclass(frozen=True)
class HeldTable:
    """All rows are on the device.

    Parameters
    ----------
    machine
        Compiled functions.
    table
        Encoded rows, filled up.
    placed
        Over which devices the rows of a step are dealt out.
    """

    machine: Engine
    table: Batch
    placed: DeviceRows

    def start(self, key: Array, objective: Objective) -> State:
        """Return the state before the first step."""
        return self.machine.init(key, self.table, objective)

    def run(
        self,
        state: State,
        rows: np.ndarray,
        objective: Objective,
        totals: Totals,
        pace: Pace,
        told: Callable[[int], None],
    ) -> tuple[State, dict[str, Any]]:
        """Take a chunk of steps, whose rows are (steps, b), of an ensemble (members, steps, b).

        ``told`` gets the number of steps begun, once what they need is compiled.
        """
        now = self.placed.split(rows)
        found = self.machine.run(state, now, self.table, objective, totals, pace)
        told(0)
        return found


@dataclass(frozen=True)
class TakenTable:
    """The device has the rows of some steps; those of the next ones are encoded meanwhile.

    Keys, order of rows and numbers of a step are those of `HeldTable`: so are the parameters.

    Parameters
    ----------
    machine
        Compiled functions.
    table
        Rows that are encoded when they are taken.
    filled
        The outcomes, weights and offsets of all rows, filled up.
    placed
        Over which devices the rows of a step are dealt out.
    """

    machine: Engine
    table: Batch
    filled: Batch
    placed: DeviceRows

    def start(self, key: Array, objective: Objective) -> State:
        """Return the state before the first step."""
        state = self.machine.init(key, some_rows(self.table, slice(0, FIRST_ROWS)), objective)
        return self.machine.start_at_mean(state, self.filled, objective)

    def run(
        self,
        state: State,
        rows: np.ndarray,
        objective: Objective,
        totals: Totals,
        pace: Pace,
        told: Callable[[int], None],
    ) -> tuple[State, dict[str, Any]]:
        """Take a chunk of steps, as `HeldTable` does."""
        steps = rows.shape[-2]
        state, keys = self.machine.step_keys(state, steps)
        each = self._steps_at_a_time(rows.size // steps)
        parts = [rows[..., first : first + each, :] for first in range(0, steps, each)]
        sums: Any = None
        running: Any = None
        with ThreadPoolExecutor(1) as beside:  # a processor computes before a call returns
            next_rows = beside.submit(some_rows, self.table, parts[0].ravel())
            for number, part in enumerate(parts):
                some, first = self.placed.whole(next_rows.result()), number * each
                if number + 1 < len(parts):
                    next_rows = beside.submit(some_rows, self.table, parts[number + 1].ravel())
                jax.block_until_ready(running)  # no more than two parts are on a device
                own = np.arange(part.size, dtype=np.int32).reshape(part.shape)
                count = min(each, steps - first)
                at = slice(first, first + count)
                now = self.placed.split(own)
                state, terms = self.machine.run_some(
                    state, keys[..., at], now, some, objective, totals, pace
                )
                share = count / steps
                running = jax.tree.map(lambda mean, share=share: mean * share, terms)
                told(first)
                sums = running if sums is None else jax.tree.map(np.add, sums, running)
        return state, sums

    def _steps_at_a_time(self, rows: int) -> int:
        """Return a power of two, as chunks of large tables have many: one shape is compiled."""
        width = 4 * (self.table.x.shape[1] + self.table.slopes.shape[1])
        return 1 << (max(TAKEN_BYTES // max(rows * width, 1), 1).bit_length() - 1)
