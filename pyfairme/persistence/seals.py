"""Checksums, which tell damage, and signatures, which tell forgeries.

Both are of the text of the configuration as it would be without them. The text holds the checksum
of the arrays, so that a signature is of the whole file.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfairme.notices import StateError
from pyfairme.persistence.archive import ARRAYS, CONFIG

LEAST_KEY = 16  # bytes
SEALS = re.compile(
    rb'(?P<hmac> "hmac-sha256": "(?P<code>[0-9a-f]{64})",\n)?'
    rb' "sha256": \{\n  "arrays.safetensors": "(?P<arrays>[0-9a-f]{64})",\n'
    rb'  "config.json": "(?P<config>[0-9a-f]{64})"\n \}\n\}\Z'
)
SEALS_BYTES = 512


def dump(config: Mapping[str, Any]) -> bytes:
    """Return a configuration as text: equal ones as equal bytes."""
    return json.dumps(config, indent=1, allow_nan=False).encode("ascii")


def sealed(config: Mapping[str, Any], tensors: bytes, secret: bytes | None) -> bytes:
    """Return the text of a configuration with the seals at its end.

    The digest and the signature are of the text without themselves: it ends as it would if they
    had never been in it.
    """
    found: dict[str, Any] = dict(config)
    digests = {ARRAYS: hashlib.sha256(tensors).hexdigest()}
    if secret is not None:
        found["hmac-sha256"] = _sign(dump({**found, "sha256": digests}), secret)
    whole = hashlib.sha256(dump({**found, "sha256": digests})).hexdigest()
    return dump({**found, "sha256": {**digests, CONFIG: whole}})


def _sign(text: bytes, secret: bytes) -> str:
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


def check_seals(text: bytes, tensors: bytes, config: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """Compare the digests; return the text that a signature is of, and the signature if any."""
    if not isinstance(config.get("sha256"), dict):
        raise StateError("it has no checksums")
    seals = SEALS.search(text, max(len(text) - SEALS_BYTES, 0))
    if seals is None:
        raise StateError(f"the checksum of {CONFIG} is not the one it was saved with")
    if hashlib.sha256(tensors).hexdigest().encode() != seals["arrays"]:
        raise StateError(f"the checksum of {ARRAYS} is not the one it was saved with")
    body = text[: seals.start()]
    end = b' "sha256": {\n  "arrays.safetensors": "' + seals["arrays"] + b'"\n }\n}'
    if hashlib.sha256(body + (seals["hmac"] or b"") + end).hexdigest().encode() != seals["config"]:
        raise StateError(f"the checksum of {CONFIG} is not the one it was saved with")
    return body + end, seals["code"].decode() if seals["code"] else None


def check_signature(path: Path, secret: bytes | None, signed: bytes, code: str | None) -> None:
    """Raise ValueError where there is a key, and it is not the one that a text was signed with."""
    if secret is None:
        return
    if code is None:
        raise ValueError(
            f"the file {str(path)!r} is not signed, so a key cannot tell who wrote it: save it "
            "with save(..., key=), or leave out the key if you trust the file [not-signed]"
        )
    if not hmac.compare_digest(code, _sign(signed, secret)):
        raise ValueError(
            f"the file {str(path)!r} was signed with another key, or altered by someone who does "
            "not have it: do not use it before you know which [wrong-key]"
        )


def secret_of(key: Any) -> bytes | None:
    """Return a key as bytes; refuse one that could be guessed by trying."""
    if key is None:
        return None
    if not isinstance(key, str | bytes):
        raise TypeError(
            f"key must be text or bytes, got {type(key).__name__}: make one with "
            "secrets.token_hex() and keep it apart from the files [key]"
        )
    secret = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    if len(secret) < LEAST_KEY:
        raise ValueError(
            f"key must have at least {LEAST_KEY} bytes, got {len(secret)}: make one with "
            "secrets.token_hex() and keep it apart from the files [key]"
        )
    return secret
