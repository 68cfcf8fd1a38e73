"""Relevance written out from the formulas, one sample, one unit and one step at a time: slow, and meant to stay so.

Arras et al. 2017 (arXiv 1706.07206), equations of the LSTM cell with "signal takes all", and the epsilon rule with bias
factor 0 on every linear map.
"""

from __future__ import annotations

import math

import numpy as np


def sign(value: float) -> float:
    return 1.0 if value >= 0 else -1.0


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def dense(x: np.ndarray, w: np.ndarray, b: np.ndarray, relevance: np.ndarray, eps: float) -> np.ndarray:
    """R_i = sum_j x_i w_ji / (z_j + eps sign z_j) R_j with z_j = sum_i x_i w_ji + b_j."""
    result = np.zeros(len(x))
    for j in range(len(w)):
        z = sum(x[i] * w[j, i] for i in range(len(x))) + b[j]
        for i in range(len(x)):
            result[i] += x[i] * w[j, i] / (z + eps * sign(z)) * relevance[j]
    return result


def lstm(
    x: np.ndarray, w: np.ndarray, u: np.ndarray, b: np.ndarray, relevance: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """One direction of one layer. ``relevance``: (steps, hidden) of its outputs. Returns (relevance of x, outputs)."""
    steps, hidden = len(x), u.shape[1]
    h, c = np.zeros((steps + 1, hidden)), np.zeros((steps + 1, hidden))
    i, f, g, z_g, o = (np.zeros((steps, hidden)) for _ in range(5))
    for t in range(steps):
        for k in range(hidden):
            z = [w[q * hidden + k] @ x[t] + u[q * hidden + k] @ h[t] + b[q * hidden + k] for q in range(4)]
            i[t, k], f[t, k], g[t, k], o[t, k] = sigmoid(z[0]), sigmoid(z[1]), math.tanh(z[2]), sigmoid(z[3])
            z_g[t, k] = z[2]
            c[t + 1, k] = f[t, k] * c[t, k] + i[t, k] * g[t, k]
            h[t + 1, k] = o[t, k] * math.tanh(c[t + 1, k])
    r_x, r_h, r_c = np.zeros_like(x), np.zeros(hidden), np.zeros(hidden)
    for t in reversed(range(steps)):
        r_c = r_c + r_h + relevance[t]
        r_h_before, r_c_before = np.zeros(hidden), np.zeros(hidden)
        for k in range(hidden):
            cell = c[t + 1, k] + eps * sign(c[t + 1, k])
            r_g = i[t, k] * g[t, k] / cell * r_c[k]
            r_c_before[k] = f[t, k] * c[t, k] / cell * r_c[k]
            z = z_g[t, k] + eps * sign(z_g[t, k])
            for m in range(x.shape[1]):
                r_x[t, m] += x[t, m] * w[2 * hidden + k, m] / z * r_g
            for m in range(hidden):
                r_h_before[m] += h[t, m] * u[2 * hidden + k, m] / z * r_g
        r_h, r_c = r_h_before, r_c_before
    return r_x, h[1:]
