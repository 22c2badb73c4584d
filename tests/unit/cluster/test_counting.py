"""The progress of counted work: a line at times where there is no terminal."""

import pytest

from redline.cluster.display import counting
from redline.cluster.display.counting import count_progress, progress_text


@pytest.mark.parametrize(
    ("done", "total", "fresh", "seconds", "text"),
    [
        (1200, 3740, 1200, 8.0, "1200/3740 (32%), 150.0 demos/s, 0:17 left"),
        # What an earlier run had done counts for the total and not for the rate.
        (3000, 4000, 100, 10.0, "3000/4000 (75%), 10.0 demos/s, 1:40 left"),
        (10, 40_000, 10, 10.0, "10/40000 (0%), 1.0 demos/s, 11:06:30 left"),
        (5, 10, 0, 3.0, "5/10 (50%), 0.0 demos/s"),
        (0, 0, 0, 0.0, "0/0 (0%), 0.0 demos/s"),
    ],
)
def test_progress_in_words(done, total, fresh, seconds, text):
    assert progress_text(done, total, fresh, seconds, "demos") == text


def test_quick_work_writes_nothing(capsys):
    with count_progress("checking", 3, "programs") as advance:
        for done in (1, 2, 3):
            advance(done)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_long_work_writes_a_line_at_times_and_nothing_to_stdout(capsys, monkeypatch):
    monkeypatch.setattr(counting, "_SECONDS_BETWEEN_LINES", 0.0)
    with count_progress("checking", 4, "programs", done=1) as advance:
        advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "checking: 2/4 (50%), " in captured.err
    assert captured.err.count("\n") == 1


def test_a_terminal_gets_a_bar_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with count_progress("checking", 2, "programs") as advance:
        advance(1)
        advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2/2 (100%)" in captured.err
