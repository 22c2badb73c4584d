"""A headless Chromium driven over the DevTools protocol, with what is installed anyway."""

import base64
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

DEADLINE = 60.0
"""Seconds that anything in a browser may take on a busy machine."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, "")}


def find_chromium():
    """Path of a Chromium; skips the test where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on PATH (apt-get install chromium)")
    return found


@contextmanager
def chromium(folder):
    """A browser with one page, its profile in `folder`."""
    command = [
        find_chromium(), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}",
        "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(Path(folder) / "DevToolsActivePort", process)
        with connect(f"ws://127.0.0.1:{port[0]}{port[1]}", max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE)


def _port(file, process):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return int(lines[0]), lines[1]
        if process.poll() is not None:
            raise RuntimeError(f"Chromium ended with status {process.returncode}")
        time.sleep(0.05)
    raise TimeoutError(f"Chromium told no port within {DEADLINE} s")


class Page:
    """One page of the browser."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self._session = None
        self.requests = []
        """Addresses that the page asked for."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=DEADLINE))
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, url):
        """Go to an address and wait until it is loaded."""
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression):
        """The value of a JavaScript expression."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression):
        """Wait until an expression is true; its value."""
        end = time.monotonic() + DEADLINE
        last = None
        while time.monotonic() < end:
            try:
                # an element has no value of its own that could come back
                if last := self.ask(f"(v => v instanceof Node || v)({expression})"):
                    return last
            except RuntimeError as error:  # the page is being exchanged
                last = error
            time.sleep(0.05)
        text = self.ask("document.body.innerText.slice(0, 500)")
        raise TimeoutError(f"never true: {expression} (last {last!r}); the page shows: {text}")

    def text(self, selector):
        """The visible text of the first element; empty when there is none."""
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def press(self, *keys):
        """Press keys, one after the other."""
        for key in keys:
            # codes of other characters would mean other keys, such as that of the menu
            code = ord(key.upper()) if len(key) == 1 and key.isalnum() else 0
            name, code, text = _KEYS.get(key, (key, code, key))
            event = {"key": name, "windowsVirtualKeyCode": code}
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
            self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        """Type text into what has the focus."""
        self.send("Input.insertText", text=text)

    def look_like(self, *, width=1280, height=900, dark=False, phone=False):
        """Screen size and preferred colours from now on."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, file):
        """Write what is seen as PNG."""
        data = self.send("Page.captureScreenshot", format="png")["data"]
        Path(file).write_bytes(base64.b64decode(data))
