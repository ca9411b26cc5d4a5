"""Progress: what a terminal, a notebook, a log and a file see of a fit."""

import io
import logging
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pyfairme.estimators import progress_display, table_fit
from pyfairme.inference.fit_stages import STAGES, Progress
from pyfairme.notices import warn

TITLE = "fit"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(text: str) -> list[str]:
    """Return what a terminal shows in the end of text with carriage returns."""
    found = []
    for line in text.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        found.append("".join(cells).rstrip())
    return found


@pytest.fixture
def open_terminal(monkeypatch):
    """Return what opens one within a test: pytest sets its own stderr after fixtures."""

    def opened() -> Terminal:
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        return found

    return opened


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(progress_display, "perf_counter", lambda: now.time)
    return now


def training(done: int) -> Progress:
    return Progress("training", done, 1000, "loss 0.5000", "steps")


def test_the_log_has_a_line_for_each_stage(binary, classifier, caplog):
    caplog.set_level(logging.INFO, "pyfairme.progress")
    settings = {"threshold": "balanced_accuracy", "weight_decay": 3.0}  # one training, no choice
    classifier(progress="auto", **settings).fit(binary.X, binary.y)
    *found, last = caplog.messages
    assert [re.split(r"[:,] ", text)[1] for text in found] == list(STAGES)
    assert f"{TITLE}: training, 200 steps" in found
    each = ", ".join(rf"{stage} [\d.]+ s" for stage in STAGES)
    assert re.fullmatch(rf"{TITLE}: done in [\d.]+ s \({each}\)", last)


def test_nothing_is_said_unasked_or_at_false(binary, classifier, caplog, capsys):
    with progress_display.progress_display("auto", "fit") as report:
        report(training(0))
    caplog.set_level(logging.INFO, "pyfairme.progress")
    classifier(progress=False).fit(binary.X, binary.y)
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")


def test_true_without_a_terminal_prints_lines(capsys, clock):
    with progress_display.progress_display(True, "fit") as report:
        report(Progress("compiling", 0, 1, "once for each shape of table"))
        for seconds, done in ((9, 0), (10, 100), (12, 200), (50, 900), (51, 1000)):
            clock.time = seconds
            report(training(done))
        report(Progress("posterior", 0, 4, "scales"))
        clock.time = 3000
    assert capsys.readouterr().err.splitlines() == [
        "fit: compiling: once for each shape of table",
        "fit: training, 1,000 steps",
        "fit: training, 900 of 1,000 steps, 5.0 s left, loss 0.5000",
        "fit: posterior, 4 parts",
        "fit: done in 50 min 00 s (compiling 9.0 s, training 42 s, posterior 49 min 09 s)",
    ]


def test_time_left_counts_neither_the_compilation_nor_what_runs_beside_it(open_terminal, clock):
    terminal = open_terminal()
    with progress_display.progress_display("auto", "fit") as report:
        report(Progress("compiling", 0, 1))
        clock.time = 50
        report(training(0))
        clock.time = 54
        report(training(100))
        assert "left" not in terminal.getvalue()
        clock.time = 64
        report(training(200))
    assert "training  20%|" in terminal.getvalue()
    assert "| 200/1000 steps, 1 min 20 s left, loss 0.5000" in terminal.getvalue()


def test_a_bar_goes_through_the_stages_and_is_gone(binary, classifier, open_terminal):
    terminal = open_terminal()
    classifier(progress="auto").fit(binary.X, binary.y)
    found = re.findall(rf"\r{TITLE}: ([a-z ]+?)(?= *[\r\d:])", terminal.getvalue())
    assert list(dict.fromkeys(found)) == list(STAGES[:-1])
    assert "training 100%|" in terminal.getvalue()
    assert lines(terminal.getvalue()) == [""]


def test_a_warning_begins_at_the_left_of_a_bar(open_terminal):
    terminal = open_terminal()
    with progress_display.progress_display("auto", "fit") as report:
        report(Progress("encoding", 0, 1))
        with pytest.warns(UserWarning, match="odd"):
            warn("odd [code]")
        assert lines(terminal.getvalue()) == [""]
        assert terminal.getvalue().endswith("\r")


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_a_fit_that_ends_midway_leaves_its_own_error_and_no_bar(
    binary, classifier, open_terminal, monkeypatch, error
):
    terminal = open_terminal()

    def train(*arguments: Any, report: Any, **keywords: Any) -> None:
        report(training(300))
        raise error("midway")

    monkeypatch.setattr(table_fit, "train", train)
    with pytest.raises(error, match="midway"):
        classifier(progress="auto").fit(binary.X, binary.y)
    assert "300/1000 steps" in terminal.getvalue()
    assert lines(terminal.getvalue()) == [""]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(error, match="midway"):
        classifier(progress=True).fit(binary.X, binary.y)
    last = sys.stderr.getvalue().splitlines()[-1]  # type: ignore[attr-defined]
    assert re.fullmatch(rf"{TITLE}: stopped after .* s in training, 300 of 1,000 steps", last)


def test_a_notebook_keeps_nothing_of_a_bar(capsys, monkeypatch):
    IPython = pytest.importorskip("IPython")
    seen: list[dict[str, str]] = []

    def display(data: dict[str, str], **keywords: Any) -> SimpleNamespace:
        seen.append(data)
        return SimpleNamespace(update=lambda data, raw: seen.append(data))

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr("IPython.display.display", display)
    with progress_display.progress_display("auto", "fit") as report:
        report(Progress("compiling", 0, 1))
        report(training(0))
    shown = [data["text/plain"] for data in seen]
    assert shown[1] == "fit: compiling"
    assert shown[2].startswith("fit: training   0%|")
    assert seen[-1] == {"text/plain": "", "text/html": ""}
    assert capsys.readouterr() == ("", "")
