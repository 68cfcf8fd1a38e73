"""Coalitions of players, and the exact Shapley values of their game."""

import itertools
import math

import torch
from torch import Tensor


def coalitions_of(players: int) -> Tensor:
    """Return all coalitions as booleans, shape (2 ** players, players)."""
    return torch.tensor(list(itertools.product([False, True], repeat=players)))


def exact_shapley(outputs: Tensor) -> Tensor:
    """Return the Shapley values (n, players), given the outputs (2 ** players, n) of :func:`coalitions_of`."""
    players = len(outputs).bit_length() - 1
    coalitions = coalitions_of(players).to(outputs.device)
    sizes, all_orders = coalitions.sum(1).tolist(), math.factorial(players)
    weights = [math.factorial(size) * math.factorial(players - size - 1) / all_orders for size in range(players)]
    result = []
    for player in range(players):
        without = ~coalitions[:, player]
        gained = outputs[coalitions[:, player]] - outputs[without]  # both selections are in the same order
        share = [weights[sizes[k]] for k in without.nonzero()[:, 0].tolist()]
        result.append(outputs.new_tensor(share) @ gained)
    return torch.stack(result, 1)


def in_groups(x: Tensor, baseline: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return inputs (2 ** count * n, ...): for each coalition, ``x`` in its groups and the baseline in all others.

    ``groups``: the group of every element, whole numbers below ``count``, in the shape of one sample.
    """
    held = coalitions_of(count).to(x.device)[:, groups.to(x.device)]
    return torch.where(held.unsqueeze(1), x, baseline).reshape(-1, *x.shape[1:])
