"""Training on several devices, in processes of their own: JAX counts its devices when it starts."""

import os
import subprocess
import sys

import pytest

import pyfairme as pf

TRAIN = """
import jax, numpy as np
from pyfairme.data import Batch
from pyfairme.inference.compiled_steps import engine
from pyfairme.inference.svi import Schedule, fit_members
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.penalties import PENALTIES, AttributeCodes
from pyfairme.model.program import ModelSpec, Objective

assert jax.device_count() == 8
rng = np.random.default_rng(0)
n, f = 300, np.float32
x = rng.normal(size=(n, 3)).astype(f)
z, s = rng.integers(0, 5, (n, 1)), rng.integers(0, 2, (n, 1))
y = (rng.uniform(size=n) < 1 / (1 + np.exp(-x[:, 0] - 0.3 * z[:, 0] + s[:, 0]))).astype(np.int32)
rows = Batch(x=x, slopes=x[:, :1], cluster=z.astype(np.int32), sensitive=s.astype(np.int32), y=y,
             weight=rng.uniform(0.5, 2, n).astype(f), offset=np.zeros(n, f))
name = "decision_adversarial"
spec = ModelSpec(Bernoulli(), 3, (8,), (RandomEffects("g", 5, slopes=(0,)),), (("g", 5),),
                 (AttributeCodes("sex", 2),), ((name, PENALTIES[name]),), ("fixed", "mixed"))
strength = np.full(1, 0.3, f)
objective = Objective(fixed=0.5, cluster=0.1, balance=(np.ones(2, f),),
                      fairness={name: {"fixed": strength, "mixed": strength}})
found = {}
for devices in (1, 2, 8):
    schedule = Schedule(epochs=2, min_steps=100, batch_size=64, devices=devices)
    one = fit_members(spec, "mean_field", rows, None, objective, schedule, (0,))[0]
    found[devices] = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(one.params)])
for devices, value in found.items():
    # 100 steps of Adam magnify the rounding of sums in another order, most where gradients vanish
    np.testing.assert_allclose(value, found[1], rtol=1e-4, atol=1e-4)
    assert devices == 1 or (value != found[1]).any(), "the rows were not split"
print("equal")
"""


@pytest.fixture(scope="module")
def table():
    made = pf.datasets.make_clustered(120, 4, random_state=0)
    return made.frame, made.target


@pytest.mark.long
def test_several_devices_train_to_the_same_parameters():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    own = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env=own, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"devices": 0}, r"devices: 0\. Expected an integer >= 1"),
        ({"devices": "both"}, r"devices: 'both'\. Expected a number of devices, or 'all'"),
        (
            {"devices": 3, "batch_size": 256},
            r"batch_size=256 rows cannot be dealt out evenly to devices=3",
        ),
        ({"devices": 64}, r"devices=64, and JAX sees \d+ \(\w+\)\. Expected at most so many"),
    ],
)
def test_devices_that_cannot_train_are_refused(table, keywords, message):
    frame, y = table
    with pytest.raises(ValueError, match=message):
        pf.FairMixedEffectsClassifier("cluster", **keywords).fit(frame, y)


@pytest.mark.long
def test_all_devices_fit_as_one(table):
    """The suite has one device, so that "all" and 1 are the same program."""
    frame, y = table
    settings = {"hidden": (), "fairness": None, "min_steps": 20, "epochs": 1, "random_state": 0}
    one, every = (
        pf.FairMixedEffectsClassifier("cluster", devices=devices, **settings).fit(frame, y)
        for devices in (1, "all")
    )
    assert (one.predict_proba(frame) == every.predict_proba(frame)).all()
