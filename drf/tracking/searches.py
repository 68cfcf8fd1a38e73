"""Searches on a market: the trials that MLflow holds in any experiment, counted once by recipe."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ..data.calendar import MONTHLY, WEEKLY, in_force, named
from ..evaluation.trials import Trials, count_trials

RECIPE, MARKET, TESTED, DATA = "recipe", "market_returns", "test_window", "data_fingerprint"
"""Tags of a training: its recipe (:func:`drf.experiment.identity.recipe_of`), its market, the bounds set for its test
months, and the fingerprint of its panel."""

TRIALS, TRIED = "evidence/trials.csv", "trials_tried"
"""Artifact with ``date`` and one column of monthly returns after costs per trial and row of a training; and the metric
that counts these columns."""

# Mean returns of a market's stocks agree at least this well despite differences in universe, vendor and restatements,
# and so does the shape of their distribution in another currency or beside a benchmark; different markets agree less.
_SAME_MARKET, _LEAST_COMMON = 0.9, 12

_QUANTILES = np.array([0.1, 0.5, 0.9])


def market_returns(panel: pd.DataFrame) -> pd.DataFrame:
    """Return what tells markets apart, one row a month.

    Columns: ``mean``, the mean of the stocks' returns; and ``shape``, Kelly's skewness of their distribution, from the
    deciles q1 and q9 and the median m: (q9 + q1 - 2 m) / (q9 - q1). What is added to all returns of a month, or
    multiplies them, changes the mean and not the shape, as another currency or benchmark does.
    """
    returns = panel.groupby("date")["ret_next"]
    low, middle, high = (returns.quantile(share) for share in _QUANTILES)
    shape = ((high + low - 2 * middle) / (high - low)).replace([np.inf, -np.inf], np.nan)
    return pd.DataFrame({"mean": returns.mean(), "shape": shape}).dropna(subset="mean")


def as_tag(market: pd.DataFrame) -> str:
    """Return :func:`market_returns` as text: the first month, then a column's ten-thousandths month by month."""
    months = market.reindex(in_force().between(market.index[0], market.index[-1]))
    columns = [
        " ".join("-" if np.isnan(value) else str(round(value * 1e4)) for value in months[name])
        for name in ("mean", "shape")
    ]
    return f"{named(months.index[0])}: {' | '.join(columns)}"


def from_tag(text: str | None) -> pd.DataFrame | None:
    """Parse the text of :func:`as_tag`; None if the text has another form. Older texts have no ``shape``."""
    try:
        market = None if text is None else _parsed(text)
        return None if market is None or market.empty else market
    except Exception:  # anybody can write a tag
        return None


def _parsed(text: str) -> pd.DataFrame:
    first, _, rest = text.partition(": ")
    columns = [
        [np.nan if point == "-" else float(point) / 1e4 for point in points.split()] for points in rest.split(" | ")
    ]
    calendar = MONTHLY if len(first) == len("2000-01") else WEEKLY
    dates = calendar.starting(pd.Timestamp(first), len(columns[0]))
    mean, shape = (columns[0], np.nan) if len(columns) == 1 else columns
    return pd.DataFrame({"mean": mean, "shape": shape}, dates, dtype=float).dropna(subset="mean")


def same_market(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Tell whether two :func:`market_returns` are of one market; True if that cannot be decided."""
    if _is_weekly(a) != _is_weekly(b):  # their returns are of other periods
        return False
    common = a.index.intersection(b.index)
    if len(common) < _LEAST_COMMON:
        return True
    agreement = [a.loc[common, name].corr(b.loc[common, name]) for name in ("mean", "shape")]
    unknown = np.isnan(agreement[0])  # if in doubt, they count as the same
    return bool(unknown or np.nanmax(agreement) >= _SAME_MARKET)


def _is_weekly(market: pd.DataFrame) -> bool:
    return len(market) > 1 and float(np.median(np.diff(market.index.to_numpy()) / np.timedelta64(1, "D"))) < 20


@dataclass(frozen=True)
class Search:
    """Trials and rows of one training.

    Attributes:
        recipe, tested: The recipe, and the bounds set for its test months.
        data: Fingerprint of its panel.
        until: Newest month of its market; None if unknown.
        returns: Monthly returns after costs of its trials and rows, one column each.
    """

    recipe: str
    tested: str
    data: str
    until: pd.Timestamp | None
    returns: pd.DataFrame


def trials_on(market: pd.DataFrame | None, own: Search | None = None) -> Trials:
    """Return all trials on a market, in any experiment of the store.

    Training a recipe again, a month later or after an interruption, tries nothing new; other data of the same months,
    or other test months, do. Failed or deleted runs count too, if they got far enough to show a result.

    Args:
        market: See :func:`market_returns`; None: on any market.
        own: Search of a training in progress; it takes the place of an earlier one on the same data.
    """
    client = mlflow.MlflowClient()
    experiments = _all_experiments(client)
    trainings = [run for run in _all_runs(client, experiments, "tags.kind = 'comparison'") if _is_on(run, market)]
    searches = [own] if own else []
    unread: list[Run] = []
    for run in sorted(trainings, key=lambda run: run.info.start_time, reverse=True):
        search = _search_of(client, run)
        searches.append(search) if search is not None else unread.append(run)
    different = _different(searches, own)
    known = {search.recipe for search in different}
    left = [run for run in unread if run.data.tags.get(RECIPE) not in known]
    return count_trials([search.returns for search in different], _seen_in(client, left))


def _different(searches: Sequence[Search], own: Search | None) -> list[Search]:
    """Return the searches that tried something new.

    Of a recipe and its test months, those of one month count, the month with the most trials over all data: a panel
    that grows month by month is tried once, and twenty files of one month are tried twenty times. Of searches on the
    same data the one with the most trials counts. Of equals, the first counts. Of the recipe of a training in progress,
    its own month counts.
    """
    tried: dict[tuple[str, str], dict[pd.Timestamp | None, dict[str, Search]]] = {}
    for search in searches:
        data = tried.setdefault((search.recipe, search.tested), {}).setdefault(search.until, {})
        best = data.setdefault(search.data, search)
        if best is not own and search.returns.shape[1] > best.returns.shape[1]:
            data[search.data] = search
    most = [
        months[own.until] if own and key == (own.recipe, own.tested) else max(months.values(), key=_trials_in)
        for key, months in tried.items()
    ]
    return [search for data in most for search in data.values()]


def _trials_in(data: Mapping[str, Search]) -> int:
    return sum(search.returns.shape[1] for search in data.values())


def _search_of(client: mlflow.MlflowClient, training: Run) -> Search | None:
    """Return what a training tried; None if its recipe or its returns cannot be read."""
    tags = training.data.tags
    table = _returns_of(client, training) if RECIPE in tags else None
    if table is None:
        return None
    market = from_tag(tags.get(MARKET))
    until = None if market is None else market.index[-1]
    return Search(tags[RECIPE], tags.get(TESTED, ""), tags.get(DATA, ""), until, table)


def decisions_on(client: mlflow.MlflowClient, name: str) -> list[Run]:
    """Return the runs of all evaluations of a registered model, in any experiment of the store."""
    return _all_runs(client, _all_experiments(client), f"tags.kind = 'evaluation' and tags.registered_model = '{name}'")


def _is_on(training: Run, market: pd.DataFrame | None) -> bool:
    written = from_tag(training.data.tags.get(MARKET))
    return market is None or written is None or same_market(written, market)


def _returns_of(client: mlflow.MlflowClient, training: Run) -> pd.DataFrame | None:
    """Return the logged returns of a training; None if they are absent or incomplete."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = client.download_artifacts(training.info.run_id, TRIALS, folder)
            table = pd.read_csv(file, index_col="date", parse_dates=["date"]).astype(float)
    except Exception:  # each kind of store has exceptions of its own
        return None
    dated = isinstance(table.index, pd.DatetimeIndex) and table.index.tz is None
    if not dated or table.empty or not table.index.is_unique or table.index.isna().any():
        return None
    return table if table.shape[1] == training.data.metrics.get(TRIED, table.shape[1]) else None


def _seen_in(client: mlflow.MlflowClient, trainings: Iterable[Run]) -> pd.DataFrame:
    """Return trials and rows of trainings that left no returns; equal names within one recipe count once."""
    recipes = {run.info.run_id: run.data.tags.get(RECIPE, run.info.run_id) for run in trainings}
    experiments = sorted({run.info.experiment_id for run in trainings})
    lines = []
    rows = _all_runs(client, experiments, "tags.kind = 'row'") if recipes else []
    trials = _all_runs(client, experiments, "tags.kind = 'trial'") if recipes else []
    parents = {run.info.run_id: run.data.tags.get(MLFLOW_PARENT_RUN_ID) for run in rows}
    for run in (*rows, *trials):
        parent = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
        training = parents.get(parent, parent)
        metrics = run.data.metrics
        if training in recipes and ("sharpe_net" in metrics or "cv_rmse" in metrics):
            sharpe = metrics.get("sharpe_net", np.nan) / np.sqrt(in_force().periods_a_year)
            line = {"name": run.info.run_name, "sharpe": sharpe, "periods": metrics.get("periods", np.nan)}
            lines.append({"recipe": recipes[str(training)], **line})
    table = pd.DataFrame(lines, columns=["recipe", "name", "sharpe", "periods"])
    return table.drop_duplicates(["recipe", "name"], ignore_index=True).drop(columns="recipe")


def _all_experiments(client: mlflow.MlflowClient) -> list[str]:
    identifiers: list[str] = []
    token = None
    while True:
        page = client.search_experiments(view_type=ViewType.ALL, page_token=token)
        identifiers += [entry.experiment_id for entry in page]
        token = page.token
        if not token:
            return identifiers


def _all_runs(client: mlflow.MlflowClient, experiment_ids: list[str], query: str) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, query, run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
