"""The progress bar of a fit: one update per chunk of steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int, dict[str, float]], None]


def _wanted(progress: bool | str) -> bool:
    if progress != "auto":
        return bool(progress)
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def progress_bar(progress: bool | str, title: str) -> Iterator[Report]:
    """Yield the callback that draws a bar; "auto" draws in terminals and notebooks only."""
    if not _wanted(progress):
        yield lambda done, total, row: None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=title, unit="chunk", dynamic_ncols=True) as bar:

        def report(done: int, total: int, row: dict[str, float]) -> None:
            bar.total = total
            bar.set_postfix(loss=f"{row['mixed']:.4f}", refresh=False)
            bar.update(done - bar.n)

        yield report
