"""The JSON object that every script of this folder prints: figures, ratios, machine, commit."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def arguments(
    description: str, add: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """`--json` and `--quick`, which every script takes, and what `add` adds to them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    if add is not None:
        add(parser)
    return parser.parse_args()


def ratio(value: float, bar: float, baseline: str) -> dict[str, Any]:
    """A measured ratio, the least it should be, and what it is a ratio to."""
    return {"value": round(value, 3), "bar": bar, "baseline": baseline}


def print_report(
    name: str,
    figures: Mapping[str, float],
    ratios: Mapping[str, Mapping[str, Any]],
    packages: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Print the result; returns the exit status, 1 when a ratio is below its bar."""
    if as_json:
        report = {
            "name": name,
            "figures": dict(figures),
            "ratios": {key: dict(entry) for key, entry in ratios.items()},
            "machine": machine(),
            "versions": versions(packages),
            "commit": commit(),
        }
        print(json.dumps(report))
    else:
        for key, figure in figures.items():
            print(f"{key:<44} {figure:>14,.2f}")
        for key, entry in ratios.items():
            sign = "ok " if entry["value"] >= entry["bar"] else "LOW"
            print(f"{sign} {key}: {entry['value']} (bar {entry['bar']}) of {entry['baseline']}")
    return int(any(entry["value"] < entry["bar"] for entry in ratios.values()))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model n")), ""
    )
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
    } | _gpu()


def _gpu() -> dict[str, str]:
    """The GPU that torch would use; nothing without one, or where nothing loaded torch."""
    torch = sys.modules.get("torch")
    found = torch is not None and torch.cuda.is_available()
    return {"gpu": torch.cuda.get_device_name()} if found else {}


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Python's version and those of `packages`; `none` for one that is not installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def commit() -> str:
    """The checked-out commit, with `+` when files differ from it; `unknown` outside git."""
    root = Path(__file__).resolve().parent
    try:
        head, changes = (
            subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no commit to report: {error}", file=sys.stderr)
        return "unknown"
    return head + ("+" if changes else "")
