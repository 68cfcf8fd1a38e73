"""Three ways to read a network as a sum of contributions of its inputs, by name.

``plain``
    The papers' form: what biases and stabilisers absorb is missing from the sum.
``spread-bias``
    What they absorb in a map is spread evenly over the map's inputs (the bias factor of Arras et al. 2017 at 1): the
    sum is f(x), but relevance is given to inputs that did not earn it.
``neutral``
    Relevance against the neutral input, all zeros: the sum is f(x) - f(0) but for the stabiliser.

For a network without biases on its signal path f(0) = 0, nothing is absorbed by biases, and ``plain`` equals
``neutral``.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .account import Account
from .attributor import attribute
from .composite import Composite
from .rules import Epsilon

Linearisation = Literal["plain", "spread-bias", "neutral"]
LINEARISATIONS = get_args(Linearisation)


def linearise(model: nn.Module, x: Tensor, method: Linearisation = "plain", epsilon: float = 1e-3) -> Account:
    """Attribute f(x) by the epsilon rule, signal takes all, in one of the ways above.

    Raises
    ------
    ValueError
        If ``method`` is not one of :data:`LINEARISATIONS`.
    """
    if method not in LINEARISATIONS:
        raise ValueError(f"linearisation {method!r} is unknown: use one of {', '.join(LINEARISATIONS)}")
    composite = Composite(Epsilon(epsilon), epsilon=epsilon, bias_factor=float(method == "spread-bias"))
    return attribute(model, x, composite=composite, baseline=torch.zeros_like(x[:1]) if method == "neutral" else None)
