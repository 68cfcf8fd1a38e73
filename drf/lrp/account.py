"""Account of an output: the parts into which f(x) is divided, by name."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Account:
    """Relevance of every input, and the absorbed rest of f(x).

    For every sample ``inputs + bias + stabiliser + initial_state + baseline == output`` up to the precision of the
    arithmetic. If there are several targets, every tensor has an axis of targets before the others.

    Attributes
    ----------
    relevances
        One tensor for each input of the model, in the shape of that input; see :attr:`relevance`.
    inputs
        Relevance summed over all inputs of a sample, shape (n,).
    bias
        Relevance absorbed by biases and other added constants, shape (n,).
    stabiliser
        Relevance absorbed by the small terms that keep denominators from zero, shape (n,).
    initial_state
        Relevance absorbed by the recurrent state before the first step, shape (n,).
    baseline
        f(baseline), if relevance was taken against a baseline, else 0, shape (n,).
    output
        f(x), shape (n,).
    """

    relevances: tuple[Tensor, ...]
    inputs: Tensor
    bias: Tensor
    stabiliser: Tensor
    initial_state: Tensor
    baseline: Tensor
    output: Tensor

    @property
    def relevance(self) -> Tensor:
        """Relevance of a model's only input, in its shape.

        Raises ValueError if the model has several inputs: use :attr:`relevances` instead.
        """
        if len(self.relevances) > 1:
            raise ValueError(
                f"the model takes {len(self.relevances)} inputs: use account.relevances, one tensor an input"
            )
        return self.relevances[0]

    @property
    def residual(self) -> Tensor:
        """Difference between the account and f(x): zero up to rounding, shape (n,)."""
        return self.output - (self.inputs + self.bias + self.stabiliser + self.initial_state + self.baseline)
