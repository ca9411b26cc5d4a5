import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pyfairme.metrics
from pyfairme.metrics.metric import Metric, _check_distinct, find, registered


def test_every_declared_metric_is_found_once():
    keys = [(m.name, m.task, m.scope) for m in registered()]
    assert len(set(keys)) == len(keys)
    assert ("tpr_sd", "classification", "attribute") in keys
    assert ("mean_residual", "regression", "group") in keys
    assert all(m.null is not None for m in registered() if m.is_sd)


def test_two_metrics_of_one_name_are_refused():
    metric = find("tpr_sd", "classification")
    with pytest.raises(ValueError, match=r"Two metrics are declared as .*tpr_sd.*another name"):
        _check_distinct((metric, metric))
    assert isinstance(metric, Metric)


def test_a_new_metric_is_one_new_file(tmp_path):
    """A module dropped into the package appears in the report, no other file touched."""
    (tmp_path / "refusals.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from pyfairme.metrics.confusion import confusion, selection_rate
        from pyfairme.metrics.metric import Metric

        def _most_refused(sums):
            return np.fmax.reduce(1 - selection_rate(sums), axis=-1)

        METRICS = (Metric("most_refused", "classification", "attribute", confusion, _most_refused),)
        """)
    )
    script = f"""
        import numpy as np
        import pyfairme.metrics as pm
        pm.__path__.append({str(tmp_path)!r})
        frame = pm.classification_report_frame(
            [0, 1, 0, 1], [0.5] * 4, [0, 1, 0, 0], sensitive={{"sex": list("aabb")}},
            rng=np.random.default_rng(0), n_boot=5,
        )
        print(frame.set_index("metric").loc["most_refused", "value"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1.0"


def test_importing_does_not_load_fairlearn():
    script = "import sys; import pyfairme.metrics; print('fairlearn' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module


def test_the_room_is_a_leaf():
    files = sorted(Path(pyfairme.metrics.__file__).parent.glob("*.py"))
    assert len(files) > 15
    names = {name for file in files for name in imported(file.read_text())}
    ours = {name for name in names if name.startswith("pyfairme")}
    # notices imports nothing of ours: where warnings point, and what of a value they show
    assert all(name.startswith(("pyfairme.metrics", "pyfairme.notices")) for name in ours)
    others = {name.split(".")[0] for name in names - ours} - set(sys.stdlib_module_names)
    assert others == {"numpy", "pandas", "scipy", "sklearn", "fairlearn"}
