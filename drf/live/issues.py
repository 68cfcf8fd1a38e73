"""Issues: forecasts and orders of a month, as they are recorded, and how two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from mlflow.entities import Run

from ..data.calendar import named

CHAMPION, SHADOW = "champion", "shadow"
"""Roles: forecasts from which orders are made, and forecasts that are only watched."""

USUAL = "usual"

KIND, DIGEST = "forecast", "sha256"
"""Value of the tag ``kind`` of every issue, and the tag with the digest of its content."""

_SAME = 1e-9  # tolerance for forecasts and weights that were written and read again


@dataclass(frozen=True)
class Issue:
    """Forecasts and orders issued for a month.

    Attributes:
        month: Month end at which the forecasts were made.
        name, version, recipe: Name, version and recipe of the registered model.
        role: ``champion`` or ``shadow``.
        data: Fingerprint of the panel.
        issued: When, in UTC.
        cost_bps: Costs of the portfolio rule, basis points a side.
        watch: Result of the input checks: ``usual``, unusual and forced by a person, or not checked.
        afterwards: True if the data, or the version, already contained the month's returns. Such an issue is no
            evidence of live performance.
        digest: SHA-256 of the tables and of the other fields of the issue.
        replaces: Run and digest of the issue that this one replaces; empty if there is none.
        decided: Time of the signed decision that made the version champion; empty without keys.
    """

    month: pd.Timestamp
    name: str
    version: str
    recipe: str
    role: str
    data: str
    issued: str
    cost_bps: float
    watch: str = USUAL
    afterwards: bool = False
    digest: str = ""
    replaces: str = ""
    decided: str = ""
    run_id: str = ""

    @property
    def title(self) -> str:
        """Name of the run."""
        return f"{named(self.month)} {'forecasts' if self.role == CHAMPION else self.role}, version {self.version}"

    @property
    def slot(self) -> tuple[pd.Timestamp, str, str]:
        """Key of an issue: month, role and, for a shadow, version. Each key has one standing issue."""
        return self.month, self.role, "" if self.role == CHAMPION else self.version

    def tags(self) -> dict[str, str]:
        return {
            "kind": KIND,
            "month": f"{self.month:%Y-%m-%d}",
            "registered_model": self.name,
            "version": self.version,
            "recipe": self.recipe,
            "role": self.role,
            "data_fingerprint": self.data,
            "issued": self.issued,
            "cost_bps": repr(float(self.cost_bps)),
            "watch": self.watch,
            "afterwards": str(self.afterwards).lower(),
            DIGEST: self.digest,
            "replaces": self.replaces,
            **({"decided": self.decided} if self.decided else {}),
        }

    @classmethod
    def of(cls, run: Run) -> Issue:
        tags = run.data.tags
        return cls(
            month=pd.Timestamp(tags["month"]),
            name=tags["registered_model"],
            version=tags["version"],
            recipe=tags["recipe"],
            role=tags["role"],
            data=tags["data_fingerprint"],
            issued=tags["issued"],
            cost_bps=float(tags["cost_bps"]),
            watch=tags["watch"],
            afterwards=tags["afterwards"] == "true",
            digest=tags[DIGEST],
            replaces=tags.get("replaces", ""),
            decided=tags.get("decided", ""),
            run_id=run.info.run_id,
        )


@dataclass(frozen=True)
class Issued:
    """An issue with its tables.

    Attributes:
        orders: See :func:`~.orders.make_orders`.
        promise: Performance in the version's backtest, see :func:`~.outcome.promise_of`.
    """

    issue: Issue
    orders: pd.DataFrame
    promise: pd.DataFrame


def differences(before: Issued, after: Issued) -> list[str]:
    """Return how two issues for a month differ; empty if their forecasts, weights and trades are the same."""
    old, new = (issue.orders.set_index("asset") for issue in (before, after))
    reasons = [f"{len(gone)} stock(s) are gone" for gone in [old.index.difference(new.index)] if len(gone)]
    reasons += [f"{len(more)} stock(s) are new" for more in [new.index.difference(old.index)] if len(more)]
    both = old.index.intersection(new.index)
    was, now = old.loc[both, "prediction"].astype(float), new.loc[both, "prediction"].astype(float)
    largest = float(np.nan_to_num(was.abs().max()))  # the two may have no stock in common
    other = ~np.isclose(was, now, rtol=_SAME, atol=_SAME * largest, equal_nan=True)
    if other.any():
        how = f"rank correlation {was.corr(now, method='spearman'):.3f}"
        if (apart := (was - now).abs()).notna().any():
            most = apart.idxmax()
            how += f", most {most}: {was[most]:+.2%} was, {now[most]:+.2%} is"
        reasons.append(f"{other.sum()} forecast(s) are others ({how})")
    for name, what in (("weight", "weights"), ("trade", "trades")):
        apart = old[name].sub(new[name], fill_value=0.0).abs().sum()
        if apart > _SAME:
            reasons.append(f"{what} differ by {apart / 4:.1%} of what can be traded")
    if reasons and before.issue.version != after.issue.version:
        reasons.insert(0, f"version {after.issue.version} in place of {before.issue.version}")
    elif reasons and before.issue.data != after.issue.data:
        reasons.insert(0, "the data have changed")
    return reasons


def issues_of_role(issued: Sequence[Issued], role: str, version: str | None = None) -> list[Issued]:
    """Return the issues of one role; for a shadow, those of one version."""
    return [issue for issue in issued if issue.issue.role == role and version in (None, issue.issue.version)]
