"""The registered model: panel rows in, forecasts with their contributions out.

This file and what it imports travel with every version, so it needs torch, numpy and pandas only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..data.calendar import Frequency, in_force, named, using
from ..data.dates import UnreadableDatesError, read_dates
from ..data.names import read_names
from ..data.numbers import read_numbers
from ..data.universe import largest
from ..models.combine import blended, shrunk
from ..models.portable import KINDS, PARTS, Portable
from ..samples.lagged import Samples, make_samples
from ..samples.transforms import Transform, columns_of

SPEC, WEIGHTS = "spec.json", "weights.pt"

DETAILS = ("factors", "descriptors", "account")


@dataclass(frozen=True)
class Spec:
    """Common specification of a forecaster's members.

    Attributes:
        lags: Lags, in months, at which descriptors are taken.
        factors: The descriptors of each factor.
        universe: Number of the largest stocks by CAP to use in each month; None: all.
        scale: Factor that scales the models' forecasts around their month's mean, see :mod:`drf.evaluation.scale`. It
            is learned from the training's test months and stays fixed.
        stocks: Median number of stocks a month in the training's panel; 0: unknown.
        least: Fewest stocks in a month that is forecast without ``allow_small``: as many as one quantile had in
            training. Ranks among fewer stocks have another meaning.
        transforms: Descriptor -> how its values become inputs, see :mod:`drf.samples.transforms`.
        frequency: Frequency of the panel; a lag is a number of its periods.
    """

    lags: list[int]
    factors: dict[str, list[str]]
    universe: int | None
    scale: float = 1.0
    stocks: int = 0
    least: int = 1
    transforms: dict[str, Transform] = field(default_factory=dict)
    frequency: Frequency = "monthly"

    @property
    def columns(self) -> list[str]:
        """Columns that a panel must have."""
        return columns_of(self.descriptors)

    @property
    def descriptors(self) -> list[str]:
        """Inputs of the models, in their order."""
        return [name for names in self.factors.values() for name in names]


class Forecaster:
    """The mean forecast of several models, and its contributions.

    Attributes:
        groups: Models that differ in their seed only, whose forecasts are averaged; several such groups are blended,
            see :func:`drf.models.combine.blended`.
    """

    def __init__(self, spec: Spec, groups: Sequence[Sequence[Portable]]) -> None:
        self.spec = spec
        self.groups = [list(members) for members in groups]

    @property
    def explains(self) -> bool:
        """Tell whether the forecasts have contributions."""
        return all(member.explains for members in self.groups for member in members)

    @classmethod
    def load(cls, folder: Path) -> Forecaster:
        """Read what :meth:`save` wrote; weights are loaded as tensors only."""
        written: dict[str, Any] = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        tensors = torch.load(folder / WEIGHTS, weights_only=True)
        members = written.pop("members")
        made = [
            KINDS[member["kind"]].read(member["settings"], own) for member, own in zip(members, tensors, strict=True)
        ]
        of = [member["group"] for member in members]
        groups = [[model for model, own in zip(made, of, strict=True) if own == group] for group in range(max(of) + 1)]
        return cls(Spec(**written), groups)

    def save(self, folder: Path) -> None:
        """Write the specification and the weights."""
        kinds = {kind: name for name, kind in KINDS.items()}
        every = [(group, member) for group, members in enumerate(self.groups) for member in members]
        written = [
            {"kind": kinds[type(member)], "group": group, "settings": member.settings()} for group, member in every
        ]
        (folder / SPEC).write_text(json.dumps({**vars(self.spec), "members": written}, indent=1), encoding="utf-8")
        torch.save([member.tensors() for _, member in every], folder / WEIGHTS)

    def predict(self, panel: pd.DataFrame, detail: str = "factors", allow_small: bool = False) -> pd.DataFrame:
        """Forecast every stock of every month that has the whole history of lags within ``panel``.

        Ranks are taken over the stocks given, or over the largest by CAP if the model was trained on a universe of a
        certain size. So give the whole cross-section of each month.

        Args:
            panel: ``date`` (month ends), ``asset`` and the descriptors, of any type that a training accepts. The first
                two may be in the index, and other columns are ignored.
            detail: ``factors`` or ``descriptors``: one column of contributions for each. ``account``: instead, the
                entries that make up the models' own forecast (``network``), scaled in the same way: ``inputs``,
                ``intercept``, ``network_bias``, ``stabiliser``, ``initial_state``.
            allow_small: True to forecast months with fewer stocks than one quantile had in training.

        Returns:
            ``date``, ``asset``, ``prediction``, the contributions and ``bias`` (the forecast of the neutral stock), in
            decimals a month. Contributions and ``bias`` sum to ``prediction``; models without contributions give
            neither.

        Raises:
            ValueError: If ``detail`` is unknown or asks for contributions of models that have none. Also if a column is
                missing, a month ends early or the history is too short.
        """
        if detail not in DETAILS:
            raise ValueError(f"detail={detail!r} is unknown: use one of {', '.join(DETAILS)}")
        if not self.explains and detail != DETAILS[0]:
            raise ValueError(f"detail={detail!r}: the forecasts of this model have no contributions")
        with using(self.spec.frequency):
            samples = self._samples(panel, allow_small)
        if not self.explains:
            return self._plain(samples)
        account = self._account(samples)
        relevance, intercept = account.pop("relevance"), account["intercept"]
        keys = pd.DataFrame({"date": samples.dates[samples.month], "asset": samples.asset})
        prediction = relevance.sum(1) + intercept
        if detail == "account":
            return keys.assign(prediction=prediction, **account)
        by_name = pd.DataFrame(relevance, columns=self.spec.descriptors)
        if detail == "factors":
            by_name = pd.DataFrame({name: by_name[names].sum(axis=1) for name, names in self.spec.factors.items()})
        return pd.concat([keys.assign(prediction=prediction), by_name.assign(bias=intercept)], axis=1)

    def _plain(self, samples: Samples) -> pd.DataFrame:
        """Return the forecasts of models that have no contributions and differ only in their seed."""
        forecast = np.mean([member.account(samples.x[:])["network"] for member in self.groups[0]], axis=0)
        multiple, offset = shrunk(forecast, samples.month, self.spec.scale)
        keys = pd.DataFrame({"date": samples.dates[samples.month], "asset": samples.asset})
        return keys.assign(prediction=multiple * forecast + offset)

    def _account(self, samples: Samples) -> _Account:
        """Return the account of the whole forecast: ``relevance``, shape (n, descriptors), and PARTS, shape (n,)."""
        groups = [_mean([member.account(samples.x[:]) for member in members]) for members in self.groups]
        together = groups[0]
        if len(groups) > 1:
            forecasts = np.array([_linearised(account) for account in groups])
            multiples, offset = blended(forecasts, samples.month)
            parts = [_times(account, multiple) for account, multiple in zip(groups, multiples, strict=True)]
            together = _plus({name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}, offset)
        multiple, offset = shrunk(_linearised(together), samples.month, self.spec.scale)
        return _plus(_times(together, multiple), offset)

    def _samples(self, panel: pd.DataFrame, allow_small: bool) -> Samples:
        if {"date", "asset"} & set(panel.index.names):
            panel = panel.reset_index()
        missing = [name for name in ("date", "asset", *self.spec.columns) if name not in panel]
        if missing:
            raise ValueError(f"the panel lacks {', '.join(missing)}, which this model was trained on")
        if len(panel) == 0:
            raise ValueError("the panel has no rows")
        panel = panel[["date", "asset", *self.spec.columns]].reset_index(drop=True)
        try:
            dates, names = read_dates(panel["date"]), read_names(panel["asset"])
        except UnreadableDatesError as error:
            raise ValueError(f"column date: {error}") from None
        if dates.isna().any() or names.isna().any():
            raise ValueError("columns date and asset must not have empty values")
        off = dates != in_force().end(dates)
        if off.any():
            raise ValueError(f"column date: {dates[off].iloc[0].date()} is not a {in_force().unit} end")
        panel = panel.assign(date=dates, asset=names, **{name: _numbers(panel[name]) for name in self.spec.columns})
        if panel.duplicated(["date", "asset"]).any():
            raise ValueError("a (date, asset) appears more than once in the panel")
        chosen = largest(panel, self.spec.universe)
        samples = make_samples(chosen, self.spec.descriptors, self.spec.lags, transforms=self.spec.transforms)
        if len(samples) == 0:
            raise ValueError(
                f"the panel spans {len(samples.dates)} month(s); a forecast needs {max(self.spec.lags) + 1}: its "
                f"own month and the {max(self.spec.lags)} before it"
            )
        if not allow_small:
            self._require_stocks(chosen["date"], samples.dates[np.unique(samples.month)])
        return samples

    def _require_stocks(self, dates: pd.Series, forecast: pd.DatetimeIndex) -> None:
        """Refuse to forecast a month with fewer stocks than one quantile had in training; raises ValueError."""
        stocks = dates.value_counts().reindex(forecast)
        least, month = int(stocks.min()), stocks.idxmin()
        if least < self.spec.least:
            raise ValueError(
                f"{named(month)} has {least} stock(s), and this model was trained on {self.spec.stocks:,} a month: "
                f"ranks among fewer than {self.spec.least:,} mean something else; give the whole cross-section, or "
                'params={"allow_small": True}'
            )


def _numbers(column: pd.Series) -> pd.Series:
    numbers = read_numbers(column)
    bad = (numbers.isna() & column.notna()) | np.isinf(numbers)
    if bad.any():
        first = int(bad.to_numpy().argmax())
        raise ValueError(
            f"column {column.name}, {int(bad.sum())} row(s), first row {first + 1} ({column.iloc[first]!r}): not a "
            "finite number"
        )
    if numbers.isna().all():
        raise ValueError(f"column {column.name} is empty: this model was trained on it")
    return numbers


_Account = dict[str, np.ndarray]


def _mean(accounts: Sequence[_Account]) -> _Account:
    """Return the account of the mean forecast, its relevance summed over lags."""
    mean = {name: np.mean([account[name] for account in accounts], axis=0) for name in PARTS}
    return {"relevance": np.mean([account["relevance"] for account in accounts], axis=0).sum(1), **mean}


def _linearised(account: _Account) -> np.ndarray:
    return account["relevance"].sum(1) + account["intercept"]


def _times(account: _Account, multiple: np.ndarray) -> _Account:
    return {name: values * (multiple[:, None] if values.ndim > 1 else multiple) for name, values in account.items()}


def _plus(account: _Account, offset: np.ndarray) -> _Account:
    """Add an offset to the account: to the intercept and to the whole forecast."""
    return account | {name: account[name] + offset for name in ("intercept", "network")}
