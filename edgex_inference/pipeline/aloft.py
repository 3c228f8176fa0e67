"""How many items a binding has on their way, over all of its journeys: one that was replaced may not be through."""

import asyncio


class Aloft:
    """A count that one may wait for."""

    def __init__(self) -> None:
        self.count = 0
        self._less = asyncio.Event()

    def add(self, amount: int) -> None:
        """So many more are on their way; less, where it is negative."""
        self.count += amount
        if amount < 0:
            self._less.set()

    async def below(self, most: int) -> None:
        """Returns when there are fewer."""
        while self.count >= most:
            self._less.clear()
            await self._less.wait()


def let_go(out: "asyncio.Future[None]") -> None:
    """The results of the next burst may leave."""
    if not out.done():
        out.set_result(None)
