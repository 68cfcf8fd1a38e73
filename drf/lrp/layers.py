"""Layers that torch computes in one call, with the rule that propagates relevance through each."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from . import decompositions, sequences
from .dispatch import OPERATIONS, Operation, Swapped, name_of, operation
from .propagation import Propagation, UnsupportedOperationError
from .tensor_flags import map_tensors


def _decomposed(by: Callable[..., Any]) -> Operation:
    def run(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            with Swapped(propagation):
                return by(*args, **kwargs)
        except UnsupportedOperationError as error:  # refused only if relevance reaches it
            plain = func(*map_tensors(lambda value: value.detach(), args), **kwargs)
            message = str(error)
            return map_tensors(lambda value: propagation.barrier(value, message), plain)

    return run


for _function, _by in decompositions.ALL.items():
    OPERATIONS[_function] = _decomposed(_by)


@operation("standardise")
def _standardise(
    propagation: Propagation, func: Callable[..., Any], x: Tensor, axes: tuple[int, ...], eps: float, centre: bool
) -> Tensor:
    return propagation.standardise(x, axes, eps, centre)


@operation("batch_norm")
def _batch_norm(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    if kwargs.get("training", args[5] if len(args) > 5 else False):
        raise ValueError(
            f"{propagation.where} normalises by the batch, so a sample's output depends on the others: call "
            "model.eval() first"
        )
    with Swapped(propagation):
        return decompositions.batch_norm(*args, **kwargs)


@operation("lstm", "gru", "rnn_tanh", "rnn_relu")
def _recurrent(propagation: Propagation, func: Callable[..., Any], *args: Any) -> Any:
    kind = name_of(func)
    packed = isinstance(args[1], Tensor) and not args[1].is_floating_point()
    if packed:
        data, sizes, states, weights, biases, layers, dropout, training, bidirectional = args
        lengths = sequences.Lengths.of(sizes)
        x = lengths.unpack(data)
    else:
        data, states, weights, biases, layers, dropout, training, bidirectional, batch_first = args
        lengths, x = None, data.transpose(0, 1) if batch_first else data
    if training and dropout > 0 and layers > 1:
        raise ValueError(f"{propagation.where}: dropout is active, so f(x) is random: call model.eval() first")
    given = states if kind == "lstm" else (states,)
    output, final = sequences.run_layers(
        kind, propagation, x.contiguous(), tuple(given), weights, layers, 2 if bidirectional else 1, biases, lengths
    )
    output = lengths.pack(output) if lengths else output.transpose(0, 1) if not packed and args[8] else output
    return output, *final


@operation("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def _cell(propagation: Propagation, func: Callable[..., Any], x: Tensor, state: Any, *weights: Any) -> Any:
    kind = name_of(func).removesuffix("_cell")
    given = tuple(state) if kind == "lstm" else (state,)
    own = tuple(weight for weight in weights if weight is not None)
    states = tuple(value[None] for value in given)
    _, final = sequences.run_layers(kind, propagation, x[None], states, own, 1, 1, len(own) > 2, None)
    return (final[0][0], final[1][0]) if kind == "lstm" else final[0][0]
