"""Networks by name: a table of ours, torchvision's and timm's, with random weights. See harness.formats."""

import warnings
from collections import OrderedDict
from pathlib import Path

from torch import Tensor, nn

from harness.errors import SubmissionError
from harness.formats import Model
from harness.nets.build import network
from harness.nets.table import Row, parse


def declared_network(model: Model, classes: int, package: Path) -> nn.Module:
    """The network of a [model] with an architecture: float32 (n, 3, height, width) -> logits (n, classes).

    Raises SubmissionError (kind "architecture") on a name that the library does not know.
    """
    name = model.architecture or ""
    if model.format == "table":
        return network(table_rows(model, package), classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that are not asked for
        if model.format == "torchvision":
            import torchvision  # noqa: PLC0415 (whichever is named is imported)

            if name not in torchvision.models.list_models(module=torchvision.models):
                raise _unknown(name, f"a classifier of torchvision {torchvision.__version__.partition('+')[0]}")
            net: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
            return net
        import timm  # noqa: PLC0415

        if not timm.is_model(name):
            raise _unknown(name, f"a model of timm {timm.__version__}")
        built: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
        return built


def load_state(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """Loads tensors by name, float16 or float32. Raises RuntimeError, which names them, where they do not fit.

    A safetensors file keeps no versions of modules, which torchvision's mnasnet asks for: they are this network's.
    """
    named = OrderedDict(weights)
    named._metadata = getattr(net.state_dict(), "_metadata", None)  # type: ignore[attr-defined]
    net.load_state_dict(named)


def table_rows(model: Model, package: Path) -> tuple[Row, ...]:
    """The rows of a [model] of format "table". Raises SubmissionError (kind "architecture")."""
    name = model.architecture or ""
    path = package / name
    if Path(name).name != name or not path.is_file():
        raise _unknown(name, "a file of blocks in the package")
    return parse(path.read_bytes(), name)


def _unknown(name: str, expected: str) -> SubmissionError:
    return SubmissionError(f"[model] architecture: expected {expected}, got {name!r}", kind="architecture")
