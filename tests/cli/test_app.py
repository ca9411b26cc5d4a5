"""All commands under one name, as it is installed."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

from typer.testing import CliRunner

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
