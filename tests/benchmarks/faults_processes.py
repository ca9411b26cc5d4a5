"""Every public call in a forked process, and as the first use of JAX: which wait for ever?

    python tests/benchmarks/faults_processes.py [--only fit predict]

A child that was forked from a process which had used JAX has none of JAX's threads: what needs
them waits for ever. Each call is made

- in a child forked after a fit: it must end, with the error [forked] or with what it returns in
  the parent (then it does not need JAX);
- first in a process that has only loaded models, which is forked then: the child predicts, and must
  get [forked] if JAX was used, or else predict what the parent predicts.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jax._src import xla_bridge

import pyfairme as pf
import pyfairme.report
import pyfairme.study

PATIENCE = 240.0  # seconds; a study of two processes takes 40 on busy cores
LINEAR: dict[str, Any] = {
    "cluster": "cluster",
    "sensitive": ["group1"],
    "hidden": (),
    "guide": "mean_field",
    "epochs": 1,
    "min_steps": 50,
    "network_posterior": "last_layer",
    "random_state": 0,
    "progress": False,
}
NAMES = {
    "FairMixedEffectsClassifier": pf.FairMixedEffectsClassifier,
    "FairMixedEffectsRegressor": pf.FairMixedEffectsRegressor,
}


class Given:
    """Rows and models that the calls use; models are read from files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = {
            kind: pf.datasets.make_clustered(
                rows=400, clusters=6, covariates=2, likelihood=kind, random_state=1
            )
            for kind in ("bernoulli", "normal")
        }
        self.dataset = made["bernoulli"]
        self.X, self.y = self.dataset.frame, self.dataset.target
        self.real = made["normal"].target
        new = (self.X["cluster"] == self.X["cluster"].iloc[-1]).to_numpy()
        self.known, self.new = ~new, new

    def classifier(self) -> pf.FairMixedEffectsClassifier:
        return pf.FairMixedEffectsClassifier(**LINEAR)

    def make(self) -> None:
        X = self.X[self.known]
        clf = self.classifier().fit(X, self.y[self.known])
        clf.save(self.folder / "clf")
        reg = pf.FairMixedEffectsRegressor(**LINEAR, random_slopes=["x1"])
        reg.fit(X, self.real[self.known]).save(self.folder / "reg")
        pf.GroupThresholds(clf, "group1").fit(X, self.y[self.known]).save(self.folder / "by_group")
        joint = pf.JointThresholds(clf, 0.1)
        joint.fit(X, self.y[self.known]).save(self.folder / "joint")
        report = clf.fairness_report(X, self.y[self.known], n_boot=2)
        report.to_pickle(self.folder / "report.pickle")

    def load(self) -> None:
        self.clf, self.reg = (pf.load(self.folder / name) for name in ("clf", "reg"))
        self.by_group = pf.GroupThresholds.load(self.folder / "by_group")
        self.joint = pf.JointThresholds.load(self.folder / "joint")
        self.report = pd.read_pickle(self.folder / "report.pickle")


def of_estimator(name: str) -> dict[str, Callable[[Given], Any]]:
    """Name the calls of an estimator."""

    def of(given: Given) -> Any:
        return getattr(given, name)

    def y(given: Given) -> Any:
        return given.y if name == "clf" else given.real

    calls: dict[str, Callable[[Given], Any]] = {
        "fit": lambda g: of(g).fit(g.X, y(g)),
        "predict": lambda g: of(g).predict(g.X),
        "predict fixed": lambda g: of(g).predict(g.X, effects="fixed"),
        "predict_interval": lambda g: of(g).predict_interval(g.X[:20]),
        "sample_predictive": lambda g: of(g).sample_predictive(g.X[:20], draws=3),
        "score": lambda g: of(g).score(g.X, y(g)),
        "adapt": lambda g: of(g).adapt(g.X[g.new], y(g)[g.new]),
        "refine": lambda g: of(g).refine(
            10, 1, X=g.X[g.known], y=y(g)[g.known], warmup=5, progress=False
        ),
        "feature_importance": lambda g: of(g).feature_importance(g.X),
        "feature_importance gradient": lambda g: of(g).feature_importance(g.X, method="gradient"),
        "fairness_report": lambda g: of(g).fairness_report(g.X, y(g), n_boot=2),
        "random_disparity": lambda g: of(g).random_disparity(g.X),
        "to_arviz": lambda g: of(g).to_arviz(),
        "to_arviz rows": lambda g: of(g).to_arviz(g.X, y(g), draws=3),
        "to_arviz prior": lambda g: of(g).to_arviz(prior_draws=3),
        "posterior_": lambda g: of(g).posterior_,
        "cluster_effects_": lambda g: of(g).cluster_effects_,
        "variance_components_": lambda g: of(g).variance_components_,
        "fixed_effects_": lambda g: of(g).fixed_effects_,
        "icc": lambda g: of(g).icc(),
        "diagnostics_": lambda g: of(g).diagnostics_,
        "save": lambda g: of(g).save(g.folder / f"{name}.{os.getpid()}"),
        "save private": lambda g: of(g).save(g.folder / f"{name}.{os.getpid()}", private=True),
        "load": lambda g: pf.load(g.folder / name),
        "load, predict": lambda g: pf.load(g.folder / name).predict(g.X),
        "pickle": lambda g: pickle.loads(pickle.dumps(of(g))),
        "shrinkage_frame": lambda g: pf.report.shrinkage_frame(of(g), g.X, y(g)),
        "posterior_report": lambda g: pf.report.posterior_report(
            of(g), g.X[g.known], y(g)[g.known], g.folder / f"{name} page", draws=10
        ),
    }
    return {f"{name}: {call}": found for call, found in calls.items()}


def of_policy(name: str) -> dict[str, Callable[[Given], Any]]:
    """Name the calls of a policy that decides by thresholds."""

    def of(given: Given) -> Any:
        return getattr(given, name)

    calls: dict[str, Callable[[Given], Any]] = {
        "fit": lambda g: of(g).fit(g.X, g.y),
        "predict": lambda g: of(g).predict(g.X),
        "predict_proba": lambda g: of(g).predict_proba(g.X),
        "score": lambda g: of(g).score(g.X, g.y),
        "describe": lambda g: of(g).describe(),
        "fairness_report": lambda g: of(g).fairness_report(g.X, g.y, n_boot=2),
        "load": lambda g: type(of(g)).load(g.folder / name),
        "save": lambda g: of(g).save(g.folder / f"{name}.{os.getpid()}"),
    }
    return {f"{name}: {call}": found for call, found in calls.items()}


def of_metrics() -> dict[str, Callable[[Given], Any]]:
    """Name the metrics of decisions, which take arrays alone."""
    m = pf.metrics

    def p(given: Given) -> np.ndarray:
        return np.linspace(0.1, 0.9, len(given.y))

    calls: dict[str, Callable[[Given], Any]] = {
        "auroc": lambda g: m.auroc(g.y, p(g)),
        "tpr_sd": lambda g: m.tpr_sd(g.y, p(g) > 0.5, sensitive_features=g.X["group1"]),
        "null_value": lambda g: m.null_value(
            "tpr_sd", g.y, p(g) > 0.5, sensitive_features=g.X["group1"], rng=0, draws=10
        ),
        "counterfactual_gap": lambda g: m.counterfactual_gap(p(g), p(g)[:, None]),
        "classification_report_frame": lambda g: m.classification_report_frame(
            g.y, p(g), p(g) > 0.5, sensitive={"g": g.X["group1"]}, rng=0, n_boot=2
        ),
        "pit_values": lambda g: m.pit_values(g.real, np.stack([p(g)] * 9)),
        "ece": lambda g: m.ece(g.y, p(g)),
        "mse": lambda g: m.mse(g.real, p(g)),
    }
    return {f"metrics: {call}": found for call, found in calls.items()}


def of_studies() -> dict[str, Callable[[Given], Any]]:
    """Name the studies and what else is there."""
    s = pf.study
    small: dict[str, Any] = {"seen": 4, "folds": 3, "progress": False}
    judged: dict[str, Any] = {"seeds": 1, "n_boot": 2, **small}
    calls: dict[str, Callable[[Given], Any]] = {
        "cross_validate": lambda g: s.cross_validate({"m": g.classifier()}, g.dataset, **judged),
        "cross_validate, 2 jobs": lambda g: s.cross_validate(
            {"m": g.classifier()}, g.dataset, n_jobs=2, **judged
        ),
        "frontier": lambda g: s.frontier(g.classifier(), g.dataset, weights=[0, 1], **judged),
        "tune": lambda g: s.tune(
            g.classifier(),
            g.dataset,
            trials=1,
            storage=f"sqlite:///{g.folder}/{os.getpid()}.db",
            **small,
        ),
        "before_after": lambda g: s.before_after(g.report, g.report),
        "add_probes": lambda g: s.add_probes(g.dataset, 1),
        "make_clustered": lambda g: pf.datasets.make_clustered(100, random_state=0),
        "plot_group_rates": lambda g: pf.plots.plot_group_rates(g.report, g.report),
    }
    return {f"else: {call}": found for call, found in calls.items()}


CALLS = {
    **of_estimator("clf"),
    **of_estimator("reg"),
    **of_policy("by_group"),
    **of_policy("joint"),
    **of_metrics(),
    **of_studies(),
}


def outcome(call: Callable[[], Any], leads: bool = True) -> tuple[str, str]:
    """Make a call in a forked child: "done", "[forked]", "waits" or "error", and what was said."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python say that a fork may hang
        child = os.fork()
    if not child:
        os.close(reading)
        if leads:
            os.setsid()
        try:
            warnings.simplefilter("ignore")
            result = call()
            said = f"done {result if isinstance(result, str) else ''}"
        except BaseException as error:
            said = "[forked]" if "[forked]" in str(error) else f"error {traceback.format_exc()}"
        os.write(writing, said.encode()[-4000:])
        os._exit(0)
    os.close(writing)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            with os.fdopen(reading, "rb") as pipe:
                said = pipe.read().decode()
            kind, _, rest = said.partition(" ")
            return kind or "died", rest
        time.sleep(0.02)
    (os.killpg if leads else os.kill)(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return "waits", ""


def after_a_first_call(given: Given, call: Callable[[Given], Any]) -> str:
    """In a process that used JAX for nothing: make the call, fork, and let the child predict."""
    call(given)
    plt.close("all")
    used = xla_bridge.backends_are_initialized()
    found, said = outcome(lambda: given.clf.predict(given.X).sum(), leads=False)
    if found != ("[forked]" if used else "done"):
        raise AssertionError(f"JAX used: {used}, the child that predicts: {found} {said}")
    return "uses JAX" if used else "does without"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names of calls")
    chosen = parser.parse_args().only
    calls = {name: call for name, call in CALLS.items() if any(part in name for part in chosen)}
    right, wrong = Counter(), []
    with tempfile.TemporaryDirectory() as name:
        given = Given(Path(name))
        made = outcome(given.make)
        assert made[0] == "done", made
        given.load()
        first = {
            n: outcome(lambda call=c: after_a_first_call(given, call)) for n, c in calls.items()
        }
        given.clf.predict(given.X)  # from here on children are forked too late
        for label, call in calls.items():
            started = time.monotonic()
            found, said = outcome(lambda call=call: call(given))
            took = time.monotonic() - started
            how = first[label][1] if first[label][0] == "done" else "wrong"
            if (how, found) in (("uses JAX", "[forked]"), ("does without", "done")):
                right[how] += 1
            else:
                wrong.append(label)
                print(label, first[label], found, said, flush=True)
            print(f"{label:40} {how:15} {found:10} {took:.1f} s", flush=True)
    print(dict(right), "wrong:", wrong)


if __name__ == "__main__":
    main()
