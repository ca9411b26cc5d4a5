"""Draws that several reports of the same rows share.

Reports of the fixed, random and mixed predictions of the same rows start from the same seed, so
that they differ by the predictions alone. As long as their generators are in the same state, they
would draw the same again: most of a report's time. A generator of `SharedDraws` remembers what was
drawn, and where the state was afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ROOM = 100_000_000  # bytes held at most; what does not fit is drawn again


class SharedDraws:
    """Memory of the draws of several generators, of one set of rows.

    Parameters
    ----------
    room
        Bytes to hold at most.

    Examples
    --------
    >>> shared = SharedDraws()
    >>> first, second = shared.generator(0), shared.generator(0)
    >>> draw = lambda rng, size: rng.random(size)
    >>> drawn_once(draw, first, 3) is drawn_once(draw, second, 3)
    True
    >>> first.random() == second.random()
    True
    """

    def __init__(self, room: int = ROOM) -> None:
        self._left = room
        self._held: dict[tuple[Any, ...], tuple[np.ndarray, Any]] = {}

    def generator(self, seed: int) -> SharedGenerator:
        """Return the generator of a seed, of `numpy.random.default_rng`, with this memory."""
        return SharedGenerator(seed, self)

    def recall(
        self, draw: Callable[..., np.ndarray], rng: np.random.Generator, *given: Any
    ) -> np.ndarray:
        """Return what was drawn so from this state, or draw it."""
        known = (part.tobytes() if isinstance(part, np.ndarray) else part for part in given)
        at = (repr(rng.bit_generator.state), draw, *known)
        if at in self._held:
            drawn, rng.bit_generator.state = self._held[at]
            return drawn
        drawn = draw(rng, *given)
        size = drawn.nbytes + sum(len(part) for part in at if isinstance(part, bytes))
        if size <= self._left:
            self._left -= size
            drawn.flags.writeable = False  # others read it as well
            self._held[at] = drawn, rng.bit_generator.state
        return drawn


class SharedGenerator(np.random.Generator):
    """A generator whose large draws others of the same memory need not repeat."""

    def __init__(self, seed: int, memory: SharedDraws) -> None:
        super().__init__(np.random.default_rng(seed).bit_generator)
        self.memory = memory


def drawn_once(
    draw: Callable[..., np.ndarray], rng: np.random.Generator, *given: Any
) -> np.ndarray:
    """Return ``draw(rng, *given)``, from memory if ``rng`` has one that knows it.

    Parameters
    ----------
    draw
        Draws an array, which must not be changed afterwards.
    rng
        Source of randomness; afterwards in the state in which ``draw`` leaves it.
    given
        All that the draws depend on beside the state of ``rng``: arrays, numbers.
    """
    if isinstance(rng, SharedGenerator):
        return rng.memory.recall(draw, rng, *given)
    return draw(rng, *given)
