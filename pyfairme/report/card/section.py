"""A section of a card, and the table of which a reader picks lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pyfairme.report.display.facts import Facts, Grid, Part


class Section(NamedTuple):
    """A section of a model card: its name (Mitchell et al. 2019) and what it holds."""

    name: str
    parts: tuple[Part, ...]


def filled(sections: Iterable[Section]) -> list[Section]:
    """Return the sections with those of their parts that have content."""
    return [Section(one.name, tuple(Facts("", "", one.parts).filled())) for one in sections]


@dataclass(frozen=True)
class FilteredGrid(Grid):
    """A long table; HTML lets readers choose lines by the columns ``filters``.

    ``start`` holds what is chosen at first, (column, value).
    """

    filters: tuple[str, ...] = ()
    start: tuple[tuple[str, str], ...] = ()

    def chosen(self, column: str) -> str:
        """Return what is chosen of a column at first, or "": any."""
        return dict(self.start).get(column, "")
