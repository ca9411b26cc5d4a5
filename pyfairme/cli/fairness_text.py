"""A fairness report of one model as text, at most 80 characters wide."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.cli.problems import WIDTH
from pyfairme.data.columns import label_of
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import listed, listed_name, short_names
from pyfairme.report.display.facts import Finding
from pyfairme.report.display.report_remarks import (
    CONSTANT,
    chosen_groups,
    constant_decisions,
    nearly_constant,
    no_skill,
    small_groups,
    tiny_groups,
)

ACCURACY = (
    *("auroc", "balanced_accuracy", "log_loss", "brier"),
    *("rmse", "mae", "r2", "mse", "log_predictive_density"),
)
DISPARITIES = (  # on the screen; the file has all
    *("tpr_sd", "fpr_sd", "mse_sd", "residual_sd"),
    *("demographic_parity", "counterfactual_gap"),
)
MOST_CLASSES = 6
MOST_CLUSTERS = 20
FAIR = "0 is fair. "
LEGEND = {
    "classification": (
        "TPR SD, FPR SD: standard deviation between groups of the true-positive and the "
        "false-positive rate. Demographic parity: mean difference of two groups' rates of positive "
        "decisions. "
    ),
    "regression": (
        "MSE SD, SD of mean residual: standard deviation of these between groups. Demographic "
        "parity: mean difference of two groups' mean predictions. "
    ),
}
SHARED = (
    "Counterfactual gap: how far a prediction moves when only the attribute is changed. ",
    "By chance: what equal groups would show up to (95 %); ~ marks a value that is no larger, "
    "which these rows cannot tell from equal treatment (not resolvable).",
)


def fairness_text(report: pd.DataFrame, effects: str = "mixed", level: float = 0.9) -> str:
    """Write a fairness report for a person who decides.

    Parameters
    ----------
    report
        Frame of ``fairness_report`` with clusters "seen" and "unseen".
    effects
        The predictions to show.
    level
        Coverage of the report's intervals.

    Returns
    -------
    str
        One block per clusters and class: accuracy, then one line per attribute and disparity, with
        what cannot be resolved and groups that are too small to tell; a legend at the end.
    """
    lines = report.loc[report["effects"] == effects]
    parts = []
    for clusters in dict.fromkeys(lines["clusters"]):
        block = lines.loc[lines["clusters"] == clusters]
        classes = list(dict.fromkeys(block["class"]))
        names = dict(zip(classes, short_names(map(label_of, classes), 18).values(), strict=True))
        for label in classes[:MOST_CLASSES]:
            title = f"{clusters.upper()} CLUSTERS, {effects} effects"
            if len(classes) > 1:
                title += f", class {names[label]} against the rest"
            parts.append("\n".join(_block(block.loc[block["class"] == label], title, level)))
        if len(classes) > MOST_CLASSES:
            parts.append(
                f"In the file alone: {len(classes) - MOST_CLASSES} of {len(classes)} classes."
            )
    if (lines["attribute"] != "all").any():
        task = "classification" if (lines["metric"] == "auroc").any() else "regression"
        gap, chance = SHARED
        fair = "" if lines["note"].str.contains(CONSTANT).any() else FAIR
        parts.append(textwrap.fill(LEGEND[task] + gap + fair + chance, WIDTH))
    return "\n\n".join(parts)


def _block(block: pd.DataFrame, title: str, level: float) -> Iterator[str]:
    overall = block.loc[block["attribute"] == "all"]
    yield f"{title}: {_rows(overall)} ".ljust(WIDTH, "-")
    parts = [
        f"{metric_label(str(line['metric']))} {_with_interval(line)}"
        for line in _ordered(overall, ACCURACY)
    ]
    yield from _pairs(parts)
    spread = block.loc[(block["attribute"] != "all") & (block["group"] == "all")]
    if len(spread):
        yield ""
        yield from _disparities(spread, level)
        yield from _remarks(block, spread)


def _rows(overall: pd.DataFrame) -> str:
    return f"{_most(overall):,} rows"


def _most(lines: pd.DataFrame) -> int:
    return int(lines["n"].to_numpy().max())


def _ordered(lines: pd.DataFrame, known: tuple[str, ...]) -> Iterable[Any]:
    chosen = lines.loc[lines["metric"].isin(known)]
    rank = {name: i for i, name in enumerate(known)}
    order = np.argsort([rank[name] for name in chosen["metric"]], kind="stable")
    return [line for _, line in chosen.iloc[order].iterrows()]


def _pairs(parts: list[str]) -> Iterator[str]:
    for start in range(0, len(parts), 2):
        yield "".join(f"{part:<40}" for part in parts[start : start + 2]).rstrip()


def _disparities(spread: pd.DataFrame, level: float) -> Iterator[str]:
    interval = f"{100 * level:g} % interval"
    yield f"{'attribute':<18}{'metric':<20}{'value':>8}   {interval:<20}by chance"
    for attribute, name in short_names(spread["attribute"], 17, blanks=True).items():
        for line in _ordered(spread.loc[spread["attribute"] == attribute], DISPARITIES):
            label = metric_label(str(line["metric"]))
            bounds = f"{_number(line['low']):>7} -{_number(line['high']):>7}"
            bounds = bounds if np.isfinite(line["low"]) else ""
            chance = _number(line["null_high"])
            mark = " ~" if _unclear(line) else ""
            yield (
                f"{name:<18}{label:<20}{_number(line['value']):>8}   {bounds:<20}{chance:>7}{mark}"
            ).rstrip()
            name = ""


def _unclear(line: pd.Series) -> bool:
    return bool(line["value"] <= line["null_high"])  # NaN: no null value, or no value


def _remarks(block: pd.DataFrame, spread: pd.DataFrame) -> Iterator[str]:
    """Say how much cannot be resolved, and which groups are too small to tell."""
    cure = "--threshold balanced_accuracy when fitting"
    said = [*no_skill(block), *constant_decisions(spread, cure), *nearly_constant(block, cure)]
    yield from map(_remark, [*said, *chosen_groups(spread)])
    shown = spread.loc[spread["metric"].isin(DISPARITIES) & spread["null_high"].notna()]
    unclear = sum(_unclear(line) for _, line in shown.iterrows())
    if unclear:
        yield f"Not resolvable (~): {unclear} of the {len(shown)} values that chance is known of."
    for attribute, label, note in spread[["attribute", "metric", "note"]].itertuples(index=False):
        if label in DISPARITIES and (tiny := tiny_groups(note)):
            yield _remark(Finding(listed_name(attribute), f"{metric_label(label)} {tiny}"))
    yield from map(_remark, small_groups(block))
    names = short_names(spread["attribute"], WIDTH, blanks=True)
    absent = sorted(set(spread.loc[spread["value"].isna(), "attribute"]))
    if absent:
        said = ", ".join(listed(names[attribute] for attribute in absent))
        yield f"Empty values ({said}): the note in the file says why."


def _remark(said: Finding) -> str:
    """Return a sentence, in lines of the screen's width."""
    text = f"{said.subject}: {said.text}" if said.subject else said.text
    text = text[:1].upper() + text[1:] if not said.subject else text
    return textwrap.fill(text if text.endswith(".") else f"{text}.", WIDTH, subsequent_indent="  ")


def by_cluster_text(report: pd.DataFrame, effects: str = "mixed") -> str:
    """List the clusters with their rows, accuracy and largest disparity.

    Parameters
    ----------
    report
        Frame of ``fairness_report(by_cluster=True)``.
    effects
        The predictions to show.
    """
    lines = report.loc[(report["effects"] == effects) & (report["group"] == "all")]
    classify = (lines["metric"] == "auroc").any()
    accuracy, spread = ("balanced_accuracy", "tpr_sd") if classify else ("mse", "mse_sd")
    heads = metric_label(accuracy), metric_label(spread)
    clusters = list(dict.fromkeys(lines["clusters"]))
    found = [f"{'cluster':<34}{'rows':>7}{heads[0]:>19}   largest {heads[1]}"]
    names = short_names(clusters, 33)
    attributes = short_names(lines["attribute"], 12, blanks=True)
    for name in clusters[:MOST_CLUSTERS]:
        mine = lines.loc[lines["clusters"] == name]
        overall = mine.loc[mine["metric"] == accuracy]
        mean = _number(overall["value"].to_numpy().mean())
        row = f"{names[name]:<34}{_most(overall):>7,}{mean:>19}"
        found.append(f"{row}   {_largest(mine.loc[mine['metric'] == spread], attributes)}".rstrip())
    if len(clusters) > MOST_CLUSTERS:
        found.append(
            f"In the file alone: {len(clusters) - MOST_CLUSTERS} of {len(clusters)} clusters."
        )
    return "\n".join(found)


def _largest(lines: pd.DataFrame, attributes: dict[str, str]) -> str:
    values = lines["value"].to_numpy()
    if np.isnan(values).all():
        return ""
    line: Any = lines.iloc[np.nanargmax(values)]
    mark = " ~" if _unclear(line) else ""
    return f"{_number(line['value'])}{mark} ({attributes[line['attribute']]})"


def _with_interval(line: Any) -> str:
    if not np.isfinite(line["low"]):
        return _number(line["value"])
    return f"{_number(line['value'])} ({_number(line['low'])} to {_number(line['high'])})"


def _number(value: float) -> str:
    """Return three digits: .034, 1.25, 12,345; empty where there is no value."""
    if not np.isfinite(value):
        return ""
    size = abs(value)
    if size < 0.9995:
        return f"{value:.3f}".replace("0.", ".", 1)
    return f"{value:,.2f}" if size < 99.995 else f"{value:,.0f}"
