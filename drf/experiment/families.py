"""Families from the ``model`` config: settings checked against the model's class, and search spaces."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Ge

from ..errors import InputError, first_line, nearest
from ..models.base import Combines
from ..models.boosting import Boosting
from ..models.catalogue import FAMILIES, row_named, rows_of
from ..models.family import Family
from ..samples.windows import Window
from ..tuning.space import Entry
from .validation import check, make

_NOT_SETTINGS = ("random_state",)


def make_families(models: Mapping[str, Any], overrides: Iterable[str] = (), tuned: bool = True) -> list[Family]:
    """Return the families of the ``model`` config, in the order of the comparison's rows.

    A setting among the command line's ``overrides`` (``model.lstm.hidden=24``) was chosen, so it is not tuned. Without
    tuning, the search spaces are ignored, and a setting may lie outside them.

    Raises InputError for an unknown family or setting, or a setting that the search space names but the family lacks.
    It is also raised for a family that combines other families' rows if such a row is not trained or has no
    contributions.
    """
    for name, settings in models.items():
        if name not in FAMILIES:
            raise InputError(f"model={name}: unknown family{nearest(name, FAMILIES)}; there are {', '.join(FAMILIES)}")
        if not isinstance(settings, Mapping):
            raise InputError(f"model.{name}={settings}: must be a group of settings, see conf/model/{name}.yaml")
    if not models:
        raise InputError("model=[]: choose at least one family, see conf/model")
    chosen = {override.lstrip("+").split("=")[0] for override in overrides}
    settings = models if tuned else {name: {**of_family, "space": None} for name, of_family in models.items()}
    families = [_make_family(name, settings[name], chosen) for name in FAMILIES if name in models]
    for family in families:
        _require_parts(family, families)
    return families


def _require_parts(family: Family, families: Sequence[Family]) -> None:
    """Refuse a family that combines rows if one of them is not trained or has no contributions."""
    if not family.parts:
        return
    rows = rows_of(other.name for other in families if not other.parts)
    possible = [row.name for row in rows if row.explained]
    for name in family.settings["rows"]:
        if name not in possible:
            why = "has no contributions" if row_named(name) in rows else "is not among the rows that are trained"
            there = (
                f"there are {', '.join(possible)}{nearest(name, possible)}" if possible else "add some to model=[...]"
            )
            raise InputError(f"model.{family.name}.rows: {name} {why}: {there}")


def _make_family(name: str, values: Mapping[str, Any], chosen: set[str]) -> Family:
    where = f"model.{name}"
    own = {"seeds", "space"}
    model = FAMILIES[name]
    about = check(_about, {key: value for key, value in values.items() if key in own}, where)
    given = {key: value for key, value in values.items() if key not in own}
    settings = check(model, given, where, hidden=_NOT_SETTINGS)
    space = dict(about.get("space") or {})
    check(model, {**settings, **{key: settings.get(key) for key in space}}, where, hidden=_NOT_SETTINGS)
    space = {key: entry for key, entry in space.items() if f"{where}.{key}" not in chosen}
    try:
        made = model(**settings)
    except ValueError as error:
        raise InputError(f"{where}.{error}") from error
    if model is Boosting:
        _require_lightgbm()
    for key, entry in space.items():
        if not make(Entry, entry, f"{where}.space.{key}").holds(settings[key]):
            raise InputError(
                f"{where}.{key}={settings[key]}: lies outside its search space {entry}: widen it, or set "
                "tuning.trials=0"
            )
    parts = [row.family for part in made.of_rows() if (row := row_named(part))] if isinstance(made, Combines) else []
    return Family(name, model, settings, about.get("seeds", 1), space, tuple(parts))


def _require_lightgbm() -> None:
    try:
        import lightgbm  # noqa: F401  is it installed?
    except ImportError:
        raise InputError("model=boosting needs LightGBM: pip install 'drf[boosting]'") from None
    except OSError as error:  # LightGBM's own library needs a system library
        raise InputError(
            f"model=boosting: LightGBM cannot be loaded: {first_line(error)}: on Debian and Ubuntu apt-get install "
            "libgomp1, on macOS brew install libomp"
        ) from error


def _about(seeds: Annotated[int, Ge(1)] = 1, space: Mapping[str, Any] | None = None) -> None:
    """Take the keys of a family's config other than the settings of its model."""


def require_training_months(families: Sequence[Family], windows: Sequence[Window]) -> None:
    """Refuse windows too short for a network that holds back validation months.

    Raises InputError, naming the family and the months.
    """
    shortest = min(len(window.train) for window in windows)
    for family in families:
        if shortest <= family.months_held_back:
            raise InputError(
                f"model.{family.name}.validation_months={family.months_held_back}: a window has only {shortest} "
                "training months: lower it, or raise window.train_months"
            )
