"""Plain state to one file and back: without pickle, within limits, signed if wanted."""

from pyfairme.persistence.seals import secret_of
from pyfairme.persistence.state_file import FORMAT_VERSION, as_of_a_file, load_state, save_state

__all__ = ["FORMAT_VERSION", "as_of_a_file", "load_state", "save_state", "secret_of"]
