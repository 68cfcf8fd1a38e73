"""Layer-wise relevance propagation for dense and recurrent networks, usable alone and on anybody's model.

>>> import torch
>>> from torch import nn
>>> from drf.lrp import FinalState, attribute
>>> model = nn.Sequential(nn.LSTM(16, 8, batch_first=True), FinalState(), nn.Linear(8, 1)).eval()
>>> account = attribute(model, torch.randn(4, 5, 16))
>>> account.relevance.shape
torch.Size([4, 5, 16])
"""

from .account import Account
from .attributor import UnsupportedLayerError, attribute
from .composite import Composite
from .gates import GATE_RULES
from .linearisation import LINEARISATIONS, Linearisation, linearise
from .readout import AllSteps, FinalState, LastStep
from .rules import RULES, AlphaBeta, Epsilon, Gamma, Rule, WSquare, ZPlus

__all__ = [
    "GATE_RULES",
    "LINEARISATIONS",
    "RULES",
    "Account",
    "AllSteps",
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "FinalState",
    "Gamma",
    "LastStep",
    "Linearisation",
    "Rule",
    "UnsupportedLayerError",
    "WSquare",
    "ZPlus",
    "attribute",
    "linearise",
]
