"""What Kaldi's importer refuses: in one sentence, quickly, and with no other error, whatever the bytes are."""

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.kaldi import convert
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kaldi_older import beside

WEIGHTS, BIAS = np.ones((3, 8), np.float32), np.ones(3, np.float32)
AFFINE = KaldiPart("FixedAffineComponent", (("LinearParams", WEIGHTS), ("BiasParams", BIAS)), "a")
SPLICE = KaldiPart("SpliceComponent", (("InputDim", 4), ("Context", [0, 1]), ("ConstComponentDim", 0)))
GOOD = (
    "input-node name=input dim=4",
    "component-node name=a component=a input=Append(Offset(input, -1), input)",
    "output-node name=output input=a",
)
ENDS = GOOD[::2]


def fed(name: str, descriptor: str) -> str:
    return f"component-node name={name} component=a input={descriptor}"


def nnet3(*lines: str, parts: Sequence[KaldiPart] = (AFFINE,)) -> KaldiNet:
    return KaldiNet("nnet3", parts, lines or GOOD)


def refusal(net: KaldiNet, folder: Path, *, binary: bool = True) -> str:
    file = net.write(folder / "final.raw", binary=binary)
    with pytest.raises(ModelRejected) as caught:
        convert(file)
    assert str(file) in str(caught.value)
    return caught.value.reason


def test_all_unknown_components_are_named_at_once(tmp_path: Path) -> None:
    own = [KaldiPart("OwnComponent", (("Params", WEIGHTS),), f"own{index}") for index in range(5)]
    distribute = KaldiPart("DistributeComponent", (("InputDim", 4),), "distribute")
    found = refusal(nnet3(parts=(AFFINE, *own, distribute)), tmp_path)
    assert "OwnComponent ('own0', 'own1', 'own2' and 2 more): train without it" in found
    assert "DistributeComponent ('distribute'): train without it" in found


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ((fed("a", "Append(IfDefined(Offset(a, -3)), input)"), *ENDS), "made for 8 columns and is fed 7"),
        ((fed("a", "Append(Offset(a, -3), input)"), *ENDS), "'a' reads 'a', .* -3 frames away and without IfDefined"),
        ((fed("a", "Append(IfDefined(a), input)"), *ENDS), "'a' ← 'a' need each other within the same frame"),
        ((fed("a", "b"), fed("b", "a"), *ENDS), "'a' ← 'b' ← 'a'"),
        ((fed("a", "Append(IfDefined(Offset(a, -1)), IfDefined(Offset(a, 1)), input)"), *ENDS), "earlier and later"),
        ((fed("a", "IfDefined(Offset(a, -1))"), *ENDS), "no input"),
        ((fed("a", "Append(IfDefined(Offset(a, -5000)), input)"), *ENDS), "'a' read 'a' -5000 frames away, .* too far"),
        ((fed("a", "Append(IfDefined(Offset(a, -1)), IfDefined(Offset(a, -99)), input)"), *ENDS), "-99 frames away"),
        ((fed("a", "Append(IfDefined(Offset(a, -1)), ReplaceIndex(input, t, 0))"), *ENDS), "no input"),
        ((fed("a", "Append(input, IfDefined(Sum(input, input)))"), *ENDS), "IfDefined around a Sum"),
        ((*GOOD[:2], "output-node name=output input=IfDefined(a)"), "needs more context than the whole network"),
        (("component-node name=a component=b input=input", *ENDS), "'b', which the file does not hold"),
        ((fed("a", "nothing"), *ENDS), "node 'a' reads 'nothing', which is no node"),
        ((fed("a", "input"), *ENDS), "component 'a' .* made for 8 columns and is fed 4"),
        ((fed("a", "Round(input, 3)"), *ENDS), "component 'a' .* made for 8 columns and is fed 4"),
        ((fed("a", "Round(Append(Round(input, 2), input), 3)"), *ENDS), "rounds what is rounded already"),
        ((fed("a", "Round(input, 0)"), *ENDS), "every 0th"),
        ((fed("a", "Append(Round(Switch(input, input), 2), input)"), *ENDS), "rounds a Switch"),
        ((fed("a", "Append(IfDefined(Switch(input, input)), input)"), *ENDS), "IfDefined around a Sum or Switch"),
        ((fed("a", "Append(Switch(input, Append(input, input)), input)"), *ENDS), "parts of other widths"),
        ((fed("a", "Append(IfDefined(Round(Offset(a, -1), 2)), input)"), *ENDS), "'a' depends on itself, and counts"),
        ((fed("a", "Append(IfDefined(Offset(a, -1)), Switch(input, input))"), *ENDS), "itself, and counts frames"),
        ((fed("a", "Append(input"), *ENDS), "node 'a'"),
        ((fed("a", "Offset(input, 99999999)"), *ENDS), "too far"),
        ((fed("a", "Scale(1, " * 99 + "input" + ")" * 99), *ENDS), "deeper than 32"),
        ((fed("a", "Append(ReplaceIndex(input, t, 0), input)"), *ENDS), "'input' is read at one time"),
        (GOOD[:2], "no output-node"),
        ((GOOD[0], GOOD[0], *GOOD[1:]), "'input' .* is there twice"),
        (("input-node name=input dim=0", *GOOD[1:]), "dim='0'"),
        (("input-node name=input dim=99999999999", *GOOD[1:]), "dim='99999999999'"),
        (("output-node name=output input=Const(1.0, 3)",), "no input"),
        (("output-node name=output input=Append(input, Const(1.0, 999999999))", GOOD[0]), "999999999"),
    ],
)  # fmt: skip
def test_wiring_that_cannot_be(lines: Sequence[str], wanted: str, tmp_path: Path) -> None:
    assert re.search(wanted, refusal(nnet3(*lines), tmp_path))


@pytest.mark.parametrize(
    ("kind", "items", "wanted"),
    [
        ("BlockAffineComponent", (("NumBlocks", 3), ("LinearParams", WEIGHTS), ("BiasParams", BIAS)), "divides 8"),
        ("BatchNormComponent", (("Dim", 8), ("BlockDim", 8), ("Epsilon", 0.1), ("Count", 0.0)), "never trained"),
        ("SumGroupComponent", (("Sizes", [3, 4]),), r"\[3, 4\] of 8 columns"),
        ("PermuteComponent", (("ColumnMap", [0, 0, 1, 2, 3, 4, 5, 6]),), "taken or not there"),
        ("FixedScaleComponent", (("Scales", np.float32([1, np.nan] * 4)),), "not finite"),
        ("FixedScaleComponent", (("Scales", WEIGHTS),), "has 2 axes where 1 belong"),
        ("FixedScaleComponent", (), "has no <Scales>"),
        ("PnormComponent", (("InputDim", 8), ("OutputDim", 0)), "by 0 outputs"),
        ("TdnnComponent", (("TimeOffsets", [0, 9]), ("LinearParams", WEIGHTS), ("BiasParams", BIAS)), "2 × 8 columns"),
        ("ConvolutionComponent", (*((f"Input{one}Dim", 2) for one in "XYZ"), ("FiltXDim", 3), ("FiltYDim", 1),
         ("FiltXStep", 1), ("FiltYStep", 1), ("FilterParams", WEIGHTS), ("BiasParams", BIAS)), "moves 3 by 1 over 2"),
        ("StatisticsPoolingComponent", (("InputDim", 8), ("InputPeriod", 1), ("LeftContext", 5), ("RightContext", 5),
         ("OutputStddevs", True)), "7 columns of means and squares"),
        ("LstmNonlinearityComponent", (("Params", WEIGHTS),), r"weights of \(3, 8\) for 8 columns"),
        ("GruNonlinearityComponent", (("CellDim", 2), ("RecurrentDim", 2), ("w_h", WEIGHTS)), r"weights of \(3, 8\)"),
        ("RestrictedAttentionComponent", (("NumLeftInputs", 9999), ("NumRightInputs", 1), ("TimeStride", 1)),
         "sees 9999 frames"),
        ("RestrictedAttentionComponent", (("NumLeftInputs", 1), ("NumRightInputs", 1), ("TimeStride", 1),
         ("NumLeftInputsRequired", 2), ("NumRightInputsRequired", 0)), "requires 2 frames before and 0 behind, of 1"),
        ("TimeHeightConvolutionComponent", (("Offsets", [(0, 0)]), ("RequiredTimeOffsets", [1])), "does not read"),
        ("OutputGruNonlinearityComponent", (("CellDim", 3), ("w_h", BIAS)), "made for 9 columns and is fed 8"),
    ],
)  # fmt: skip
def test_components_that_cannot_be(kind: str, items: Any, wanted: str, tmp_path: Path) -> None:
    found = refusal(nnet3(parts=(KaldiPart(kind, items, "a"),)), tmp_path)
    assert found.startswith(f"component 'a' ({kind}) ")
    assert re.search(wanted, found)


def test_a_mask_that_drops_everything(tmp_path: Path) -> None:
    mask = KaldiPart("DropoutMaskComponent", (("OutputDim", 4), ("DropoutProportion", 1.0)), "m")
    lines = (GOOD[0], "component-node name=m component=m input=m", fed("a", "Append(input, m)"), GOOD[2])
    assert "'m' (DropoutMaskComponent) drops a share of 1 of 4" in refusal(
        nnet3(*lines, parts=(mask, AFFINE)), tmp_path
    )


def test_a_circle_that_says_nothing_of_its_width(tmp_path: Path) -> None:
    """Its own past is fed to it before it is known how wide that is; a splice within looks at other frames."""
    pooled = KaldiPart("MaxpoolingComponent", (("InputXDim", 8),), "a")
    lines = (fed("a", "Append(IfDefined(Offset(a, -1)), input)"), *ENDS)
    assert "does not say how many columns it makes" in refusal(nnet3(*lines, parts=(pooled,)), tmp_path)
    tdnn = KaldiPart(
        "TdnnComponent", (("TimeOffsets", [0, 1]), ("LinearParams", WEIGHTS), ("BiasParams", BIAS)), "a"
    )
    assert "looks at other frames within a circle" in refusal(nnet3(*lines, parts=(tdnn,)), tmp_path)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("generation", ["nnet1", "nnet2", "nnet3"])
def test_every_truncation_is_refused(generation: str, binary: bool, tmp_path: Path) -> None:
    parts = {
        "nnet1": [KaldiPart("Splice", (("", [-1, 1]),)), KaldiPart("AffineTransform", (("", WEIGHTS), ("", BIAS)))],
        "nnet2": [SPLICE, AFFINE],
        "nnet3": [AFFINE],
    }[generation]  # fmt: skip
    net = KaldiNet(generation, parts, GOOD, dims={0: (8, 4), 1: (3, 8)})
    whole = net.encoded(binary=binary)
    end = whole.index({"nnet1": b"</Nnet>", "nnet2": b"</Components>", "nnet3": b"</Nnet3>"}[generation])
    file = tmp_path / "final"
    file.write_bytes(whole)
    assert convert(file).graph.output[0].name == "output"
    for size in range(len(whole) % 3, end, 3):
        file.write_bytes(whole[:size])
        with pytest.raises(ModelRejected):
            convert(file)


@pytest.mark.parametrize("binary", [True, False])
def test_truncations_within_networks_side_by_side(binary: bool, tmp_path: Path) -> None:
    whole, file = beside().encoded(binary=binary), tmp_path / "final"
    for size in range(30, whole.rindex(b"</Nnet>"), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(ModelRejected):
            convert(file)


def test_networks_within_networks(tmp_path: Path) -> None:
    """Ten deep they are brought over, a hundred deep they are refused; and ones that share other columns."""
    net = KaldiNet("nnet1", [KaldiPart("Tanh")], dims={0: (4, 4)})
    for depth in range(1, 101):
        items = (("NestedNnetCount", 1), ("NestedNnet", 1), ("", net), ("/ParallelComponent", None))
        net = KaldiNet("nnet1", [KaldiPart("ParallelComponent", items)], dims={0: (4, 4)})
        if depth == 10:
            assert len(convert(net.write(tmp_path / "final.nnet", binary=True)).graph.node) > 0
    assert "deep in others" in refusal(net, tmp_path)
    wide = KaldiNet("nnet1", beside().parts[:1], dims={0: (7, 9)})
    assert refusal(wide, tmp_path) == "component '1' has networks for 6 columns and is fed 9"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("generation", ["nnet2", "nnet3"])
def test_damaged_bytes_raise_nothing_else(generation: str, binary: bool, tmp_path: Path) -> None:
    tdnn = (("TimeOffsets", [-1, 2]), ("LinearParams", np.ones((2, 6), np.float32)), ("BiasParams", BIAS[:2]))
    parts = [SPLICE, AFFINE] if generation == "nnet2" else [AFFINE, KaldiPart("TdnnComponent", tdnn, "t")]
    lines = (*GOOD[:2], "component-node name=t component=t input=a", "output-node name=output input=t")
    whole = KaldiNet(generation, parts, lines).encoded(binary=binary)
    chance, file, refused = np.random.default_rng(5), tmp_path / "final", 0
    for _ in range(120):
        damaged = bytearray(whole)
        for at in chance.integers(2, len(whole), 2):
            damaged[at] = int(chance.integers(256))
        file.write_bytes(damaged)
        try:
            convert(file)
        except ModelRejected:
            refused += 1
    assert refused > 20


def test_huge_arrays_are_not_made(tmp_path: Path) -> None:
    """Sizes of two billion in a file of a hundred bytes, in both axes."""
    good = nnet3().encoded(binary=True)
    size = b"FM \x04" + struct.pack("<i", 3) + b"\x04" + struct.pack("<i", 8)
    assert size in good
    for rows, columns in ((1 << 30, 8), (3, (1 << 31) - 1), (-1, -1), (1 << 30, 1 << 30)):
        file = tmp_path / "final.raw"
        file.write_bytes(
            good.replace(size, b"FM \x04" + struct.pack("<i", rows) + b"\x04" + struct.pack("<i", columns))
        )
        with pytest.raises(ModelRejected, match="an array of"):
            convert(file)


@pytest.mark.parametrize(
    "data", [b"", b"\x00B", b"<Nnet", b"hello", b"\x00B<Nnet3> \n\n<NumComponents> \x04\xff\xff\xff\x7f"]
)
def test_files_that_are_none(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "final.raw"
    file.write_bytes(data)
    with pytest.raises(ModelRejected):
        convert(file)


def test_a_short_file_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    """A thousand vectors of one number, each for a million columns."""
    one = KaldiPart("PerElementOffsetComponent", (("Offsets", BIAS[:1]), ("Dim", 1 << 20)), "a")
    lines = ["input-node name=input dim=1000000", "output-node name=output input=n999"]
    lines += [
        f"component-node name=n{at} component=a input={f'n{at - 1}' if at else 'input'}" for at in range(1000)
    ]
    assert "MiB of constants, which its" in refusal(nnet3(*lines, parts=(one,)), tmp_path)


def test_many_nodes_that_remember(tmp_path: Path) -> None:
    """A thousand circles of one node, and one circle of a thousand: neither takes a square of that."""
    part = KaldiPart("NoOpComponent", (("Dim", 4), ("BackpropScale", 1.0)), "a")
    lines = ["input-node name=input dim=4", "output-node name=output input=Sum(s999, c999)"]
    for at in range(1000):
        before = f"{at - 1}" if at else ""
        lines.append(fed(f"s{at}", f"Sum({f's{before}' if at else 'input'}, IfDefined(Offset(s{at}, -1)))"))
        lines.append(fed(f"c{at}", f"c{before}" if at else "Sum(input, IfDefined(Offset(c999, -1)))"))
    model = convert(nnet3(*lines, parts=(part,)).write(tmp_path / "final.raw", binary=True))
    assert sum(node.op_type == "Scan" for node in model.graph.node) == 1001
