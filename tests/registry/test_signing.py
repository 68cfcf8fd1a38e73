"""Signatures with keys of one's own: nobody without the private key registers what is loaded."""

from __future__ import annotations

import json
import sqlite3
import sys
from dataclasses import asdict
from pathlib import Path

import mlflow
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow import MlflowClient

from drf.errors import InputError
from drf.live.scorer import load_scorer, require_promoted
from drf.registry.aliases import Move, Standing, move, read_standing, settle
from drf.registry.loading import load_model
from drf.registry.manifest import FILE, digest_of, make_manifest
from drf.registry.signing import SIGNING_KEY, VERIFYING_KEY, require_key
from drf.registry.versions import read_versions
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


def sign_and_verify(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set both keys, as somebody does who signs and verifies."""
    own = make_keys(folder, "own")
    monkeypatch.setenv(SIGNING_KEY, own[0])
    monkeypatch.setenv(VERIFYING_KEY, own[1])


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
    with pytest.raises(InputError, match=rf"{URI}: its registration: its signature is not one of the key {other[1]}"):
        load_model(URI)
    monkeypatch.delenv(SIGNING_KEY)
    register_small(MlflowClient())
    with pytest.raises(
        InputError, match=rf"models:/{NAME}/2: its registration is not signed, and {VERIFYING_KEY} asks"
    ):
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
    with pytest.raises(InputError, match="not the one that was signed at its registration"):
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


@pytest.fixture
def signed(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Two signed versions, of which a signed decision made the second champion."""
    sign_and_verify(tmp_path, monkeypatch)
    client = MlflowClient()
    for _ in range(2):
        register_small(client, recipe="one")
    move(client, NAME, Standing(), Move(Standing("2", None, ("2",)), {"2": {"verdict": "champion"}}))
    return client


def test_a_version_that_points_to_anothers_files_is_left_aside(signed: MlflowClient) -> None:
    """As if somebody had written the first version's source and tags over the second's."""
    first = signed.get_model_version(NAME, "1")
    for key in ("manifest", "row_run", "parent_run", "statement", "statement_signature"):
        signed.set_model_version_tag(NAME, "2", key, first.tags[key])
    with sqlite3.connect("mlflow.db") as database:
        database.execute("UPDATE model_versions SET source = (SELECT source FROM model_versions WHERE version = 1)")
    database.close()
    known = read_versions(signed, NAME)
    assert [one.number for one in known.versions] == ["1"]
    assert known.left_aside["2"] == "its files are those of version 1"
    with pytest.raises(InputError, match="its files are those of version 1 of"):
        load_model(f"models:/{NAME}/2")


def test_nothing_is_issued_from_a_version_that_no_signed_decision_promoted(signed: MlflowClient) -> None:
    require_promoted(load_scorer(f"models:/{NAME}@champion"))
    signed.set_registered_model_alias(NAME, "champion", "1")
    signed.set_model_version_tag(NAME, "1", "verdict", "champion")
    with pytest.raises(InputError, match=r"the last signed decision made version 2 of .* champion"):
        require_promoted(load_scorer(f"models:/{NAME}@champion"))
    for key in ("statement", "statement_signature"):  # a signed statement, and of another kind
        signed.set_registered_model_tag(NAME, key, signed.get_model_version(NAME, "1").tags[key])
    with pytest.raises(InputError, match="its signed statement does not say that a version was decided"):
        require_promoted(load_scorer(f"models:/{NAME}@champion"))
    forged = json.dumps({"statement": "decided", "name": NAME, "champion": "1", "previous": None, "line": ["1"]})
    signed.set_registered_model_tag(NAME, "statement", forged)
    with pytest.raises(InputError, match="signature is not one of the key"):
        require_promoted(load_scorer(f"models:/{NAME}@champion"))


def test_a_move_that_nobody_signed_is_not_completed(signed: MlflowClient) -> None:
    intended = asdict(Move(Standing("1", "2", ("2", "1")), {"1": {"verdict": "champion"}}))
    signed.set_registered_model_tag(NAME, "intended", json.dumps(intended))
    settle(signed, NAME, "12")
    assert read_standing(signed, NAME).champion == "2"
    assert "intended" not in signed.get_registered_model(NAME).tags


def test_a_signed_move_of_another_model_is_not_completed(signed: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    signed.create_registered_model("other")
    monkeypatch.setattr("drf.registry.aliases._make", lambda *_: None)  # stopped before its first step
    move(signed, "other", read_standing(signed, "other"), Move(Standing("1", None, ("1",))))
    monkeypatch.undo()
    tags = signed.get_registered_model("other").tags
    for key in ("intended", "intended_signature"):
        signed.set_registered_model_tag(NAME, key, tags[key])
    settle(signed, NAME, "12")
    assert read_standing(signed, NAME).champion == "2"
