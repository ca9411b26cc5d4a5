"""What a fitted estimator can become: refined by NUTS, adapted to new clusters."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.estimators.fairness_weight import update_strengths
from pyfairme.estimators.refine_and_adapt import (
    FairnessWarning,
    PosteriorWarning,
    _training_rows,
    _warn_of_sampling,
    members,
)

FEW = {"draws": 50, "chains": 2, "warmup": 100, "progress": False}
PENALTY = {"fairness_weight": 2.0, "fairness_on": ("mixed",)}


def recorded(make):
    """Return what is made, and the warnings on the way by category."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make()
    return made, {item.category: str(item.message) for item in caught}


@pytest.fixture(scope="module")
def refined(clf):
    return recorded(lambda: clf.refine(**FEW))


@pytest.mark.long
def test_refine_says_where_it_is_and_draws_the_same(refined, clf, capsys):
    again, _ = recorded(lambda: clf.refine(**{**FEW, "progress": True}))
    *stages, last = capsys.readouterr().err.splitlines()
    assert stages == [
        "refine: encoding",
        "refine: guide",
        "refine: compiling: once for each shape of table",
        "refine: sampling, 150 steps",
        "refine: diagnostics",
    ]
    assert last.startswith("refine: done in ")
    assert again.posterior_["posterior"].equals(refined[0].posterior_["posterior"])


@pytest.fixture(scope="module")
def adapted(clf, binary):
    return recorded(lambda: clf.adapt(binary.unseen, binary.y_unseen))[0]


@pytest.fixture(scope="module")
def bare(classifier, binary):
    """A model without latent variables."""
    return classifier(random_intercepts=False, min_steps=1).fit(binary.X, binary.y)


# NUTS -------------------------------------------------------------------------------------------


def posterior_of(estimator):
    return estimator.posterior_["posterior"]


@pytest.mark.long
def test_a_model_without_covariates_has_draws_for_every_member(binary):
    """Its last layer's weights are an array without elements."""
    reg = pf.FairMixedEffectsRegressor(
        "cluster", cluster_weight=0, fixed_weight=0, min_steps=10, epochs=1, progress=False,
        unseen="population", guide="mean_field", network_posterior="last_layer", hidden=(),
    )  # fmt: skip
    fit = reg.fit(binary.X[["cluster"]], np.arange(len(binary.X)) % 7.0).fit_
    ((_, draws),) = members(fit)
    empty = [name for name, value in fit.draws.items() if not value.size]
    assert empty
    assert {name: draws[name].shape for name in empty} == {
        name: fit.draws[name].shape[1:] for name in empty
    }


def test_refine_gives_chains_and_draws(refined, clf):
    estimator, _ = refined
    assert type(estimator) is type(clf)
    sizes = posterior_of(estimator).sizes
    assert (sizes["chain"], sizes["draw"]) == (2, 50)
    assert posterior_of(clf).sizes["chain"] == 1  # the first one is as it was
    assert estimator.get_params() == clf.get_params()


def test_refine_reports_on_its_chains(refined, clf):
    table = refined[0].diagnostics_
    assert list(table.columns) == [
        "parameter", "cluster", "member", "measure", "value", "limit", "ok", "note",
    ]  # fmt: skip
    assert set(table["measure"]) == {
        "divergences", "r_hat", "ess_bulk", "ess_tail", "prior_sensitivity",
    }  # fmt: skip
    judged = table[table["measure"] == "r_hat"]
    assert set(judged["parameter"]) == {"cluster_intercept_sd", "cluster_intercept"}
    assert (judged["value"] < 1.2).all()
    (without,) = clf.diagnostics_.to_dict("records")  # mean field has none
    assert (without["measure"], without["ok"]) == ("none", False)
    assert "refine(), or guide='block'" in without["note"]


def test_few_draws_are_warned_of(refined):
    text = refined[1][PosteriorWarning]
    assert text.startswith("NUTS: ")
    assert "take more draws" in text or "double warmup and draws" in text


@pytest.mark.parametrize(
    ("quality", "text"),
    [
        (
            {"divergences": [2, 1]},
            r"^NUTS: 3 draws diverged.*prior_scale.* more clusters\. \[nuts\]$",
        ),
        (
            {"divergences": [0], "rhat/a": [1.005], "rhat/b": [1.3], "ess/b": [50.0]},
            r"^NUTS: R-hat of b is 1\.300, above 1\.01: the chains do not agree; double warmup",
        ),
        (
            {"divergences": [0], "rhat/a": [1.0], "ess/a": [399.0], "ess/b": [120.0]},
            r"^NUTS: b has an effective sample size of 120, below 400: take more draws\. \[nuts\]$",
        ),
        (
            {"divergences": [0], "rhat/a": [1.0], "ess/a": [900.0], "ess_tail/a": [90.0]},
            r"^NUTS: the tails of a has an effective sample size of 90, below 400: take more",
        ),
        (
            {"divergences": [0, 0], "rhat/a": [1.0, np.nan], "ess/a": [900.0, np.nan]},
            r"^NUTS: no chain of a has moved, so the draws say nothing: .* warmup\. \[nuts\]$",
        ),
    ],
)
def test_warnings_say_what_to_do(quality, text):
    with pytest.warns(PosteriorWarning, match=text):
        _warn_of_sampling({name: np.array(value) for name, value in quality.items()})


def test_good_chains_are_not_warned_of():
    good = {"divergences": [0], "rhat/a": [1.001], "ess/a": [900.0]}
    _warn_of_sampling({name: np.array(value) for name, value in good.items()})


@pytest.mark.slow
def test_refine_of_every_member_gives_chains_of_its_own(classifier, binary):
    pair = classifier(ensemble=2, min_steps=20).fit(binary.X, binary.y)
    estimator, _ = recorded(lambda: pair.refine(**FEW))
    assert posterior_of(estimator).sizes["chain"] == 4
    network = estimator.fit_.network[0].weight
    np.testing.assert_array_equal(network[0], network[1])
    assert np.abs(network[1] - network[2]).max() > 0
    assert len(estimator.predict(binary.test)) == len(binary.test)


@pytest.mark.long
def test_refining_again_keeps_the_number_of_members(refined, clf):
    first = refined[0]
    again, _ = recorded(lambda: first.refine(draws=20, chains=3, warmup=50, progress=False))
    assert posterior_of(again).sizes["chain"] == 3
    assert len(again.fit_.centre) == 3
    assert set(again.diagnostics_["member"]) == {0}
    np.testing.assert_array_equal(again.fit_.network[0].weight[2], clf.fit_.network[0].weight[0])


@pytest.mark.slow
def test_a_fairness_term_keeps_the_groups_together(classifier, binary):
    """Refining a penalised fit undoes some of it; the term holds on to it."""
    fair = classifier(**PENALTY).fit(binary.X, binary.y)
    plain, _ = recorded(lambda: fair.refine(**FEW))
    kept, _ = recorded(lambda: fair.refine(**FEW, fairness_weight=10))
    for one in (plain, kept):
        assert list(one.disparity_.columns) == [
            "attribute", "before", "after", "change", "low", "high",
        ]  # fmt: skip
    assert (kept.disparity_["before"] == plain.disparity_["before"]).all()
    assert kept.disparity_["after"].item() < plain.disparity_["after"].item()


def test_refine_needs_the_training_rows_after_load(clf, binary, tmp_path):
    clf.save(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme")
    with pytest.raises(ValueError, match=r"refine needs the training rows.*refine\(X=X, y=y\)"):
        loaded.refine()
    given = _training_rows(loaded, binary.X, binary.y, None)
    kept = _training_rows(clf, None, None, None)
    assert len(given.y) == 400
    # validation rows were left out of training: the rest are the same rows, in whatever order
    everything = {tuple(row) for row in np.column_stack([given.x, given.y, given.cluster])}
    training = {tuple(row) for row in np.column_stack([kept.x, kept.y, kept.cluster])}
    assert training < everything
    with pytest.raises(ValueError, match="X has 400 rows, y has 3"):
        _training_rows(loaded, binary.X, binary.y[:3], None)


def test_refine_refuses_what_it_cannot_do(clf, bare):
    with pytest.raises(ValueError, match="refine samples latent variables, and this model has non"):
        bare.refine()
    with pytest.raises(ValueError, match="Invalid value of chains: 0"):
        clf.refine(chains=0)
    with pytest.raises(ValueError, match=r"at least 10 draws per chain to diagnose them, g"):
        clf.refine(draws=9)
    with pytest.raises(ValueError, match=r"fairness_weight=2 needs sensitive attributes"):
        update_strengths(2, ())
    with pytest.raises(ValueError, match=r"names the penalties \['decision'\], and an update has"):
        clf.refine(fairness_weight={"decision": 1.0})
    with pytest.raises(ValueError, match=r"fairness_weight names \['age'\], which are neither"):
        clf.refine(fairness_weight={"age": 1.0})


@pytest.mark.parametrize("method", ["refine", "adapt"])
def test_updates_need_the_prior(method, clf, binary):
    flat = copy.copy(clf)  # as if it had been fitted so
    flat.kl_weight = 0
    flat._fitted_params = {**clf._fitted_params, "kl_weight": 0}
    rows = (binary.unseen, binary.y_unseen) if method == "adapt" else ()
    expected = rf"{method} needs kl_weight > 0, and .* kl_weight=0: .*kl_weight=1\. \[prior-off\]$"
    with pytest.raises(ValueError, match=expected):
        getattr(flat, method)(*rows)


@pytest.mark.slow
def test_few_draws_are_judged_without_noise_of_numpy(clf):
    few, said = recorded(lambda: clf.refine(draws=10, chains=1, warmup=50, progress=False))
    assert set(said) == {PosteriorWarning}
    values = few.diagnostics_["value"]
    assert np.isfinite(values).all()
    assert not few.diagnostics_["ok"].all()


@pytest.mark.long
def test_refine_after_adapt_knows_the_rows_of_the_new_clusters(adapted, clf, binary, tmp_path):
    """What adapt learned stays. (The scale of 200 steps is far too small, and NUTS mends it.)"""
    kept = _training_rows(adapted, None, None, None)
    assert len(kept.y) == len(_training_rows(clf, None, None, None).y) + len(binary.unseen)
    both, _ = recorded(lambda: adapted.refine(draws=300, chains=2, warmup=200, progress=False))
    new = list(dict.fromkeys(binary.unseen["cluster"]))
    one, other = (e.cluster_effects_.set_index("cluster").loc[new] for e in (adapted, both))
    # under a scale of .5 instead of 1.1 they are about an SD nearer to 0
    assert (np.abs(one["mean"] - other["mean"]) < 1.3 * other["sd"]).all()
    assert (other["mean"] > 3 * other["sd"]).all()  # with its bare prior it would be near 0
    adapted.save(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme")
    X, y = pd.concat([binary.X, binary.unseen]), pd.concat([binary.y, binary.y_unseen])
    given = _training_rows(loaded, X, y, None)
    assert (np.bincount(given.cluster[:, 0]) > 0).all()
    text = rf"refine got no rows of {len(new)} known clusters of 'cluster': .*{new[0]}.* adapted to"
    with pytest.warns(PosteriorWarning, match=text):
        _training_rows(loaded, binary.X, binary.y, None)
    with pytest.raises(
        ValueError, match=rf"clusters of 'cluster' that the model does not know: .*{new[0]}"
    ):
        _training_rows(clf, X, y, None)


# The block guide --------------------------------------------------------------------------------


@pytest.mark.long
def test_block_leaves_penalised_effects_where_they_were(classifier, binary):
    """The second stage starts from the same first stage, and keeps a penalty's pull."""
    first, second = (
        classifier(guide=guide, **PENALTY, min_steps=2000).fit(binary.X, binary.y)
        for guide in ("mean_field", "block")
    )
    one, other = first.cluster_effects_, second.cluster_effects_
    assert list(one["cluster"]) == list(other["cluster"])
    # it starts where the first stage ends, which is not quite its mode: a third of an SD
    assert ((one["mean"] - other["mean"]).abs() < 0.34 * other["sd"]).all()
    np.testing.assert_array_equal(first.fit_.network[0].weight, second.fit_.network[0].weight)


@pytest.mark.long
def test_block_invents_nothing_where_the_first_stage_has_not_converged(classifier, binary):
    """A penalty too weak to matter holds no effect where few steps have left it."""
    weak = {"fairness_on": ("mixed",), "guide": "block", "min_steps": 20}
    one, other = (
        classifier(fairness_weight=weight, **weak).fit(binary.X, binary.y).cluster_effects_
        for weight in (0.0, 1e-6)
    )
    assert one["mean"].abs().max() > one["sd"].mean()
    assert ((one["mean"] - other["mean"]).abs() < 0.1 * one["sd"]).all()


def test_block_needs_the_prior(classifier, binary):
    with pytest.raises(ValueError, match=r"guide='block' needs kl_weight > 0.*guide='mean_field'"):
        classifier(guide="block", kl_weight=0).fit(binary.X, binary.y)


# New clusters -----------------------------------------------------------------------------------


def test_adapt_knows_new_clusters_and_the_old_ones_as_before(adapted, clf, binary):
    new = set(binary.unseen["cluster"])
    effects = adapted.cluster_effects_.set_index("cluster")
    assert new <= set(effects.index)
    assert new.isdisjoint(clf.cluster_effects_["cluster"])
    before = clf.cluster_effects_.set_index("cluster")
    pd.testing.assert_frame_equal(effects.loc[before.index], before)
    np.testing.assert_allclose(
        adapted.predict_proba(binary.test), clf.predict_proba(binary.test), atol=1e-6
    )


@pytest.mark.long
def test_diagnostics_after_adapt_name_the_clusters_of_the_fit(classifier, binary):
    block = classifier(guide="block", min_steps=50, fairness=None).fit(binary.X, binary.y)
    grown, _ = recorded(lambda: block.adapt(binary.unseen, binary.y_unseen))
    each = [e.diagnostics_.query("cluster != ''").set_index("cluster") for e in (block, grown)]
    pd.testing.assert_series_equal(each[1].loc[each[0].index, "value"], each[0]["value"])
    assert set(each[1].index) - set(each[0].index) <= set(binary.unseen["cluster"])


def test_adapt_says_where_it_is(clf, binary, capsys):
    talking = copy.copy(clf).set_params(progress=True)
    recorded(lambda: talking.adapt(binary.unseen, binary.y_unseen))
    *stages, last = capsys.readouterr().err.splitlines()
    assert stages == [f"adapt: {stage}" for stage in ("encoding", "posterior", "diagnostics")]
    assert last.startswith("adapt: done in ")


def test_adapt_makes_better_predictions_of_the_new_clusters(adapted, clf, binary):
    truth = binary.y_unseen.to_numpy() == clf.classes_[1]
    losses = []
    for estimator in (clf, adapted):
        p = np.asarray(estimator.predict_proba(binary.unseen))[:, 1]
        losses.append(-np.log(np.where(truth, p, 1 - p)).mean())
    assert losses[1] < losses[0]


def test_kl_weight_is_the_share_of_the_rows_that_adapt_counts(adapted, clf, binary):
    """The target is that of refine: likelihood^(1 / kl_weight) times the prior."""
    wary, half = copy.copy(clf), np.full(len(binary.unseen), 0.5)
    wary.kl_weight = 2.0
    wary._fitted_params = {**clf._fitted_params, "kl_weight": 2.0}  # as if it was fitted with it
    found, _ = recorded(lambda: wary.adapt(binary.unseen, binary.y_unseen))
    same, _ = recorded(lambda: clf.adapt(binary.unseen, binary.y_unseen, sample_weight=half))
    name = "cluster_intercept"
    np.testing.assert_allclose(found.fit_.draws[name], same.fit_.draws[name], atol=1e-5)
    new = np.s_[:, :, clf.fit_.draws[name].shape[2] :]
    spread = [f.fit_.draws[name][new].std(axis=1).mean() for f in (adapted, found)]
    assert spread[1] > 1.05 * spread[0]  # nearer to the prior, which is wider


def test_adapted_estimators_are_saved_and_loaded(adapted, binary, tmp_path):
    adapted.save(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme")
    for rows in (binary.unseen, binary.test):
        np.testing.assert_array_equal(loaded.predict_proba(rows), adapted.predict_proba(rows))
    with pytest.raises(ValueError, match="every row's cluster is known"):
        loaded.adapt(binary.unseen, binary.y_unseen)


def test_adapt_refuses_rows_of_known_clusters(clf, binary):
    with pytest.raises(ValueError, match=r"adapt found no new cluster in 'cluster': every row's"):
        clf.adapt(binary.test, binary.y_test)
    both = pd.concat([binary.test[:5], binary.unseen])
    y = pd.concat([binary.y_test[:5], binary.y_unseen])
    with pytest.raises(ValueError, match=r"adapt got rows of known clusters of 'cluster' too: \["):
        clf.adapt(both, y)
    with pytest.raises(ValueError, match=rf"X has {len(binary.unseen)} rows, y has 4"):
        clf.adapt(binary.unseen, binary.y_unseen[:4])


def test_adapt_needs_random_effects(bare, binary):
    with pytest.raises(ValueError, match="adapt learns the random effects of new clusters, and th"):
        bare.adapt(binary.unseen, binary.y_unseen)


@pytest.fixture(scope="module")
def crossed(binary):
    """A model of two crossed factors, and rows of new clusters of the first one."""
    items = [f"i{i % 4}" for i in range(len(binary.X))]
    both = pf.FairMixedEffectsClassifier(
        cluster=["cluster", "item"], hidden=(), fairness=None, guide="mean_field", min_steps=1,
        epochs=1, unseen="population", progress=False, random_state=0,
    )  # fmt: skip
    both.fit(binary.X.assign(item=items), binary.y)
    return both, binary.unseen.assign(item=items[: len(binary.unseen)])


@pytest.fixture(scope="module")
def in_turn(crossed, binary):
    """Rows of new clusters and of a new item, and which of them are new in one factor alone."""
    _, new = crossed
    item, known = new["item"].to_numpy(dtype=object), np.arange(len(new)) % 10 == 9
    item[:9] = item[known] = "i9"
    mixed = new.assign(item=item)
    mixed.loc[known, "cluster"] = binary.X["cluster"].iloc[0]
    return mixed, item != "i9"


@pytest.mark.long
def test_adapt_says_in_which_order_factors_are_learned(crossed, in_turn, binary):
    both, new = crossed
    rows = len(new)
    said = rf"one factor at a time\. {rows} of {rows} rows are of .*\[adapt-one-factor\]"
    with pytest.raises(ValueError, match=said):
        both.adapt(new.assign(item="i9"), binary.y_unseen)
    mixed, first = in_turn[0].copy(), in_turn[1]
    said = rf"first to the {first.sum()} .* 'cluster' alone, then to the {(~first).sum()} rows"
    with pytest.raises(ValueError, match=rf"{said} .* 'item' alone, .* call before\. \[adapt-o"):
        both.adapt(mixed, binary.y_unseen)
    mixed.iloc[0, [*mixed.columns].index("cluster")] = "alone"  # and its item is told by others
    with pytest.raises(
        ValueError, match=r"then to the 1 rows .* 'cluster' alone, .* call before\. \["
    ):
        both.adapt(mixed, binary.y_unseen)
    mixed.iloc[0, [*mixed.columns].index("item")] = "alone too"
    with pytest.raises(ValueError, match=rf"\. 1 of {rows} rows are .* leave these rows out"):
        both.adapt(mixed, binary.y_unseen)


@pytest.mark.slow
def test_adapt_learns_one_factor_after_the_other(crossed, in_turn, binary):
    both, _ = crossed
    mixed, first = in_turn
    found, _ = recorded(lambda: both.adapt(mixed[first], binary.y_unseen[first]))
    added = found.cluster_effects_.merge(both.cluster_effects_, how="left", indicator=True)
    added = added[added["_merge"] == "left_only"]
    assert set(added["factor"]) == {"cluster"}
    assert set(added["cluster"]) == set(mixed["cluster"][first])
    last, _ = recorded(lambda: found.adapt(mixed[~first], binary.y_unseen[~first]))
    assert "i9" in set(last.cluster_effects_["cluster"])


@pytest.fixture(scope="module")
def apart(binary):
    """Rows of new clusters, each of one group, whose outcomes are far apart."""
    group = binary.test["group1"]
    levels = sorted(group.unique())
    rate = np.where(group == levels[0], 0.9, 0.1)
    truth = np.random.default_rng(0).random(len(group)) < rate
    y = pd.Series(np.where(truth, *sorted(binary.y.unique())[::-1]), index=binary.test.index)
    return binary.test.assign(cluster="new " + group.astype(str)), y


@pytest.mark.long
def test_groups_that_drift_apart_are_warned_of(clf, apart):
    text = r"further apart than before: group1 0\.\d+ -> 0\.\d+ .*fairness_weight="
    with pytest.warns(FairnessWarning, match=text):
        plain = clf.adapt(*apart)
    found = plain.disparity_.iloc[0]
    assert found["attribute"] == "group1"
    assert found["change"] == pytest.approx(found["after"] - found["before"])
    assert 0 < found["low"] <= found["change"] <= found["high"]
    kept, _ = recorded(lambda: clf.adapt(*apart, fairness_weight=5))
    assert kept.disparity_["after"].item() < 0.5 * found["after"]


def test_groups_that_stay_together_are_not_warned_of(clf, apart, binary):
    """Outcomes that do not depend on the group: no warning becomes an error here."""
    X = apart[0].assign(cluster=np.where(np.arange(len(apart[0])) % 2, "new a", "new b"))
    middle = clf.adapt(X, binary.y_test)
    assert middle.disparity_["low"].item() <= 0
