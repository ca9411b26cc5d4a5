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


def test_a_file_in_the_way_is_a_clear_error(call, tmp_path):
    path = tmp_path / "taken"
    path.write_text("")
    result = call("demo", "--quick", "--out", str(path))
    assert result.exit_code == 2
    assert f"cannot write to {path}: File exists" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_version_and_help(call):
    assert call("--version").output == f"pyfairme {pf.__version__}\n"
    assert "demo" in call("--help").output
    text = call("demo", "--help").output
    assert all(option in text for option in ("--out", "--seed", "--quick"))
    assert call().exit_code in (0, 2)  # help, whatever typer's version exits with


def test_a_negative_seed_is_refused(call):
    result = call("demo", "--seed", "-1")
    assert result.exit_code == 2
    assert "--seed" in result.output
