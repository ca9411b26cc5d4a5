"""The same compiled code serves all files of this folder."""

from tests.estimators.conftest import shared_compilations  # noqa: F401
