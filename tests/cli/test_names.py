"""Tables whose names are chosen to be taken for each other: groups in are groups out of files."""

from unicodedata import normalize

import numpy as np
import pandas as pd
import pytest

TARGET = 'y, "z"'
CLUSTERS = [
    "a / b", "(missing)", "all", "seen", '"all"', "A", "a", "two\nlines", "../x", "caf\u00e9",
    "cafe\u0301", "\ufb01", "fi", "NA", "01", "1", "$x^{$", "L" * 300 + "1", "L" * 300 + "2",
]  # fmt: skip
GROUPS = ["a & b", "(missing)", "(new level)", "all", '"all"', "x, y", ""]
CLASSES = ["a/b", "a b", "L" * 300]
pytestmark = pytest.mark.slow  # ten pictures, 1,000 lines: by name, see docs/reliability.md
QUICK = ("--epochs", "1", "--min-steps", "5", "--hidden", "none", "--fairness", "none")


def make(rows, seed, names):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "residual": [names[i % len(names)] for i in range(rows)],
            "all": [GROUPS[i] for i in rng.integers(len(GROUPS), size=rows)],
            "Intercept": x,
            "a, b": rng.normal(size=rows),
            TARGET: [CLASSES[i] for i in rng.integers(3, size=rows)],
            "$row": np.arange(rows),
        }
    )


@pytest.fixture(scope="module")
def made(call, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    make(400, 0, CLUSTERS).to_csv(folder / "t.csv", index=False)
    make(200, 1, [*CLUSTERS, "zz", "aa"]).to_csv(folder / "new.csv", index=False)
    fit = call(
        "fit", folder / "t.csv", "--target", TARGET, "--cluster", "residual", "--sensitive", "all",
        "--drop", "$row", "--random-slopes", '"a, b",Intercept', "--out", folder / "m",
        "--held-out-rows", folder / "held.csv", *QUICK,
    )  # fmt: skip
    report = call(
        "report", folder / "m", folder / "new.csv", "--target", TARGET, "--by-cluster",
        "--n-boot", "0", "--out", folder / "report",
    )  # fmt: skip
    predict = call(
        "predict", folder / "m", folder / "new.csv", "--keep", "$row", "--out", folder / "p.csv"
    )
    for result in (fit, report, predict):
        assert result.exit_code == 0, result.output
    return folder, fit.output, report.output


def text(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_rows_in_are_rows_out(made):
    folder, *_ = made
    held, new, found = text(folder / "held.csv"), text(folder / "new.csv"), text(folder / "p.csv")
    whole = text(folder / "t.csv").set_index("$row").loc[held["$row"]].reset_index()
    pd.testing.assert_frame_equal(
        held[["residual", "all", TARGET]], whole[["residual", "all", TARGET]]
    )
    assert found["$row"].tolist() == new["$row"].tolist()
    known = new["residual"].isin(CLUSTERS)
    assert (found["cluster_seen"] == known.map({True: "True", False: "False"})).all()
    assert {f"probability_{name}" for name in CLASSES} <= set(found)


def test_groups_in_are_groups_out(made):
    folder, *_ = made
    new, report = text(folder / "new.csv"), text(folder / "report" / "fairness_report.csv")
    sizes = new[new["residual"].isin(CLUSTERS)]["all"].value_counts()
    lines = report[(report["effects"] == "mixed") & (report["metric"] == "selection_rate")]
    lines = lines[(lines["clusters"] == "seen") & (lines["attribute"] == '"all"')]
    shown = {"all": '"all"', '"all"': '""all""', "": "(missing)"}
    shown |= {name: f'"{name}"' for name in ("(missing)", "(new level)")}
    for label in CLASSES:
        found = lines[lines["class"] == label].set_index("group")["n"].drop("all", errors="ignore")
        expected = {shown.get(name, name): str(sizes[name]) for name in GROUPS}
        assert found.to_dict() == expected


def test_clusters_in_are_clusters_out(made):
    folder, _, said = made
    for file, column, number in (
        ("cluster_effects.csv", "cluster", len(CLUSTERS)),
        ("fairness_by_cluster.csv", "clusters", len(CLUSTERS) + 2),
    ):
        assert text(folder / "report" / file)[column].nunique() == number
    lines = said.partition("\ncluster  ")[2].partition("\n\n")[0].splitlines()[1:]
    assert len({normalize("NFC", line[:33]).strip() for line in lines}) == 20 + 1  # and "1 more"


def test_every_file_has_a_name_of_its_own(made):
    """Whatever the disk takes for one: case, ways of writing accents; none is elsewhere."""
    folder, _, said = made
    there = sorted(path.name for path in (folder / "report").iterdir())
    lines = said.partition("\nIn ")[2].splitlines()[1:]
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(named) == there
    assert len({normalize("NFKC", name).casefold() for name in there}) == len(there) >= 13
    assert max(len(name.encode()) for name in there) < 200
    assert {path.name for path in folder.iterdir()} == {
        "t.csv", "new.csv", "held.csv", "m", "report", "p.csv",
    }  # fmt: skip


def test_lists_on_the_screen_have_as_many_items_as_names(made):
    _, said, _ = made
    assert 'numeric      Intercept, "a, b"\n' in said
    words = " ".join(said.split())
    assert 'sensitive all: "(missing)" ' in words
    assert '"x, y" ' in words.partition("sensitive all: ")[2].partition(" numeric ")[0]
