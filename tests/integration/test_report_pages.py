"""The pages of a run and of an evaluation in a real browser: readable on each screen."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from chromium import chromium
from run_folders import NAMES, make_trajectory, step_line

from redline.actors.evaluation_summary import summarise
from redline.cluster.evaluation.evaluating import ARMS, ArmResult, Evaluation
from redline.cluster.evaluation.page import write_pages
from redline.cluster.report.page import page
from redline.cluster.report.pictures import draw_curves
from redline.cluster.report.result import RunSummary
from redline.cluster.report.rows import by_turns
from redline.dsl.tasks import RepairTask

LOOKS = {
    "light": {}, "dark": {"dark": True}, "phone": {"width": 390, "height": 844, "phone": True},
}  # fmt: skip
FAINT = """(() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (color !== 'rgba(0, 0, 0, 0)') return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const written = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.body.querySelectorAll('*')].filter(written).filter(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`);
})()"""
"""Texts whose contrast is below that of level AA of the WCAG (2.2, 1.4.3)."""


def evaluation(samples, solved_from):
    """Of tasks of which those from a number on are solved by every second sample."""
    tasks = [
        RepairTask(
            task_id=name, prompt="", broken="x", tests=("assert x",), source=f"builtin/{name}"
        )
        for name in NAMES
    ]
    rng = np.random.default_rng(0)

    def episodes(count):
        for number, task in enumerate(tasks):
            for i in range(count):
                made = make_trajectory(task.task_id, i + (number < solved_from), number, 0, rng)
                yield replace(made, task_id=task.task_id, sample_index=i)

    return Evaluation(
        greedy=summarise(episodes(1), tasks), sampled=summarise(episodes(samples), tasks)
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files of both pages, by what they are of."""
    folder = tmp_path_factory.mktemp("pages")
    before, after = evaluation(4, 2), evaluation(4, 0)
    steps = [json.loads(step_line(step)) for step in range(1, 41)]
    steps = [{**step, "weights/max_abs_dlogp": 1e-6} for step in steps]
    draw_curves(folder / "curves.png", steps, by_turns(before, after), title="run")
    summary = RunSummary(
        seconds_to_first_step=1.0, seconds_total=9.0, peak_rss_gib=1.0, probe_max_abs_dlogp=1e-6,
        steps=40, trajectories=1280, tokens_trained=160_000, isolation="landlock", before=before,
        after=after,
    )  # fmt: skip
    name = "a-run-with-a-rather-long-name-as-people-give-them-2026"
    text = page(name, summary, folder / "curves.png", [f"redline replay ls runs/{name}"], "a: 1\n")
    (folder / "run.html").write_text(text)
    (folder / "evaluation").mkdir()
    results = [ArmResult(arm=arm, found=after) for arm in ARMS]
    settings = {"tasks": 4, "eval": {"samples": 4, "temperature": 1.0}}
    made = {"settings": settings, "versions": {}, "commit": None, "seconds": 60.0}
    write_pages(folder / "evaluation", name, results, made)
    return {"run": folder / "run.html", "evaluation": folder / "evaluation/report.html"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["run", "evaluation"])
def test_everything_can_be_read_and_only_tables_and_pictures_are_scrolled(
    browser, pages, kind, look
):
    browser.look_like(**LOOKS[look])
    browser.open(pages[kind].as_uri())
    browser.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    width = LOOKS[look].get("width", 1280)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("document.querySelector('img').naturalWidth") > 1000
    assert browser.ask(FAINT) == []
