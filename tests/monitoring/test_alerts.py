"""docker/alerts.yaml: rules over numbers that there are, with what to do at each; docs/metrics.md tells all numbers."""

from __future__ import annotations

import re
from typing import Any

import yaml

from fundlyhub.monitoring.collector import METRICS
from fundlyhub.observability import metrics
from tests.support import ROOT

FILE = ROOT / "docker" / "alerts.yaml"
PAGE = ROOT / "docs" / "metrics.md"
NAME = re.compile(r"\bfundlyhub_\w+")


def exported() -> set[str]:
    """The names as Prometheus sees them."""
    tables = {f"{name}_total" if metric.counter else name for name, metric in METRICS.items()}
    return tables | {f"{name}_total" if metric.kind == "counter" else name for name, metric in metrics.METRICS.items()}


def labels_of(name: str) -> tuple[str, ...]:
    """Those of a metric."""
    name = name.removesuffix("_total")
    return METRICS[name].labels if name in METRICS else metrics.METRICS[name].labels


def family(name: str) -> str:
    """The metric that a sample of a histogram belongs to."""
    return re.sub("_(count|sum|bucket)$", "", name)


def rules() -> list[dict[str, Any]]:
    """All rules."""
    (group,) = yaml.safe_load(FILE.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_rules_are_over_metrics_and_labels_that_there_are() -> None:
    for rule in rules():
        named = [family(name) for name in NAME.findall(rule["expr"])]
        assert named, rule["alert"]
        assert set(named) <= exported(), rule["alert"]
        labels = {label for name in named for label in labels_of(name)}
        used = re.findall(r"(\w+)=", rule["expr"].replace("==", ""))
        used += re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
        for by in re.findall(r"by \(([^)]*)\)", rule["expr"]):
            used += by.split(", ")
        assert set(used) <= labels, rule["alert"]


def test_each_rule_has_its_own_name_waits_a_while_and_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_page_tells_every_metric_and_no_other() -> None:
    told = set(NAME.findall(PAGE.read_text()))
    assert told == exported()
