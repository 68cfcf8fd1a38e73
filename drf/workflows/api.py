"""The workflows from Python: settings are words as on the command line, results are objects.

>>> from drf import train
>>> result = train("model=[linear,lstm]", "tuning.trials=0")  # doctest: +SKIP
>>> result.table[["row", "sharpe_net", "rank_ic"]]  # doctest: +SKIP

Nothing is printed and no function exits. Log messages go to the logger ``drf``; a progress bar goes to stderr.
"""

from typing import Any

from ..experiment.composing import compose_settings
from ..experiment.plan import TrainingPlan
from ..experiment.schema import TrainConfig
from ..live.month_end_config import MonthEndConfig
from ..registry.evaluation_config import EvaluateConfig
from . import evaluate as _evaluate
from . import monitor as _monitor
from . import month_end as _month_end
from . import score as _score
from . import train as _train
from .evaluate import EvaluationResult
from .monitor import MonitorConfig, MonitorResult
from .month_end import MonthEndResult
from .month_end_steps import Listener
from .score import ScoreConfig, ScoreResult
from .train import TrainingResult


def train(*overrides: str) -> TrainingResult:
    """Train: fit the models walk-forward, compare them, log all to MLflow and register the newest.

    Args:
        overrides: Settings of ``conf/config.yaml``: ``"window=paper"``, ``"data=panel"``,
            ``"data.path=panel.parquet"``.

    Returns:
        Result whose ``table`` has one line of metrics per row; ``version`` is the number of the registered version.

    Raises InputError with a one-line message: what is wrong, where, and what to do.
    """
    return _train.train(compose_settings("config", TrainConfig, overrides))


def plan(*overrides: str) -> TrainingPlan:
    """Return the number of fits of a training, its time and its memory, from one fit of each family.

    Args:
        overrides: As in :func:`train`.

    Raises InputError as :func:`train`.
    """
    return _train.plan(compose_settings("config", TrainConfig, overrides))


def evaluate(*overrides: str) -> EvaluationResult:
    """Judge the registered versions and move the alias ``champion``, or carry out a person's decision.

    Args:
        overrides: Settings of ``conf/evaluation.yaml``: ``"data=panel"``, ``"promote=3"``, ``"reason=..."``.

    Returns:
        Result whose ``decision`` gives the findings on each version; ``alarm`` says what is wrong with the champion.

    Raises InputError as in :func:`train`; also ``ChampionError`` if the champion cannot be judged.
    """
    return _evaluate.evaluate(compose_settings("evaluation", EvaluateConfig, overrides))


def score(panel: str, **settings: Any) -> ScoreResult:
    """Forecast the newest month of a panel and issue orders.

    Args:
        panel: File with ``date``, ``asset`` and the model's descriptors.
        settings: Fields of :class:`drf.workflows.score.ScoreConfig`.

    Returns:
        Result whose ``orders`` are None if the month was held back because its inputs are unusual.

    Raises InputError as :func:`train`.
    """
    return _score.score(ScoreConfig(panel=panel, **settings))


def monitor(panel: str, **settings: Any) -> MonitorResult:
    """Compare the issued forecasts with the returns of a panel.

    Args:
        panel: File with ``date``, ``asset`` and ``ret_next``.
        settings: Fields of :class:`drf.workflows.monitor.MonitorConfig`.

    Raises InputError as :func:`train`.
    """
    return _monitor.monitor(MonitorConfig(panel=panel, **settings))


def month_end(*overrides: str, listener: Listener = lambda result: None) -> MonthEndResult:
    """Do a month end: watch, score, monitor, train if it is time, evaluate, and write a page.

    Args:
        overrides: Settings of ``conf/month_end.yaml``: ``"data=panel"``, ``"skip=[train]"``.
        listener: Function called with the result of each step as it ends.

    Raises:
        InputError: As in :func:`train`; also ``TryAgainError`` if another month end is running or a store cannot be
            reached.
    """
    return _month_end.month_end(compose_settings("month_end", MonthEndConfig, overrides), listener)
