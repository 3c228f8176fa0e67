"""The board as text in color: for terminals from 80 columns and 20 rows on as panels, below that as plain lines."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel as Frame
from rich.table import Table
from rich.text import Text

from edgex_inference.demo.board import Board, Entry, Panel
from edgex_inference.demo.scoring import count_name
from edgex_inference.demo.world.conveyor import LABELS

_WIDE, _TALL = 80, 20
_HEAD = 3
_BELT = "on grey19"
_COLORS = {"bolt": "dodger_blue2", "nut": "dark_orange", "washer": "green3", "defect": "red3"}
_TONES = {"plain": "", "good": "green", "bad": "bold red", "warning": "yellow"}
_BARS = " ▁▂▃▄▅▆▇█"
_LOW, _HIGH = 0.1, 100.0  # anomaly scores at the chart's ends, on a logarithmic scale


def render(board: Board, width: int, height: int, now: int) -> RenderableType:
    """The whole board in `width` x `height` characters; `now` in ns since the epoch."""
    if width < _WIDE or height < _TALL:
        return _compact(board, width, height, now)
    inner = min(20, (height - _HEAD) * 6 // 10) - 2
    grid = Table.grid(expand=True, padding=0)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    left = width // 2
    room = (left - 4, width - left - 4)
    grid.add_row(*(_panel(panel, room[i], inner, now) for i, panel in enumerate(board.panels)))
    log = height - _HEAD - inner - 2 - 2
    return Group(_title(board, width, now), _listen(board), grid, _log(board, width, log))


def _title(board: Board, width: int, now: int) -> Text:
    right = f"{clock(board.elapsed(now))}{f' of {clock(board.duration)}' if board.duration else ''} · Ctrl-C stops"
    right = right if board.started else f"{board.doing} … · Ctrl-C stops"
    title = Text(f" {board.title}", style="bold", no_wrap=True, overflow="ellipsis")
    title.truncate(max(0, width - len(right) - 2), overflow="ellipsis")
    title.append(" " * max(1, width - len(title) - len(right) - 1))
    title.append(right, style="not bold")
    title.stylize("on blue" if not board.alarm else "on red3")
    title.pad_right(max(0, width - len(title)))
    return title


def _listen(board: Board) -> Text:
    return Text.assemble(
        ("Listen along in another terminal, with any MQTT client:\n", "dim"), (board.listen, "cyan")
    )


def _panel(panel: Panel, width: int, height: int, now: int) -> Frame:
    alarm = panel.values.get("IsAnomaly") is True
    rows = max(1, height - 5)
    if "Detections" in panel.values:
        body = [*_counts(panel), Text(), *_belt(panel.values["Detections"], width, rows)]
    elif panel.scores:
        body = [*_verdict(panel, alarm), Text(), *_chart(panel, width, rows)]
    else:
        body = [Text(panel.reason or "waiting for the first result", style="dim", overflow="fold")]
    body = body[: height - 2] + [Text()] * (height - 2 - len(body))
    foot = _foot(panel, width, now)
    border = "bold red" if alarm or panel.status not in ("", "running") else "blue"
    title = f"[bold]{panel.binding}[/] of {panel.device}" + (" [reverse] ALARM [/]" if alarm else "")
    content = Group(*(_cropped(line, width) for line in (*body, *foot)))
    return Frame(content, title=title, title_align="left", border_style=border, height=height + 2)


def _cropped(line: Text, width: int) -> Text:
    line.no_wrap = line.overflow != "fold"
    if line.no_wrap:
        line.truncate(width, overflow="ellipsis")
    return line


def _foot(panel: Panel, width: int, now: int) -> Sequence[Text]:
    latency = panel.latency.summary()
    if not latency.count:
        return [Text(), Text(panel.status or "…", style="dim")]
    rate = panel.rate(now)
    room = width - len(panel.accelerator) - 3
    model = panel.model if len(panel.model) <= room else panel.model.partition(" ")[0]
    times = f"p50 {1e3 * latency.p50:.0f} ms · p99 {1e3 * latency.p99:.0f} ms"
    return [
        Text.assemble((f"{rate:.1f}/s", "bold"), f" · {times}"),
        Text.assemble((panel.accelerator, "bold magenta"), f" · {model}"),
    ]


def _counts(panel: Panel) -> list[Text]:
    values = panel.values
    top = values.get("TopScore")
    first = Text.assemble("PartCount ", (str(values.get("PartCount", "–")), "bold"), "   ")
    first.append(f"TopScore {top:.2f}" if isinstance(top, float) else "")
    second = Text()
    for label in LABELS:
        number = values.get(count_name(label), 0)
        second.append(f" {label} {number} ", style=f"bold white on {_COLORS[label]}" if number else "dim")
    return [first, second]


def _belt(detections: object, width: int, rows: int) -> list[Text]:
    """The belt as seen by the model: a colored block for each box."""
    lines = [Text(" " * width, style=_BELT) for _ in range(rows)]
    items = detections.get("items", ()) if isinstance(detections, Mapping) else ()
    for item in items:
        _block(lines, item, width)
    return lines


def _block(lines: list[Text], item: Mapping[str, object], width: int) -> None:
    label, box = str(item.get("label", "")), item.get("box")
    if not isinstance(box, Sequence) or len(box) != 4:
        return
    x0, y0, x1, y1 = box
    rows = len(lines)
    first, last = round(x0 * width), max(round(x1 * width), round(x0 * width) + 1)
    top = min(int(y0 * rows + 0.5), rows - 1)
    bottom = max(int(y1 * rows + 0.5), top + 1)
    color = _COLORS.get(label, "white")
    for row in range(top, min(bottom, rows)):
        lines[row].stylize(f"on {color}", first, last)
    middle, row = (first + last - 1) // 2, min((top + bottom - 1) // 2, rows - 1)
    plain = lines[row].plain
    lines[row].plain = plain[:middle] + label[:1].upper() + plain[middle + 1 :]
    lines[row].stylize("bold white", middle, middle + 1)


def _verdict(panel: Panel, alarm: bool) -> list[Text]:
    score = panel.values.get("AnomalyScore")
    state = (" true ", "bold white on red3") if alarm else ("false", "bold green")
    number = f"{score:.2f}" if isinstance(score, float) else "–"
    return [
        Text.assemble("IsAnomaly ", state),
        Text.assemble("AnomalyScore ", (number, "bold"), ("  (log scale)", "dim")),
    ]


def _chart(panel: Panel, width: int, rows: int) -> list[Text]:
    """The latest scores as bars."""
    shown = list(panel.scores)[-width:]
    lines = [Text(" " * (width - len(shown))) for _ in range(rows)]
    for score, alarm in shown:
        share = (math.log10(max(score, _LOW)) - math.log10(_LOW)) / math.log10(_HIGH / _LOW)
        eighths = max(1, min(rows * 8, round(share * rows * 8)))
        for row in range(rows):
            level = min(8, max(0, eighths - 8 * (rows - 1 - row)))
            lines[row].append(_BARS[level], style="red3" if alarm else "green3")
    return lines


def _log(board: Board, width: int, height: int) -> Frame:
    entries = list(board.entries)[-max(height, 0) :] if height > 0 else []
    lines = [_cropped(line_of(entry), width - 4) for entry in entries]
    return Frame(Group(*lines), title="events", title_align="left", border_style="dim", height=height + 2)


def line_of(entry: Entry) -> Text:
    """A line of the log."""
    return Text.assemble((f"{entry.seconds:6.1f} s  ", "dim"), (entry.text, _TONES[entry.tone]))


def _compact(board: Board, width: int, height: int, now: int) -> Group:
    lines = [_title(board, width, now)]
    if height > 8:
        lines.append(Text(board.listen, style="cyan", overflow="fold"))
    for panel in board.panels:
        lines.append(Text(told(panel, now), style="bold red" if board.alarm else ""))
    taken = sum(max(1, math.ceil(len(line.plain) / max(1, width))) for line in lines)
    entries = list(board.entries)[-max(0, height - taken - 1) :] if height - taken > 1 else []
    lines += [_cropped(line_of(entry), width) for entry in entries]
    return Group(*lines)


def told(panel: Panel, now: int) -> str:
    """One binding in one line."""
    if not panel.results:
        return f"{panel.binding}: {panel.reason or panel.status or 'waiting for the first result'}"
    simple = [
        f"{name} {_short(value)}" for name, value in panel.values.items() if not isinstance(value, dict)
    ]
    latency = panel.latency.summary()
    times = f"p50 {1e3 * latency.p50:.0f} ms, p99 {1e3 * latency.p99:.0f} ms"
    rate = panel.rate(now)
    return f"{panel.binding}: {', '.join(simple)} · {rate:.1f}/s, {times} · {panel.accelerator}"


def _short(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def clock(seconds: float) -> str:
    """Minutes and seconds: 0:07."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
