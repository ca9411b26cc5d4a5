"""The order of the rooms, what an import may cost, and how long a file may be."""

import ast
import itertools
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import pyfairme as pf
from tests.conftest import LONG_EXAMPLES, SHORT_NOTEBOOK
from tests.test_docs import AT_EACH_COMMIT

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pyfairme"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# A room imports from rooms of a lower rank, from itself and from metrics. Equal rank: side by side,
# neither imports the other. "" is pyfairme/__init__.py, which only the command line stands above.
RANK = {
    "atomic": -3,
    "compiled_files": -3,
    "stored_programs": -2,
    "compilation": -1,
    "file_names": -1,
    "notices": -1,
    "metrics": 0,
    "data": 1,
    "datasets": 2,
    "model": 2,
    "inference": 3,
    "persistence": 4,
    "variants": 4,
    "estimators": 5,
    "explain": 6,
    "postprocessing": 6,
    "study": 7,
    "plots": 8,
    "report": 9,
    "paper": 10,
    "": 11,
    "cli": 12,
}

# The only imports that may point forward: inside a function, to plots or report, one line each:
# (file below pyfairme/, imported module).
DELEGATES: set[tuple[str, str]] = {
    ("data/schema.py", "pyfairme.report.display.shown"),
    ("datasets/dataset.py", "pyfairme.report.display.shown"),
    ("estimators/base.py", "pyfairme.report.card.fairness_card"),
    ("estimators/base.py", "pyfairme.report.display.estimator_html"),
    ("estimators/base.py", "pyfairme.report.display.shown"),
    ("estimators/posterior_table.py", "pyfairme.report.display.posterior_facts"),
    ("estimators/report_comparison.py", "pyfairme.plots.group_rates"),
    ("estimators/report_comparison.py", "pyfairme.report.display.shown"),
    ("estimators/report_table.py", "pyfairme.plots.cluster_rates"),
    ("estimators/report_table.py", "pyfairme.plots.group_points"),
    ("estimators/report_table.py", "pyfairme.report.display.fairness_facts"),
    ("explain/estimates.py", "pyfairme.plots.estimate_forest"),
    ("explain/estimates.py", "pyfairme.report.display.estimate_facts"),
    ("postprocessing/conformal_predictor.py", "pyfairme.report.display.estimator_html"),
    ("postprocessing/conformal_predictor.py", "pyfairme.report.display.shown"),
    ("postprocessing/group_thresholds.py", "pyfairme.report.display.estimator_html"),
    ("postprocessing/joint_thresholds.py", "pyfairme.report.display.estimator_html"),
    ("study/comparison/compare.py", "pyfairme.report.display.shown"),
    ("study/crossval/cross_validate.py", "pyfairme.report.display.shown"),
    ("study/crossval/cross_validate.py", "pyfairme.report.display.study_facts"),
    ("study/frontier/frontier_choice.py", "pyfairme.report.display.shown"),
    ("study/frontier/frontier_result.py", "pyfairme.plots.frontier_plot"),
    ("study/frontier/frontier_result.py", "pyfairme.report.display.shown"),
    ("study/frontier/frontier_result.py", "pyfairme.report.display.study_facts"),
    ("study/tuning/tuning_result.py", "pyfairme.report.display.shown"),
}

# JAX's own functions unpickle a compiled program, which is code whatever its file looks like.
UNPICKLES = "stored_programs.py"
BANNED = {"haiku", "flax", "equinox", "pickle", "cloudpickle", "dill"}
LAZY = {
    "arviz",
    "fairlearn",
    "jinja2",
    "matplotlib",
    "optuna",
    "ray",
    "sqlalchemy",
    "tqdm",
    "typer",
}
MEDIAN_LINES = 180  # a file is one concept, whatever its length; the median says more than a bound
LONG, MOST_LONG = 500, 8  # lines, and how many files may have more


def imported(source: str, file: str) -> Iterator[tuple[str, bool]]:
    """Yield every module that a file below pyfairme/ imports, and whether inside a function."""
    package = ["pyfairme", *Path(file).parts[:-1]]
    tree = ast.parse(source)
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package[: len(package) + 1 - level] if level else []
                base = [*base, *(module.split(".") if module else [])]
                # a name may be a module of its own: `from pyfairme import data`
                targets = [".".join([*base, alias.name]) for alias in names]
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if (
                "import_module" in ast.unparse(func) or "__import__" in ast.unparse(func)
            ):
                targets = [name]
            case _:
                continue
        yield from ((target, id(node) in lazy) for target in targets)


def room(module: str) -> str:
    """Name the room of a module of ours: "pyfairme.data.schema" is in "data"."""
    first = module.split(".")[1] if "." in module else ""
    return first if first in RANK else ""


def forward_imports(source: str, file: str) -> list[str]:
    """List what a file imports against the order, lazy delegates to plots and report apart."""
    here = Path(file).parts[0].removesuffix(".py").replace("__init__", "")
    if here not in RANK:
        return [f"{file}: {here!r} is no room of pyfairme: give it a place in RANK"]
    wrong = []
    for target, lazy in imported(source, file):
        there = room(target)
        if target.split(".")[0] != "pyfairme" or here == "":
            continue
        delegate = (
            lazy
            and there in ("plots", "report")
            and any(
                file == name and (target == to or target.startswith(f"{to}."))
                for name, to in DELEGATES
            )
        )
        if there not in (here, "metrics") and RANK[there] >= RANK[here] and not delegate:
            wrong.append(f"{file} imports {target}")
    return wrong


def banned_imports(source: str, file: str) -> list[str]:
    """List what a file imports that the package never imports."""
    names = {target.split(".")[0] for target, _ in imported(source, file)}
    banned = BANNED - {"pickle"} if file == UNPICKLES else BANNED
    return [f"{file} imports {name}" for name in sorted(names & banned)]


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_back(path):
    assert forward_imports(path.read_text(encoding="utf-8"), name_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_banned_is_imported(path):
    assert banned_imports(path.read_text(encoding="utf-8"), name_of(path)) == []


def test_files_stay_short():
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert statistics.median(lines.values()) <= MEDIAN_LINES
    assert len([name for name, number in lines.items() if number > LONG]) <= MOST_LONG


def repeated(names: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names that several files have, with the files."""
    found: dict[str, list[str]] = {}
    for name, file in names:
        found.setdefault(name, []).append(file)
    return {name: files for name, files in found.items() if len(files) > 1}


def classes(source: str) -> list[str]:
    """List the classes that a file defines, private ones too."""
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def test_no_file_name_occurs_twice():
    # a command has the name of what it does: `pyfairme fit`; the room says that it is a command
    files = [path for path in SOURCES if path.name != "__init__.py" and "cli" not in path.parts]
    assert repeated((path.stem, name_of(path)) for path in files) == {}


def test_no_class_name_occurs_twice():
    named = [(name, name_of(path)) for path in SOURCES for name in classes(path.read_text("utf-8"))]
    assert repeated(named) == {}


def exported(source: str) -> list[str]:
    """Return the names of a module's ``__all__``."""
    return [
        ast.literal_eval(name)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in node.value.elts  # pyright: ignore[reportAttributeAccessIssue]
    ]


def test_only_what_a_user_may_call_is_exported():
    """A package exports what other rooms use; a file inside one, what the docs import from it."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    words = "\n".join(page.read_text("utf-8") for page in pages)
    for path in SOURCES:
        names = exported(path.read_text("utf-8"))
        if not names or path.name == "__init__.py":
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        a_data_set = path.parent.name == "datasets" and set(names) & set(dir(pf.datasets))
        assert module in words or a_data_set, f"{module}: which page has users import from it?"


def foreign_private_names(source: str, file: str) -> list[str]:
    """List the private names of other files that a file imports or reads from a module.

    A NamedTuple's methods begin with an underscore to stay apart from its fields: they are public.
    """
    public = {"_asdict", "_fields", "_make", "_replace"}
    tree = ast.parse(source)
    found, modules = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyfairme"):
            found += [alias.name for alias in node.names if alias.name.startswith("_")]
            modules |= {alias.asname or alias.name for alias in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if owner in modules:
                found += [attr] if attr[0] == "_" != attr[1] and attr not in public else []
    return [f"{file} takes {name}" for name in found]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_private_names_stay_in_their_file(path):
    assert foreign_private_names(path.read_text("utf-8"), name_of(path)) == []


def test_nothing_is_called_utils():
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert [name_of(path) for path in PACKAGE.rglob("*") if path.stem in vague] == []


def test_every_delegate_is_used():
    used = set()
    for name, to in DELEGATES:
        lazy = {t for t, inside in imported((PACKAGE / name).read_text("utf-8"), name) if inside}
        used |= {(name, to)} if any(t == to or t.startswith(f"{to}.") for t in lazy) else set()
    assert used == DELEGATES


# --- the checks themselves can fail -------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data/schema.py", "import pyfairme.model"),
        ("data/schema.py", "import numpy, pyfairme.model.networks as n"),
        ("data/schema.py", "from pyfairme import model"),
        ("data/schema.py", "from pyfairme.inference.svi import fit"),
        ("data/schema.py", "from ..model import networks"),
        ("data/__init__.py", "from ..model import networks"),
        ("data/schema.py", "from .. import model"),
        ("data/schema.py", "def f():\n    from pyfairme.model import networks"),
        ("data/schema.py", "if TYPE_CHECKING:\n    from pyfairme.estimators import X"),
        ("data/schema.py", "importlib.import_module('pyfairme.model')"),
        ("data/schema.py", "from pyfairme import FairMixedEffectsClassifier"),
        ("data/schema.py", "import pyfairme"),
        ("datasets/adult.py", "from pyfairme.model import networks"),
        ("model/program.py", "from pyfairme.datasets import adult"),
        ("metrics/rates.py", "from pyfairme.data import schema"),
        ("persistence.py", "from .variants import VARIANTS"),
        ("persistence.py", "from .estimators import base"),
        ("study/crossval/cross_validate.py", "def plot():\n    from pyfairme.report import plots"),
        ("report/plots.py", "from pyfairme.cli import app"),
        ("new_room/thing.py", "import numpy"),
    ],
)
def test_a_forward_import_is_found(file, source):
    assert len(forward_imports(source, file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("__init__.py", "from pyfairme.cli import app"),
        ("cli.py", "import pyfairme as pf\nfrom .report import plots"),
        ("estimators/base.py", "from ..persistence import save_state\nfrom . import specs"),
        ("estimators/base.py", "from ..metrics.rates import tpr_sd\nfrom ..data import Schema"),
        ("data/design.py", "from .schema import Schema\nfrom pyfairme.metrics import tpr_sd"),
        ("data/sub/deep.py", "from ..schema import Schema\nimport model, numpy.random"),
    ],
)
def test_a_backward_import_is_allowed(file, source):
    assert forward_imports(source, file) == []


def test_a_delegate_is_allowed_only_where_listed(monkeypatch):
    file, other = "study/frontier/curve.py", "study/crossval/cross_validate.py"
    monkeypatch.setitem(globals(), "DELEGATES", {(file, "pyfairme.plots.curve_plot")})
    lazy = "def plot():\n    from pyfairme.plots.curve_plot import draw"
    assert forward_imports(lazy, file) == []
    assert len(forward_imports(lazy, other)) == 1
    assert len(forward_imports("from pyfairme.plots.curve_plot import draw", file)) == 1
    assert len(forward_imports(lazy.replace("curve_plot", "html"), file)) == 1


def test_a_banned_import_is_found():
    source = "import pickle as p\ndef f():\n    from flax import linen"
    found = ["cli.py imports flax", "cli.py imports pickle"]
    assert banned_imports(source, "cli.py") == found
    assert banned_imports("import numpy\nfrom . import pickle_free", "cli.py") == []
    assert banned_imports(source, UNPICKLES) == [f"{UNPICKLES} imports flax"]


def test_a_repeated_name_is_found():
    source = "class A:\n    class B: ...\ndef f():\n    class C: ..."
    assert sorted(classes(source)) == ["A", "B", "C"]
    assert repeated([("A", "x"), ("B", "x"), ("A", "y")]) == {"A": ["x", "y"]}


def test_a_foreign_private_name_is_found():
    source = "from pyfairme.data.design import _x\nfrom pyfairme.data import design as d\nd._y"
    assert foreign_private_names(source, "a.py") == ["a.py takes _x", "a.py takes _y"]
    assert foreign_private_names("from numpy import _core\nself._y", "a.py") == []


# --- what importing costs -----------------------------------------------------------------------


def left_out(root: Path) -> list[str]:
    """Files of the project that git leaves out, caches apart: a clean checkout lacks them."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard"]
    folders = ["pyfairme", "tests", "docs", "notebooks", ".ci"]
    found = subprocess.run(
        [*command, *folders], cwd=root, capture_output=True, text=True, check=True
    )
    caches = ("__pycache__", ".ipynb_checkpoints", ".hypothesis", ".DS_Store")
    caches += ("docs/_build/", "docs/reference/")  # `make docs` writes them
    return [path for path in found.stdout.splitlines() if not any(c in path for c in caches)]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only in a checkout by git")
def test_a_clean_checkout_has_every_file():
    assert not left_out(ROOT)


def test_a_file_that_git_leaves_out_is_found(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.pyfairme\n")
    for folder in ("pyfairme", "tests", "docs", "notebooks", ".ci"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tests" / "model.pyfairme").write_text("")
    assert left_out(tmp_path) == ["tests/model.pyfairme"]


def test_every_test_is_in_one_part_of_the_suite():
    """What `make test` leaves out by its marks is what `make test-long` runs, but for studies."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r'^(?:SHORT|LONG) := -m "(.*)"$', makefile, re.M)
    assert len(found) == 2
    for marks in itertools.product([False, True], repeat=3):
        names = dict(zip(("long", "slow", "gpu"), marks, strict=True))
        parts = [eval(expression, {}, names) for expression in found]  # and, not: as in Python
        assert sum(parts) == (not names["slow"] and not names["gpu"])


def test_what_has_its_part_by_name_is_there():
    """A page, notebook or module that gets another name must not move to the other part unseen."""
    named = [*LONG_EXAMPLES, f"notebooks/{SHORT_NOTEBOOK}", *AT_EACH_COMMIT]
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize("target", ["pytest", "test-long"])
def test_both_parts_run_every_folder_of_tests(target):
    """The last run of each part takes all tests but those of the folders that others took."""
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    runs = [line.split() for line in done.stdout.splitlines() if "/pytest -n" in line]
    taken = {word for words in runs for word in words if (ROOT / word).exists()}
    left_out = {w.partition("=")[2] for words in runs for w in words if w.startswith("--ignore=")}
    assert {"tests", "notebooks", "pyfairme"} <= taken
    assert left_out <= taken - {"tests"}


def run(code: str) -> str:
    """Run code in a fresh interpreter, started in the checkout; return what it prints."""
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


JAX_AT_REST = """
import jax
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a backend was started"
assert jax.live_arrays() == [], "arrays were made"
assert not jax.config.jax_enable_x64, "jax.config was changed"
"""


def test_importing_pyfairme_computes_nothing():
    run(f"import pyfairme\n{JAX_AT_REST}")


def test_importing_every_module_computes_nothing():
    modules = [name_of(path).removesuffix(".py").replace("/", ".") for path in SOURCES]
    names = [f"pyfairme.{module}".removesuffix(".__init__") for module in modules]
    names = [name for name in names if not name.endswith("__main__")]
    run("".join(f"import {name}\n" for name in names) + JAX_AT_REST)


def test_the_check_of_jax_can_fail():
    computes = "import jax.numpy as jnp\nx = jnp.ones(3)\n"
    with pytest.raises(AssertionError, match="a backend was started"):
        run(computes + JAX_AT_REST)


def test_importing_pyfairme_leaves_the_rest_for_later():
    """What numpyro and scikit-learn load themselves (tqdm) does not count as ours."""
    loaded = run(
        "import sys, jax, numpyro, optax, pandas, scipy.stats, sklearn.base, narwhals\n"
        "before = set(sys.modules)\n"
        "import pyfairme\n"
        f"print(*sorted((set(sys.modules) - before) & {LAZY!r}))"
    )
    assert loaded == ""
