"""Thresholds of the gates of promotion."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval

Share = Annotated[float, Interval(ge=0, le=1)]
Correlation = Annotated[float, Interval(ge=-1, le=1)]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Thresholds of the gates: the ``gate`` config.

    Attributes:
        max_replay_error: Largest error against the newest month's recorded forecasts, decimals a month.
        min_direction: Smallest mean rank correlation of the version's forecasts of recent months with its own
            walk-forward forecasts.
        max_conservation_error: Largest difference between contributions plus bias and the prediction, decimals a month.
        min_fidelity: Smallest rank correlation of the sum of contributions with the models' own forecast.
        min_agreement: Smallest rank correlation between a refresh's and the champion's forecasts of the newest month.
        min_history: Smallest share of the test months' absolute returns, as its training knew them, that the panel has.
        audit: True if every check of the leak suite must pass.
        min_months: Fewest months out of sample.
        min_sharpe_low: Smallest low end of the 95 % interval of the annualised Sharpe ratio after costs.
        min_deflated: Smallest probability that the version beats the best of as many independent trials as this market
            has had, if all were noise.
        max_rank_ic_p: Largest one-sided p-value of the t-test that the mean monthly rank IC is above 0.
        max_rank_ic: Mean monthly rank IC beyond which a forecast is too good to be true.
        max_sharpe: Annualised Sharpe ratio after costs beyond which a forecast is too good to be true; the low end of
            the interval must not exceed it.
        min_better_than_linear: Probability that the version's Sharpe ratio after costs exceeds that of the row linear
            on the same months; None: not required.
        min_better: Smallest probability that the version's Sharpe ratio after costs, including the cost of the change,
            exceeds the champion's.
    """

    max_replay_error: Annotated[float, Ge(0)]
    min_direction: Correlation
    max_conservation_error: Annotated[float, Ge(0)]
    min_fidelity: Correlation
    min_agreement: Correlation
    min_history: Share
    audit: bool
    min_months: Annotated[int, Ge(2)]
    min_sharpe_low: float
    min_deflated: Share
    max_rank_ic_p: Share
    max_rank_ic: Share
    max_sharpe: Annotated[float, Gt(0)]
    min_better_than_linear: Share | None
    min_better: Share
