"""Linearisations: two ways to read a network as a sum of contributions of its inputs, by name.

``plain``
    The papers' form: epsilon rule, signal takes all. What biases and stabilisers absorb is missing from the sum.
``shapley``
    The Shapley rule against the neutral input, all zeros: the sum is f(x) - f(0) exactly, whatever biases there are.
"""

from typing import Literal, get_args

from torch import Tensor, nn

from .account import Account
from .attributor import attribute
from .composite import Composite
from .gate_rules import SHAPLEY
from .rules import Epsilon

Linearisation = Literal["plain", "shapley"]
LINEARISATIONS = get_args(Linearisation)


def linearise(model: nn.Module, x: Tensor, method: Linearisation = "plain", epsilon: float = 1e-3) -> Account:
    """Attribute f(x), the only output, by one of the two ways.

    Raises ValueError if ``method`` is not one of :data:`LINEARISATIONS`.
    """
    if method not in LINEARISATIONS:
        raise ValueError(f"linearisation {method!r} is unknown: use one of {', '.join(LINEARISATIONS)}")
    plain = Composite(Epsilon(epsilon), epsilon=epsilon)
    # A factor model is measured as a whole, see drf.lrp.faithfulness, not batch by batch.
    return attribute(model, x, composite=SHAPLEY if method == "shapley" else plain, warns=False)
