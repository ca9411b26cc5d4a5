"""One cell of a table: ours with interval, change against the baseline, and the paper's."""

from __future__ import annotations

from pyfairme.paper.published_values import paper_cell
from pyfairme.paper.study_lines import Lines, change, number, p_value

LEGEND = """\
How to read a cell:

- first line: our value, in brackets its bootstrap interval;
- second line: change against the model named in the column *against*; then two Holm-corrected p
  values of that difference: paired bootstrap, and corrected resampled t-test over folds;
- `~`: not resolvable: the baseline lies inside the band that equal groups would show by chance;
- last line: the paper's value, in brackets its change; `-` where it is not published, `fell` or
  `rose` where it says so without a number, `*` where we computed the change from its values, points
  are hundredths.

Disparities, losses and errors: lower is better. AUROC, accuracies, R2 and log predictive density:
higher is better. Every number is in the tidy tables of the study as well.
"""
BREAK = "<br>"


def cell(lines: Lines, key: tuple[str, ...], baseline: str) -> str:
    """Return the text of one cell.

    Parameters
    ----------
    lines
        Results and tests.
    key
        Dataset, variant, effects, clusters, attribute, metric.
    baseline
        The model that it is read against; empty for none.
    """
    line = lines.results.get(key)
    ours = "-" if line is None else interval(line["value"], line["low"], line["high"])
    parts = [ours, _against(lines, key, baseline), _paper(key, baseline)]
    return BREAK.join(part for part in parts if part)


def interval(value: float, low: float, high: float) -> str:
    """Return a value with its interval.

    Examples
    --------
    >>> interval(0.0974, 0.081, 0.1123), interval(2.5, float("nan"), float("nan"))
    ('.097 (.081, .112)', '2.500')
    """
    if low != low or high != high:
        return number(value)
    return f"{number(value)} ({number(low)}, {number(high)})"


def _against(lines: Lines, key: tuple[str, ...], baseline: str) -> str:
    test = lines.test(key, baseline)
    if test is None:
        return ""
    mark = "" if test["resolvable"] else " ~"
    bootstrap, folds = (p_value(test[f"p_{name}_holm"]) for name in ("bootstrap", "nadeau_bengio"))
    return f"{change(test['change_percent'])}{mark}; p {bootstrap}, {folds}"


def _paper(key: tuple[str, ...], baseline: str) -> str:
    found = paper_cell(key, baseline)
    value, percent = number(found.value), change(found.change_percent)
    if percent != "-":
        return f"paper: {value} ({percent}{'*' if found.derived else ''})"
    if found.direction == found.direction:
        return f"paper: {value} ({'fell' if found.direction < 0 else 'rose'})"
    if found.difference == found.difference:
        return f"paper: {value} ({100 * found.difference:+.2f} points)"
    return f"paper: {value}"
