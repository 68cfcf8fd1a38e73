"""``drf who``: the champion of a registered model on a past day."""

import argparse
import sys

from ..experiment.market_name import BUILT_IN
from ..live.as_of import day_of
from ..workflows.who import who
from . import program

_ABOUT = """Tell who was champion at the end of a day, who decided it, and why, from the recorded decisions.

Example: drf who on=2026-03-31 name=drf-lstm-lrp-panel"""


@program.refusing
def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="drf who", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="key=value", help="on=YYYY-MM-DD (default: today), name=MODEL")
    given = dict(word.partition("=")[::2] for word in parser.parse_args(sys.argv[1:]).words)
    if wrong := sorted(set(given) - {"on", "name"}):
        program.refuse(f"{wrong[0]}: give on=YYYY-MM-DD and name=MODEL")
    found = who(given.get("name", BUILT_IN), day_of(given.get("on"), "on"))
    if found.unsigned:
        program.say(f"note: {found.unsigned} decision(s) are left aside: their signature is missing or wrong")
    day, made = f"{found.day:%Y-%m-%d}", found.since
    if made is None or made.champion is None:
        program.say(f"On {day} {found.name} had no champion.")
        return
    program.say(
        f"On {day} the champion of {found.name} was version {made.champion}, since {made.when:%Y-%m-%d %H:%M} UTC.\n"
        f"Decided by {made.by}: {made.reason}\nRun: {made.run_id}"
    )
