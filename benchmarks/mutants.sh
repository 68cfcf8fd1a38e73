#!/usr/bin/env bash
# Plant faults in evaluation, samples, the gates and the report's tables (pyproject.toml, [tool.mutmut]), and list those that no
# test notices. Works on a copy of what is committed. Needs the development environment and mutmut: pip install mutmut.
#
#   bash benchmarks/mutants.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work"
cd "$work"
mutmut run --max-children 2
mutmut results
