"""Rule of the search: how long it is, and what it looks at."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ..errors import InputError


@dataclass(frozen=True, kw_only=True)
class TuningRule:
    """Length and data of the search: the ``tuning`` config.

    Attributes:
        trials: Trials per family, including those of an interrupted study; 0: no tuning, the configured settings are
            used.
        validation_months, folds: Number of months just before the first test month, and number of windows that they
            form.
        objective: Scale-free measure over the windows by which the best trial is chosen, the same for all families. An
            error measure would reward forecasts that hardly vary. ``rank_ic``: mean monthly rank correlation with the
            returns; ``r2``: squared correlation of forecasts and returns within months, with its sign.
        batch: Trials asked for at once. The batch does not depend on the number of workers, so neither do the results.
        journal: File that keeps the studies, so that an interrupted study can be resumed.
        storage: Address, without a password, of a database that keeps the studies for several machines instead.

    Raises InputError if the address is not a database address, or holds a password.
    """

    trials: Annotated[int, Ge(0)]
    validation_months: Annotated[int, Ge(1)]
    folds: Annotated[int, Ge(1)]
    batch: Annotated[int, Ge(1)]
    journal: str
    storage: str | None = None
    objective: Literal["rank_ic", "r2"] = "rank_ic"

    def __post_init__(self) -> None:
        if self.storage is not None:
            check_address(self.storage)


def check_address(address: str) -> None:
    """Refuse an address that is not a database address, or that holds a password: addresses are logged.

    Raises InputError; the message does not show the password.
    """
    try:
        password = make_url(address).password
    except ArgumentError:
        raise InputError(
            "tuning.storage: is not the address of a database, such as postgresql+psycopg2://USER@HOST/DATABASE"
        ) from None
    if password is not None:
        raise InputError("tuning.storage: holds a password, which would be logged: leave it out, and set PGPASSWORD")
