"""A table as people have them, and one model fitted to it by the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pyfairme.cli import app
from tests.cli.loan_arguments import FITTED, QUICK


@pytest.fixture(scope="session")
def call():
    """Run a command: arguments to the result, with output and exit code."""

    def run(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="pyfairme")

    return run


@pytest.fixture(scope="session")
def refused(call):
    """Run a command that must fail with one line on stderr and exit code 2; return the line."""

    def run(*arguments):
        result = call(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        return result.stderr.strip()

    return run


def make_loans(rows=300, seed=0):
    """Loans of five branches; the chance to repay depends on income, branch and sex."""
    rng = np.random.default_rng(seed)
    branch = rng.integers(5, size=rows)
    sex = rng.choice(["f", "m"], rows)
    income = rng.normal(30, 8, rows).round(1)
    link = (income - 30) / 8 + 0.5 * (branch - 2) + (sex == "m") + rng.logistic(size=rows)
    return pd.DataFrame(
        {
            "loan": rng.permutation(rows) + 1000,
            "branch": [f"b{k}" for k in branch],
            "sex": sex,
            "age": rng.integers(18, 80, rows),
            "income": income,
            "region": rng.integers(1, 4, rows),
            "visits": rng.poisson(np.exp(0.3 * link.clip(-3, 3))),
            "repaid": np.where(link > 0.5, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def loans():
    return make_loans()


@pytest.fixture(scope="session")
def table(loans, tmp_path_factory):
    """The table as a CSV file."""
    path = tmp_path_factory.mktemp("tables") / "loans.csv"
    loans.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def fitted(call, table, tmp_path_factory):
    """Output of one fit, the model's file, and the rows that were held out."""
    folder = tmp_path_factory.mktemp("models")
    model, held = folder / "loans.pyfairme", folder / "held.csv"
    result = call("fit", table, *FITTED, "--out", model, "--held-out-rows", held, *QUICK)
    assert result.exit_code == 0, result.output
    return result.output, model, held


@pytest.fixture(scope="session")
def model(fitted):
    return fitted[1]


@pytest.fixture(scope="session")
def later(tmp_path_factory):
    """Other loans, every third of them from a branch that training never saw."""
    frame = make_loans(90, seed=1)
    frame.loc[::3, "branch"] = "b9"
    path = tmp_path_factory.mktemp("later") / "later.csv"
    frame.to_csv(path, index=False)
    return path
