"""Where the time of a training step goes: operations and bytes beside what one core can do.

    python tests/benchmarks/roofline.py

The step of `bench_training`'s models (Adult, 89 columns, batch 256, widths 64-32), in one thread.
The peak is the best rate of a product of matrices here, of 512 x 512 and of the step's own largest
one; the bandwidth that of a copy of 200 MB. Operations are XLA's count for the compiled step; bytes
are those of the rows that it gathers from the table, as the rest stays in the core's caches. The
last columns are the time that either would take alone, and what is left: products of shapes that
run below the peak, loops over elements, and the start of some hundred operations.
"""

from __future__ import annotations

import os
import time

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from bench_training import BATCH, MODELS, STEPS, adult_rows, prepare, start

from pyfairme.inference.compiled_steps import Pace
from pyfairme.model.program import Totals

ROUNDS, LOOPS = 15, 200


def best(call, rounds: int = ROUNDS) -> float:
    """Return the least seconds of several calls."""
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


def product_rate(rows: int, inner: int, columns: int) -> float:
    """Return operations per second of a product in a loop that XLA cannot shorten."""
    a = jnp.ones((rows, inner), jnp.float32)
    b = jnp.ones((inner, columns), jnp.float32)

    @jax.jit
    def loop(a, b):
        step = lambda total, _: ((a @ (b + total))[0, 0] * 1e-9, None)  # noqa: E731
        return jax.lax.scan(step, jnp.float32(0), None, length=LOOPS)[0]

    loop(a, b).block_until_ready()
    return 2 * rows * inner * columns * LOOPS / best(lambda: loop(a, b).block_until_ready())


def bandwidth() -> float:
    """Return bytes per second, read and written, of a copy that no cache holds."""
    source, target = np.ones(25_000_000), np.empty(25_000_000)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source), 5)


def main() -> None:
    """Measure, and print one table."""
    peak = max(product_rate(512, 512, 512), product_rate(BATCH, 89, 64))
    speed = bandwidth()
    print(f"peak {peak / 1e9:.0f} GFLOP/s, memory {speed / 1e9:.1f} GB/s, one thread")
    frame, y, schema = adult_rows()
    rows = []
    for name, keywords in MODELS.items():
        machine, table, objective, _ = prepare(frame, y, schema, keywords)
        chunk = start(machine, table, objective, len(y))
        seconds = min(chunk() for _ in range(ROUNDS)) / STEPS
        state = machine.init(jax.random.key(0), table, objective)
        index = np.zeros((1, BATCH), np.int32)
        totals, pace = Totals(float(len(y)), float(BATCH)), Pace(1e-3, 1e6, 0.2)
        lowered = machine.run.lower(state, index, table, objective, totals, pace)
        count = lowered.compile().cost_analysis()
        moved = BATCH * sum(a.nbytes / len(a) for a in jax.tree.leaves(table))
        rows.append(
            {
                "model": name,
                "us a step": 1e6 * seconds,
                "MFLOP": count["flops"] / 1e6,
                "kB of rows": moved / 1e3,
                "GFLOP/s": count["flops"] / seconds / 1e9,
                "of peak": count["flops"] / seconds / peak,
                "us at peak": 1e6 * count["flops"] / peak,
                "us from memory": 1e6 * moved / speed,
                "us left": 1e6 * (seconds - count["flops"] / peak - moved / speed),
            }
        )
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
