"""A fitted estimator is written to a file."""

from __future__ import annotations

from typing import Any

from pyfairme import persistence
from pyfairme.estimators import saved_state
from pyfairme.estimators.private_copy import private_copy

__all__ = ["Saving"]


class Saving:
    """What an estimator needs to be saved."""

    def _check_use(self) -> None:
        raise NotImplementedError

    def save(self, path: Any, *, key: str | bytes | None = None, private: bool = False) -> None:
        """Write the fitted estimator to one file, without pickle; `pyfairme.load` reads it.

        docs/model_files.md says what the file holds of the training rows.

        Parameters
        ----------
        path
            File to write. An existing one is replaced, and keeps its permissions; of a symbolic
            link the file that it names. Folders, devices, pipes and read-only files are refused.
        key
            Secret of at least 16 bytes, text or bytes, with which the file is signed (HMAC-SHA256):
            ``load(path, key=key)`` refuses files that were not. The file can be read without it.
        private
            Leave names of clusters and exact values of single rows out. Knots move by up to a
            quarter of the gap to the next one, or most of a unit, so predictions change a little.
            With a ``key`` names are hashed with it: who loads with the key gets the effects of
            known clusters. Without one every cluster is new to the loaded model. Weights and
            effects stay as they are.

        Raises
        ------
        ValueError
            When keywords were changed after fit that only another fit can obey, the key is too
            short, or is not the one that the model's names are hashed with.
        OSError
            When the file cannot be written; the old one is then as it was.
        """
        self._check_use()
        secret = persistence.secret_of(key)
        written = private_copy(self, secret) if private else self
        found = saved_state.to_state(written, secret)
        persistence.save_state(path, found, kind=type(self).__name__, key=secret)
