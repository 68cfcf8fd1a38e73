"""Signatures of versions with the user's own keys, by the package model-signing (``pip install 'drf[signing]'``).

A manifest shows that files are those that were registered; a signature shows that whoever registered them has the
private key. If ``DRF_SIGNING_KEY`` names a private key (PEM, elliptic curve), each registered version is signed. If
``DRF_VERIFYING_KEY`` names the public key, each loaded version must be signed.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..errors import InputError, first_line
from .manifest import FILE, SIGNATURE

SIGNING_KEY, VERIFYING_KEY = "DRF_SIGNING_KEY", "DRF_VERIFYING_KEY"


def require_key() -> None:
    """Refuse a signing key that cannot be used, before anything is trained.

    Raises InputError if the key is unusable (the message says why), or the verifying key's variable is set but empty.
    """
    _key(VERIFYING_KEY)
    signature_of("{}")


def sign_if_asked(folder: Path) -> None:
    """Sign the manifest in a folder, if a signing key is set; raises InputError if the key cannot be used."""
    signature = signature_of((folder / FILE).read_text(encoding="utf-8"))
    if signature is not None:
        (folder / SIGNATURE).write_text(signature, encoding="utf-8")


def verifying() -> bool:
    """Tell whether versions must be signed; raises InputError if the variable of the key is set and empty."""
    return _key(VERIFYING_KEY) is not None


def verify_if_asked(folder: Path) -> None:
    """Check the manifest in a folder against its signature, if a verifying key is set.

    Raises ValueError if it is unsigned, or signed with another key.
    """
    if verifying():
        signature = folder / SIGNATURE
        written = signature.read_text(encoding="utf-8") if signature.is_file() else None
        require_signature((folder / FILE).read_text(encoding="utf-8"), written, "it")


def signature_of(text: str) -> str | None:
    """Return the signature of a text; None if no signing key is set.

    Raises InputError if the key cannot be used.
    """
    key = _key(SIGNING_KEY)
    if key is None:
        return None
    package = _package(f"{SIGNING_KEY}={key}")
    with _alone(text) as (folder, signature):
        try:
            package.signing.Config().use_elliptic_key_signer(private_key=key).sign(folder, signature)
        except Exception as error:  # the package and the libraries below it have exceptions of their own
            raise InputError(f"{SIGNING_KEY}={key}: cannot be used to sign ({first_line(error)})") from error
        return Path(signature).read_text(encoding="utf-8")


def require_signature(text: str, signature: str | None, what: str) -> None:
    """Check a text against its signature, if a verifying key is set.

    Raises ValueError if it is unsigned, or signed with another key. ``what`` names the text in the message.
    """
    key = _key(VERIFYING_KEY)
    if key is None:
        return
    package = _package(f"{VERIFYING_KEY}={key}")
    if not Path(key).is_file():
        raise InputError(f"{VERIFYING_KEY}={key}: there is no such file")
    if signature is None:
        raise ValueError(f"{what} is not signed, and {VERIFYING_KEY} asks for a signature")
    with _alone(text) as (folder, file):
        Path(file).write_text(signature, encoding="utf-8")
        try:
            package.verifying.Config().use_elliptic_key_verifier(public_key=key).verify(folder, file)
        except Exception as error:
            whose = "its" if what == "it" else f"{what}: its"
            raise ValueError(f"{whose} signature is not one of the key {key} ({type(error).__name__})") from error


def is_signed(text: str, signature: str | None) -> bool:
    """Tell whether a text has its signature; always true if no verifying key is set."""
    try:
        require_signature(text, signature, "it")
    except InputError:
        raise
    except ValueError:
        return False
    return True


@contextmanager
def _alone(text: str) -> Iterator[tuple[str, str]]:
    """Write a text into its own folder, for signing as a whole; yield the folder and the signature's path."""
    with tempfile.TemporaryDirectory() as folder:
        signed = Path(folder) / "signed"
        signed.mkdir()
        (signed / FILE).write_text(text, encoding="utf-8")
        yield str(signed), str(Path(folder) / SIGNATURE)


def _key(variable: str) -> str | None:
    """Return the file that a variable names; None if the variable is not set.

    Raises InputError if it is set but empty, because a missing secret must not switch the check off.
    """
    key = os.environ.get(variable)
    if key is not None and not key.strip():
        raise InputError(f"{variable}: is set and empty: name the file of the key, or unset the variable")
    return key


def _package(asked: str) -> ModuleType:
    try:
        import model_signing
    except ImportError as error:
        raise InputError(f"{asked}: {first_line(error)}: pip install 'drf[signing]'") from error
    return model_signing
