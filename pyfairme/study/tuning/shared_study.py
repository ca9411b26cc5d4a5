"""A study of Optuna that several processes work on, any of which may be killed.

Every running trial names its owner (machine and process) and has a pulse: a number that the owner
raises every few seconds. A trial is dead when its owner is a process of this machine that is gone,
or when its pulse has stood still for `GRACE` seconds by our own clock; then it is marked failed,
and the same point is queued again. This works alike for every storage, and in ask-and-tell loops,
for which Optuna's own heartbeats are not made (docs/decisions.md has what they would lose).

A finished trial carries SHA-256 of its point and results. One that is not as it was written does
not count; its point is judged anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
import uuid
import weakref
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyfairme.notices import warn

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.study.tuning.trials import FoldRows

JOINED = "joined "  # begins the names of the study's attributes that say who works on it
PULSE = 15.0  # seconds between two beats
GRACE = 120.0  # without a beat: dead
RETRIES = 2  # of one point whose process died: it may be what kills it
CHECKSUM, ALL_CHECKED = "sha256", "trials have sha256"  # attributes of a trial, and of the study
RESULTS = ("metrics", "folds", "seconds", "warnings")  # attributes that a checksum is of
LOCKED = 60  # seconds that a writer waits for a SQLite file
ATTEMPTS = 20  # to create the tables, when several processes do so at once
_EXPECTED = (
    "storage must be a URL of a database (sqlite:///tune.db), the path of a journal file, a "
    "storage of Optuna, or None"
)


def open_storage(storage: str | Path | BaseStorage | None) -> BaseStorage:
    """Return a storage of Optuna.

    Parameters
    ----------
    storage
        A URL ("sqlite:///tune.db", "postgresql://..."), the path of a journal file, a storage of
        Optuna, or None: in memory.

    Raises
    ------
    ValueError
        When it is none of these, or cannot be opened.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    if storage is None:
        return optuna.storages.InMemoryStorage()
    if isinstance(storage, optuna.storages.BaseStorage):
        return storage
    if not isinstance(storage, str | Path):
        raise ValueError(f"{_EXPECTED}; got {storage!r}. [tuning-storage]")
    try:
        if isinstance(storage, str) and "://" in storage:
            return _open_database(storage)
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(storage)))
    except (SQLAlchemyError, OSError, ImportError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(
            f"The storage {str(storage)!r} cannot be opened: {why}. {_EXPECTED}. [tuning-storage]"
        ) from error


def _open_database(url: str) -> BaseStorage:
    """Open a database; its tables may be being made by another process at this moment."""
    import optuna
    from sqlalchemy.exc import DatabaseError

    options = {"connect_args": {"timeout": LOCKED}} if url.startswith("sqlite") else {}
    for attempt in range(ATTEMPTS):
        try:
            storage = optuna.storages.RDBStorage(url, engine_kwargs=dict(options))
        except DatabaseError as error:
            if attempt == ATTEMPTS - 1 or "unable to open" in str(error):  # no such folder
                raise
            time.sleep(0.1 * (attempt + 1))
        else:
            # Nobody closes the pool's connections otherwise; Python 3.13 warns of them.
            weakref.finalize(storage, storage.engine.dispose)
            return storage
    raise AssertionError


def join(study: Study) -> str:
    """Enter this search into the study's list of who works on it, and return its name.

    The name tells others of the same machine whether its process lives.
    """
    name = f"{_machine()}|{os.getpid()}|{uuid.uuid4().hex[:8]}"
    study.set_user_attr(JOINED + name, True)
    return name


def _machine() -> str:
    try:
        inside = os.readlink("/proc/self/ns/pid")  # containers count processes by themselves
    except OSError:
        inside = ""
    return f"{platform.node()}|{inside}"


def _gone(name: str) -> bool:
    """Tell whether an owner is a process of this machine that is no more."""
    machine, process, _ = name.rsplit("|", 2)
    if machine != _machine():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return _is_zombie(int(process))


def _is_zombie(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"  # killed, not yet waited for by its parent


class RunningTrial(NamedTuple):
    """A trial of ours: Optuna's object, the estimator, the folds judged so far."""

    trial: Trial
    estimator: FairMixedEffects
    rows: tuple[FoldRows, ...] = ()


class Watch:
    """Finds trials whose process died, and queues their points again.

    Parameters
    ----------
    study
        The study.
    me
        Our name, see `join`.
    """

    def __init__(self, study: Study, me: str) -> None:
        self._study, self._me = study, me
        self._seen: dict[int, tuple[Any, float]] = {}  # by trial: its pulse, and since when

    def take_over(self, mine: Container[int]) -> list[int]:
        """Mark dead trials as failed, queue their points, and return their numbers."""
        from optuna.trial import TrialState

        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        dead = [trial for trial in running if trial.number not in mine and self._dead(trial)]
        return [trial.number for trial in dead if give_back(self._study, trial)]

    def _dead(self, trial: FrozenTrial) -> bool:
        name = trial.user_attrs.get("owner")
        # Without an owner it was being made, by any of the others who work on the study.
        if all(map(_gone, [name] if name else self._others())):
            return True
        pulse, now = (name, trial.user_attrs.get("pulse")), time.monotonic()
        known, since = self._seen.get(trial.number, (None, now))
        if known != pulse:
            self._seen[trial.number] = (pulse, now)
            return False
        return now - since > GRACE

    def _others(self) -> list[str]:
        joined = [key for key in self._study.user_attrs if key.startswith(JOINED)]
        return [key.removeprefix(JOINED) for key in joined if key != JOINED + self._me]


def give_back(study: Study, trial: FrozenTrial) -> bool:
    """Mark a running trial as failed and queue its point; False when another process did so."""
    import optuna

    try:
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return False
    if trial.params and not used_up(trial):
        retries = trial.user_attrs.get("retries", 0)
        again = {"retries": retries + 1, "retry_of": trial.user_attrs.get("retry_of", trial.number)}
        study.enqueue_trial(dict(trial.params), user_attrs=again)
    return True


def used_up(trial: Trial | FrozenTrial) -> bool:
    """Tell whether a trial's point was queued again as often as it may be."""
    return trial.user_attrs.get("retries", 0) >= RETRIES


def claim(
    study: Study, trials: int, space: Mapping[str, BaseDistribution], me: str
) -> Trial | None:
    """Ask the study for a trial of ours, unless its total is reached; then None.

    Two processes may both see one trial left; trials are numbered, and the later one is dropped.
    """
    from optuna.trial import TrialState

    checked = have_checksums(study)  # does not change: asked once, not for every trial
    numbers = counted(study, checked)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if len(numbers) >= trials and not waiting:
        return None
    trial = study.ask(fixed_distributions=dict(space))
    if trial.number in counted(study, checked)[trials:]:
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return None
    trial.set_user_attr("owner", me)
    return trial


def counted(study: Study, checked: bool | None = None) -> list[int]:
    """Return the numbers of the trials that count: not those whose process died."""
    from optuna.trial import TrialState

    checked = have_checksums(study) if checked is None else checked
    return [
        trial.number
        for trial in study.get_trials(deepcopy=False)
        if (trial.state != TrialState.FAIL or "error" in trial.user_attrs)
        and trusted(trial, checked)
    ]


def have_checksums(study: Study) -> bool:
    """Tell whether the trials of a study have checksums; asks its storage."""
    return bool(study.user_attrs.get(ALL_CHECKED, False))


def announce_checksums(study: Study) -> None:
    """Note that all trials of a new study will have checksums; those of older versions are not."""
    study.set_user_attr(ALL_CHECKED, True)


def write_results(
    trial: Trial, results: Mapping[str, object], values: Sequence[float] | None
) -> None:
    """Write the results of a trial, `RESULTS`, with their SHA-256; ``values`` None: pruned."""
    for name in RESULTS:
        trial.set_user_attr(name, results[name])
    trial.set_user_attr(CHECKSUM, _digest(trial, results, values))


def trusted(trial: FrozenTrial, checked: bool) -> bool:
    """Tell whether a trial is as it was written, or has not ended; see `have_checksums`."""
    from optuna.trial import TrialState

    there = trial.user_attrs
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    if not ended or not checked:
        return True
    values = trial.values if trial.state == TrialState.COMPLETE else None
    return there.keys() >= {*RESULTS} and there.get(CHECKSUM) == _digest(trial, there, values)


def write_shared(study: Study, name: str, value: object) -> None:
    """Write what all trials share, plain values, with their SHA-256."""
    study.set_user_attr(name, value)
    study.set_user_attr(f"{name} {CHECKSUM}", _sha256(value))


def read_shared(study: Study, name: str) -> Any:
    """Return what all trials share; None if it is not there, or not as it was written."""
    there = study.user_attrs
    if name not in there or not there.get(ALL_CHECKED, False):
        return there.get(name)
    if there.get(f"{name} {CHECKSUM}") == _sha256(there[name]):
        return there[name]
    warn(
        f"The {name} of the study {study.study_name!r} was changed after it was written: it is "
        f"evaluated again. [trials-damaged]"
    )
    return None


def _digest(
    trial: Trial | FrozenTrial, results: Mapping[str, object], values: Sequence[float] | None
) -> str:
    return _sha256([trial.number, trial.params, [results[name] for name in RESULTS], values])


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()


def judge_damaged_anew(study: Study) -> None:
    """Name the trials that are not as they were written, and queue their points again."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get("retry_of") for trial in trials}
    checked = have_checksums(study)
    damaged = [trial for trial in trials if not trusted(trial, checked)]
    fresh = [trial for trial in damaged if trial.number not in again]
    for trial in fresh:
        study.enqueue_trial(dict(trial.params), user_attrs={"retry_of": trial.number})
    if fresh:
        numbers = ", ".join(str(trial.number) for trial in fresh)
        warn(
            f"Trials {numbers} of the study {study.study_name!r} were changed after they were "
            f"written. They do not count, and their points are evaluated again. [trials-damaged]"
        )


@contextmanager
def beating(running: Mapping[int, RunningTrial]) -> Iterator[None]:
    """Raise the pulse of the running trials, by number, while the block runs."""
    from optuna.exceptions import OptunaError

    over = threading.Event()

    def beat() -> None:
        pulse = 0
        while not over.wait(PULSE):
            pulse += 1
            for entry in list(running.values()):
                with suppress(OptunaError):  # it ended just now
                    entry.trial.set_user_attr("pulse", pulse)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
