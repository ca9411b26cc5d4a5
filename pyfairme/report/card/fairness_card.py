"""The fairness card: gathered once, written as HTML, Markdown and JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.atomic import write_text
from pyfairme.data.input_types import Attributes, PathLike, Table
from pyfairme.report.card.card_html import card_html
from pyfairme.report.card.card_json import card_json
from pyfairme.report.card.card_markdown import card_markdown
from pyfairme.report.card.card_pictures import CardPicture, card_pictures
from pyfairme.report.card.card_summary import judged_by
from pyfairme.report.card.evidence import gather
from pyfairme.report.card.section import Section
from pyfairme.report.card.sections import card_sections
from pyfairme.report.display.facts import Facts, Findings

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

WRITTEN = {".html": "html", ".md": "markdown", ".json": "json"}  # by suffix


@dataclass(frozen=True, repr=False)
class FairnessCard:
    """The card of a fitted model; `FairMixedEffectsClassifier.card` makes it.

    Parameters
    ----------
    title, lead
        What it is of, in short.
    sections
        A summary, then the sections of a model card (Mitchell et al. 2019).
    tables
        The tidy frames that its numbers are of, by name.
    pictures
        Pictures of the HTML.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    tables: dict[str, pd.DataFrame]
    pictures: tuple[CardPicture, ...] = ()

    @property
    def facts(self) -> Facts:
        """All parts in order, headed by the names of their sections."""
        parts = [
            replace(part, heading=": ".join(filter(None, (section.name, part.heading))))
            for section in self.sections
            for part in section.parts
        ]
        return Facts(self.title, self.lead, tuple(parts))

    @property
    def html(self) -> str:
        """The card as one HTML document that loads nothing."""
        return card_html(self.title, self.lead, self.sections, self.pictures)

    @property
    def markdown(self) -> str:
        """The card as Markdown."""
        return card_markdown(self.title, self.lead, self.sections)

    @property
    def json(self) -> str:
        """The card as JSON, with the whole tables."""
        return card_json(self.title, self.lead, self.sections, self.tables)

    def save(self, path: PathLike) -> Path:
        """Write the card to one file.

        Parameters
        ----------
        path
            File to write: ``.html``, ``.md`` or ``.json``. An older one is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            For another suffix.
        OSError
            When the file cannot be written; an older one is then as it was.
        """
        target = Path(path)
        write_text(target, getattr(self, WRITTEN[check_suffix(target)]))
        return target

    def __repr__(self) -> str:
        said = [
            replace(part, heading=part.heading or section.name)
            for section in (self.sections[0], self.sections[-1])  # verdicts and all cautions
            for part in section.parts
            if isinstance(part, Findings) and part.heading != "Cautions"
        ]
        end = 'The whole card: card.save("card.html"), "card.md" or "card.json".'
        return f"{Facts(self.title, self.lead, tuple(said))}\n\n{end}"

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, whose script and style stay inside."""
        page = escape(self.html, quote=True)
        style = "width: 100%; height: 46em; border: 1px solid rgba(128, 128, 128, .4)"
        return f'<iframe srcdoc="{page}" title="Fairness card" style="{style}"></iframe>'


def check_suffix(path: Path) -> str:
    """Return the suffix of a card's file; raise ValueError for one that is no card's."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise ValueError(
            f"A card is written as {', '.join(WRITTEN)}; got the name {path.name!r}. [card-suffix]"
        )
    return suffix


def fairness_card(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    attributes: Attributes | None = None,
    *,
    intended_use: str = "",
    **options: Any,
) -> FairnessCard:
    """Gather the card of a fitted estimator.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X, y, attributes
        Rows to judge, and by what, as of ``fairness_report``.
    intended_use
        What the model is for, and what it is not for.
    options
        n_boot, level, sample_weight, min_group_size, exclude and merge, as of ``fairness_report``.

    Raises
    ------
    NotFittedError
        When the estimator is not fitted.
    ValueError
        For rows, attributes or numbers that ``fairness_report`` refuses.
    """
    evidence = gather(estimator, X, y, attributes, **options)
    name = type(estimator).__name__
    made = f"{datetime.now(tz=UTC):%Y-%m-%d}"
    return FairnessCard(
        f"Fairness card of a {name}",
        f"{judged_by(evidence, y)} Made on {made}.",
        card_sections(evidence, intended_use),
        evidence.tables,
        tuple(card_pictures(evidence)),
    )
