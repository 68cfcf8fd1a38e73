"""Runner: run a model under a method of attribution, and leave it as it was."""

from __future__ import annotations

import copy
import dataclasses
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from . import functions, layers, linear_operations, products  # noqa: F401  they fill the table
from .dispatch import LAYERS, Swapped
from .inputs import Arguments
from .propagation import Propagation, UnsupportedOperationError
from .tensor_flags import current, map_tensors, tensors

Select = Callable[[Any], Tensor]
CHANGES_ITSELF = "the model changes its own parameters when it runs"


_ONE_AT_A_TIME = threading.RLock()
"""Lock for the hooks that tell which layer is running: two threads may explain the same model."""


@dataclass(frozen=True)
class Runner:
    """A model and its arguments, with the choice of its output.

    Attributes:
        select: Function that picks the output out of what the model, or ``part``, returns.
        part: Name of the module whose output is explained in place of the model's.
        hooks: Whether hooks that the user put on the model run too.
    """

    model: nn.Module
    arguments: Arguments
    select: Select | None = None
    part: str | None = None
    hooks: bool = False

    @classmethod
    def of(cls, model: Any, arguments: Arguments, select: Select | None = None, part: str | None = None) -> Runner:
        """Return the runner of the module inside a wrapper; half precision is run as a copy in single precision.

        Raises TypeError, UnsupportedOperationError if the model cannot be called, or was compiled to TorchScript.
        """
        model = _unwrapped(model)
        if not isinstance(model, nn.Module):
            model = _Function(model)
        if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
            raise UnsupportedOperationError(
                "a TorchScript model shows no operations: explain the module it was made of"
            )
        _check_dropout(model)
        if any(value.dtype in (torch.bfloat16, torch.float16) for value in _floats(model)):
            if isinstance(model, _Function):
                raise TypeError("the function calls a model in half precision: let it call a .float() copy")
            model = copy.deepcopy(model).float()
        if part is not None and part not in dict(model.named_modules()):
            names = ", ".join(name for name, _ in model.named_modules() if name)
            raise ValueError(f"output_of={part!r} is no module of the model: use one of {names}")
        return cls(model, arguments, select, part)

    @property
    def dtype(self) -> torch.dtype | None:
        """Common type of the model's numbers, if there is one."""
        kinds = {value.dtype for value in _floats(self.model)}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def precision(self) -> torch.dtype:
        """Precision to compute in where no input states one."""
        return self.dtype or torch.get_default_dtype()

    @property
    def has_hooks(self) -> bool:
        return any(module._forward_hooks or module._forward_pre_hooks for module in self.model.modules())

    @torch.no_grad()
    def plain(self, values: Sequence[Tensor]) -> Tensor:
        """Return the selected output of the model as its user runs it."""
        return replace(self, hooks=True)([value.clone() for value in values])

    def __call__(self, values: Sequence[Tensor], mode: AbstractContextManager[Any] | None = None) -> Tensor:
        """Return the selected output; under a method of attribution if ``mode`` is one, see
        :class:`~.dispatch.Swapped`.

        Raises ValueError if the output is no tensor.
        """
        args, keywords = self.arguments.fill(values)
        seen: list[Any] = []
        with _ONE_AT_A_TIME, _untouched(self.model), _eager(), ExitStack() as stack:
            if not self.hooks:
                stack.enter_context(_without_hooks(self.model))
            if self.part is not None:
                keep = self.model.get_submodule(self.part).register_forward_hook(
                    lambda *call: seen.append(map_tensors(lambda value: current(value).clone(), call[2]))
                )
                stack.callback(keep.remove)
            if isinstance(mode, Swapped):
                stack.enter_context(_telling_layers(self.model, mode.propagation))
                stack.enter_context(mode)
            output = self.model(*args, **keywords)
            if self.part is not None:
                output = seen[-1] if seen else None
            output = _only_tensor(output) if self.select is None else self.select(output)
            output = current(output) if isinstance(output, Tensor) else output
        if not isinstance(output, Tensor):
            raise ValueError(
                f"the model returns {_describe(output)}: pick the output to explain, such as {_pick(output)}"
            )
        if not output.is_floating_point():
            raise ValueError(f"the output is {output.dtype}, which cannot be explained: explain the scores")
        return output


class _Function(nn.Module):
    """A function, or a bound method, with the modules that it calls."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        if not callable(function):
            raise TypeError(f"the model must be an nn.Module or a function, not {type(function).__name__}")
        self.function = function
        self.parts = nn.ModuleList(dict.fromkeys(_modules_of(function)))

    def forward(self, *args: Any, **keywords: Any) -> Any:
        return self.function(*args, **keywords)


def _modules_of(function: Any) -> Iterator[nn.Module]:
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    named = [scope[name] for name in (code.co_names if code else ()) if name in scope]
    held = (getattr(function, "__self__", None), *getattr(function, "args", ()), *cells, *named)
    yield from (value for value in held if isinstance(value, nn.Module))
    for inner in (getattr(function, "func", None), getattr(function, "__wrapped__", None)):
        yield from _modules_of(inner) if inner is not None else ()


def _only_tensor(output: Any) -> Any:
    """Return the tensor of an output that holds only one."""
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else ()
    if dataclasses.is_dataclass(output) and not isinstance(output, dict):
        values = [getattr(output, item.name) for item in dataclasses.fields(output)]
    given = [value for value in values if value is not None]
    return given[0] if len(given) == 1 and isinstance(given[0], Tensor) else output


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
    if dataclasses.is_dataclass(output):
        return (
            f"a {type(output).__name__} with the fields {', '.join(item.name for item in dataclasses.fields(output))}"
        )
    if isinstance(output, dict):
        return f"a dict with the keys {', '.join(map(repr, output))}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"


def _pick(output: object) -> str:
    if dataclasses.is_dataclass(output):
        tensor = (item.name for item in dataclasses.fields(output) if isinstance(getattr(output, item.name), Tensor))
        return f"select=lambda y: y.{next(tensor, 'logits')}"
    return f"select=lambda y: y[{next(iter(output)) if isinstance(output, dict) and output else 0!r}]"


@contextmanager
def _eager() -> Iterator[None]:
    """Run compiled parts as they were written, since no operation would be seen otherwise."""
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules:  # else nothing was compiled, and importing it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if checkpoint := sys.modules.get("torch.utils.checkpoint"):  # a second run in the backward pass would be unseen
            for name, value in (("CheckpointFunction", _Straight), ("_checkpoint_without_reentrant_generator", _once)):
                stack.enter_context(patch.object(checkpoint, name, value))
        yield


class _Straight:
    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args)


def _once(*args: Any, **keywords: Any) -> Iterator[None]:
    yield


@contextmanager
def _without_hooks(model: nn.Module) -> Iterator[None]:
    """Remove the user's hooks during a run, since what they record is meant for a single run."""
    taken = [
        (kept, dict(kept))
        for module in model.modules()
        for kept in (module._forward_hooks, module._forward_pre_hooks)
        if kept
    ]
    for kept, _ in taken:
        kept.clear()
    try:
        yield
    finally:
        for kept, hooks in taken:
            kept.update(hooks)


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Restore the states, statistics and random numbers that a forward pass changes in a model."""
    kept = [_Kept.of(module) for module in model.modules()]
    tensors = (*model.parameters(), *model.buffers())
    devices = sorted({tensor.device.index or 0 for tensor in tensors if tensor.device.type == "cuda"})
    numpy = getattr(sys.modules.get("numpy"), "random", None)
    states = random.getstate(), numpy.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices=devices):
            for module in kept:
                module.lend_copies()
            yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.set_state(states[1])
        for module in kept:
            module.restore()


@dataclass(frozen=True)
class _Kept:
    """Contents of a module that a run must leave unchanged: attributes, lists, dictionaries and buffers."""

    attributes: dict[str, Any]
    before: dict[str, Any]
    containers: list[tuple[Any, Any]]
    parameters: list[tuple[Tensor, int, bool]]
    tensors: list[tuple[Tensor, Tensor]]
    """Tensors inside the containers, with copies."""

    @classmethod
    def of(cls, module: nn.Module) -> _Kept:
        attributes = module.__dict__
        found = [
            value
            for key, held in attributes.items()
            if isinstance(held, _HOLDING) and key not in _OF_TORCH
            for value in _containers(held)
        ]
        own = (attributes["_parameters"], attributes["_buffers"], attributes["_modules"])
        inside = [
            item
            for value in found
            if not any(value is one for one in own)
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, Tensor)
        ]
        return cls(
            attributes,
            dict(attributes),
            [(value, copy.copy(value)) for value in found],
            [(p, p._version, p.requires_grad) for p in attributes["_parameters"].values() if p is not None],
            [(value, value.detach().clone()) for value in inside],
        )

    def lend_copies(self) -> None:
        """Lend the running model copies of its buffers and tensor attributes, since it may write into them."""
        for holder in (self.attributes, self.attributes["_buffers"]):
            for name, value in holder.items():
                if isinstance(value, Tensor):
                    holder[name] = value.clone()
        if self.attributes.get("max_norm") is not None:  # a table that scales its rows when they are looked up
            parameters = self.attributes["_parameters"]
            parameters["weight"] = nn.Parameter(parameters["weight"].clone(), parameters["weight"].requires_grad)

    def restore(self) -> None:
        """Restore only what changed: another thread may be running the same model.

        Raises UnsupportedOperationError if a parameter was changed and there is no copy of it.
        """
        _restore(self.attributes, self.before)
        for container, contents in self.containers:
            if isinstance(container, dict):
                if not _same(container, contents):
                    container.clear()
                    container.update(contents)
            elif len(container) != len(contents) or any(a is not b for a, b in zip(container, contents, strict=True)):
                container.clear()
                (container.update if isinstance(container, set) else container.extend)(contents)
        for value, before in self.tensors:
            if not torch.equal(value, before):
                value.data.copy_(before)
        for parameter, _, wanted in self.parameters:
            if parameter.requires_grad != wanted:
                parameter.requires_grad_(wanted)
        if any(parameter._version != version for parameter, version, _ in self.parameters):
            raise UnsupportedOperationError(CHANGES_ITSELF)


_HOLDING = (list, dict, set, deque, tuple, SimpleNamespace)
_OF_TORCH = set(nn.Module().__dict__) - {"_parameters", "_buffers", "_modules"}
"""Attributes that torch keeps in a module for itself, such as hooks."""


def _containers(value: Any) -> Iterator[Any]:
    """Yield the containers in a module's attribute and those nested inside."""
    value = vars(value) if isinstance(value, SimpleNamespace) else value
    if isinstance(value, (list, dict, set, deque)) and not isinstance(value, nn.Module):
        yield value
    if isinstance(value, (list, dict, tuple, deque)):
        for item in list(value.values()) if isinstance(value, dict) else value:
            yield from _containers(item)


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

            def leave(module: nn.Module, args: Any, kwargs: Any, output: Any, name: str = name) -> Any:
                if threading.get_ident() != thread:
                    return output
                propagation.modules.pop()
                rule = LAYERS.get(type(module))
                output = output if rule is None else rule(module, *args, **kwargs)
                for k, value in enumerate(tensors(output)) if name in propagation.watched else ():
                    propagation.watch(f"{name}[{k}]" if k else name, current(value))
                return output

            for handle in (
                module.register_forward_pre_hook(enter, prepend=True),
                module.register_forward_hook(leave, with_kwargs=True),
            ):
                stack.callback(handle.remove)
        yield
