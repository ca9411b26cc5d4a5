"""The command line: ``pyfairme demo | fit | predict | report``, one module per command."""

from pyfairme.cli.app import app

__all__ = ["app"]
