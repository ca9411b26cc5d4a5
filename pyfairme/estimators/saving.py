"""A fitted estimator is written to a file."""

from __future__ import annotations

from typing import Any

from pyfairme import persistence
from pyfairme.estimators import state

__all__ = ["Saving"]


class Saving:
    """What an estimator needs to be saved."""

    def _check_use(self) -> None:
        raise NotImplementedError

    def save(self, path: Any, *, key: str | bytes | None = None) -> None:
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

        Raises
        ------
        ValueError
            When keywords were changed after fit that only another fit can obey, or the key is too
            short.
        OSError
            When the file cannot be written; the old one is then as it was.
        """
        self._check_use()
        persistence.save_state(path, state.to_state(self), kind=type(self).__name__, key=key)
