"""Scorer: a loaded version with its role."""

import re
from dataclasses import dataclass

import mlflow
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..data.calendar import in_force, use
from ..data.panel import KEYS
from ..errors import InputError, first_few, first_line
from ..evaluation.portfolio import PortfolioRule
from ..experiment.config import read_recorded
from ..experiment.schema import DataConfig
from ..registry.aliases import CHAMPION as ALIAS
from ..registry.loading import load_with_evidence
from ..registry.market import MarketComparison, require_same_market
from ..registry.statements import require_decision
from ..registry.training_evidence import Evidence
from ..registry.versions import VERDICT, WORDS
from ..tracking.searches import RECIPE
from .issue_log import read_issues
from .issues import CHAMPION, SHADOW, Issue


@dataclass(frozen=True)
class Scorer:
    """A loaded version.

    Attributes:
        name, number: Name of the registered model and the version; None for a model that is in no registry.
        role: ``champion`` if it holds that alias, else ``shadow``.
        rule, data: Portfolio rule and data settings of its training.
        recipe: See :func:`drf.experiment.identity.recipe_of`.
        train_last: Last month whose return the version has seen.
    """

    model: PyFuncModel
    evidence: Evidence
    name: str | None
    number: str | None
    role: str
    rule: PortfolioRule
    data: DataConfig
    recipe: str
    train_last: pd.Timestamp

    @property
    def descriptors(self) -> list[str]:
        """Descriptors that the model itself names as its inputs."""
        return [name for name in self.model.metadata.get_input_schema().input_names() if name not in KEYS]

    @property
    def lags(self) -> list[int]:
        return list(self.model.unwrap_python_model().forecaster.spec.lags)

    @property
    def universe(self) -> int | None:
        universe: int | None = self.model.unwrap_python_model().forecaster.spec.universe
        return universe

    @property
    def title(self) -> str:
        if self.number is None:
            return "an unregistered model"
        return f"version {self.number} ({self.role})"


def load_scorer(uri: str) -> Scorer:
    """Load a model of this project, and put the calendar of its data in force.

    Errors are as in :func:`drf.registry.loading.load_model`.
    """
    client, name, number, role = mlflow.MlflowClient(), None, None, SHADOW
    if named := re.fullmatch(r"models:/([^/@]+)(?:@([^/]+)|/(\d+))", uri):
        name = named[1]
        try:
            aliases = client.get_registered_model(name).aliases
            number = str(aliases[named[2]] if named[2] else int(named[3]))
            client.get_model_version(name, number)
        except (mlflow.MlflowException, KeyError) as error:
            known = sorted(model.name for model in client.search_registered_models())
            others = f" ({first_few(known)} are registered)" if known and name not in known else ""
            raise InputError(
                f"{uri}: there is no such version{others}: run drf train and drf evaluate first"
            ) from error
        role = CHAMPION if str(aliases.get(ALIAS)) == number else SHADOW
        uri = f"models:/{name}/{number}"
    model, evidence = load_with_evidence(uri)
    if model.metadata.get_input_schema() is None or RECIPE not in evidence.tags:
        raise InputError(f"{uri}: is not a model of this project: it has no signature, or no recipe")
    config = read_recorded(evidence.tags["config"])
    use(config.data.frequency)
    train_last = pd.Timestamp(evidence.tags["train_last"])
    return Scorer(model, evidence, name, number, role, config.portfolio, config.data, evidence.tags[RECIPE], train_last)


def require_market_of(scorer: Scorer, panel: pd.DataFrame) -> MarketComparison:
    """Refuse a panel of another market than the version's, with InputError; return how the two compare."""
    title = f"{scorer.title} of {scorer.name}" if scorer.name else scorer.title
    return require_same_market(title, scorer.evidence.tags.get(WORDS, ""), scorer.evidence.history, panel)


def require_promoted(scorer: Scorer) -> None:
    """Refuse to issue from a version that was given the alias by hand and was never promoted.

    If a verifying key is set, the decision on the version must be signed, and not older than the decision under which a
    month was issued.

    Raises InputError, saying how to confirm the version.
    """
    if scorer.role != CHAMPION or scorer.name is None or scorer.number is None:
        return
    client = mlflow.MlflowClient()
    known = max((issue.decided for issue in read_issues(client, scorer.name, CHAMPION)), default="")
    try:
        require_decision(client, scorer.name, scorer.number, known)
    except ValueError as error:
        raise InputError(
            f"nothing is issued from version {scorer.number} of {scorer.name}: {first_line(error)}"
        ) from error
    verdict = client.get_model_version(scorer.name, scorer.number).tags.get(VERDICT)
    if verdict != "champion":
        found = f"its verdict is {verdict}" if verdict else "it was never judged"
        raise InputError(
            f"version {scorer.number} of {scorer.name} has the alias champion, which was set by hand, and {found}: "
            f"nothing is issued from it: confirm it (drf evaluate promote={scorer.number} reason=... "
            f"registry.name={scorer.name}), or give the alias back"
        )


def decision_of(scorer: Scorer) -> str:
    """Return the time of the signed decision that made the version champion; empty without a verifying key."""
    if scorer.role != CHAMPION or scorer.name is None or scorer.number is None:
        return ""
    return require_decision(mlflow.MlflowClient(), scorer.name, scorer.number)


def own_issues(scorer: Scorer) -> list[Issue]:
    """Return the standing issues of the version's role; for a shadow, those of the version itself."""
    if scorer.name is None:
        return []
    issues = read_issues(mlflow.MlflowClient(), scorer.name, scorer.role)
    return [issue for issue in issues if scorer.role == CHAMPION or issue.version == scorer.number]


def recent(scorer: Scorer, panel: pd.DataFrame) -> pd.DataFrame:
    """Return those months of a panel that are needed to forecast its newest month."""
    return panel[panel["date"] >= in_force().shift(panel["date"].max(), -max(scorer.lags))]
