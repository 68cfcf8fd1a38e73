"""Runner: run a model under a method of attribution, and leave it as it was."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from . import layers, operations  # noqa: F401  they fill the table
from .dispatch import LAYERS, Swapped
from .propagation import Propagation, UnsupportedOperationError
from .tensor_flags import current

Select = Callable[[Any], Tensor]


_ONE_AT_A_TIME = threading.RLock()
"""Lock for the hooks that tell which layer is running: two threads may explain the same model."""


@dataclass(frozen=True)
class Runner:
    """A model, with the choice of its output."""

    model: nn.Module
    select: Select | None = None

    @classmethod
    def of(cls, model: nn.Module, select: Select | None) -> Runner:
        """Return the runner of the module inside a wrapper; half precision is run as a copy in single precision.

        Raises TypeError, UnsupportedOperationError if the model is no module, or was compiled to TorchScript.
        """
        model = _unwrapped(model)
        if not isinstance(model, nn.Module):
            raise TypeError(f"the model must be an nn.Module, not {type(model).__name__}: wrap a function in a module")
        if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
            raise UnsupportedOperationError(
                "a TorchScript model shows no operations: explain the module it was made of"
            )
        _check_dropout(model)
        if any(value.dtype in (torch.bfloat16, torch.float16) for value in _floats(model)):
            model = copy.deepcopy(model).float()
        return cls(model, select)

    @property
    def dtype(self) -> torch.dtype | None:
        """Common type of the model's numbers, if there is one."""
        kinds = {value.dtype for value in _floats(self.model)}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def precision(self) -> torch.dtype:
        """Precision to compute in where no input states one."""
        return self.dtype or torch.get_default_dtype()

    def __call__(self, inputs: Sequence[Tensor], propagation: Propagation | None = None) -> Tensor:
        """Return the selected output, of the model as it is or under a method of attribution.

        Raises ValueError if the output is no tensor.
        """
        with _ONE_AT_A_TIME, _untouched(self.model), _eager(), ExitStack() as stack:
            if propagation is not None:
                stack.enter_context(_telling_layers(self.model, propagation))
                stack.enter_context(Swapped(propagation))
            output = self.model(*inputs)
            output = output if self.select is None else self.select(output)
            output = current(output) if isinstance(output, Tensor) else output
        if not isinstance(output, Tensor):
            raise ValueError(
                f"the model returns {_describe(output)}: pick the output to explain, such as {_pick(output)}"
            )
        if not output.is_floating_point():
            raise ValueError(f"the output is {output.dtype}, which cannot be explained: explain the scores")
        return output


def _unwrapped(model: Any) -> Any:
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return _unwrapped(model.module)
    return _unwrapped(model._orig_mod) if hasattr(model, "_orig_mod") else model


def _floats(model: nn.Module) -> Iterator[Tensor]:
    yield from (value for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())


def _check_dropout(model: nn.Module) -> None:
    for name, module in model.named_modules():
        probability = getattr(module, "p", 0) if isinstance(module, nn.modules.dropout._DropoutNd) else 0
        if module.training and probability:
            label = f"layer '{name or 'model'}' ({type(module).__name__})"
            raise ValueError(f"{label} is active, so f(x) is random: call model.eval() first")


def _describe(output: object) -> str:
    if isinstance(output, dict):
        return f"a dict with the keys {', '.join(map(repr, output))}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"


def _pick(output: object) -> str:
    return (
        f"select=lambda y: y[{next(iter(output))!r}]"
        if isinstance(output, dict) and output
        else "select=lambda y: y[0]"
    )


@contextmanager
def _eager() -> Iterator[None]:
    """Run compiled parts as they were written, since no operation would be seen otherwise."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and importing torch._dynamo takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Restore the states, statistics and random numbers that a forward pass changes in a model."""
    kept = [_Kept.of(module) for module in model.modules()]
    tensors = (*model.parameters(), *model.buffers())
    devices = sorted({tensor.device.index or 0 for tensor in tensors if tensor.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices):
            for module in kept:
                module.lend_copies()
            yield
    finally:
        for module in kept:
            module.restore()


@dataclass(frozen=True)
class _Kept:
    """Contents of a module that a run must leave unchanged: attributes, lists, dictionaries and buffers."""

    attributes: dict[str, Any]
    before: dict[str, Any]
    containers: list[tuple[Any, Any]]
    parameters: list[tuple[Tensor, int]]

    @classmethod
    def of(cls, module: nn.Module) -> _Kept:
        attributes = module.__dict__
        containers = [value for value in attributes.values() if type(value) in (list, dict, set)]
        return cls(
            attributes,
            dict(attributes),
            [(value, copy.copy(value)) for value in containers],
            [(value, value._version) for value in attributes["_parameters"].values() if value is not None],
        )

    def lend_copies(self) -> None:
        """Lend the running model copies of its buffers and tensor attributes, since it may write into them."""
        for holder in (self.attributes, self.attributes["_buffers"]):
            for name, value in holder.items():
                if isinstance(value, Tensor):
                    holder[name] = value.clone()

    def restore(self) -> None:
        """Restore only what changed: another thread may be running the same model.

        Raises UnsupportedOperationError if a parameter was changed and there is no copy of it.
        """
        _restore(self.attributes, self.before)
        for container, contents in self.containers:
            if isinstance(container, list):
                container[:] = contents
            elif isinstance(container, set) or not _same(container, contents):
                container.clear()
                container.update(contents)
        if any(parameter._version != version for parameter, version in self.parameters):
            raise UnsupportedOperationError("the model changes its own parameters when it runs")


def _same(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    return now.keys() == before.keys() and all(now[key] is value for key, value in before.items())


def _restore(now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in [name for name in now if name not in before]:
        del now[name]
    for name, value in before.items():
        if now.get(name) is not value:
            now[name] = value


@contextmanager
def _telling_layers(model: nn.Module, propagation: Propagation) -> Iterator[None]:
    """Tell the propagation which layers are running; registered ones are run by their rule."""
    thread = threading.get_ident()
    with ExitStack() as stack:
        for name, module in model.named_modules():

            def enter(module: nn.Module, args: Any, name: str = name) -> None:
                if threading.get_ident() == thread:
                    propagation.modules.append((name, module))

            def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
                if threading.get_ident() != thread:
                    return output
                propagation.modules.pop()
                rule = LAYERS.get(type(module))
                return output if rule is None else rule(module, *args, **kwargs)

            for handle in (
                module.register_forward_pre_hook(enter, prepend=True),
                module.register_forward_hook(leave, with_kwargs=True),
            ):
                stack.callback(handle.remove)
        yield
