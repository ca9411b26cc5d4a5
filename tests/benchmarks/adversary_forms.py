"""What adversaries of other forms find, and what restarts with them do (docs/results).

    python -m tests.benchmarks.adversary_forms            # restarts, by model, weight and seed
    python -m tests.benchmarks.adversary_forms --frozen   # forms, of a network that stands still

The made-up table has few columns: a date of birth (60 quarters, `--dates`), two groups that the
model reads, and a place. So its fixed prediction takes a few hundred values, and which of them a
row has tells its groups. `--rounds 0` restarts nothing. Judged are 20,000 other rows: "gap" is the
largest difference of the groups' rates at any threshold of the fixed prediction, within the classes
of the outcome.
"""

from __future__ import annotations

import argparse
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from sklearn.metrics import roc_auc_score

import pyfairme as pf
from pyfairme.inference import adversary_restarts
from pyfairme.inference.adversary_probe import probe
from tests.benchmarks.adversary_weights import MODELS, spread

PLACES, GROUPS = 50, ("g", "v")
# width of hidden layers, their number, and what is read (see `inputs`)
FORMS = [(16, 1, "p"), (64, 1, "p"), (128, 1, "p"), (64, 2, "p"), (64, 3, "p"), (16, 1, "logit"),
         (64, 2, "logit"), (16, 1, "waves 3"), (16, 1, "waves 4"), (16, 1, "waves 5"),
         (16, 1, "waves 6"), (64, 2, "waves 5"), (16, 1, "hats 16"),
         (16, 1, "hats 32")]  # fmt: skip
TRAININGS = ((200, 5e-3), (1000, 5e-3), (1000, 2e-2))  # steps and rate of Adam


def made(dates=60, rows=11_000, judged=20_000, seed=0):
    """Return rows to train on and to judge by, and their outcomes: 40 % positives."""
    rng = np.random.default_rng(900 + seed)
    n = rows + judged
    place = rng.choice(PLACES, n, p=rng.dirichlet(np.full(PLACES, 1.0)))
    share = 1 / (1 + np.exp(2.6 - 1.5 * rng.normal(size=PLACES)))
    g = (rng.random(n) < share[place]).astype(int)
    born = rng.integers(0, dates, n)
    chance = np.where(born < 0.35 * dates, 0.62, np.where(born < 0.55 * dates, 0.40, 0.12))
    v = (rng.random(n) < np.clip(chance - 0.1 * g, 0.02, 0.98)).astype(int)
    link = -0.03 * (60 / dates) * (born - dates / 2) + 0.5 * v - 1.1 * g
    link = link + 0.5 * rng.normal(size=PLACES)[place]
    y = (rng.random(n) < 1 / (1 + np.exp(np.quantile(link, 0.6) - link))).astype(int)
    frame = pd.DataFrame({"born": born, "g": g, "v": v})
    frame["place"] = np.char.add("c", place.astype(str))
    return frame[:rows], frame[rows:].reset_index(drop=True), y[:rows], y[rows:]


def gap(p, y, group):
    """Return the largest difference of two groups' rates at any threshold, within classes of y."""
    most = 0.0
    for outcome in (0, 1):
        one, other = (np.sort(p[(y == outcome) & (group == level)]) for level in (0, 1))
        at = np.unique(p)
        shares = (np.searchsorted(own, at, "right") / len(own) for own in (one, other))
        most = max(most, float(np.abs(np.subtract(*shares)).max()))
    return most


def fitted(model, weight, seed, dates):
    """Return a fit, what it warned of, and its seconds."""
    X, _, y, _ = made(dates, seed=seed)
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = pf.FairMixedEffectsClassifier(
            "place", list(GROUPS), threshold="balanced_accuracy", unseen="population",
            random_state=seed, progress=False, **(MODELS[model] | {"fairness_weight": weight}),
        ).fit(X, y)  # fmt: skip
    collapsed = any("[collapsed]" in str(one.message) for one in said)
    return found, collapsed, time.perf_counter() - begun


def line(model, weight, seed, dates):
    """Fit once; return what came of it."""
    _, X, _, y = made(dates, seed=seed)
    found, collapsed, seconds = fitted(model, weight, seed, dates)
    fixed = found.predict_proba(X, effects="fixed")[:, 1].round(6)
    decided = np.asarray(found.predict(X) == 1, float)
    spreads = [spread(decided, w, X[name]) for name in GROUPS for w in (y, 1 - y)]
    history = found.history_
    return {
        "model": model, "weight": weight, "seed": seed,
        "restarts": int(history["restarts"].max()) if "restarts" in history else 0,
        "collapsed": collapsed,
        "auroc fixed": roc_auc_score(y, fixed),
        "auroc mixed": roc_auc_score(y, found.predict_proba(X)[:, 1]),
        **{f"gap {name}": gap(fixed, y, X[name].to_numpy()) for name in GROUPS},
        "mean SD": float(np.mean(spreads)), "worst SD": max(spreads), "seconds": seconds,
    }  # fmt: skip


def inputs(kind, p, train):
    """Return what an adversary reads of predictions ``p``, in units of those of training rows."""
    z = (p - train.mean()) / train.std()
    name, _, number = kind.partition(" ")
    if name == "logit":
        z = np.log(p / (1 - p))
        z = (z - z.mean()) / z.std()
    if name == "waves":
        parts = [wave(2.0**k * z) for k in range(int(number)) for wave in (np.sin, np.cos)]
        return np.stack([z, *parts], axis=1)
    if name == "hats":
        order = np.sort(train)
        rank = (np.searchsorted(order, p) + np.searchsorted(order, p, "right")) / 2 / len(order)
        knots = np.linspace(0, 1, int(number))
        return np.maximum(0, 1 - np.abs(rank[:, None] - knots) * (len(knots) - 1))
    return z[:, None]


def learned(form, p, y, groups, steps, rate):
    """Train an adversary by Adam; return its gain over chance on training and other rows, nats."""
    width, depth, kind = form
    rows = [inputs(kind, own, p[0]) for own in p]
    known = [np.stack([1 - own, own], axis=1) for own in y]
    seen = [
        np.hstack([x, k, (x[:, :, None] * k[:, None]).reshape(len(x), -1)])
        for x, k in zip(rows, known, strict=True)
    ]
    balance = len(groups[0]) / 2 / np.bincount(groups[0])
    keys = jax.random.split(jax.random.key(0), depth + 1)
    sizes = [seen[0].shape[1], *[width] * depth, 2]
    layers = [
        (jax.random.normal(key, (a, b)) * (2 / a) ** 0.5 * (0.1 if b == 2 else 1), jnp.zeros(b))
        for key, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]

    def loss(layers, x, group):
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        log_p = jax.nn.log_softmax(x @ layers[-1][0] + layers[-1][1])
        return -(jnp.asarray(balance)[group] * log_p[jnp.arange(len(group)), group]).mean()

    adam = optax.adam(optax.cosine_decay_schedule(rate, steps))
    table, codes = jnp.asarray(seen[0], jnp.float32), jnp.asarray(groups[0])

    def step(state, chosen):
        layers, moments = state
        slope = jax.grad(loss)(layers, table[chosen], codes[chosen])
        update, moments = adam.update(slope, moments)
        return (optax.apply_updates(layers, update), moments), None

    chosen = np.random.default_rng(0).integers(0, len(codes), (steps, 256))
    (layers, _), _ = jax.lax.scan(step, (layers, adam.init(layers)), jnp.asarray(chosen))
    gains = []
    for x, outcome, group in zip(seen, y, groups, strict=True):
        chance = 0.0
        for one in (0, 1):
            mass = balance * np.bincount(group[outcome == one], minlength=2)
            chance -= (mass * np.log(mass / mass.sum())).sum() / len(group)
        gains.append(chance - float(loss(layers, jnp.asarray(x, jnp.float32), jnp.asarray(group))))
    return gains


def show_frozen(dates, seed):
    """Print what forms of adversaries find in the prediction of a fit that has collapsed."""
    adversary_restarts.SLOWER = ()
    found, collapsed, _ = fitted("nnet_adb", 3.0, seed, dates)
    X, X_test, *y = made(dates, seed=seed)
    p = [found.predict_proba(own, effects="fixed")[:, 1] for own in (X, X_test)]
    print(f"collapsed: {collapsed}; {len(np.unique(p[0].round(5)))} values of the prediction")
    for name in GROUPS:
        group, told = X_test[name].to_numpy(), np.column_stack([1 - p[1], p[1], 1 - y[1], y[1]])
        balance = len(group) / 2 / np.bincount(group)
        print(f"the probe's gain of {name}: {probe(told, group, y[1], balance, 0).gain:.3f}")
    for form in FORMS:
        cells = []
        for steps, rate in TRAININGS:
            found = [
                learned(form, p, y, [own[name].to_numpy() for own in (X, X_test)], steps, rate)[1]
                for name in GROUPS
            ]
            cells.append(" and ".join(f"{gain:.3f}" for gain in found))
        print("| {2} | {0} x {1} |".format(*form), " | ".join(cells), "|", flush=True)


def main() -> None:
    """Print a line for each fit, or what forms find in one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["nnet_adb", "point"])
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--dates", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=len(adversary_restarts.SLOWER))
    parser.add_argument("--waves", type=int, default=adversary_restarts.WAVES)
    parser.add_argument("--frozen", action="store_true")
    given = parser.parse_args()
    if given.frozen:
        show_frozen(given.dates, given.seeds[0])
        return
    rates = adversary_restarts.SLOWER
    rates = (*rates, *rates[-1:] * given.rounds)[: given.rounds]  # the last in further rounds
    adversary_restarts.SLOWER, adversary_restarts.WAVES = rates, given.waves
    lines = []
    for model in given.models:
        for weight in given.weights:
            for seed in given.seeds:
                lines.append(line(model, weight, seed, given.dates))
                print(pd.DataFrame(lines[-1:]).round(3).to_string(index=False), flush=True)
    numbers = pd.DataFrame(lines).drop(columns=["model", "weight", "seed"])
    print(numbers[numbers["restarts"] > 0].mean().round(3).to_string())


if __name__ == "__main__":
    main()
