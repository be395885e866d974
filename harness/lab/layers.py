"""Times of a torch network by its named modules, with torch.profiler; what each counts and moves; what lives at once.

A module's time is that of the operators that it calls itself, not of those in the modules below it. Python, hooks and
the dispatch of operators are in no module: what the whole network takes beyond its operators is said apart.
"""

import os
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from harness.lab.counts import counted_by_torch
from harness.lab.graphs import Ran
from harness.profile import Layer

_MARK = "harness::"  # before a module's name, in the profiler's events
_QUIET = ("KINETO_LOG_LEVEL", "99")  # the profiler's library speaks on stderr of GPUs that are not there


def module_layers(net: nn.Module, pictures: Sequence[Tensor], macs: dict[str, int]) -> Ran:
    """The modules that call operators, in their order. `pictures`: the network's inputs, timed one by one.

    `macs`: of each module with all that is in it, as harness.lab.counts gives.
    """
    names = {module: name for name, module in net.named_modules()}
    moved = _moved(net, names, pictures[0])
    with _marked(names):
        times, between = _timed(net, pictures)
    modules = dict(net.named_modules())
    layers = tuple(
        Layer(
            name=name or "(the network's own)",
            kind=kind(modules[name]),
            ms=median(runs),
            macs=macs.get(name, 0) - sum(macs.get(child, 0) for child in _children(name, modules)),
            parameters=sum(parameter.numel() for parameter in modules[name].parameters(recurse=False)),
            bytes_moved=moved.get(name, 0),
        )
        for name, runs in times.items()
    )
    return Ran(layers, between, sum(map(min, times.values())))


def program_layers(program: "torch.export.ExportedProgram", pictures: Sequence[Tensor]) -> Ran:
    """The same of a program of torch.export, by its nodes; multiply-adds by FlopCounterMode / 2."""
    node = _Nodes(program.module())
    with torch.inference_mode():
        node.run(pictures[0])
    seen, node.count = dict(node.seen), False
    times, between = _timed(node.run, pictures)
    layers = tuple(
        Layer(name=name, kind=seen[name][0], ms=median(runs), macs=seen[name][1], bytes_moved=seen[name][2])
        for name, runs in times.items()
        if name in seen
    )
    return Ran(layers, between, sum(map(min, times.values())))


def kind(module: nn.Module) -> str:
    """What a module is, in a few words.

    >>> kind(nn.Conv2d(8, 8, 3, groups=8)), kind(nn.Conv2d(8, 16, (1, 7))), kind(nn.Linear(4, 2)), kind(nn.ReLU())
    ('conv 3x3 dw 8', 'conv 1x7 16', 'linear 2', 'ReLU')
    """
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1 and module.groups == module.in_channels
        return conv_kind(module.kernel_size, depthwise, module.out_channels)
    if isinstance(module, nn.Linear):
        return f"linear {module.out_features}"
    return type(module).__name__


def conv_kind(kernel: Iterable[int], depthwise: bool, out: int) -> str:
    """The kind of a convolution, as harness.profile.Layer.family reads it."""
    return f"conv {'x'.join(map(str, kernel))}{' dw' * depthwise} {out}"


@torch.inference_mode()
def activation_bytes(net: Callable[[Tensor], object], picture: Tensor) -> int:
    """The most bytes of tensors that live at once in one run: its input and all that operators give, until Python lets
    go of it. What an operator takes inside for itself is not seen; weights do not count.
    """
    alive = _Alive(picture)
    with alive:
        net(picture)
    return alive.most


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that operators return."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[int, int] = defaultdict(int)  # storage -> tensors on it
        self.now = self.most = 0
        self._hold(picture)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {one.untyped_storage().data_ptr() for one in _tensors((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for one in _tensors(out):
            pointer = one.untyped_storage().data_ptr()
            if pointer in self.held or pointer not in given:  # not a view of a weight
                self._hold(one)
        return out

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        pointer, size = storage.data_ptr(), storage.nbytes()
        if not self.held[pointer]:
            self.now += size
            self.most = max(self.most, self.now)
        self.held[pointer] += 1
        weakref.finalize(tensor, self._let_go, pointer, size).atexit = False

    def _let_go(self, pointer: int, size: int) -> None:
        self.held[pointer] -= 1
        if not self.held[pointer]:
            del self.held[pointer]
            self.now -= size


class _Nodes(torch.fx.Interpreter):
    """Runs a program node by node, each marked with its module; the first time it notes what they count and move."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.count = True
        self.seen: dict[str, tuple[str, int, int]] = {}  # name -> kind, multiply-adds, bytes

    def run_node(self, n: torch.fx.Node) -> Any:
        """One node's result."""
        if n.op != "call_function":
            return super().run_node(n)
        if not self.count:
            with record_function(_MARK + n.name):
                return super().run_node(n)
        with FlopCounterMode(display=False) as counter:
            out = super().run_node(n)
        given, _ = self.fetch_args_kwargs_from_env(n)
        self.seen[n.name] = _node_kind(n, given), counted_by_torch(counter), _bytes((given, out))
        return out


def _node_kind(n: torch.fx.Node, given: tuple[Any, ...]) -> str:
    name = str(n.target).removeprefix("aten.").partition(".")[0]
    if name.startswith("conv") and len(given) > 1:
        weight = given[1].shape
        return conv_kind(weight[2:], weight[1] == 1 and weight[0] > 1, weight[0])
    return f"linear {given[1].shape[0]}" if name == "linear" else name


def _run(net: Callable[[Tensor], object], picture: Tensor) -> None:
    with record_function(_MARK + _MARK), torch.inference_mode():
        net(picture)


def _timed(net: Callable[[Tensor], object], pictures: Sequence[Tensor]) -> tuple[dict[str, list[float]], float]:
    """ms of the operators that each mark calls itself, one number a run, in the order of the first run; and the median
    of what a run took beyond them, the profiler's own time included.
    """
    os.environ.setdefault(*_QUIET)
    _run(net, pictures[0])  # warm
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for picture in pictures:
            _run(net, picture)
    found: dict[str, list[float]] = defaultdict(list)
    between = []
    for event in profiler.events() or ():
        if event.name == _MARK + _MARK:
            its: dict[str, float] = defaultdict(float)
            _gather(event, its)
            for name, us in its.items():
                found[name].append(us / 1e3)
            between.append((event.cpu_time_total - sum(its.values())) / 1e3)
    return dict(found), median(between)


def _gather(event: Any, its: dict[str, float]) -> None:
    name = event.name.removeprefix(_MARK)
    for child in event.cpu_children:
        if child.name.startswith(_MARK):
            _gather(child, its)
        elif name != _MARK:
            its[name] += child.cpu_time_total


@contextmanager
def _marked(names: dict[nn.Module, str]) -> Iterator[None]:
    """Each module's call is an event of the profiler."""
    open_: list[Any] = []

    def before(module: nn.Module, _: Any) -> None:
        open_.append(record_function(_MARK + names[module]))
        open_[-1].__enter__()

    def after(*_: Any) -> None:
        open_.pop().__exit__(None, None, None)

    with _hooked(names, before, after):
        yield


@contextmanager
def _hooked(modules: Iterable[nn.Module], before: Any, after: Any) -> Iterator[None]:
    handles = []
    for module in modules:
        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _moved(net: nn.Module, names: dict[nn.Module, str], picture: Tensor) -> dict[str, int]:
    """Bytes of each module's inputs, outputs and weights; of one with modules inside nothing, for they have them."""
    found: dict[str, int] = {}

    def after(module: nn.Module, given: Any, out: Any) -> None:
        if not any(True for _ in module.children()):
            found[names[module]] = _bytes((given, out, list(module.parameters()), list(module.buffers())))

    with _hooked(names, lambda *_: None, after), torch.inference_mode():
        net(picture)
    return found


def _children(name: str, modules: dict[str, nn.Module]) -> list[str]:
    return [f"{name}.{child}" if name else child for child, _ in modules[name].named_children()]


def _bytes(values: Any) -> int:
    return sum(one.numel() * one.element_size() for one in _tensors(values))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for one in values:
            yield from _tensors(one)
