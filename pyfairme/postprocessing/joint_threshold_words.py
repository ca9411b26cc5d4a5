"""What joint thresholds say of themselves in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.group_reading import INFERRED, PARTLY
from pyfairme.postprocessing.joint_threshold_tables import MEASURED, above, threshold
from pyfairme.postprocessing.threshold_rules import cut_text

if TYPE_CHECKING:
    from pyfairme.postprocessing.joint_thresholds import JointThresholds

RATE_NAMES = {
    "tpr": "true positive rates",
    "fpr": "false positive rates",
    "selection_rate": "selection rates",
}


def description(policy: JointThresholds, names: list[str], way: str, measure: str) -> str:
    """Say what is decided how, and what is needed to predict; ``names`` are the attributes'."""
    who = ", ".join(map(repr, names))
    head = f"One threshold from all of {who}.\n" + {
        INFERRED: f"INFERS {who} from covariates: no row to predict needs it.",
        PARTLY: f"NEEDS THE SENSITIVE ATTRIBUTES: {who}; infers them where a row's are missing.",
    }.get(way, f"NEEDS THE SENSITIVE ATTRIBUTES: {who} of every row to predict.")
    if not hasattr(policy, "thresholds_"):
        return f"{head}\nNot fitted yet."
    sure = "surely " if way == INFERRED else ""
    lines = [
        f"- {sure}{line['attribute']} = {line['group']} ({line['n']} rows): "
        f"{above(line['threshold'])} where no other attribute adds anything"
        for line in policy.thresholds_.to_dict("records")
    ]
    kept = [
        f"{MEASURED[measure]} of {RATE_NAMES[line['rate']]} over {line['attribute']}: "
        f"{line['before']:.3f} to {line['after']:.3f} (limit {line['limit']:.3g})"
        f"{_observed(line)}"
        for line in policy.rates_.to_dict("records")
    ]
    name = policy.objective.replace("_", " ")
    one, curve = threshold(*policy.weights_without_groups()), policy.calibration_
    if curve is not None and not policy.corrects:
        one = curve.given_at(one)
    how = "" if curve is None else ", calibrated by isotonic regression before rates are expected"
    how += ", corrected for groups that are known" if policy.corrects else ""
    end = (
        f"Expected loss of {name}: {policy.loss_:.4f} (least possible {policy.least_loss_:.4f}), "
        f"from that of one threshold, p > {cut_text(float(one))}.\n"
        f"p: {policy_inputs.source_of(policy)}{how}. {policy_inputs.positive_of(policy)} "
        f"Chosen on {policy.n_rows_} rows; {policy.coins_:.1%} of them are decided at random."
    )
    return "\n".join([head, *lines, *kept, end])


def _observed(line: dict) -> str:
    low, high = line.get("observed_low"), line.get("observed_high")
    if low is None or low != low:
        return ""
    return f"; observed {line['observed_after']:.3f}, 90 % interval {low:.3f} to {high:.3f}"
