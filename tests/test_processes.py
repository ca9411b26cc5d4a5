"""Models in other processes and threads: each way of the table in docs/performance.md is tried."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_inputs import tiny
from tests.process_ways import WAYS

pytestmark = pytest.mark.long
ROOT = Path(__file__).parent.parent
PATIENCE = 300  # seconds, in which a program that takes twenty ends unless it waits for ever


def table() -> dict[str, str]:
    """Return what the page says: way -> "yes" or the code of an error."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    section = page.split("## Several processes")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    return {row[1].strip(): row[2].strip(" `") for row in rows[2:]}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, dict[str, str]]:
    """What came of each call of each way."""
    path = tmp_path_factory.mktemp("ways") / "model"
    tiny.clean().save(path)
    command = [sys.executable, "-m", "tests.process_ways", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    return found


def test_the_page_lists_every_way():
    assert list(table()) == list(WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_works_or_says_why_not(outcomes, way):
    if way not in outcomes:
        pytest.skip("this system forks no processes")
    expected = "the same" if table()[way] == "yes" else table()[way]
    assert outcomes[way] == dict.fromkeys(outcomes[way], expected)
    assert outcomes[way]


FORKS_WHILE_JAX_STARTS = """
import os, threading, time, warnings
warnings.simplefilter("ignore")
import jax, pyfairme
thread = threading.Thread(target=jax.devices)
thread.start()
left = []
while thread.is_alive() or not left:
    child = os.fork()
    if not child:
        os._exit(0)
    left.append(child)
    time.sleep(0.002)
deadline = time.monotonic() + 60
while left and time.monotonic() < deadline:
    left = [child for child in left if os.waitpid(child, os.WNOHANG)[0] == 0]
    time.sleep(0.01)
for child in left:
    os.kill(child, 9)
print(len(left), "hang")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_child_forked_while_jax_starts_does_not_wait_for_its_lock():
    done = subprocess.run(
        [sys.executable, "-c", FORKS_WHILE_JAX_STARTS],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "hang"]
