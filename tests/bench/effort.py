"""How much work a measurement puts in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """`quick`: as little as shows that the benchmark works; its numbers mean nothing."""

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        """The one amount or the other."""
        return quick if self.quick else full
