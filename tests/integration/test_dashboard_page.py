"""`redline dashboard` in a real browser: live curves, search, trajectories, keys, tokens.

With REDLINE_SCREENSHOTS=docs/images the pictures of the documentation are written there; they show
the run in REDLINE_SCREENSHOTS_OF, or the one that is made here.
"""

import json
import os
import sys
import threading
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from urllib.error import HTTPError

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from chromium import chromium, find_chromium
from dashboard_process import dashboard
from run_folders import PAIRS, add_groups, add_hostile_group, make_run, make_status, step_line

from redline.cluster.status_file import write_status

pytest.importorskip("nicegui", reason="NiceGUI is not installed")
GROUPS = 1_250
STEPS = 120
CHARTS = "document.querySelectorAll('.chart canvas').length > 12"
POINTS = (
    "[...document.querySelectorAll('.chart')].slice(0, 4).map("
    "e => getElement(e).chart.getOption().series[0].data.length)"
)
MOST_UNLIKE = """
[...document.querySelectorAll('.group .sample')].filter(sample => sample.querySelector('.compare'))
    .sort((one, other) => parseFloat(one.innerText.split(/\\s+/)[1].replace('−', '-'))
        - parseFloat(other.innerText.split(/\\s+/)[1].replace('−', '-')))[0]
    .querySelector('.compare').click()
"""
"""Compares with the sample of the least reward."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 10,000 trajectories."""
    find_chromium()
    folder = tmp_path_factory.mktemp("runs") / "demo"
    make_run(folder, steps=STEPS, groups=GROUPS, per_segment=50)
    write_status(folder, make_status())
    return folder


@pytest.fixture(scope="module")
def url(run):
    with dashboard(run) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, url):
    browser.look_like()
    browser.requests.clear()
    yield browser
    elsewhere = [r for r in browser.requests if not r.startswith((url, "data:", "about:"))]
    assert elsewhere == []  # works without a network


def keep_picture(page, file):
    """What is seen, in few colours, so that the file is small."""
    page.screenshot(file)
    with Image.open(file) as seen:
        few = seen.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    few.save(file, optimize=True)


def test_curves_move_while_the_run_goes_on(page, url, run):
    page.open(url)
    page.wait(CHARTS)
    assert page.text(".tiles dd") == str(STEPS)
    assert page.text(".bar .run") == "demo"
    assert page.text(".bar .state") == "training"
    assert "sampler-1\tsampler\tserving\tv119, 1 behind" in page.text("#fleet")
    assert "programs ended (wall)" in page.text("#failures")
    before = page.wait(POINTS)
    assert before == [STEPS] * 4

    def write():
        with (run / "metrics" / "steps.jsonl").open("a") as file:
            for step in range(STEPS + 1, STEPS + 31):
                file.write(step_line(step))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    page.wait(f"document.querySelector('.tiles dd').innerText === '{STEPS + 30}'")
    writer.join()
    page.wait(f"{POINTS}.every(n => n === {STEPS + 30})")
    page.press("t")
    page.wait("document.body.classList.contains('body--dark')")
    page.open(url)  # the choice stays
    page.wait("document.body.classList.contains('body--dark')")
    page.ask("document.cookie = 'redline_theme=;path=/;max-age=0'")


def test_ten_thousand_trajectories_are_searched_and_one_is_opened(page, url):
    page.open(url + "trajectories")
    page.wait("document.querySelector('.count')")
    assert page.text(".count") == "10,000 of 10,000 trajectories"
    assert page.ask("document.querySelectorAll('a.row').length") == 60
    page.ask("document.querySelector('#search input').focus()")
    page.type("longest-000801")
    page.wait("document.querySelector('.count').innerText.startsWith('8 of 10,000')")
    assert page.ask("location.search") == "?text=longest-000801"
    page.ask("document.querySelector('a.row[data-id$=\"/0\"]').click()")
    page.wait("document.querySelectorAll('#detail .turn').length === 3")
    assert page.ask("location.pathname") == "/trajectories/g00000801/0"
    broken, fixed = (text.split("\n") for text in PAIRS[1])
    lines = "[...document.querySelectorAll('#turn-1 .line.%s code')].map(e => e.textContent)"
    assert page.ask(lines % "removed") == [broken[3]]
    assert page.ask(lines % "added") == [fixed[3]]
    changed = "[...document.querySelectorAll('#turn-1 .added .changed')].map(e => e.textContent)"
    assert "".join(page.ask(changed)) == ">"
    assert page.text("#turn-3 .command") == "EXIT"
    page.ask("document.querySelector('#turn-1 .tokens').open = true")
    assert "v8" in page.text("#turn-1 .tokens table")
    permalink = page.ask("location.href")
    page.look_like(dark=True)
    page.open(permalink)
    page.wait("document.querySelectorAll('#detail .turn').length === 3")
    page.wait("document.body.classList.contains('body--dark')")
    page.press("x")


def test_the_keyboard_alone_finds_opens_and_compares(page, url):
    page.open(url + "trajectories")
    page.wait("document.querySelector('a.row')")
    page.press("/")
    page.type("totals-000402")
    page.wait("document.querySelector('.count').innerText.startsWith('8 of')")
    page.press("Escape", "j", "j", "Enter")
    page.wait("document.querySelector('#detail .opened')?.dataset.id === 'g00000402/1'")
    page.press("n", "n")
    assert page.ask("document.activeElement.id") == "turn-2"
    page.press("]")
    page.wait("document.querySelector('#detail .opened').dataset.id === 'g00000402/2'")
    page.press("c")
    page.wait("document.querySelector('.sides')")
    assert page.ask("location.search") == "?left=g00000402/2&right=g00000402/3"
    sides = page.ask("Object.values(document.querySelector('.sides').dataset)")
    assert sides == ["g00000402/2", "g00000402/3"]
    page.press("Escape")
    page.wait("document.querySelector('#detail .opened')?.dataset.id === 'g00000402/2'")
    page.ask("history.back()")
    page.wait("document.querySelector('.sides')")
    page.press("?")
    assert page.wait("document.querySelector('#help').open")
    page.press("Escape")


def test_a_phone_shows_one_thing_at_a_time(page, url):
    page.look_like(width=390, height=844, phone=True)
    for address in ("", "trajectories"):
        page.open(url + address)
        page.wait("document.querySelector('.tiles, a.row')")
        assert page.ask("document.documentElement.scrollWidth") <= 390
    page.ask("document.querySelector('a.row').click()")
    page.wait("document.querySelector('#detail .turn')")
    assert not page.ask("document.querySelector('#finder').checkVisibility()")
    assert page.ask("document.documentElement.scrollWidth") <= 390
    page.ask("document.querySelector('.back a').click()")
    page.wait("document.querySelector('#finder').checkVisibility()")


def test_pictures_of_the_documentation(browser, url, tmp_path):
    """Each is taken in any case, so that whoever wants to keep them can."""
    folder = Path(os.environ.get("REDLINE_SCREENSHOTS") or tmp_path)
    shown = os.environ.get("REDLINE_SCREENSHOTS_OF")
    with dashboard(shown) if shown else nullcontext((url, None)) as (url, _):
        for look in ("light", "dark"):
            browser.look_like(dark=look == "dark")
            browser.open(url)
            browser.wait(CHARTS)
            keep_picture(browser, folder / f"dashboard-overview-{look}.png")
        browser.open(f"{url}trajectories?status=solved")
        browser.wait("document.querySelector('a.row')")
        browser.press("j", "Enter")
        browser.wait("document.querySelector('#turn-1')")
        browser.ask("document.querySelector('#turn-1 .tokens').open = true")
        keep_picture(browser, folder / "dashboard-trajectory.png")
        browser.ask(MOST_UNLIKE)
        browser.wait("document.querySelector('.sides')")
        keep_picture(browser, folder / "dashboard-compare.png")
        browser.look_like(width=390, height=844, phone=True)
        browser.ask("history.back()")
        browser.wait("document.querySelector('#detail .turn')")
        keep_picture(browser, folder / "dashboard-phone.png")
    pictures = Path(__file__).parents[2] / "docs/images"
    assert {file.name for file in folder.glob("dashboard-*.png")} == {
        file.name for file in pictures.glob("dashboard-*.png")
    }


def test_what_a_run_stores_meanwhile_is_offered(page, url, run):
    page.open(url + "trajectories")
    page.wait("document.querySelector('a.row')")
    add_groups(run / "replay", 4, first=GROUPS)
    page.wait("!document.querySelector('#fresh').hidden")
    assert page.text("#fresh") == "32 new trajectories (r)"
    page.press("r")
    page.wait("document.querySelector('.count').innerText.startsWith('10,032 of')")


def test_json_of_a_trajectory_and_what_is_not_there(url):
    with urllib.request.urlopen(f"{url}api/trajectories/g00000801/0", timeout=30) as answer:
        assert 'filename="g00000801-0.json"' in answer.headers["content-disposition"]
        one = json.load(answer)
    assert (one["trajectory_id"], one["step"], len(one["turns"])) == ("g00000801/0", 201, 3)
    with urllib.request.urlopen(f"{url}api/groups/g00000801", timeout=30) as answer:
        assert len(json.load(answer)["trajectories"]) == 8
    for wrong, status in (("trajectories/nothing", 404), ("trajectories?status=x", 400)):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{url}api/{wrong}", timeout=30)
        assert refused.value.code == status


def test_a_hostile_program_is_only_shown(page, url, run):
    """Through the address, which NiceGUI writes into a script, and through a fragment."""
    evil = "</script><script>hacked=1</script><img src=x onerror=hacked=1>`${hacked=1}`&lt;"
    add_hostile_group(run / "replay", evil)
    page.open(url + "trajectories")
    page.wait(f"fetch('{url}api/trajectories?text=evil').then(r => r.json()).then(r => r.found)")
    row = "document.querySelector('a.row[data-id=\"evil/0\"]')"
    for address in ("trajectories/evil/0", "trajectories?text=evil"):
        page.open(url + address)
        page.wait(f"!!{row}")
        page.ask(f"{row}.click()")
        page.wait("document.querySelector('#turn-1 .added')")
        assert page.ask("document.querySelector('#turn-1 .added code').textContent") == evil
        assert page.ask("document.querySelector('#turn-1 .feedback').textContent") == evil
        assert page.ask("typeof hacked") == "undefined"


def test_a_wrong_token_is_refused_and_the_right_one_opens_the_permalink(browser, tmp_path):
    folder = make_run(tmp_path / "small", steps=3, groups=4)
    with dashboard(folder, "--token-file", str(tmp_path / "token")) as (url, process):
        token = (tmp_path / "token").read_text().strip()
        browser.open(f"{url}trajectories/g00000001/0")
        browser.wait("document.activeElement.id === 'token'")
        browser.type("wrong-token-wrong-token")
        browser.press("Enter")
        browser.wait("document.querySelector('.error')")
        assert browser.text(".error") == "This is not the token."
        browser.wait("document.activeElement.id === 'token'")
        browser.type(token)
        browser.press("Enter")
        browser.wait("document.querySelector('#detail .turn')")
        assert browser.ask("location.pathname") == "/trajectories/g00000001/0"
        assert not any(token in request for request in browser.requests)
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{url}_nicegui_ws/socket.io/?EIO=4&transport=polling")
        assert refused.value.code == 401
        process.terminate()
        assert token not in "".join(process.communicate(timeout=30))
