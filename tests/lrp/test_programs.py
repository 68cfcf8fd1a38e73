"""Random programs: an account is of the model's own output and closes, or a program is refused in one line.

``python -m tests.lrp.test_programs 20000`` runs as many and prints how many of each kind were explained.
"""

import sys
import warnings
from collections import Counter

import pytest
import torch

from drf.lrp import MixedSamplesError, UnsupportedOperationError, attribute
from tests.lrp import programs
from tests.lrp.programs import C, Program, T

KINDS = {"valid": programs.VALID, "mixing": programs.MIXING, "noise": programs.NOISE, "hidden": programs.HIDDEN}
RULES = ("epsilon", "shapley")


def explained(program: Program, x: torch.Tensor, rule: str) -> bool:
    """Tell whether a program is explained; check the account if so, and the refusal if not."""
    own = program(x).detach()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            account = attribute(program, x, composite=rule)
    except (UnsupportedOperationError, MixedSamplesError, ValueError) as error:
        assert len(str(error)) > 20 and "\n" not in str(error)
        return False
    if torch.equal(program(x), own):  # else a random number changes it by less than what counts as random
        assert (account.output - own).abs().max() <= 1e-4 * own.abs().max(), "another output"
    parts = (account.output, account.baseline, account.bias, account.chosen, account.inputs)
    size = torch.stack([part.abs() for part in parts]).amax(0)
    assert (account.residual.abs() <= 1e-2 * size).all(), "an open account"  # relevances that cancel are rounded
    return True


def depends_on_others(program: Program, x: torch.Tensor) -> bool:
    alone = torch.cat([program(x[k : k + 1]) for k in range(len(x))])
    whole = program(x)
    return bool((alone - whole).abs().max() > 1e-3 * whole.abs().max())


def is_random(program: Program, x: torch.Tensor) -> bool:
    one, other = program(x), program(x)
    return bool((one - other).abs().max() > 1e-3 * one.abs().max())


def run(seeds: range) -> Counter[tuple[str, ...]]:
    """Run programs, one in ten of each doubtful kind; return counts by kind, rule and end, and of steps explained."""
    counts: Counter[tuple[str, ...]] = Counter()
    for seed in seeds:
        kind = {0: "mixing", 1: "noise", 2: "hidden"}.get(seed % 10, "valid")
        program = Program(seed, KINDS[kind]).eval()
        x = torch.randn(5, T, C)
        with torch.no_grad():
            if not program(x).isfinite().all():
                continue
            harmful = {"mixing": depends_on_others, "noise": is_random}.get(kind, lambda *_: False)(program, x)
        for rule in RULES:
            end = explained(program, x, rule)
            assert not (harmful and end), (seed, rule, program.names, "a silent error")
            counts[kind, rule, "explained" if end else "refused"] += 1
            for name in program.names if end else ():
                counts["step", name] += 1
    return counts


@pytest.mark.parametrize("block", range(4))
def test_no_program_gives_a_silent_error(block: int) -> None:
    counts = run(range(60 * block, 60 * (block + 1)))
    for rule in RULES:
        whole = counts["valid", rule, "explained"] + counts["valid", rule, "refused"]
        assert counts["valid", rule, "explained"] >= 0.8 * whole > 0
        assert counts["mixing", rule, "refused"] and counts["noise", rule, "refused"]


@pytest.mark.long
@pytest.mark.parametrize("block", range(4))
def test_no_program_of_many_gives_a_silent_error(block: int) -> None:
    run(range(10_000 + 400 * block, 10_000 + 400 * (block + 1)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    for key, count in sorted(run(range(first, first + int(sys.argv[1]))).items()):
        print(f"{count:8} {' '.join(key)}")
