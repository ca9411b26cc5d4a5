"""The protocol: who trains on what, what is kept, and what happens after a kill."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.datasets import Dataset
from pyfairme.study import add_probes
from pyfairme.study.crossval.checksummed_json import read_checked, with_checksum
from pyfairme.study.crossval.cross_validate import (
    CrossValidation,
    _parts,
    cross_validate,
    fingerprint,
)
from pyfairme.study.crossval.fits import FitPart, fit_part, lambdas, network_seed, with_roles
from pyfairme.study.crossval.kept_together import group_codes
from pyfairme.study.crossval.splits import judged_as_seen, seen_clusters, strata
from pyfairme.study.crossval.store import Key
from pyfairme.study.tuning.trials import pose_problem
from tests.study.small_study import LIGHT, light_models, small_data, small_models

ROOT = Path(__file__).parents[3]

KILLED = """
import sys
from tests.study.small_study import light_models, small_data
from pyfairme.study.crossval.cross_validate import cross_validate
if __name__ == "__main__":
    cross_validate(light_models(), small_data(), seen=4, folds=6, seeds=2, store=sys.argv[1],
                   n_jobs=int(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[CrossValidation, str]:
    """Two models, three folds, two seeds: the result, and the folder it is stored in."""
    folder = tmp_path_factory.mktemp("study") / "store"
    found = cross_validate(
        small_models(), small_data(), seen=4, folds=3, seeds=2, store=folder, n_boot=20
    )
    return found, str(folder)


def test_every_row_is_judged_once_per_seed_and_never_trained_on():
    data = small_data()
    seen = seen_clusters(data, 4)
    parts = _parts(data, seen, 5, seed=0)
    judged = np.sort(np.concatenate([part.judged for part in parts]))
    assert np.array_equal(judged, np.arange(600))
    known = data.frame["cluster"].isin(seen).to_numpy()
    for part in parts:
        assert known[part.training].all()
        assert not set(part.training) & set(part.judged)
        assert len(part.training) + known[part.judged].sum() == known.sum()
    again = _parts(data, seen, 5, seed=1)
    assert not np.array_equal(parts[0].judged, again[0].judged)


def with_patients() -> tuple[Dataset, np.ndarray]:
    """Patients with four visits each, in clusters that training sees and in others."""
    data = small_data()
    patients = np.random.default_rng(0).permutation(np.arange(600) // 4)
    frame = data.frame.assign(patient=patients)
    return replace(data, frame=frame), patients


def test_rows_of_a_group_are_never_both_trained_on_and_judged():
    data, patients = with_patients()
    seen = seen_clusters(data, 4)
    together = group_codes(data, "patient")
    parts = _parts(data, seen, 5, 0, together)
    judged = np.concatenate([part.judged for part in parts])
    assert np.array_equal(np.sort(judged), np.arange(600))
    for part in parts:
        assert not set(patients[part.training]) & set(patients[part.judged])
    problem = pose_problem(data, seen, 5, None, 0, together)
    aside = set(patients[problem.held_out])
    for part in problem.parts:
        trained, rows = set(patients[part.training]), set(patients[part.judged])
        assert not trained & rows
        assert not (trained | rows) & aside
    apart = _parts(data, seen, 5, 0)[0]
    assert set(patients[apart.training]) & set(patients[apart.judged])


def test_a_cluster_whose_rows_all_belong_together_is_judged_as_unseen():
    data = small_data()
    assert judged_as_seen(data, ()).all()
    assert not judged_as_seen(data, (), group_codes(data, "cluster")).any()
    first = data.frame["cluster"] == data.frame["cluster"].iloc[0]
    groups = group_codes(data, np.where(first, 0, np.arange(600)))
    assert np.array_equal(judged_as_seen(data, (), groups), ~first)


@pytest.mark.long
def test_what_a_fit_of_a_study_holds_out_are_whole_groups():
    data, patients = with_patients()
    seen, together = seen_clusters(data, 4), group_codes(data, "patient")
    part = _parts(data, seen, 5, 0, together)[0]
    model = fit_part(Key("nnet", 0, 0), with_roles(light_models()["nnet"], data), data, part)
    assert model._record.groups == len(set(patients[part.training]))
    X, y = data.frame.iloc[part.training], data.target.iloc[part.training]
    by_hand = clone(model).fit(X, y, groups=patients[part.training])
    rows = data.frame.iloc[part.judged]
    assert np.array_equal(by_hand.predict_proba(rows), model.predict_proba(rows))
    assert clone(model).fit(X, y)._record.groups is None
    searched = pose_problem(data, seen, 5, None, 0, together)
    for one in searched.parts:
        assert np.array_equal(one.groups, together[one.training])
    assert np.array_equal(searched.groups, together)


@pytest.mark.long
def test_a_store_is_of_one_choice_of_groups(tmp_path):
    data, patients = with_patients()
    keywords = {"folds": 3, "seeds": 1, "turns": 1, "store": tmp_path, "progress": False}
    found = cross_validate(light_models(), data, groups="patient", **keywords)
    judged = found.runs["nnet", 0].row
    assert set(patients[judged]).isdisjoint(np.delete(patients, judged))
    (run,) = cross_validate(
        light_models(), data, groups=patients.astype(str), **keywords
    ).runs.values()
    assert np.array_equal(run.row, judged)
    with pytest.raises(ValueError, match="other settings: groups differ"):
        cross_validate(light_models(), data, **keywords)


def test_groups_that_cannot_be_are_refused_before_the_first_fit():
    data, _ = with_patients()
    with pytest.raises(ValueError, match=r"'patent' is not in the frame. Did you mean 'patient'"):
        group_codes(data, "patent")
    with pytest.raises(ValueError, match=r"groups has 5 rows, and .* 600: .*\[other-length\]"):
        group_codes(data, np.arange(5))
    one = np.where(data.target == 1, 600, np.arange(600))
    with pytest.raises(ValueError, match=r"class 1 are of 1 groups, and none .*\[few-groups\]"):
        cross_validate(light_models(), data, groups=one, folds=3, seeds=1)


def test_folds_are_stratified_by_class_and_by_tenths_of_a_real_target():
    data = small_data()
    rates = [data.target.iloc[part.judged].mean() for part in _parts(data, (), 5, 0)]
    assert np.ptp(rates) < 0.02
    real = pf.datasets.make_clustered(rows=500, likelihood="normal", random_state=0)
    assert np.bincount(strata(real)).tolist() == [50] * 10
    means = [real.target.iloc[part.judged].mean() for part in _parts(real, (), 5, 0)]
    assert np.ptp(means) < 0.4 * real.target.std()


@pytest.mark.long
def test_the_frame_covers_models_seeds_and_both_kinds_of_clusters(study):
    found, _ = study
    frame = found.frame
    assert set(frame["variant"]) == {"medl", "medl_adb"}
    assert set(frame["clusters"]) == {"seen", "unseen"}
    assert set(frame["effects"]) == {"fixed", "random", "mixed"}
    assert (frame["seeds"] == 2).all()
    line = frame.query(
        "variant == 'medl' and effects == 'mixed' and metric == 'auroc' and clusters == 'seen'"
    )
    assert len(line) == 1
    by_hand = []
    from sklearn.metrics import roc_auc_score

    for seed in (0, 1):
        judged = found.runs["medl", seed].judged
        rows = judged.seen
        by_hand.append(roc_auc_score(judged.y[rows], judged.prediction["mixed"][rows]))
    assert line["value"].item() == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert line["sd_seeds"].item() == pytest.approx(np.std(by_hand, ddof=1), abs=1e-6)


@pytest.mark.long
def test_a_stored_fit_predicts_what_the_estimator_predicts(study):
    found, _ = study
    data = small_data()
    part = _parts(data, found.seen, 3, seed=1)[2]
    model = with_roles(clone(small_models()["medl_adb"]), data).set_params(
        random_state=network_seed(Key("medl_adb", 1, 2)), validation_fraction=0.5
    )
    model.fit(data.frame.iloc[part.training], data.target.iloc[part.training])
    expected = model.predict_proba(data.frame.iloc[part.judged])[:, 1]
    run = found.runs["medl_adb", 1]
    rows = np.isin(run.row, part.judged)
    assert (run.fold[rows] == 2).all()
    np.testing.assert_allclose(run.judged.prediction["mixed"][rows], expected, atol=1e-6)
    assert np.array_equal(run.judged.decision["mixed"][rows], (expected >= 0.4).astype(int))


@pytest.mark.long
def test_configurations_say_how_each_fit_was_made(study):
    found, folder = study
    fit = next(f for f in found.configurations if f["variant"] == "medl_adb")
    assert fit["lambdas"] == {
        "lambda_F": 0.5, "lambda_g": fit["parameters"]["cluster_weight"], "n lambda_K": 1.0,
        "lambda_FE": 0.3, "lambda_ME": 0.3,
    }  # fmt: skip
    assert fit["parameters"]["cluster"] == "cluster"
    assert fit["versions"]["jax"]
    assert fit["seconds_fit"] > 0
    assert len(found.configurations) == 12
    timings = found.timings
    assert len(timings) == 12
    assert (timings["rows"] > 200).all()
    assert sorted(Path(folder).rglob("*.parquet"))[0].name == "seed0-fold00.parquet"


@pytest.mark.long
def test_importance_is_averaged_within_seeds_then_over_them(study):
    found, _ = study
    table = found.importance.query("variant == 'medl' and effects == 'fixed'")
    fits = [f for f in found.configurations if f["variant"] == "medl"]
    shares = []
    for seed in (0, 1):
        mean = pd.DataFrame([f["importance"]["fixed"] for f in fits if f["seed"] == seed]).mean()
        shares.append(mean / mean.sum())
    share = pd.DataFrame(shares)
    expected = share.mean()[table["feature"]]
    np.testing.assert_allclose(table["share"], expected)
    np.testing.assert_allclose(table["share_sd"], share.std()[table["feature"]])
    assert table["share"].sum() == pytest.approx(1.0)


@pytest.mark.long
def test_a_second_call_fits_nothing_and_gives_the_same(study, capsys):
    found, folder = study
    before = {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*.*")}
    again = cross_validate(
        small_models(), small_data(), seen=4, folds=3, seeds=2, store=folder, n_boot=20,
        progress=True,
    )  # fmt: skip
    first, last = capsys.readouterr().err.splitlines()
    assert first == "study: fitting, 12 of 12 fits"
    assert last.startswith("study: done in ")
    assert {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*.*")} == before
    pd.testing.assert_frame_equal(again.frame, found.frame)


def test_more_turns_extend_a_store_and_give_importance_only(tmp_path):
    models, data = light_models(), small_data()
    shared = {"seen": 4, "folds": 3, "seeds": 2, "store": tmp_path, "n_boot": 0}
    part = cross_validate(models, data, turns=1, **shared)
    assert len(part.timings) == 2
    assert set(part.importance["seeds"]) == {2}
    with pytest.raises(ValueError, match="Only 1 of 3 rotations were evaluated"):
        part.frame  # noqa: B018
    done = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("seed*.json")}
    whole = cross_validate(models, data, **shared)
    assert len(whole.timings) == 6
    assert all(path.stat().st_mtime_ns == at for path, at in done.items())
    assert not whole.frame.empty


@pytest.mark.long
def test_what_a_study_sets_itself_does_not_make_another_fit(study):
    _, folder = study
    other = small_models()["medl"].set_params(random_state=5, progress=True)
    again = cross_validate(
        {"medl": other}, small_data(), seen=4, folds=3, seeds=2, store=folder, n_boot=0
    )
    assert again.configurations[0]["parameters"]["validation_fraction"] == 0.5
    assert again.configurations[0]["parameters"]["random_state"] != 5


def test_fits_of_other_versions_are_told(tmp_path):
    shared = {"seen": 4, "folds": 3, "seeds": 1, "store": tmp_path, "n_boot": 0}
    cross_validate(light_models(), small_data(), **shared)
    path = next(tmp_path.rglob("seed0-fold01.json"))
    record = read_checked(path)
    record["versions"]["pyfairme"] = "0.0.1"
    path.write_text(with_checksum(record))
    with pytest.warns(UserWarning, match="different versions of pyfairme"):
        cross_validate(light_models(), small_data(), **shared)


def test_rows_without_a_cluster_are_of_no_cluster_that_training_sees():
    data = small_data()
    frame = data.frame.copy()
    frame["cluster"] = frame["cluster"].where(frame["cluster"] != "c0", None)
    missing = replace(data, frame=frame)
    gap = frame["cluster"].isna().to_numpy()
    seen = seen_clusters(missing, 2)  # c0 is the largest
    assert "(missing)" not in seen
    trained = np.concatenate([part.training for part in _parts(missing, seen, 3, 0)])
    assert not gap[trained].any()
    np.testing.assert_array_equal(judged_as_seen(missing, ()), ~gap)
    np.testing.assert_array_equal(judged_as_seen(missing, seen), frame["cluster"].isin(seen))
    assert judged_as_seen(data, ()).all()


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"fairness": None, "random_intercepts": False}, (None, None, None, 0.1)),
        (
            {"fairness_on": {"fixed": 1.0, "mixed": 0.5}, "fairness_weight": 0.4},
            (0.4, 0.2, 0.5, 0.1),
        ),
        ({"hidden": (), "fairness_weight": {"a": 0.2}}, ({"a": 0.2}, {"a": 0.2}, 0.5, None)),
    ],
)
def test_lambdas_are_those_of_the_terms_that_are_there(keywords, expected):
    found = lambdas(pf.FairMixedEffectsClassifier("cluster", ["a"], **keywords))
    names = ("lambda_FE", "lambda_ME", "lambda_F", "lambda_g")
    assert tuple(found[name] for name in names) == expected


@pytest.mark.long
def test_more_seeds_extend_a_store(study, tmp_path):
    _, folder = study
    only = {"medl": small_models()["medl"]}
    more = cross_validate(only, small_data(), seen=4, folds=3, seeds=[1], store=folder, n_boot=0)
    assert list(more.runs) == [("medl", 1)]


@pytest.fixture(scope="module")
def unbroken():
    return cross_validate(
        light_models(), small_data(), seen=4, folds=6, seeds=2, store=None, n_boot=10
    )


# killed just before its record, a table stands alone: it is named and made anew
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The store .* is missing")
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_study_goes_on_where_it_stopped(unbroken, tmp_path, processes):
    script, store = tmp_path / "study_run.py", tmp_path / "store"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, str(script), str(store), str(processes)]
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 120
        while len(list(store.rglob("seed*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    time.sleep(1.0)  # workers notice and leave
    done = {path: path.stat().st_mtime_ns for path in store.rglob("seed*.json")}
    assert 2 <= len(done) < 12
    again = cross_validate(
        light_models(), small_data(), seen=4, folds=6, seeds=2, store=store, n_boot=10
    )
    assert all(path.stat().st_mtime_ns == at for path, at in done.items())
    pd.testing.assert_frame_equal(again.frame, unbroken.frame)


@pytest.mark.long
def test_a_store_of_another_study_is_refused(study):
    _, folder = study
    with pytest.raises(ValueError, match=r"folds differ.*3 there, 4 now.*Choose another store"):
        cross_validate(small_models(), small_data(), seen=4, folds=4, seeds=2, store=folder)
    other = {"medl": small_models()["medl"].set_params(prior_scale=2.0)}
    with pytest.raises(ValueError, match=r"prior_scale differ"):
        cross_validate(other, small_data(), seen=4, folds=3, seeds=2, store=folder)


def test_a_fingerprint_tells_tables_apart():
    data = small_data()
    changed = data.frame.copy()
    changed.loc[5, "x1"] += 1e-9
    assert fingerprint(data) == fingerprint(small_data())
    assert fingerprint(data) != fingerprint(replace(data, frame=changed))


def test_roles_come_from_the_schema_where_they_are_not_set():
    data = small_data()
    model = with_roles(pf.FairMixedEffectsClassifier(), data)
    assert (model.cluster, model.sensitive) == ("cluster", ("group1", "group2"))
    own = with_roles(pf.FairMixedEffectsClassifier(sensitive=("group2",)), data)
    assert own.sensitive == ("group2",)
    assert (own.categorical, own.drop) == ((), ())


@pytest.mark.long
def test_codes_and_unused_columns_come_from_the_schema_too():
    data = small_data()
    frame = data.frame.assign(code=np.arange(len(data.frame)) % 3, y=data.target, row=range(600))
    schema = Schema.infer(
        frame, cluster="cluster", sensitive="group1", target="y", categorical="code", drop="row"
    )
    data = replace(data, frame=frame, schema=schema)
    assert (data.codes, data.unused) == (("code",), ("y", "row"))
    assert re.search(r"not used +y, row\n", str(data.summary()))
    quick = {"fairness": None, "cluster_weight": 0.0, "unseen": "population"}
    model = with_roles(pf.FairMixedEffectsClassifier(**LIGHT, **quick), data)
    assert (model.categorical, model.drop) == (["code"], ["y", "row"])
    part = FitPart(np.arange(500), np.arange(500, 600), 0.2)
    fitted = fit_part(Key("model", 0, 0), model, data, part)
    assert {"code", "x1", "group1"} <= {column.term for column in fitted.design_.columns}
    assert not {"y", "row"} & {column.term for column in fitted.design_.columns}
    own = pf.FairMixedEffectsClassifier(offset="row", drop=["y", "x1"])
    assert with_roles(own, data).drop == ["y", "x1"]
    assert with_roles(own.set_params(drop=None), data).drop == ["y"]
    probed = add_probes(data, number=1, random_state=0)
    assert abs(np.corrcoef(probed.frame["probe1"], frame["code"] == 1)[0, 1]) < 1e-3


def test_a_regression_is_studied_alike():
    data = pf.datasets.make_clustered(
        rows=400, clusters=4, covariates=2, likelihood="normal", random_state=1
    )
    quick = {"fairness": None, "cluster_weight": 0.0, "unseen": "population"}
    model = pf.FairMixedEffectsRegressor(**LIGHT, **quick)
    found = cross_validate(model, data, seen=3, folds=3, seeds=1, n_boot=10)
    assert isinstance(found, CrossValidation)
    frame = found.frame.query("effects == 'mixed' and clusters == 'seen'")
    assert {"mse", "mse_sd", "demographic_parity", "counterfactual_gap"} <= set(frame["metric"])
    assert found.timings["variant"].unique().tolist() == ["model"]


def test_too_many_seen_clusters_are_refused():
    with pytest.raises(ValueError, match="number of seen clusters must lie between 1 and 5"):
        cross_validate(small_models(), small_data(), seen=6, folds=3, seeds=1)
