"""The sections of a fairness card, named as those of model cards (Mitchell et al. 2019)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.chosen_levels import EVERY_LEVEL
from pyfairme.data.columns import label_of
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.report.card.card_summary import card_summary
from pyfairme.report.card.cautions import cautions
from pyfairme.report.card.evidence import MOST_CLUSTERS, CardEvidence
from pyfairme.report.card.reproducibility import reproducibility
from pyfairme.report.card.section import FilteredGrid, Section
from pyfairme.report.display.facts import (
    Amount,
    Cell,
    Fields,
    Finding,
    Findings,
    Grid,
    Part,
    Span,
    Tally,
)
from pyfairme.report.display.fairness_facts import fairness_facts
from pyfairme.report.display.short_number import short_number

EVERY_LINE = "Every line of the report"
MOST_EFFECTS = 40  # clusters whose effects are shown; of more the extremes
CLUSTER_EFFECTS = (
    "How a cluster differs from the average one with the covariates held equal, on the link scale "
    "(of two classes log-odds); 90 % posterior intervals. By how much predictions change if the "
    "same rows are put in another cluster is another question: pf.explain.avg_comparisons answers "
    "it in units of the prediction, by default with 90 % intervals too. A cluster can stand out in "
    "one answer and not in the other."
)
MOST_PARTS = 30  # of clusters in what random effects do to a group
WEIGHTS = ("fairness_weight", "fairness_on", "cluster_weight", "fixed_weight", "kl_weight")
FITTING = ("guide", "training")
FOR_FITTERS = (
    "For those who fit models: whether the intervals of the random effects can be trusted (guide), "
    "how training ended, and how much each aim counted in it (the weights)."
)
NOT_STATED = "not stated: give intended_use=..., in the words of who answers for the model"
ELSEWHERE = ("Further", "Verdict", "Base rates")  # in the summary, or in every line
MEANINGS = (
    ("base rate", "share of a group whose outcome was positive, as observed"),
    ("TPR, FPR", "share of positives, and of negatives, that are decided as positive"),
    ("SD", "standard deviation of a rate over groups; 0 where all groups are alike"),
    ("by chance", "what groups that are treated alike show in a table of this size: mean and "
     "5-95 % band. A disparity within it is no evidence of unequal treatment"),
    ("counterfactual gap", "mean change of the prediction when the attribute alone is changed"),
    ("fixed, random, mixed", "predictions by what holds in all clusters, by the clusters' own "
     "effects, and by both; the mixed ones are used"),
    ("seen, unseen clusters", "those that training had rows of, and others"),
)  # fmt: skip


def card_sections(evidence: CardEvidence, intended_use: str = "") -> tuple[Section, ...]:
    """Put what a card rests on into its sections.

    Parameters
    ----------
    evidence
        What the card rests on.
    intended_use
        What the model is for, and what it is not for.
    """
    found = fairness_facts(evidence.report)
    said = [part for part in found.parts if part.heading.startswith("Verdict")]
    return (
        card_summary(evidence),
        Section("Model details", tuple(_model(evidence))),
        Section("Intended use", (Fields("", tuple(_use(evidence, intended_use))),)),
        Section("Factors", tuple(_factors(evidence))),
        Section("Metrics", (Fields("", (*MEANINGS, *_decision(evidence))),)),
        Section("Evaluation data", tuple(_evaluation(evidence))),
        Section("Training data", (Fields("", evidence.part("Data").items),)),  # type: ignore[union-attr]
        Section("Quantitative analyses", tuple(_analyses(evidence, found.parts))),
        Section("Ethical considerations", (Findings("", tuple(_ethics(evidence, said))),)),
        Section("Caveats and recommendations", (
            Findings("Cautions about the model", evidence.part("To know").items),  # type: ignore[union-attr]
            Findings("Cautions about what was found", tuple(cautions(evidence))),
            Fields("Reproducibility", tuple(reproducibility(evidence))),
        )),
    )  # fmt: skip


def _model(evidence: CardEvidence) -> Iterator[Fields]:
    """Yield what the model is, and apart from it what only those who fit models know of."""
    items: tuple[tuple[str, str], ...] = evidence.part("Model").items  # type: ignore[union-attr]
    yield Fields("Model", tuple(item for item in items if item[0] not in FITTING))
    given = evidence.estimator.get_params(deep=False)
    weights = tuple((name, _text(given[name])) for name in WEIGHTS)
    own = tuple(item for item in items if item[0] in FITTING)
    yield Fields("How it was fitted", (*own, *weights), FOR_FITTERS, True)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _use(evidence: CardEvidence, intended_use: str) -> Iterator[tuple[str, str]]:
    yield "use", intended_use or NOT_STATED
    estimator = evidence.estimator
    columns = listed(dict.fromkeys(t.column for t in estimator.design_.terms))
    yield "needs", f"{len(columns)} covariates" + (f": {', '.join(columns)}" if columns else "")
    names = listed(f.column for f in estimator.design_.factors)
    if names:
        known = "the cluster of each row; rows of clusters that training never saw: "
        yield ", ".join(names), f"{known}unseen={estimator.get_params(deep=False)['unseen']!r}"


def _factors(evidence: CardEvidence) -> Iterator[Part]:
    trained: dict[tuple[str, str], int] = defaultdict(int)
    for a in evidence.estimator.design_.attributes:
        chosen = evidence.judged.chosen.get(a.name, EVERY_LEVEL)
        for level, n in zip(a.levels, a.counts, strict=True):
            if level not in chosen.out:
                trained[a.name, chosen.name_of(level)] += int(n)
    rows: list[tuple[Cell, ...]] = []
    for attribute, labels in evidence.groups.items():
        sizes = {str(name): int(n) for name, n in pd.Series(labels).value_counts().items()}
        only = [level for name, level in trained if name == attribute and level not in sizes]
        only = [] if evidence.hides else only
        for level in (*sizes, *only):
            own = [] if evidence.hides else [trained.get((attribute, level), 0)]
            rows.append((attribute, level, *map(Tally, (*own, sizes.get(level, 0)))))
    before = () if evidence.hides else ("training rows",)
    columns = ("attribute", "group", *before, "rows here")
    yield Grid("Groups", columns, tuple(rows))
    clusters = pd.Series(evidence.judged.cluster).value_counts()
    if evidence.estimator.fit_.spec.factors:
        new = pd.Series(evidence.judged.cluster[~evidence.judged.seen]).nunique()
        text = f"{len(clusters):,}, of {int(clusters.min()):,} to {int(clusters.max()):,} rows"
        fields = (("clusters here", text), ("unseen clusters", f"{new:,}"))
        yield Fields("Clusters", fields)


def _decision(evidence: CardEvidence) -> Iterator[tuple[str, str]]:
    thresholds = getattr(evidence.estimator, "threshold_", None)
    if thresholds:
        yield "decision", f"probabilities of at least {short_number(thresholds['mixed'])}"
    yield "intervals", f"{evidence.level:.0%}; clusters are drawn whole where rows share them"


def _evaluation(evidence: CardEvidence) -> Iterator[Part]:
    judged = evidence.judged
    seen, n = int(judged.seen.sum()), len(judged.y)
    fields = [("rows", f"{n:,}: {seen:,} of seen clusters, {n - seen:,} of unseen ones")]
    if judged.weight is not None:
        low, high = judged.weight.min(), judged.weight.max()
        said = f"rows count {low:.3g} to {high:.3g}; calibration counts them alike"
        fields.append(("weights", said))
    if judged.classes:
        counts = np.bincount(judged.y.astype(int), minlength=len(judged.classes))
        names = listed(map(label_of, judged.classes))
        each = [f"{name}: {c:,} ({c / n:.1%})" for name, c in zip(names, counts, strict=True)]
        fields.append(("outcome", ", ".join(each)))
    else:
        low, middle, high = (short_number(float(q)) for q in np.quantile(judged.y, [0, 0.5, 1]))
        fields.append(("outcome", f"{low} to {high}, median {middle}"))
    yield Fields("", tuple(fields))


# --- quantitative analyses ----------------------------------------------------------------------


def _analyses(evidence: CardEvidence, fairness: tuple[Part, ...]) -> Iterator[Part]:
    yield from (part for part in fairness if not part.heading.startswith(ELSEWHERE))
    yield from _calibration(evidence)
    if evidence.estimator.fit_.spec.factors:
        if not evidence.hides:
            yield _effects(evidence.estimator.cluster_effects_)
        yield evidence.part("How much clusters differ")
    if len(evidence.random_parts):
        yield from _random_parts(evidence.random_parts)
    yield _every_line(evidence)


def _span(line: Any, low: str = "low", high: str = "high") -> Span:
    return Span(float(line[low]), float(line[high]))


def _classes(frame: pd.DataFrame) -> bool:
    return "class" in frame and len(set(frame["class"])) > 1


def _of_class(line: Any, several: bool) -> list[str]:
    return [label_of(line["class"])] if several else []


def _calibration(evidence: CardEvidence) -> Iterator[Grid]:
    frame = evidence.calibration
    if frame.empty:
        lines = evidence.report.frame
        lines = lines.loc[(lines["metric"] == "mean_residual") & (lines["effects"] == "mixed")]
        rows = [
            (str(r["clusters"]), str(r["attribute"]), str(r["group"]), Tally(int(r["n"])),
             Amount(float(r["value"])), _span(r))
            for r in lines.to_dict("records")
        ]  # fmt: skip
        columns = ("clusters", "attribute", "group", "rows", "mean residual", "interval")
        note = "Outcome less prediction: 0 where predictions are right on average."
        yield Grid("Calibration by group", columns, tuple(rows), note)
        return
    several = _classes(frame)
    head = ("attribute", "group", *(["class"] if several else []))
    whole = frame["bin"] == ALL
    for lines, heading, extra, note in (
        (frame.loc[whole], "Calibration by group", (),
         "All rows, seen and unseen clusters. A group whose predicted mean lies outside the "
         "interval gets probabilities that are wrong on average."),
        (frame.loc[~whole], "Calibration by group and predicted probability", ("bin",),
         "Bins hold equally many rows of a group."),
    ):  # fmt: skip
        rows = [
            (str(r["attribute"]), str(r["group"]), *_of_class(r, several),
             *(str(int(r["bin"]) + 1) for _ in extra), Tally(int(r["n"])),
             Amount(float(r["mean_predicted"])), Amount(float(r["observed"])), _span(r))
            for r in lines.to_dict("records")
        ]  # fmt: skip
        columns = (*head, *extra, "rows", "predicted", "observed", "interval")
        yield Grid(heading, columns, tuple(rows), note, folded=bool(extra))


def _effects(frame: pd.DataFrame) -> Grid:
    several = _classes(frame)
    lines = frame.sort_values("mean", kind="stable", ascending=False)
    note = CLUSTER_EFFECTS
    if len(lines) > MOST_EFFECTS:
        ends = [lines.head(MOST_EFFECTS // 2), lines.tail(MOST_EFFECTS // 2)]
        note += f" The {MOST_EFFECTS} most extreme of {len(lines):,}."
        lines = pd.concat(ends)
    rows = [
        (str(r["factor"]), str(r["term"]), str(r["cluster"]), *_of_class(r, several),
         Amount(float(r["mean"])), _span(r))
        for r in lines.to_dict("records")
    ]  # fmt: skip
    columns = ("factor", "term", "cluster", *(["class"] if several else []), "effect", "interval")
    return Grid("Cluster effects", columns, tuple(rows), note, folded=len(rows) > MOST_PARTS)


def _random_parts(frame: pd.DataFrame) -> Iterator[Grid]:
    several = _classes(frame)
    head = ("attribute", "group", *(["class"] if several else []))
    whole = frame.loc[frame["cluster"] == ALL]
    keys = ["attribute", "group", "class"]
    groups = whole.loc[whole["group"] != ALL]
    found = {(*(r[k] for k in keys), r["measure"]): r for r in groups.to_dict("records")}
    measures = {"random_mean": "mean effect", "tilt": "change of prediction", "excess": "excess"}
    rows = []
    for key in dict.fromkeys(groups[keys].itertuples(index=False, name=None)):
        own = [found[(*key, measure)] for measure in measures]
        cells = [cell for line in own for cell in (Amount(float(line["value"])), _span(line))]
        rows.append((str(key[0]), str(key[1]), *_of_class(own[0], several),
                     Tally(int(own[0]["n"])), *cells))  # fmt: skip
    pairs = [name for text in measures.values() for name in (text, "interval")]
    note = (
        "Mean effect: on the link scale. Change of prediction: mixed less fixed. Excess: a "
        "group's change less everyone's, so what random effects do for or against it."
    )
    heading = "What random effects do to each group"
    yield Grid(heading, (*head, "rows", *pairs), tuple(rows), note)
    spreads = whole.loc[whole["measure"] == "tilt_sd"].to_dict("records")
    yield Grid(
        "How far random effects move groups apart",
        ("attribute", *head[2:], "SD of the change", "interval", "by chance up to"),
        tuple((str(r["attribute"]), *_of_class(r, several), Amount(float(r["value"])), _span(r),
               Amount(float(r["null_high"]))) for r in spreads),
    )  # fmt: skip
    parts = frame.loc[(frame["cluster"] != ALL) & (frame["measure"] == "excess")]
    most = parts.iloc[np.argsort(-parts["value"].abs().to_numpy(float), kind="stable")[:MOST_PARTS]]
    more = f"The {MOST_PARTS} largest of {len(parts):,}. " if len(parts) > MOST_PARTS else ""
    lines = [
        (str(r["attribute"]), str(r["group"]), *_of_class(r, several), str(r["factor"]),
         str(r["cluster"]), Tally(int(r["n"])), Amount(float(r["value"])), _span(r))
        for r in most.to_dict("records")
    ]  # fmt: skip
    columns = (*head, "factor", "cluster", "rows", "excess", "interval")
    note = f"{more}The parts of a factor's clusters add up to the group's excess."
    yield Grid("Which clusters do it", columns, tuple(lines), note, folded=True)


def _every_line(evidence: CardEvidence) -> FilteredGrid:
    """Return the report line by line, and that of the largest clusters."""
    frame = pd.concat([evidence.report.frame, evidence.by_cluster], ignore_index=True)
    several = _classes(frame)
    rows = [
        (str(r["effects"]), str(r["clusters"]), str(r["attribute"]), str(r["group"]),
         *_of_class(r, several), metric_label(str(r["metric"])), Amount(float(r["value"])),
         _span(r), Amount(_number(r["null"])), _span(r, "null_low", "null_high"),
         Tally(int(r["n"])), str(r["note"]))
        for r in frame.to_dict("records")
    ]  # fmt: skip
    filters = ("effects", "cluster", "attribute", "group", *(["class"] if several else []))
    filters += ("metric",)
    columns = (*filters, "value", "interval", "by chance", "chance band", "rows", "note")
    note = 'Group "all": the whole table, or a disparity over the attribute\'s groups.'
    if len(evidence.by_cluster):
        number = len(set(evidence.by_cluster["clusters"]))
        which = f"The {MOST_CLUSTERS} clusters with most rows" if number >= MOST_CLUSTERS else (
            "Clusters")  # fmt: skip
        note += f" {which} also have lines of their own, of the mixed predictions."
    first = str(evidence.report["clusters"].iloc[0])
    start = (("effects", "mixed"), ("cluster", first))
    return FilteredGrid(EVERY_LINE, columns, tuple(rows), note, True, filters, start)


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


# --- ethical considerations ---------------------------------------------------------------------


def _ethics(evidence: CardEvidence, verdicts: list[Part]) -> Iterator[Finding]:
    design = evidence.estimator.design_
    inputs = {term.column for term in design.terms}
    for attribute in design.attributes:
        used = [column for column in attribute.columns if column in inputs]
        seen = "an input of the network" if used else "not an input of the network"
        text = f"protected; {seen}, whose other inputs may still tell it."
        yield Finding(listed_name(attribute.name), text)
    if not design.attributes:
        yield Finding("", "No attribute was protected in training.", "warn")
    for part in verdicts:
        yield from (item for item in part.items if item.tone == "warn")  # type: ignore[union-attr]
    yield Finding(
        "",
        "No single number says that a model is fair: rates, calibration and predictions cannot "
        "all be equal where outcomes differ between groups. Choose with those concerned.",
    )
