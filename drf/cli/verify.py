"""``drf verify``: check every version, decision and issue of the store."""

import argparse
import sys

from ..workflows.verify import verify_store
from . import program
from .failures import ALARM

_ABOUT = """Check every registered version, decision and issue of MLflow's store.

Files are compared with their manifests, tags with what was registered, decisions with their chain and issues with their
digests; with DRF_VERIFYING_KEY, signatures too. Nothing is loaded or written. Exit code 4: something does not hold."""


@program.refusing
def main() -> None:
    """Run the command."""
    argparse.ArgumentParser(
        prog="drf verify", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(sys.argv[1:])
    found = verify_store()
    program.say(
        f"{found.versions} version(s), {found.decisions} decision(s) and {found.issues} issue(s) in {found.store}: "
        + (f"{len(found.faults)} fault(s)" if found.faults else "all as they were recorded")
    )
    for fault in found.faults:
        program.say(f"  {fault}")
    if found.faults:
        raise SystemExit(ALARM)
