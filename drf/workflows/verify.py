"""Verify: check every registered version, decision and issue of a store against its digests, signatures and chain."""

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from tqdm import tqdm

from ..errors import InputError
from ..live.issue_log import deleted_issues, issues_left_aside, read_issues, whole_issues
from ..registry.loading import check_files
from ..registry.statements import STATEMENT, decided_by, gap_in_decisions
from ..registry.versions import registered, tags_of
from ..tracking.searches import decisions_on
from ..tracking.store import connect, without_secrets


@dataclass(frozen=True)
class Verification:
    """Verification of a store.

    Attributes:
        store: Address of MLflow's store without secrets.
        versions, decisions, issues: Numbers of what was checked.
        faults: Sentence on each thing that is not as it was recorded.
    """

    store: str
    versions: int
    decisions: int
    issues: int
    faults: list[str]


def verify_store() -> Verification:
    """Check all registered models of the store; nothing is loaded, run or written.

    Without ``DRF_VERIFYING_KEY`` digests alone are compared, which protects from accidents and not from somebody who
    can write to the store.
    """
    store = without_secrets(connect())
    client = MlflowClient()
    versions = decisions = issues = 0
    faults: list[str] = []
    for name in sorted(model.name for model in client.search_registered_models(max_results=1000)):
        entries = registered(client, name)
        for entry in tqdm(entries, desc=name, disable=len(entries) < 8):
            faults += _faults_of(entry)
        written = read_issues(client, name)
        faults += [f"{name}: {text}" for text in gap_in_decisions(client, name)]
        faults += [f"{name}: {text}" for text in issues_left_aside(client, name)]
        faults += [f"{name}: the issue {text} was deleted" for text in deleted_issues(client, name)]
        faults += [str(issue) for issue in whole_issues(client, written) if isinstance(issue, InputError)]
        runs = decisions_on(client, name)
        broken = [run for run in runs if STATEMENT in run.data.tags and decided_by(run) is None]
        faults += [f"{name}: the decision in run {run.info.run_id}: its statement is not signed" for run in broken]
        versions, decisions, issues = versions + len(entries), decisions + len(runs), issues + len(written)
    return Verification(store, versions, decisions, issues, faults)


def _faults_of(entry: ModelVersion) -> Iterator[str]:
    uri = f"models:/{entry.name}/{entry.version}"
    try:
        check_files(uri)
        tags_of(entry)
    except InputError as error:
        yield str(error)
