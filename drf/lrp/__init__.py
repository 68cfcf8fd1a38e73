"""Relevance through any PyTorch model: layer-wise relevance propagation and the Shapley rule.

>>> import torch
>>> from torch import nn
>>> from drf.lrp import attribute
>>> class Forecaster(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.lstm, self.head = nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 1)
...     def forward(self, x):
...         _, (h, _) = self.lstm(x)
...         return self.head(h[-1])
>>> account = attribute(Forecaster().eval(), torch.randn(4, 5, 16))
>>> account.relevance.shape
torch.Size([4, 5, 16])
"""

from .account import Account
from .attributor import Attributor, attribute
from .composite import Composite
from .dispatch import register
from .gate_rules import GATE_RULES
from .inputs import Background
from .layout import MixedSamplesError
from .linearisation import LINEARISATIONS, Linearisation, linearise
from .propagation import UnsupportedOperationError
from .rules import RULES, AlphaBeta, Epsilon, Gamma, Rule, WSquare, ZPlus

__all__ = [
    "GATE_RULES",
    "LINEARISATIONS",
    "RULES",
    "Account",
    "AlphaBeta",
    "Attributor",
    "Background",
    "Composite",
    "Epsilon",
    "Gamma",
    "Linearisation",
    "MixedSamplesError",
    "Rule",
    "UnsupportedOperationError",
    "WSquare",
    "ZPlus",
    "attribute",
    "linearise",
    "register",
]
