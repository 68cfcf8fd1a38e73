"""Version descriptions: the cards that MLflow shows for a registered model and its versions, with people's notes."""

import contextlib

import mlflow
import pandas as pd

from ..data.calendar import in_words
from ..registry.decision import Decision, Evaluation
from ..registry.versions import RegisteredVersions
from ..reporting.markdown import plain
from ..reporting.standing import HEADS, standing_of
from ..reporting.version_cards import SECTION, Training, model_card, version_card


def write_cards(
    client: mlflow.MlflowClient, name: str, versions: RegisteredVersions, decision: Decision, under: str
) -> None:
    """Write the cards of the registered model and of every version that was judged.

    ``under``: the gates under which a new champion's recipe was promoted.
    """
    client.update_registered_model(name, description=in_words(model_card(name, decision)))
    trainings: dict[str, Training | None] = {}
    for evaluation in decision.evaluations:
        version = versions.get(evaluation.number)
        if version is None:
            continue
        if version.parent_run not in trainings:
            trainings[version.parent_run] = training_of(client, version.parent_run)
        card = version_card(version, evaluation, decision, trainings[version.parent_run], under)
        _describe(
            client, name, evaluation.number, card, client.get_model_version(name, evaluation.number).description or ""
        )


def rewrite_cards(client: mlflow.MlflowClient, name: str, versions: RegisteredVersions, decision: Decision) -> None:
    """State a person's decision on the model's card and atop the cards of versions whose alias changed.

    The results of gates and months, and people's notes, stay below.
    """
    client.update_registered_model(name, description=in_words(model_card(name, decision)))
    before, after = decision.before, decision.after
    if before == after:  # frozen, released or archived: the champion and the reason for it are unchanged
        return
    for number in dict.fromkeys((after.champion, after.previous, before.champion, before.previous)):
        if number is None:
            continue
        with contextlib.suppress(mlflow.MlflowException):  # it may have been deleted
            card = client.get_model_version(name, number).description or ""
            _, opening, sections = _without_notes(card).partition(SECTION)
            version = versions.get(number)
            if not opening and version is not None:
                unjudged = Evaluation(number, "", False, "a person decided first", pd.Series(), (), (), "", "", None)
                whole = version_card(version, unjudged, decision, training_of(client, version.parent_run))
                _, opening, sections = whole.partition(SECTION)
            decided = plain(standing_of(number, decision, None, None).card)
            _describe(client, name, number, f"{decided}{opening}{sections}", card)


def _describe(client: mlflow.MlflowClient, name: str, number: str, card: str, before: str) -> None:
    """Write a version's card, and keep people's notes from the previous card."""
    notes, card = _notes(before), in_words(card)
    client.update_model_version(name, number, description=f"{card}{_NOTES}{notes}" if notes else card)


_NOTES = f"{SECTION}Notes\n"


def _notes(card: str) -> str:
    """Return people's notes: the section of that name, or the whole description if it is not a card."""
    return card.partition(_NOTES)[2] if card.startswith(HEADS) else card


def _without_notes(card: str) -> str:
    return card.partition(_NOTES)[0] if card.startswith(HEADS) else ""


def training_of(client: mlflow.MlflowClient, run_id: str) -> Training | None:
    """Return the training of a run; None if the run is gone."""
    with contextlib.suppress(mlflow.MlflowException):
        run = client.get_run(run_id)
        return Training(str(run.info.run_name), str(run.info.experiment_id))
    return None
