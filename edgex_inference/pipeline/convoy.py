"""The whole way of a burst in which nothing is unusual, as one array."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from edgex_inference.contracts.errors import InferenceFailed
from edgex_inference.contracts.results import Result, Stack
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.batching import Answer
from edgex_inference.engine.bundles import apart, infer_stacked
from edgex_inference.pipeline.emission import Emission, Outlet, Parcel, PublishAll
from edgex_inference.pipeline.faults import Faults
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.passage import Passage, go_on
from edgex_inference.pipeline.planning.plan import Plan

log = logging.getLogger(__name__)


class Convoy:
    """Carries bursts through one plan; gives back what is to go on one by one, from where it has come to.

    `ran` is told how many items a run had and how many seconds it took.
    """

    def __init__(
        self,
        plan: Plan,
        emission: Emission,
        measures: Measures,
        faults: Faults,
        *,
        outlet: Outlet,
        ran: Callable[[int, float], None],
    ) -> None:
        self._plan, self._emission = plan, emission
        self._measures, self._faults = measures, faults
        self._outlet, self._clock, self._ran = outlet, outlet.clock, ran

    def stacked(self, items: Sequence[Item]) -> Stack | None:
        """The samples of a burst as one; None where they are to be prepared one by one."""
        plan, started = self._plan, self._clock()
        if plan.preprocess.pixels or plan.binding.limits.max_age is not None or not items:
            return None
        try:
            stack = plan.preprocess.stacked([item.event for item in items])
        except Exception:  # whose surprise it is shows when they are tried one by one
            log.debug("a burst is prepared one by one", exc_info=True)
            return None
        if stack is not None:
            self._measures.stages["queue"].add_all([started - item.arrived for item in items])
            share = (self._clock() - started) / len(items)
            self._measures.stages["preprocess"].repeat(share, len(items))
        return stack

    async def carry(
        self, items: Sequence[Item], stack: Stack, landing: Callable[[], Awaitable[None]]
    ) -> tuple[Sequence[Passage], Sequence[Parcel]]:
        """Runs, interprets and, once it may land, prints: parcels, or passages of what is to go on one by one."""
        answer = await self._infer(stack)
        if answer is None:
            return [Passage(item) for item in items], ()
        if not isinstance(answer, Mapping):
            return go_on(items, stack.samples(), answers=answer), ()
        started = self._clock()
        try:
            results = self._plan.interpret.stacked(answer, stack)
        except Exception:
            log.debug("a burst is read one by one", exc_info=True)
            return go_on(items, stack.samples(), answers=apart(answer)), ()
        spent = (self._clock() - started) / len(items)
        await landing()
        parcels = self._printed(items, stack, results, spent)
        if parcels is None:
            each = apart(answer)
            return go_on(items, stack.samples(), answers=each, results=results, spent=spent), ()
        return (), parcels

    async def send(self, items: Sequence[Item], parcels: Sequence[Parcel], begun: Callable[[], None]) -> bool:
        """Publishes a burst at once; False, and nothing is done, for a bus that takes one after the other.

        `begun` is called as soon as what is published next comes behind it, though nothing may be acknowledged yet.
        """
        publish_all = self._outlet.publish_all
        if publish_all is None:
            return False
        if self._outlet.at_once:
            asyncio.get_running_loop().call_soon(begun)  # in the turn after this one, which begins with all
        try:
            through = await self._sent(publish_all, parcels)
        except Exception as error:  # noqa: BLE001 - nobody else must suffer from a surprise here
            self._faults.fail(error, len(items))
            through = [True] * len(items)
        for item, out in zip(items, through, strict=True):
            item.end(acknowledge=out)
        return True

    async def _sent(self, publish_all: PublishAll, parcels: Sequence[Parcel]) -> Sequence[bool]:
        """Whether each is through; the one reason why it is not is counted."""
        started, each = self._clock(), len(parcels[0].result)
        told = await publish_all([one for parcel in parcels for one in parcel.result])
        through, out = [True] * len(parcels), len(parcels)
        if told.count(None) < len(told):
            for at, parcel in enumerate(parcels):
                error = next((one for one in told[at * each : at * each + each] if one is not None), None)
                if error is not None:
                    through[at] = self._emission.missed(parcel.state, error)
                    out -= 1
        self._measures.events.add("published", out)
        if out:
            self._measures.stages["publish"].repeat(self._clock() - started, out)
        return through

    async def _infer(self, stack: Stack) -> Tensors | Sequence[Answer] | None:
        started, amount = self._clock(), len(stack.origins)
        try:
            answer = await infer_stacked(self._plan.lane, stack, timeout=self._plan.binding.limits.timeout)
        except Exception as error:  # noqa: BLE001 - as in send
            self._faults.fail(error, amount)
            return None
        self._ran(amount, self._clock() - started)
        return answer

    def _printed(
        self, items: Sequence[Item], stack: Stack, results: Sequence[Result | InferenceFailed], spent: float
    ) -> Sequence[Parcel] | None:
        good = [one for one in results if not isinstance(one, InferenceFailed)]
        if len(good) < len(items):
            return None
        try:
            return self._emission.printed(items, stack.origins, good, spent=spent)
        except Exception:
            log.debug("the results of a burst are written one by one", exc_info=True)
            return None
