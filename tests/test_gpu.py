"""What must hold on an accelerator: JAX_PLATFORMS=cuda,cpu pytest -m gpu tests/test_gpu.py."""

import jax
import numpy as np
import pytest

import pyfairme as pf

pytestmark = pytest.mark.gpu
SETTINGS = {"min_steps": 1500, "epochs": 10, "progress": False, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return pf.datasets.make_clustered(
        rows=1500, clusters=8, sensitive_levels=(2,), slope_scale=0.0, random_state=0
    )


def on(platform, data, **settings):
    """Fit on one platform and return the effects' means, their SDs and the probabilities."""
    device = jax.devices(platform)[0]
    with jax.default_device(device):
        model = pf.FairMixedEffectsClassifier(
            "cluster", data.schema.sensitive, **SETTINGS, **settings
        )
        model.fit(data.frame, data.target)
        effects = model.cluster_effects_
        return effects["mean"].to_numpy(), effects["sd"].to_numpy(), model.predict_proba(data.frame)


def test_there_is_an_accelerator():
    assert jax.default_backend() == "gpu"


@pytest.mark.parametrize("guide", ["mean_field", "block"])
def test_a_linear_fit_is_that_of_the_processor(data, guide):
    """Rounding differs, and with it the path of the optimiser; where it ends must not."""
    settings = {"hidden": (), "fairness": None, "guide": guide}
    mean, _, probability = on("gpu", data, **settings)
    mean_cpu, sd_cpu, probability_cpu = on("cpu", data, **settings)
    assert np.abs(mean - mean_cpu).max() < 0.2 * sd_cpu.mean()
    assert np.abs(probability - probability_cpu).max() < 0.01


def test_a_network_with_adversaries_predicts_alike(data):
    """Single weights wander with rounding: predictions must agree as those of two seeds do."""
    _, _, probability = on("gpu", data, fairness_weight=0.3)
    _, _, probability_cpu = on("cpu", data, fairness_weight=0.3)
    assert np.abs(probability - probability_cpu).mean() < 0.03


def test_a_file_of_the_accelerator_predicts_on_the_processor(data, tmp_path):
    model = pf.FairMixedEffectsClassifier("cluster", fairness=None, hidden=(8,), **SETTINGS)
    model.fit(data.frame, data.target).save(tmp_path / "m.pyfairme")
    with jax.default_device(jax.devices("cpu")[0]):
        found = pf.load(tmp_path / "m.pyfairme").predict_proba(data.frame)
    # accelerators multiply matrices in fewer digits (TF32: 10 bits, relative errors of 5e-4)
    np.testing.assert_allclose(found, model.predict_proba(data.frame), atol=1e-3)
