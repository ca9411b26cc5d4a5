"""All commands under one name, as it is installed."""

import inspect
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

from typer.testing import CliRunner

import pyfairme as pf
from pyfairme.cli.fit_options import default_of

ROOT = Path(__file__).parents[2]


def test_the_installed_script_is_the_command_line():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    app = EntryPoint("pyfairme", scripts["pyfairme"], "console_scripts").load()
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(f"\n  {name} " in output for name in ("demo", "fit", "predict", "report"))


def test_an_unknown_command_is_refused(call):
    result = call("fitt")
    assert result.exit_code == 2
    assert "No such command 'fitt'" in result.output


def test_help_says_the_defaults_of_the_estimators(call):
    names = ("fairness", "fairness_weight", "unseen", "epochs", "hidden", "likelihood")
    for estimator in (pf.FairMixedEffectsClassifier, pf.FairMixedEffectsRegressor):
        for name, parameter in inspect.signature(estimator).parameters.items():
            value = parameter.default
            said = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            assert name not in names or said in default_of(name)
    text = call("fit", "--help").output
    assert "medl_adb with random intercepts" not in text
    assert default_of("min_steps") in text
