"""The Grafana dashboard asks for nothing that does not exist."""

import json
import re
from pathlib import Path
from typing import Any

from edgex_inference.pipeline.measuring.figures import FAMILIES
from edgex_inference.telemetry.families import Family
from edgex_inference.web.prometheus import OF_THE_PROCESS

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "edgex-inference.json"
SERIES = {family.series: family for family in (*FAMILIES, *OF_THE_PROCESS) if family.series}
SCRAPED = {"instance", "job", "le"}
"""Labels that Prometheus adds, and the one of every bucket."""
_SELECTOR = re.compile(r"\b((?:edgex_inference|process)_\w+)(?:\{([^}]*)\})?")


def family(name: str) -> Family | None:
    """The family that a name in a query belongs to."""
    found = SERIES.get(name)
    if found is not None:
        return found if found.kind != "timer" else None
    timer = SERIES.get(re.sub(r"_(?:bucket|sum|count)$", "", name))
    return timer if timer is not None and timer.kind == "timer" else None


def mistakes(query: str) -> list[str]:
    """Series that do not exist, and labels that the series of a query lack."""
    found, labels = list[str](), set[str]()
    for name, selector in _SELECTOR.findall(query):
        known = family(name)
        if known is None:
            found.append(name)
            continue
        labels = {*known.labels, *SCRAPED}
        asked = set(re.findall(r"(\w+)=~?", selector))
        found += [f"{name}: {label}" for label in sorted(asked - labels)]
    for group in re.findall(r"by \(([^)]*)\)", query):
        found += [f"by {label}" for label in group.split(", ") if label not in labels]
    return found


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def queries() -> list[str]:
    board = dashboard()
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked.append(
                re.sub(r"label_values\((.*), (\w+)\)", r"sum by (\2) (\1)", variable["query"]["query"])
            )
    return asked


def test_the_dashboard_uses_only_metrics_that_exist() -> None:
    assert [mistake for query in queries() for mistake in mistakes(query)] == []


def test_the_dashboard_shows_every_metric() -> None:
    shown = {
        known.series for query in queries() for name, _ in _SELECTOR.findall(query) if (known := family(name))
    }
    assert set(SERIES) - shown == {"process_start_time_seconds"}


def test_variables_and_legends_exist() -> None:
    board = dashboard()
    variables = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                known = [family(name) for name, _ in _SELECTOR.findall(target["expr"])]
                assert any(one is not None and label in {*one.labels, *SCRAPED} for one in known), label
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_test_bites() -> None:
    assert mistakes("rate(edgex_inference_recieved_total[5m])") == ["edgex_inference_recieved_total"]
    assert mistakes('edgex_inference_queued{device=~"x"}') == ["edgex_inference_queued: device"]
    assert mistakes("sum by (reason) (edgex_inference_queued)") == ["by reason"]
    assert mistakes("edgex_inference_infer_seconds") == ["edgex_inference_infer_seconds"]
    assert mistakes('sum by (le) (rate(edgex_inference_infer_seconds_bucket{binding="b"}[5m]))') == []
