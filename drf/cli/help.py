"""Help: what each command does, and what can be chosen."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..experiment.config_folder import CONFIG_DIR

COMMANDS: Mapping[str, str] = {
    "train": "fit the models walk-forward, compare them in MLflow, register the newest model of registry.row",
    "evaluate": "judge the registered versions, and move the alias champion",
    "month-end": "check the inputs, score, monitor, train and evaluate, once a month",
    "score": "write the champion's forecasts and target weights for the newest month of a panel",
    "monitor": "compare issued forecasts with realised returns",
    "who": "tell who was champion on a past day, who decided it, and why",
    "verify": "check every version, decision and issue of the store",
    "data": "inspect a panel, or build one from prices and statements",
    "tuning-worker": "help a training on another machine to tune",
    "relocate": "correct the paths of an MLflow store that was moved or copied",
}

_PEOPLE = """
Decisions of people, each with reason='...':
  promote=VERSION      make a version champion
  rollback=true        return to the version before; rollback=VERSION returns to another
  hold=true            freeze the aliases; hold=false releases them
  archive=VERSION      stop judging a version
Other settings:
  dry_run=true         judge and print, and write nothing
  audit=true           run the tests for look-ahead on your data, whatever the gates ask
Exit code 4: the champion is missing, cannot be judged, or fails its gates."""

_MONTH = """
Settings:
  as_of=YYYY-MM-DD     as-of date; default: today
  'skip=[train]'       steps to leave out, of watch, score, monitor, train, evaluate
  shadow=VERSION       score another version too, without orders
  force=true           issue although the inputs are unusual
  replace=true         issue the month again if its forecasts would differ
  portfolio.at_alarm=hold  issue nothing while an alarm stands
  output=FOLDER        folder of the pages; default: month-end
Exit codes: 0 done, 2 refused, 3 held back (unusual inputs, or an alarm), 4 alarm on the champion, 75 another command is
at work: try again, 99 this month was done before."""

_MORE = {"evaluate": _PEOPLE, "month-end": _MONTH}

_EXAMPLES = {
    "train": "window=paper data=panel data.path=panel.parquet 'model=[linear,lstm]' seed=1",
    "evaluate": "data=panel data.path=panel.parquet gate=strict",
    "month-end": "data=panel data.path=panel.parquet",
    "tuning-worker": "tuning.storage=postgresql+psycopg2://USER@HOST/DATABASE tuning.trials=64",
}

_TRAINING = ("data", "model", "window", "tuning", "portfolio", "compute", "factors", "macro", "experiment")

GROUPS = {
    "train": _TRAINING,
    "tuning-worker": _TRAINING,
    "evaluate": ("data", "portfolio", "gate"),
    "month-end": ("data", "portfolio", "gate"),
}
"""Commands that take ``key=value``, with their config groups."""


def overview() -> str:
    """Return the help of ``drf``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {words}" for name, words in COMMANDS.items()]
    return "\n".join(
        [
            "usage: drf COMMAND ...",
            "",
            "Deep recurrent factor models. Commands:",
            *lines,
            "",
            "A first run on your own panel:",
            "  drf data inspect panel.parquet",
            "  drf train data=panel data.path=panel.parquet window=paper",
            "  drf evaluate data=panel data.path=panel.parquet  # the first version that passes every gate is champion",
            "  drf month-end data=panel data.path=panel.parquet",
            "",
            "Quote what the shell would read, such as brackets: 'model=[linear,lstm]'.",
            "train, evaluate, month-end, tuning-worker and who take settings as key=value; the others take flags.",
            "MLflow's store is mlflow.db in the working directory, or MLFLOW_TRACKING_URI.",
            "drf COMMAND --help says more.",
        ]
    )


def command_help(command: str) -> str:
    """Return the help of a command whose settings are words ``key=value``."""
    groups = [line for group in GROUPS[command] for line in _choices(group)]
    return "\n".join(
        [
            f"usage: drf {command} [key=value ...]",
            "",
            f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
            f"Example: drf {command} {_EXAMPLES[command]}",
            "",
            "Groups, and what can be chosen in each; the choices are files of conf/GROUP:",
            *groups,
            *([_MORE[command]] if command in _MORE else []),
            "",
            f"Every key with its value: drf {command} --cfg job.",
            "Every key with its meaning: docs/reference/configuration.md.",
        ]
    )


def _choices(group: str) -> Iterator[str]:
    """Yield the lines that name a group and each of its files, with the file's first comment."""
    yield f"  {group}="
    for file in sorted((CONFIG_DIR / group).glob("*.yaml")):
        indent = " " * 22
        yield textwrap.fill(_meaning(file), 120, initial_indent=f"    {file.stem:16}  ", subsequent_indent=indent)


def _meaning(file: Path) -> str:
    """Return the first sentence of a config's comments."""
    comments = re.findall(r"^# (?!@package)(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return re.split(r"[.;] (?=[A-Z])|; ", " ".join(comments), maxsplit=1)[0].rstrip(".")
