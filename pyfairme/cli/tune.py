"""``pyfairme tune``: search an estimator's keywords, fairness at a stated cost of accuracy."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from pyfairme.atomic import write_text
from pyfairme.cli.fit_options import estimator_keywords
from pyfairme.cli.options import HoldOutGroups, Names, Weight, option
from pyfairme.cli.problems import one_line_errors, spoken_warnings
from pyfairme.cli.reading import Decimal, Encoding, Missing, Reading, Separator
from pyfairme.cli.roles import Roles, number_names, parse_clusters, parse_sensitive, role_names
from pyfairme.cli.table_files import check_folder, read_table
from pyfairme.cli.training_table import read_learning
from pyfairme.cli.tune_files import read_best, read_settings
from pyfairme.datasets import Dataset
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.report.writing import write_csv
from pyfairme.study import Tuning

COLUMNS = ("cluster", "sensitive", "categorical", "drop")  # what the data set has
LIGHT = {"hidden": (8,), "epochs": 1, "min_steps": 60}


def tune(
    source: Annotated[
        str, typer.Argument(help="adult, acs or heritage; or a CSV, TSV or Parquet file.")
    ],
    target: Annotated[str | None, option("COLUMN", "Column to predict, of a file.")] = None,
    cluster: Annotated[
        Names, option("COLUMN", "Column that groups rows, of a file; as of fit: school/class.")
    ] = None,
    sensitive: Annotated[Names, option("ATTRIBUTE", "As of fit, once for each, of a file.")] = None,
    drop: Annotated[
        Names, option("COLUMN", "Column of a file to leave out, once for each.")
    ] = None,
    categorical: Annotated[Names, option("COLUMN", "As of fit, once for each, of a file.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of acs or heritage; else that of PYFAIRME_DATA."),
    ] = None,
    variant: Annotated[
        str, option("NAME", "The model of the paper that the search starts at.")
    ] = "medl_adb",
    settings: Annotated[
        Path | None, option("FILE", "JSON of keywords of the estimator, over those of the variant.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials of the study in all, by however many processes.")
    ] = 100,
    weight: Weight = None,
    objective: Annotated[
        str,
        option(
            "NAME", "fairness, accuracy or frontier; auto: fairness if the model has a penalty."
        ),
    ] = "auto",
    max_cost: Annotated[
        float, option("SHARE", "Balanced accuracy that fairness may cost; 0.01: a point.")
    ] = 0.01,
    baseline: Annotated[
        Path | None,
        option(
            "FILE",
            "best.json of a search for the unfair model, which sets the demand.",
            show_default="the same model without fairness",
        ),
    ] = None,
    search: Annotated[
        str,
        option(
            "KEYWORDS",
            "What is searched: fairness_weight,learning_rate,...; all that the model has if empty.",
        ),
    ] = "",
    seen: Annotated[
        int | None,
        option(
            "NUMBER",
            "Clusters that training sees, the largest ones.",
            show_default="as in the paper; all of a file",
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=3, help="Folds; one of them is never touched.")] = 10,
    hold_out_groups: HoldOutGroups = None,
    hold_out_clusters: Annotated[
        bool,
        typer.Option(
            "--hold-out-clusters", help="Judge by whole clusters that a fit has not seen."
        ),
    ] = False,
    turns: Annotated[
        int | None, option("NUMBER", "Validation folds per trial.", show_default="all")
    ] = None,
    rows: Annotated[int | None, option("NUMBER", "A random part of the rows.")] = None,
    out: Annotated[Path, option("FOLDER", "Folder for the study and what it found.")] = Path(
        "pyfairme-tune"
    ),
    storage: Annotated[
        str | None,
        option(
            "URL",
            "Any storage of Optuna, or the path of a journal file.",
            show_default="tune.db in the folder",
        ),
    ] = None,
    engine: Annotated[str, option("NAME", "local, or ray: folds as tasks of a cluster.")] = "local",
    address: Annotated[
        str | None, option("ADDRESS", "Of a running Ray cluster; else one is started.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Workers of the Ray cluster.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seeds folds, networks and draws.")] = 0,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A tiny network, few steps: its figures mean nothing."),
    ] = False,
    encoding: Encoding = None,
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = None,
) -> None:
    """Search the settings of a model: the fairest one within a budget of accuracy.

    Every trial is judged on validation folds; one fold and the rows of other clusters are never
    touched. Interrupted or killed, the same command goes on: finished trials are kept. Run in
    several shells, or on machines that share the storage, the processes share the study.

    \b
    Examples:
      pyfairme tune adult --variant medl --trials 100 --out unfair
      pyfairme tune adult --baseline unfair/best.json --max-cost 0.0025
      pyfairme tune loans.csv --target repaid --cluster branch --sensitive sex \\
          --engine ray --jobs 4
    """  # noqa: D301 (\b is click's mark for lines that are not to be wrapped)
    from pyfairme.paper.reproduction import PLANS
    from pyfairme.study import tune as run
    from pyfairme.study.crossval.splits import some_rows

    with one_line_errors():
        if engine == "ray" and find_spec("ray") is None:
            raise ValueError("--engine ray needs Ray: pip install 'pyfairme[ray]'. [no-ray]")
        check_folder(out)
        if source in PLANS:
            plan = PLANS[source]
            dataset = plan.load(data)
            planned = dict(plan.settings)
            seen = seen if seen is not None else plan.seen[str(dataset.schema.cluster[0])]
        else:
            if target is None:
                raise ValueError(
                    f"{source!r} is none of {', '.join(PLANS)}; for a file give --target COLUMN. "
                    "[no-target]"
                )
            reading, planned = Reading.of(encoding, separator, decimal, missing), {}
            dataset = _read(
                Path(source),
                target,
                cluster or (),
                sensitive or (),
                drop or (),
                categorical or (),
                weight,
                hold_out_groups,
                reading,
            )
        dataset = some_rows(dataset, rows)
        kind = _kind(dataset)
        own = {} if settings is None else read_settings(settings, kind)
        keywords = _keywords(dataset, planned, variant, quick) | own
        estimator = kind(**keywords)
        found: Any
        with spoken_warnings():
            found = run(
                estimator,
                dataset,
                trials=trials,
                storage=storage or f"sqlite:///{out / 'tune.db'}",
                engine=engine,
                address=address,
                n_jobs=jobs,
                space=_space(estimator, dataset, search),
                objective=objective,
                max_cost=max_cost,
                baseline=None if baseline is None else read_best(baseline, kind),
                seen=seen,
                folds=folds,
                groups=hold_out_groups,
                hold_out="clusters" if hold_out_clusters else "rows",
                turns=turns,
                random_state=seed,
            )
        _write(found, keywords, out)
    _say(found, out)


def _read(
    path: Path,
    target: str,
    cluster: Sequence[str],
    sensitive: Sequence[str],
    drop: Sequence[str],
    categorical: Sequence[str],
    weight: str | None,
    hold_out_groups: str | None,
    reading: Reading,
) -> Dataset:
    """Read a table with its roles."""
    frame = read_table(
        path,
        role_names(cluster, sensitive),
        numbers=number_names(sensitive, weight),
        used=lambda name: name not in drop,
        reading=reading,
    )
    roles = Roles(
        target=target,
        cluster=parse_clusters(cluster, frame),
        sensitive=parse_sensitive(sensitive, frame),
        dropped=tuple(drop),
        categorical=tuple(categorical),
        weight=weight,
    ).without_groups(hold_out_groups, frame)
    learning = read_learning(frame, roles, "auto", None, drop_missing=False)
    schema = replace(learning.schema, target=target)
    name = path.name.split(".")[0]
    unread = [column for column in drop if column != hold_out_groups]
    used = learning.covariates.drop(columns=unread)
    return Dataset(used, learning.y, schema, name=name, weight=learning.weight)


def _keywords(
    dataset: Dataset, settings: Mapping[str, Any], variant: str, quick: bool
) -> dict[str, Any]:
    """Return the estimator's keywords without its roles, which the data set has."""
    schema = dataset.schema
    roles = Roles(schema.target or "", schema.cluster, schema.sensitive, (), ())
    found = estimator_keywords(roles, dataset.frame, variant, {})
    own = {"threshold": "balanced_accuracy"} if schema.task == "classification" else {}
    found = {**own, **settings, **found, **(LIGHT if quick else {})}
    return {name: found[name] for name in found if name not in COLUMNS}


def _kind(dataset: Dataset) -> type[FairMixedEffects]:
    if dataset.schema.task == "classification":
        return FairMixedEffectsClassifier
    return FairMixedEffectsRegressor


def _space(estimator: FairMixedEffects, dataset: Dataset, search: str) -> dict[str, Any]:
    """Return the default space, or the part of it that is named."""
    from pyfairme.study.crossval.fits import with_roles
    from pyfairme.study.tuning.search_space import default_space

    space = default_space(with_roles(estimator, dataset))
    wanted = [name.strip() for name in search.split(",") if name.strip()]
    known = {name.partition("[")[0] for name in space}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(
            f"--search {', '.join(unknown)}: expected some of {', '.join(known)}. [unknown-choice]"
        )
    return {
        name: entry
        for name, entry in space.items()
        if not wanted or name.partition("[")[0] in wanted
    }


def _write(found: Tuning, keywords: Mapping[str, Any], out: Path) -> None:
    from pyfairme.study.crossval.fits import plain

    write_csv(found.frame, out / "trials.csv")
    line = found.frame[found.frame["best"]].iloc[0]
    best = {
        "keywords": plain({**keywords, **found.best}),
        "tuned": plain(found.best),
        "trial": int(line["number"]),
        "metrics": found.study.trials[int(line["number"])].user_attrs["metrics"],
        "baseline": dict(found.baseline),
        "study": found.study.study_name,
        "command": shlex.join(["pyfairme", *sys.argv[1:]]),
    }
    text = json.dumps(best, indent=1, ensure_ascii=False)
    write_text(out / "best.json", text + "\n")


def _say(found: Tuning, out: Path) -> None:
    line = found.frame[found.frame["best"]].iloc[0]
    states = found.frame["state"].value_counts()
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    typer.echo(f"Study {found.study.study_name}: {len(found.frame)} trials ({counts}).")
    typer.echo(f"Best on validation folds: trial {line['number']}.")
    for name, meaning in (("accuracy", "accuracy"), ("worst_sd", "worst SD"), ("loss", "loss")):
        if name in found.frame:
            before = f"  (baseline {found.baseline[name]:.4f})" if found.baseline else ""
            typer.echo(f"  {meaning:<10} {line[name]:.4f}{before}")
    for name, value in found.best.items():
        typer.echo(f"  {name} = {value!r}")
    typer.echo(f"In {out}: trials.csv, best.json. Judge it by cross_validate, on other folds.")
