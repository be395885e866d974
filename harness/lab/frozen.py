"""Parts of a network that a training leaves as they are."""

from collections.abc import Sequence

from torch import nn

from harness.errors import SubmissionError


def freeze(net: nn.Module, prefixes: Sequence[str], name: str) -> list[nn.Module]:
    """Takes the gradients of all parameters in these parts; the parts' modules, to be kept in evaluation mode.

    A prefix ends where a name does: features.1 is not features.10. In evaluation mode a batch norm keeps its running
    statistics. `name` is the package's. Raises SubmissionError (kind "recipe") where a prefix names no part, or
    nothing is left to train.
    """
    parameters = dict(net.named_parameters())
    for prefix in prefixes:
        if not any(_within(one, prefix) for one in parameters):
            there = ", ".join(dict.fromkeys(one.partition(".")[0] for one in parameters))
            raise SubmissionError(
                f"{name}: frozen: expected parts of its network, like {there}, got {prefix}", kind="recipe"
            )
    for one, parameter in parameters.items():
        parameter.requires_grad = not any(_within(one, prefix) for prefix in prefixes)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise SubmissionError(f"{name}: frozen: expected something left to train, got nothing", kind="recipe")
    return [part for one, part in net.named_modules() if any(_within(one, prefix) for prefix in prefixes)]


def _within(name: str, prefix: str) -> bool:
    """Whether a parameter or a module of this name belongs to the part.

    >>> _within("features.1.weight", "features.1"), _within("features.10.weight", "features.1")
    (True, False)
    """
    return name == prefix or name.startswith(f"{prefix}.")
