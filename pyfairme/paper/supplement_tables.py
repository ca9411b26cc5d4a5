"""Every table of a study as Markdown, in the layout of the paper's supplement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pyfairme.atomic import write_text
from pyfairme.file_names import file_name
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import words
from pyfairme.paper.claims import claims_table
from pyfairme.paper.improved_cells import cells_improved_table
from pyfairme.paper.probe_tables import probes_table
from pyfairme.paper.published_values import paper_dataset
from pyfairme.paper.run_times import run_times_table
from pyfairme.paper.study_lines import Lines, baseline_of, gather
from pyfairme.paper.table_cells import LEGEND, cell
from pyfairme.paper.table_layouts import TableLayout, layouts
from pyfairme.report.markdown import markdown_table
from pyfairme.variants import VARIANTS

BLOCKS = {"seen": "Seen clusters, rows never trained on", "unseen": "Unseen clusters"}


class _Page(NamedTuple):
    file: str
    title: str
    meaning: str
    body: str


def write_tables(
    results: pd.DataFrame,
    tests: pd.DataFrame,
    folder: Path,
    *,
    importance: pd.DataFrame | None = None,
    timings: pd.DataFrame | None = None,
    warning: str = "",
) -> dict[str, str]:
    """Write the tables S8-S18 of our results, with the paper's numbers beside them.

    Parameters
    ----------
    results
        Tidy results of one data set or more: dataset, variant, effects, clusters, attribute,
        group, class, metric, value, low, high.
    tests
        Comparison with baselines: the same keys, baseline, difference, change_percent, low, high,
        resolvable, improved, p_bootstrap_holm, p_nadeau_bengio_holm.
    folder
        Folder to write into; made where missing, files of the same names are overwritten.
    importance
        Shares and ranks of features: dataset, variant, effects, feature, probe, share, share_sd,
        rank, rank_sd; ``None`` leaves out the table of probes.
    timings
        dataset, variant, seed, fold, rows, seconds_fit, seconds_judge; ``None`` leaves out the
        table of run times.
    warning
        First line of every page, if there is anything to warn of.

    Returns
    -------
    dict
        Name of each file written, with what it holds. ``tables.md`` joins all others.

    Raises
    ------
    ValueError
        When a frame lacks a column, or holds several classes of one cell.

    Examples
    --------
    >>> write_tables(found.results.frame, found.tests, Path("tables"))  # doctest: +SKIP
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = f"**{warning}**\n\n" if warning else ""
    pages = list(_pages(gather(results, tests), importance, timings))
    for page in pages:
        text = f"# {page.title}\n\n{page.body}\n\n{LEGEND}"
        write_text(folder / page.file, said + text)
    joined = "\n\n".join(f"## {page.title}\n\n{_deeper(page.body)}" for page in pages)
    text = f"# Tables\n\n{LEGEND}\n{joined}\n"
    write_text(folder / "tables.md", said + text)
    return {"tables.md": "all tables", **{page.file: page.meaning for page in pages}}


def _deeper(body: str) -> str:
    return body.replace("## ", "### ")


def _pages(
    lines: Lines, importance: pd.DataFrame | None, timings: pd.DataFrame | None
) -> Iterator[_Page]:
    for dataset in lines.datasets():
        for layout in layouts(dataset, lines.values("metric", dataset)):
            body = supplement_table(lines, dataset, layout)
            if body:
                name = f"{layout.number}_" if layout.number else ""
                title = f"{_name(dataset, layout)}: {layout.title}"
                file = f"{name}{file_name(dataset)}_{layout.slug}.md"
                yield _Page(file, title, layout.title, body)
    yield _Page("cells_improved.md", "Cells improved", "how many disparities improved",
                cells_improved_table(lines))  # fmt: skip
    if importance is not None and len(importance):
        yield _Page("probes.md", "Probes", "ranks and shares of the probes",
                    probes_table(importance))  # fmt: skip
    if timings is not None and len(timings):
        yield _Page("run_times.md", "Run times", "seconds of every model",
                    run_times_table(timings))  # fmt: skip
    claims = claims_table(lines, importance)
    if claims:
        yield _Page("claims.md", "The paper's claims and ours",
                    "every number of the paper beside ours", claims)  # fmt: skip


def _name(dataset: str, layout: TableLayout) -> str:
    """Return number and data set, and the paper's name of it where that is another."""
    known = paper_dataset(dataset)
    note = f" (beside the paper's {known})" if known not in ("", dataset) else ""
    return f"{layout.number}, {dataset}{note}" if layout.number else f"{dataset}{note}"


def supplement_table(lines: Lines, dataset: str, layout: TableLayout) -> str:
    """Return one table of the supplement as Markdown, empty where no model of it was run.

    Parameters
    ----------
    lines
        Results and tests.
    dataset
        The data set.
    layout
        Its cells.
    """
    columns = _columns(lines, dataset, layout)
    present = lines.values("clusters", dataset)
    parts = []
    for clusters in (name for name in BLOCKS if name in present):
        rows = [
            [variant, _effects(lines, dataset, variant, effects), baseline or "-", *(
                cell(lines, (dataset, variant, effects, clusters, *column), baseline)
                for column in columns
            )]
            for variant, effects, baseline in _rows(lines, dataset, layout)
        ]  # fmt: skip
        header = ["model", "effects", "against", *(_heading(*column) for column in columns)]
        parts.append(f"## {BLOCKS[clusters]}\n\n{markdown_table(header, rows)}")
        if not rows or not columns:
            return ""
    return "\n\n".join(parts)


def _effects(lines: Lines, dataset: str, variant: str, effects: str) -> str:
    return effects if len(lines.effects_of(dataset, variant)) > 1 else "fixed = mixed"


def _columns(lines: Lines, dataset: str, layout: TableLayout) -> list[tuple[str, str]]:
    """Attribute and metric of each column."""
    metrics = lines.values("metric", dataset)
    attributes = [name for name in lines.values("attribute", dataset) if name != "all"]
    grid = [(name, metric) for name in attributes for metric in layout.metrics if metric in metrics]
    return [*grid, *(("all", metric) for metric in layout.overall if metric in metrics)]


def _heading(attribute: str, metric: str) -> str:
    return (
        metric_label(metric)
        if attribute == "all"
        else f"{words(attribute)}: {metric_label(metric)}"
    )


def _rows(lines: Lines, dataset: str, layout: TableLayout) -> Iterator[tuple[str, str, str]]:
    """Yield variant, effects and baseline of each row."""
    present = lines.values("variant", dataset)
    order = layout.variants or (*(v for v in VARIANTS if v in present), *present)
    for variant in dict.fromkeys(v for v in order if v in present):
        tested = lines.baselines(dataset, variant)
        further = [b for v, b in layout.against if v == variant and b in tested]
        for baseline in dict.fromkeys([baseline_of(variant, tested), *further]):
            for effects in lines.effects_of(dataset, variant):
                yield variant, effects, baseline
