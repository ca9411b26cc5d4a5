"""Cluster names kept as keyed hashes (HMAC), so that a file does not reveal them."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

MARK = "#"  # so that nobody takes a hash for a name


def new_salt() -> str:
    """Return a salt: the same name has another hash in another file."""
    return secrets.token_hex(16)


def derived(key: bytes, salt: str) -> bytes:
    """Return the secret for one set of names; a key also signs, so the two are kept apart."""
    return hmac.digest(key, b"names of clusters, salt " + salt.encode(), "sha256")


def hashed(names: Iterable[str], secret: bytes) -> list[str]:
    """Return HMAC-SHA256 of every name, cut to 128 bits.

    Who has the secret can try names; a hash without a secret could be found by everybody, as names
    are few.

    Examples
    --------
    >>> hashed(["ward 7"], b"secret")
    ['#4a577dc94607054946bf5e4712661e2c']
    """
    texts = [name.encode("utf-8", "surrogatepass") for name in names]
    return [MARK + hmac.new(secret, text, hashlib.sha256).hexdigest()[:32] for text in texts]
