"""Composition: from words such as ``window=paper`` to the settings of a program, or one line on what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..data.calendar import use
from ..errors import InputError, cause_of, first_few, nearest
from .config import Record, flatten, read
from .config_folder import CONFIG_DIR
from .market_name import data_words
from .validation import make

C = TypeVar("C")


@dataclass(frozen=True)
class Settings(Generic[C]):
    """The settings of a program.

    Attributes:
        config: Typed.
        record: As they are logged.
        overrides: Words given to change the settings. The settings that they name were chosen, and are not tuned.
        choices: Config group -> the file that was chosen.
        words: Command-line words that choose the data; None if they follow from the choices.
    """

    config: C
    record: Record
    overrides: Sequence[str]
    choices: Mapping[str, str]
    words: Sequence[str] | None = None

    @classmethod
    def of(
        cls, composed: DictConfig, schema: type[C], overrides: Sequence[str], choices: Mapping[str, str]
    ) -> Settings[C]:
        """Check a composed configuration, and put the calendar of its data in force.

        Raises InputError, naming the key, its value and the values allowed.
        """
        config: Any = read(composed, schema)
        use(config.data.frequency)
        return cls(config, Record.of(composed), tuple(overrides), dict(choices))

    @classmethod
    def recorded(cls, values: Mapping[str, Any], schema: type[C], words: Sequence[str]) -> Settings[C]:
        """Check settings that an earlier run recorded; the errors are the same as in :meth:`of`.

        ``words``: the command-line words that choose the data of that run.
        """
        return replace(cls.of(OmegaConf.create(dict(values)), schema, (), {}), words=words)

    @property
    def data_words(self) -> list[str]:
        """Command-line words that choose the same data for another command."""
        if self.words is not None:
            return list(self.words)
        return data_words(self.record, self.choices.get("data", "simulated"))


def compose_settings(name: str, schema: type[C], overrides: Sequence[str]) -> Settings[C]:
    """Compose the settings of a program from Python.

    Args:
        name: Primary file of ``conf/``: ``config``, ``evaluation`` or ``month_end``.
        overrides: Words as on the command line: ``window=paper``, ``data.path=panel.parquet``.

    Raises:
        InputError: Naming what is wrong with the overrides, with the nearest known key.
    """
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            composed = compose(name, list(overrides), return_hydra_config=True)
        choices = {str(group): str(choice) for group, choice in composed.hydra.runtime.choices.items()}
        own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        return Settings.of(own, schema, overrides, choices)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, name)) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(in_one_line(error)) from error


def read_option(group: str, option: str, schema: type[C]) -> C:
    """Read one file of a config group on its own, such as ``gate/strict``; leave out values that refer to other
    settings."""
    values: Any = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / group / f"{option}.yaml"))
    return make(schema, {name: value for name, value in values.items() if not str(value).startswith("${")}, group)


def in_one_line(error: ValueError) -> str:
    """Return Hydra's complaint about an unknown group, its only complaint that is not a ``HydraException``.

    Raises ValueError, the original error, if it is not about an unknown group.
    """
    if "Config group override" not in str(error):
        raise error
    return f"{error}: choose one of the group's files in conf/"


def explain(error: BaseException, config_name: str) -> str:
    """Return Hydra's complaint in one line, with the nearest known key or option."""
    text = "\n".join(str(part) for part in _causes(error))
    key = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    if key and re.search(r"Key '[^']+' (not in '|is not in struct)", text):
        if (group := key[1].partition(".")[0]) and (owners := _choices_with(key[1])):
            return f"{key[1]} is a key of {group}={first_few(owners)}: give {group}=... too"
        guess = nearest(key[1], _known_keys(config_name))
        return f"unknown config key {key[1]}{guess}: see conf/, or --cfg job"
    if missing := re.search(r"[Mm]issing mandatory value: (\S+)", text):
        name = missing[1] if "." in missing[1] or not key else key[1]
        return f"{name} has no value: add {name}=... to the command"
    if choice := re.search(r"Could not (?:load|find) '(\w+)/([^']+)'", text):
        known = sorted(file.stem for file in (CONFIG_DIR / choice[1]).glob("*.yaml"))
        guess = ": put commas between several" if " " in choice[2] else nearest(choice[2], known)
        return f"{choice[1]}={choice[2]}: there is no such choice{guess}: {', '.join(known)}"
    return str(error)


def _choices_with(key: str) -> list[str]:
    """Return the choices of a config group that have a key ``group.name``."""
    group, _, name = key.partition(".")
    files = sorted((CONFIG_DIR / group).glob("*.yaml"))
    return [file.stem for file in files if name and re.search(rf"^{re.escape(name)}:", file.read_text("utf-8"), re.M)]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = cause_of(error)


def _known_keys(config_name: str) -> list[str]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        groups = [folder.name for folder in CONFIG_DIR.iterdir() if folder.is_dir()]
        return [*flatten(compose(config_name)), *groups]
