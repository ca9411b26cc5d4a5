"""The guide that "auto" takes, and what is known of a second stage that breaks down."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.inference import fit_program as train_module
from pyfairme.inference.diagnostics import diagnostics
from pyfairme.inference.fit_program import train
from pyfairme.inference.laplace import second_stage as finish_module
from pyfairme.inference.laplace.importance_sampling import Weighed
from pyfairme.inference.laplace.second_stage import (
    PosteriorWarning,
    broken_down,
    choose_guide,
    finish,
)
from pyfairme.inference.svi import Schedule
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.program import ModelSpec
from tests.inference import one_way
from tests.inference.test_diagnostics import LABELS

ROWS = one_way.make_rows()
MANY = ROWS._replace(cluster=np.zeros((3000, 1), np.int32), weight=np.ones(3000, np.float32))
ONE = ModelSpec(Normal(), 1, factors=(RandomEffects("g", 1),))


def test_auto_counts_a_binary_row_by_what_it_tells():
    """300 rows of p = .5 tell 75 of the 100 asked for, 900 rows of p = .2 tell 144."""
    binary = ModelSpec(Bernoulli(), 1, factors=(RandomEffects("g", 1),))
    for rows, share, guide in ((300, 0.5, "block"), (900, 0.2, "mean_field"), (900, 0.1, "block")):
        some = Batch(*(None if part is None else part[:rows] for part in MANY))
        y = (np.arange(rows) < share * rows).astype(np.float32)
        assert choose_guide(binary, some._replace(y=y)) == guide


@pytest.mark.parametrize(
    ("spec", "rows", "guide"),
    [
        (replace(ONE, factors=(RandomEffects("g", 8),)), ROWS, "block"),  # few rows per cluster
        (ONE, MANY, "mean_field"),
        (replace(ONE, last_layer=True), MANY, "block"),
        (ModelSpec(Normal(), 2, last_layer=True), MANY, "block"),  # no factor
        (ModelSpec(Normal(), 2), MANY, "mean_field"),
    ],
)
def test_auto_takes_block_for_small_clusters_and_latent_fixed_effects(spec, rows, guide):
    assert choose_guide(spec, rows) == guide


@pytest.mark.parametrize(
    ("columns", "rows", "advice"),
    [(10, 100_001, "give guide='block' .* or call refine"), (3000, 3000, "cannot hold so many")],
)
def test_latent_fixed_effects_without_block_are_warned_of(columns, rows, advice):
    spec = ModelSpec(Normal(), columns, last_layer=True)
    text = rf"takes the fixed effects of network_posterior='last_layer' as independent.*{advice}"
    with pytest.warns(PosteriorWarning, match=text):
        assert choose_guide(spec, MANY._replace(weight=np.ones(rows))) == "mean_field"


@pytest.mark.parametrize(
    ("k", "ess", "text"),
    [
        (0.9, 0.1, r"is 0\.90, above 0\.7, and only 10% .* fewer than 25%: the guide"),
        (0.3, 0.01, r"is 0\.30, and only 1\.0% .* fewer than 2%: the guide"),
    ],
)
def test_weights_that_do_not_stand_for_the_posterior_are_warned_of(k, ess, text):
    with pytest.warns(PosteriorWarning, match=text):
        finish_module._warn(Weighed({}, k, ess, np.zeros(3)))


def test_weights_that_do_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finish_module._warn(Weighed({}, 0.3, 0.03, np.zeros(3)))


@pytest.mark.slow
def test_one_member_that_breaks_down_leaves_the_fit_and_is_not_ok(monkeypatch):
    """The other member keeps its own; the broken one has draws of the first stage and k = inf."""
    calls = []

    def second_breaks(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise FloatingPointError("singular")
        return finish(*arguments)

    monkeypatch.setattr(train_module, "finish", second_breaks)
    schedule = Schedule(epochs=1, min_steps=100, batch_size=64)
    with pytest.warns(PosteriorWarning, match=r"guide='block' broke down \(singular\)"):
        found = train(
            one_way.SPEC, "block", ROWS, None, one_way.OBJECTIVE, schedule,
            seed=0, members=2, infer=False,
        )  # fmt: skip
    quality = found.fit.quality
    assert quality["pareto_k"][0] < 0.7
    assert quality["pareto_k"][1] == np.inf
    assert (quality["pareto_k/g"][1] == np.inf).all()
    table = diagnostics(found.fit, LABELS)
    assert table.loc[table["member"] == 0, "ok"].all()
    assert not table.loc[table["member"] == 1, "ok"].any()
    assert len(found.fit.draws["g_intercept"]) == 2


def test_a_broken_member_has_the_measures_of_the_others():
    names = {"pareto_k", "relative_ess", "pareto_k/g"}
    assert set(broken_down(one_way.SPEC, one_way.OBJECTIVE)) == names
    assert set(broken_down(ModelSpec(Normal(), 2, last_layer=True), one_way.OBJECTIVE)) == names - {
        "pareto_k/g"
    }
    large = broken_down(replace(ONE, factors=(RandomEffects("g", 5000),)), one_way.OBJECTIVE)
    assert large["pareto_k/g"].shape == (1000,)  # as many as are judged
