"""nnet3's statistics over windows of frames (synthetic), as Kaldi's scripts lay them out, with formulas in numpy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgex_inference.testing.kaldi_components import NATURAL, PRECONDITIONER, random
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart

COLUMNS = 4
"""Of what statistics are made of."""


@dataclass(frozen=True)
class Statistics:
    """Gathered of each `each`-th frame over `over`, pooled of each `period`-th; a `layer` below has a context of 1."""

    each: int = 1
    over: int = 1
    left: int = 0
    right: int = 0
    period: int = 1
    logs: int = 0
    deviations: bool = True
    squares: bool = True
    layer: bool = True
    far: int = 2
    """How far from a frame the layer's are that are read beside the statistics."""
    context: tuple[int, int] = (3, 3)
    """What the network needs on either side, as Kaldi finds it."""

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of what is gathered and of what is pooled."""
        gathered = 1 + COLUMNS * (1 + self.squares)
        return gathered, gathered - 1 + self.logs

    def _weights(self) -> tuple[Any, Any, Any, Any]:
        inputs = 2 * COLUMNS + self.widths[1]
        return random(COLUMNS, 3 * COLUMNS), random(COLUMNS), random(3, inputs), random(3)

    def net(self) -> KaldiNet:
        """An affine map of a frame before, one behind and the statistics."""
        gathered, _ = self.widths
        below = random(COLUMNS, 3 * COLUMNS), random(COLUMNS)
        extract = (("InputDim", COLUMNS), ("InputPeriod", self.each), ("OutputPeriod", self.over),
                   ("IncludeVarinance", self.squares))  # fmt: skip
        pool = (("InputDim", gathered), ("InputPeriod", self.period), ("LeftContext", self.left),
                ("RightContext", self.right), ("NumLogCountFeatures", self.logs), ("OutputStddevs", self.deviations),
                ("VarianceFloor", 1e-10))  # fmt: skip
        first, second = (
            KaldiPart("NaturalGradientAffineComponent",
                      (*NATURAL, ("LinearParams", weights), ("BiasParams", bias), *PRECONDITIONER), name)
            for name, (weights, bias) in (("first", below), ("last", self._weights()[2:]))
        )  # fmt: skip
        parts = [KaldiPart("StatisticsExtractionComponent", extract, "extract"),
                 KaldiPart("StatisticsPoolingComponent", pool, "pool"), second]  # fmt: skip
        fed = "a" if self.layer else "input"
        pooled = f"Round(p, {self.period})" if self.period > 1 else "p"
        sides = f"Offset(a, {-self.far}), Offset(a, {self.far})" if self.layer else "input, input"
        lines = [f"input-node name=input dim={COLUMNS}"]
        if self.layer:
            parts.append(first)
            spliced = "Append(Offset(input, -1), input, Offset(input, 1))"
            lines.append(f"component-node name=a component=first input={spliced}")
        lines += [
            f"component-node name=e component=extract input={fed}",
            "component-node name=p component=pool input=e",
            f"component-node name=o component=last input=Append({sides}, {pooled})",
            "output-node name=output input=o",
        ]
        return KaldiNet("nnet3", parts, lines)

    def answer(self, frame: Callable[[int], Any], last: int) -> Callable[[int], Any]:
        """A frame of the output, where the input has the frames of its context before 0 and behind `last`."""
        first, bias, weights, final = self._weights()
        low, high = -self.context[0] + self.layer, last + self.context[1] - self.layer

        def below(t: int) -> Any:
            x = [frame(t + one).astype(np.float64) for one in ((-1, 0, 1) if self.layer else (0,))]
            return first @ np.concatenate(x) + bias if self.layer else x[0]

        def gathered(t: int) -> list[Any]:
            begin = t // self.over * self.over
            return [below(u) for u in range(begin, begin + self.over, self.each) if low <= u <= high]

        def pooled(t: int) -> Any:
            middle = t // self.period * self.period
            around = range(middle - self.left, middle + self.right + 1, self.period)
            seen = np.stack([one for u in around for one in gathered(u)])
            found = [np.full(self.logs, np.log(len(seen))), seen.mean(0)]
            if self.squares:
                found.append(seen.std(0) if self.deviations else (seen**2).mean(0))
            return np.concatenate(found)

        def answer(t: int) -> Any:
            sides = (below(t - self.far), below(t + self.far)) if self.layer else (below(t), below(t))
            return weights @ np.concatenate((*sides, pooled(t))) + final

        return answer


STATISTICS: Mapping[str, Statistics] = {
    "statistics in periods": Statistics(each=3, over=9, left=18, right=27, period=9),
    "statistics within more context": Statistics(3, 9, 9, 18, 9, far=20, context=(21, 21)),
    "statistics of every frame": Statistics(left=5, right=2, logs=2, deviations=False),
    "statistics of what came before": Statistics(left=7, deviations=False, squares=False),
    "statistics of more than there is": Statistics(each=2, over=2, left=400, right=400, period=4, logs=1),
    "statistics that need no context": Statistics(3, 9, 9, 9, 9, layer=False, context=(0, 0)),
    "statistics that ask for context": Statistics(
        each=3, over=9, left=9, period=9, layer=False, context=(2, 0)
    ),
}
"""Of windows: by periods, in single frames, one-sided, larger than an utterance."""
