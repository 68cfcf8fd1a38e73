"""Signatures with keys of one's own: nobody without the private key registers what is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow import MlflowClient

from drf.errors import InputError
from drf.registry.loading import load_model
from drf.registry.manifest import FILE, digest_of, make_manifest
from drf.registry.signing import SIGNING_KEY, VERIFYING_KEY, require_key
from tests.registry.making import NAME, register_small

URI = f"models:/{NAME}/1"


def make_keys(folder: Path, name: str) -> tuple[str, str]:
    """Paths of a private key and of its public one."""
    private = ec.generate_private_key(ec.SECP256R1())
    files = folder / f"{name}.pem", folder / f"{name}.pub"
    files[0].write_bytes(private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public = private.public_key()
    files[1].write_bytes(public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return str(files[0]), str(files[1])


def test_a_signed_version_is_loaded_and_any_other_refused(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = make_keys(tmp_path, "own"), make_keys(tmp_path, "other")
    monkeypatch.setenv(SIGNING_KEY, own[0])
    require_key()
    register_small(MlflowClient())
    load_model(URI)
    monkeypatch.setenv(VERIFYING_KEY, own[1])
    load_model(URI)
    monkeypatch.setenv(VERIFYING_KEY, other[1])
    with pytest.raises(InputError, match=rf"{URI}: its signature is not one of the key {other[1]}"):
        load_model(URI)
    monkeypatch.delenv(SIGNING_KEY)
    register_small(MlflowClient())
    with pytest.raises(InputError, match=rf"models:/{NAME}/2: it is not signed, and {VERIFYING_KEY} asks"):
        load_model(f"models:/{NAME}/2")


def test_files_and_tags_that_were_forged_together_are_found(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_keys(tmp_path, "own")
    monkeypatch.setenv(SIGNING_KEY, own[0])
    client = MlflowClient()
    register_small(client)
    (model,) = Path("mlruns").rglob("artifacts/MLmodel")
    spec = model.parent / "artifacts" / "bundle" / "spec.json"
    spec.write_text(spec.read_text().replace("\n", "\n ", 1))
    (model.parent / FILE).write_text(make_manifest(model.parent))
    client.set_model_version_tag(NAME, "1", "manifest", digest_of((model.parent / FILE).read_bytes()))
    load_model(URI)
    monkeypatch.setenv(VERIFYING_KEY, own[1])
    with pytest.raises(InputError, match="its signature is not one of the key"):
        load_model(URI)
    assert mlflow.MlflowClient().get_model_version(NAME, "1").tags["manifest"]


def test_keys_that_cannot_be_used_are_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_key()
    (tmp_path / "odd.pem").write_text("no key")
    for key in (tmp_path / "none.pem", tmp_path / "odd.pem"):
        monkeypatch.setenv(SIGNING_KEY, str(key))
        with pytest.raises(InputError, match=rf"{SIGNING_KEY}={key}: cannot be used to sign"):
            require_key()
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(InputError, match=r"pip install 'drf\[signing\]'"):
        require_key()


@pytest.mark.parametrize("variable", [SIGNING_KEY, VERIFYING_KEY])
@pytest.mark.parametrize("value", ["", "  "])
def test_a_variable_that_is_set_and_empty_is_refused(
    store: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    register_small(MlflowClient())
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=f"{variable}: is set and empty"):
        require_key()
    if variable == VERIFYING_KEY:
        with pytest.raises(InputError, match="is set and empty"):
            load_model(URI)
