"""Odd inputs of the data sets: sizes that cannot be, files that are not theirs."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyfairme import datasets
from tests.bad_inputs import table

AREA = "datasets"
MADE = {"rows": 60, "clusters": 3, "random_state": 0}
LOADERS = ("load_acs_income", "load_heritage", "load_ipums")
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """No real data are found, and files are written to a folder of the test."""
    monkeypatch.delenv("PYFAIRME_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def made(**options):
    return lambda: datasets.make_clustered(**{**MADE, **options})


def without_noise():
    """Without noise the outcome is the sign of what its mean says."""
    data = datasets.make_clustered(**MADE, noise=0)
    return data.target.to_numpy(), (data.truth.mixed > 0).astype(int)


def unseeded():
    one, two = (datasets.make_clustered(60, clusters=3, random_state=None) for _ in range(2))
    return (one.frame.shape, one.frame["x1"].equals(two.frame["x1"])), ((60, 8), False)


def huge_intercepts():
    """Clusters decide all: the outcome is the sign of the cluster's intercept."""
    data = datasets.make_clustered(**MADE, intercept_scale=1e308)
    signs = data.truth.intercepts[data.frame["cluster"]].to_numpy() > 0
    return data.target.to_numpy(), signs.astype(int)


@cache
def adult(**options):
    return datasets.load_adult(**options)


def written(loader, name, content):
    def program():
        Path(name).write_bytes(content)
        getattr(datasets, loader)(name)

    return program


def folder(loader):
    def program():
        Path("empty").mkdir()
        getattr(datasets, loader)("empty")

    return program


def called(loader, *arguments, **options):
    return lambda: getattr(datasets, loader)(*arguments, **options)


FRAME = pd.DataFrame({"x": [1, 2]})
PROGRAMS = {
    **{
        f"make_clustered {options}": made(**options)
        for options in (
            *({"rows": rows} for rows in (0, -1, 1.5, "x")),
            *({"clusters": clusters} for clusters in (0, 1)),
            {"rows": 5, "clusters": 10},
            {"clusters": 1.5},
            *({"sensitive_levels": levels} for levels in ((1,), (0,), ("a",), 3)),
            *({"covariates": covariates} for covariates in (0, -1)),
            {"likelihood": "x"},
            *({"intercept_scale": scale} for scale in (-1, np.nan, "x")),
            {"slopes": 99},
            {"noise": -1},
            {"classes": 1},
            {"likelihood": "categorical", "classes": 1},
            {"exposure": -1},
            *({"random_state": seed} for seed in ("x", -1)),
            {"probes": -1},
            {"probe_strength": "x"},
            {"cluster_imbalance": np.inf},
            {"unfairness": np.inf},
        )
    },
    **{
        f"make_clustered {{'likelihood': '{name}', 'intercept_scale': 100}}": made(
            likelihood=name, intercept_scale=100, clusters=10
        )
        for name in ("poisson", "negative_binomial")
    },
    "make_clustered {'noise': 0}": without_noise,
    "make_clustered {'random_state': None}": unseeded,
    "make_clustered {'intercept_scale': 1e+308}": huge_intercepts,
    "make_clustered without random_state": lambda: datasets.make_clustered(60),
    "unknown loader": lambda: datasets.load_nope,
    "load_adult deduplicate x": lambda: (
        adult(deduplicate="x").frame.shape,
        adult(deduplicate=True).frame.shape,
    ),
    "load_acs_income groups x": called("load_acs_income", FRAME, groups="x"),
    "load_ipums billion laughs xml": written("load_ipums", "usa_1.xml", BOMB.encode()),
}
for _loader in LOADERS:
    PROGRAMS |= {
        f"{_loader} no path": called(_loader),
        f"{_loader} missing": called(_loader, "nowhere"),
        f"{_loader} empty csv": written(_loader, "Claims.csv", b""),
        f"{_loader} wrong csv": written(_loader, "a.csv", b"a,b\n1,2\n"),
        f"{_loader} bad zip": written(_loader, "a.zip", b"PK no more"),
        f"{_loader} bad parquet": written(_loader, "a.parquet", b"PAR1 no more"),
        f"{_loader} empty folder": folder(_loader),
        f"{_loader} int": called(_loader, 5),
        f"{_loader} list of int": called(_loader, [5]),
        f"{_loader} empty list": called(_loader, []),
        f"{_loader} frame": called(_loader, FRAME),
        f"{_loader} xml": written(_loader, "a.xml", b"<a/>"),
        f"{_loader} /dev/null": called(_loader, "/dev/null"),
    }


@pytest.mark.parametrize("line", table.cases(AREA))
def test_datasets(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
