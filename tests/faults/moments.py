"""Which victim dies at which moment: drawn from a seed, each the same however many are asked for."""

import random
from dataclasses import dataclass
from typing import Any

# An account's AWS doesn't die with a laptop, and has to survive to be looked at. What can go there is the way to it.
VICTIMS = {"embedded": ("runner", "kernel", "emulator"), "aws": ("runner", "kernel", "network")}


@dataclass(frozen=True)
class Moment:
    """One moment: who dies, and after which part of a run's length."""

    target: str
    seed: int
    number: int
    victim: str
    fraction: float
    choice: float  # which one dies if there are several, as a part of their number

    @property
    def key(self) -> dict[str, Any]:
        """Return what identifies the moment among others."""
        return {"target": self.target, "seed": self.seed, "number": self.number}


def draw(target: str, seed: int, count: int) -> list[Moment]:
    """Return so many moments on a target: of each three in a row, every victim has one."""
    moments = []
    for number in range(count):
        victims = list(VICTIMS[target])
        turn, place = divmod(number, len(victims))
        random.Random(f"{seed} {target} turn {turn}").shuffle(victims)
        rng = random.Random(f"{seed} {target} moment {number}")
        moments.append(Moment(target, seed, number, victims[place], rng.random(), rng.random()))
    return moments
