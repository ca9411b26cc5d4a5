"""Which cells each table of the paper's supplement has, as its text describes them."""

from __future__ import annotations

from dataclasses import dataclass

from pyfairme.paper.published_values import paper_dataset

RATES = ("tpr_sd", "fpr_sd")
PARITY = ("demographic_parity", "counterfactual_gap")
ERRORS = ("mse_sd", *PARITY)
DISPARITY_METRICS = ("tpr_sd", "fpr_sd", "mse_sd", *PARITY)  # the paper's, of either task
ACCURACY = ("auroc", "balanced_accuracy", "log_loss", "brier")
FIT = ("mse", "r2", "log_predictive_density")
ACL = ("da", "da_acl", "medl", "medl_acl")
AGAINST = (("medl_adb", "da_adb"), ("medl_adb", "nnet_adb"))
ABLATION = ("nnet", "nnet_adb", "da", "da_adb", "medl", "medl_adb")


@dataclass(frozen=True)
class TableLayout:
    """One table: models x effects in rows, blocks for seen and unseen clusters.

    Attributes
    ----------
    number
        Its number in the supplement; empty where the paper has no such table.
    slug
        Part of the file's name.
    title
        Heading.
    metrics
        One column for each of these and each sensitive attribute.
    overall
        One column for each of these, at the right.
    variants
        Models that it has, in this order; empty: all of the results.
    against
        Further pairs (model, baseline) that get a row of their own, where tested.
    """

    number: str
    slug: str
    title: str
    metrics: tuple[str, ...] = ()
    overall: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    against: tuple[tuple[str, str], ...] = ()


def _rates(number: str) -> TableLayout:
    title = "Equalized odds: spread of the true- and false-positive rates"
    return TableLayout(number, "equalized_odds", title, RATES)


def _parity(number: str) -> TableLayout:
    title = "Demographic parity and counterfactual gap"
    return TableLayout(number, "parity_counterfactual", title, PARITY)


def _accuracy(number: str) -> TableLayout:
    return TableLayout(number, "accuracy", "Accuracy", overall=ACCURACY)


def _errors(number: str) -> TableLayout:
    title = "Spread of the error, demographic parity and counterfactual gap"
    return TableLayout(number, "fairness", title, ERRORS)


def _fit(number: str) -> TableLayout:
    return TableLayout(number, "accuracy", "Accuracy", overall=FIT)


PAPER = {
    "adult": (
        _rates("S8"),
        _parity("S9"),
        _accuracy("S10"),
        TableLayout("S16", "acl_equalized_odds", "Absolute correlation loss: equalized odds", RATES,
               variants=ACL),
        TableLayout("S17", "acl_parity_counterfactual", "Absolute correlation loss: parity and "
               "counterfactual gap", PARITY, variants=ACL),
        TableLayout("S18", "ablation", "Ablation: the full model and its parts", RATES,
               overall=("balanced_accuracy",), variants=ABLATION,
               against=AGAINST),
    ),
    "ipums": (_rates("S11"), _parity("S12"), _accuracy("S13")),
    "heritage": (_fit("S14"), _errors("S15")),
}  # fmt: skip
OTHER = {
    "classification": (_rates(""), _parity(""), _accuracy("")),
    "regression": (_fit(""), _errors("")),
}


def layouts(dataset: str, metrics: tuple[str, ...]) -> tuple[TableLayout, ...]:
    """Return the tables of a data set: the supplement's, or the like without numbers.

    Parameters
    ----------
    dataset
        Our name of it.
    metrics
        Metrics in its results; they tell its task.

    Examples
    --------
    >>> [table.number for table in layouts("heritage", ("mse", "mse_sd"))]
    ['S14', 'S15']
    """
    task = "regression" if "mse" in metrics else "classification"
    return PAPER.get(paper_dataset(dataset), OTHER[task])
