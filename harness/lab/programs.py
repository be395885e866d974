"""From a torch network to a file that a runtime of harness.worker.runtimes loads: traced once, then written."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from harness.formats import Input
from harness.lab.graph import halve, pool
from harness.wire import Reason
from harness.worker.package import Failed

Target = Literal["onnx", "torch.export", "openvino"]
Program = torch.export.ExportedProgram
_WITH_ACTIVATION = "BatchNormAct2d"  # timm's; it drops nothing in evaluation
_INPUT, _OUTPUT = "crops", "scores"  # their names in an ONNX file


def write(net: nn.Module, to: Target, path: Path, its: Input, half: bool = False) -> None:
    """Writes a network of (n, *its.shape()) of its.type, with n free. Raises Failed where that cannot be done.

    `half`: weights that float16 holds exactly are stored so (ONNX alone).
    """
    example = _example(its)
    if to != "torch.export":  # channels last shows in the trace, as copies that mean nothing to the others
        net = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporters, about themselves
        try:
            program = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
        except Exception as error:
            expected = f"a network of n x {its.shape()} that torch.export traces with n free"
            raise _failed(expected, error) from error
        try:
            WRITERS[to](program, path, its)
            if to == "onnx":
                pool(path)
                if half:
                    halve(path)
        except Exception as error:
            raise _failed(f"a network that can be written as {to}", error) from error


def write_torchscript(net: nn.Module, path: Path, its: Input) -> None:
    """As `write`, but traced by TorchScript, which takes a module and no program of torch.export."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # it is deprecated
        try:
            torch.jit.save(torch.jit.trace(net, _example(its)), path)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise _failed("a network that can be written as torchscript", error) from error


def folded(net: nn.Module) -> tuple[nn.Module, str | None]:
    """A copy with its batch norms folded into the convolutions before them; else the network, and why it stays so.

    Most runtimes fold, too; torch.export's does not.
    """
    from torch.fx.experimental.optimization import fuse  # noqa: PLC0415 (loads much of torch)

    try:
        return fuse(_plain(net)).eval(), None
    except Exception as error:  # noqa: BLE001 (whatever tracing a stranger's network raises)
        return net, _said(error)


class Affine(nn.Module):
    """A batch norm of evaluation, as one factor and one summand a channel."""

    factor: Tensor  # (channels, 1, 1), as the other
    summand: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = torch.rsqrt(norm.running_var + norm.eps) * (1.0 if norm.weight is None else norm.weight.detach())
        summand = (0.0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * factor
        self.register_buffer("factor", factor.view(-1, 1, 1))
        self.register_buffer("summand", summand.view(-1, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, height, width) -> the same shape."""
        return maps * self.factor + self.summand


def unfolded(net: nn.Module) -> nn.Module:
    """A copy whose batch norms no exporter folds: the weights before them stay the float16 that they were trained as.

    ONNX Runtime folds factor and summand into the convolution as it loads.
    """
    net = _plain(net)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d and child.running_mean is not None:
                setattr(module, name, Affine(child))
    return net


def _plain(net: nn.Module) -> nn.Module:
    """A copy in which timm's batch norms, which have an activation of their own, are a batch norm and an activation."""
    net = copy.deepcopy(net)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if not isinstance(child, nn.BatchNorm2d) or type(child).__name__ != _WITH_ACTIVATION:
                continue
            if child.running_mean is not None and isinstance(child.act, nn.Module):
                norm = nn.BatchNorm2d(child.num_features, child.eps, affine=child.affine)
                norm.load_state_dict(child.state_dict(), strict=False)  # an activation may have weights, too
                setattr(module, name, nn.Sequential(norm.eval(), child.act))
    return net


def _onnx(program: Program, path: Path, _: Input) -> None:
    """One file, without external data."""
    torch.onnx.export(
        program,
        (),
        path,
        dynamo=True,
        external_data=False,
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        verbose=False,
    )


def _program(program: Program, path: Path, _: Input) -> None:
    torch.export.save(program, path)


def _openvino(program: Program, path: Path, its: Input) -> None:
    """In float32, every side but the number of crops fixed."""
    import openvino  # noqa: PLC0415 (an extra)

    model = openvino.convert_model(program)
    model.reshape([-1, *its.shape()])
    openvino.save_model(model, path, compress_to_fp16=False)


WRITERS: dict[Target, Callable[[Program, Path, Input], None]] = {
    "onnx": _onnx,
    "torch.export": _program,
    "openvino": _openvino,
}


def _example(its: Input) -> torch.Tensor:
    """Two crops: an axis of one is taken for a fixed one."""
    return torch.zeros((2, *its.shape()), dtype=getattr(torch, its.type))


def _failed(expected: str, error: Exception) -> Failed:
    return Failed(Reason.MODEL, f"expected {expected}, got {_said(error)}")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
