"""Publishers that wait for room, and have it in the order of their calls."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from edgex_inference.contracts.errors import EnvelopeError

Answer = asyncio.Future[Sequence[str]]
"""Why each thing that was asked for is refused, empty texts when granted."""


class Turns:
    """Messages that wait; each is handed over on behalf of its publisher, who could come too late."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes, asyncio.Future[Answer | None]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def take(self, topic: str, payload: bytes) -> Answer | None:
        """What `post` of `serve` says when it is this one's turn; raises what that raises, or what `end` says."""
        turn: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((topic, payload, turn))
        return await turn

    def serve(self, room: Callable[[], bool], post: Callable[[str, bytes], Answer | None]) -> None:
        """Posts what waits, as far as there is room."""
        while self._waiting and room():
            topic, payload, turn = self._waiting.popleft()
            if turn.done():  # given up
                continue
            try:
                answer = post(topic, payload)
            except EnvelopeError as error:
                turn.set_exception(error)
                continue
            if answer is not None:
                answer.add_done_callback(_heed)
            turn.set_result(answer)

    def end(self, error: Callable[[], Exception]) -> None:
        """Nothing more is posted."""
        while self._waiting:
            _, _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error())


def _heed(answer: Answer) -> None:
    """Whoever waited for it may have given up meanwhile: asyncio would complain that nobody took its exception."""
    if not answer.cancelled():
        answer.exception()
