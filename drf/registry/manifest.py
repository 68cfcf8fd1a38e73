"""The manifest of a version: the SHA-256 of each of its files, so that no file can change unnoticed.

The manifest is stored with the files; its own digest is a tag of the version. This file travels with every version,
which checks its own files when it is loaded. The project's commands also check the manifest against the tag.
"""

import hashlib
import json
from pathlib import Path

FILE, SIGNATURE = "manifest.json", "manifest.sig"

_BESIDE = {FILE, SIGNATURE, "registered_model_meta"}  # MLflow writes the last into what it downloads


def make_manifest(folder: Path) -> str:
    """Return the manifest of all files below a folder: one JSON object, path -> SHA-256.

    Raises ValueError if the folder holds a link, because its target could change unnoticed.
    """
    if linked := sorted(place for place in folder.rglob("*") if place.is_symlink()):
        raise ValueError(f"its file {linked[0].relative_to(folder).as_posix()} is a link")
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    digests = {file.relative_to(folder).as_posix(): digest_of(file.read_bytes()) for file in files}
    return json.dumps({name: digests[name] for name in sorted(digests) if name not in _BESIDE}, indent=1)


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def verify(folder: Path, digest: str | None = None) -> None:
    """Check the files below a folder against their manifest, and the manifest against its digest if one is given.

    Raises ValueError if a file is missing, was changed, was added or is a link; the message names the first.
    """
    file = folder / FILE
    if not file.is_file():
        raise ValueError(f"its {FILE} is missing: it is not a version of this project, or only part of one")
    written = file.read_bytes()
    if digest is not None and digest_of(written) != digest:
        raise ValueError(f"its {FILE} is not the one that was registered")
    wanted, found = _read(written), json.loads(make_manifest(folder))
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            how = "is missing" if name not in found else "was added" if name not in wanted else "was changed"
            raise ValueError(f"its file {name} {how} since it was registered")


def verify_file(manifest: bytes, digest: str, name: str, content: bytes) -> None:
    """Check one file against a manifest, and the manifest against its digest.

    Raises ValueError if either is not as registered; the message says which.
    """
    if digest_of(manifest) != digest:
        raise ValueError(f"its {FILE} is not the one that was registered")
    if _read(manifest).get(name) != digest_of(content):
        raise ValueError(f"its file {name} was changed since it was registered")


def _read(manifest: bytes) -> dict[str, str]:
    try:
        return dict(json.loads(manifest))
    except (ValueError, TypeError) as error:
        raise ValueError(f"its {FILE} is not one that was registered ({error})") from error
