"""Signatures of versions with the user's own keys, by the package model-signing (``pip install 'drf[signing]'``).

A manifest shows that files are those that were registered; a signature shows that whoever registered them has the
private key. If ``DRF_SIGNING_KEY`` names a private key (PEM, elliptic curve), each registered version is signed. If
``DRF_VERIFYING_KEY`` names the public key, each loaded version must be signed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from ..errors import InputError, first_line
from .manifest import FILE, SIGNATURE

SIGNING_KEY, VERIFYING_KEY = "DRF_SIGNING_KEY", "DRF_VERIFYING_KEY"


def require_key() -> None:
    """Refuse a signing key that cannot be used, before anything is trained.

    Raises
    ------
    InputError
        Saying why not; also if the variable of the verifying key is set and empty.
    """
    _key(VERIFYING_KEY)
    if _key(SIGNING_KEY):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / FILE).write_text("{}", encoding="utf-8")
            sign_if_asked(Path(folder))


def sign_if_asked(folder: Path) -> None:
    """Sign the manifest in a folder, if a signing key is set; raises InputError if the key cannot be used."""
    key = _key(SIGNING_KEY)
    if key is None:
        return
    package = _package(f"{SIGNING_KEY}={key}")
    with tempfile.TemporaryDirectory() as alone:
        shutil.copyfile(folder / FILE, Path(alone) / FILE)
        try:
            package.signing.Config().use_elliptic_key_signer(private_key=key).sign(alone, str(folder / SIGNATURE))
        except Exception as error:  # the package and the libraries below it have exceptions of their own
            raise InputError(f"{SIGNING_KEY}={key}: cannot be used to sign ({first_line(error)})") from error


def verifying() -> bool:
    """Tell whether versions must be signed; raises InputError if the variable of the key is set and empty."""
    return _key(VERIFYING_KEY) is not None


def verify_if_asked(folder: Path) -> None:
    """Check the manifest in a folder against its signature, if a verifying key is set.

    Raises
    ------
    ValueError
        If it is unsigned, or signed with another key.
    """
    key = _key(VERIFYING_KEY)
    if key is None:
        return
    package = _package(f"{VERIFYING_KEY}={key}")
    if not Path(key).is_file():
        raise InputError(f"{VERIFYING_KEY}={key}: there is no such file")
    if not (folder / SIGNATURE).is_file():
        raise ValueError(f"it is not signed, and {VERIFYING_KEY} asks for a signature")
    with tempfile.TemporaryDirectory() as alone:
        shutil.copyfile(folder / FILE, Path(alone) / FILE)
        try:
            package.verifying.Config().use_elliptic_key_verifier(public_key=key).verify(alone, str(folder / SIGNATURE))
        except Exception as error:
            raise ValueError(f"its signature is not one of the key {key} ({type(error).__name__})") from error


def _key(variable: str) -> str | None:
    """Return the file that a variable names; None if the variable is not set.

    Raises
    ------
    InputError
        If it is set to nothing: a missing secret must not switch the check off.
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
