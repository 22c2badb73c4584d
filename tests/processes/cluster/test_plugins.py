"""Modules of the user's: imported by the driver and, before it starts, by every worker."""

import subprocess
import sys

import pytest

from redline.cluster.errors import UserError
from redline.cluster.plugins import import_plugins


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_at_all", "'bad_plugin' cannot be imported (ModuleNotFoundError"),
        ("1 / 0", "'bad_plugin' cannot be imported (ZeroDivisionError: division by zero)"),
        ("def f(:", "'bad_plugin' cannot be imported (SyntaxError"),
    ],
)
def test_a_plugin_that_fails_is_named_in_one_line(tmp_path, monkeypatch, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "bad_plugin.py").write_text(code)
    with pytest.raises(UserError) as caught:
        import_plugins(["bad_plugin"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_worker_imports_them_from_the_drivers_folder(tmp_path):
    (tmp_path / "driver").mkdir()
    (tmp_path / "worker").mkdir()
    (tmp_path / "driver/part_of_mine.py").write_text("print('registered')\n")
    code = (
        "from redline.cluster.launch import _logged, _Plugins\n"
        "class Worker:\n"
        "    def __init__(self, value): print('started with', value)\n"
        f"plugins = _Plugins(names=('part_of_mine',), folder={str(tmp_path / 'driver')!r})\n"
        "_logged(Worker)(_log=None, _plugins=plugins, value=3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "worker", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout == "registered\nstarted with 3\n", done.stderr
