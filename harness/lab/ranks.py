"""Which of the processes of one training this one is, as torchrun says in the environment. Pure, without torch."""

from collections.abc import Mapping
from typing import NamedTuple

from harness.errors import UsageError


class Ranks(NamedTuple):
    """This process among those of one training."""

    rank: int = 0  # from 0; the first one alone prints and writes
    world: int = 1  # processes

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes and speaks for all."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """Which pictures of a batch are this process's. Raises UsageError where the batch does not divide.

        >>> list(range(6))[Ranks(1, 2).part(6)]
        [1, 3, 5]
        """
        if batch % self.world:
            raise UsageError(
                f"torchrun: expected processes that divide the recipe's batch of {batch}, got {self.world}"
            )
        return slice(self.rank, None, self.world)


ALONE = Ranks()


def of_environment(environment: Mapping[str, str]) -> Ranks:
    """What torchrun says; one process where it does not. Raises UsageError for processes of several machines.

    >>> of_environment({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    Ranks(rank=1, world=2)
    """
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return ALONE
    ranks = Ranks(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    here = int(environment.get("LOCAL_WORLD_SIZE", ranks.world))
    if here != ranks.world:
        raise UsageError(f"torchrun: expected all processes on one machine, got {here} of {ranks.world} here")
    return ranks
