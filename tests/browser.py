"""A browser to look at pages with: Chromium without a window, driven through its debugging pipe.

Protocol: https://chromedevtools.github.io/devtools-protocol/ (messages are JSON, each ends with a zero byte).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from .tools import require_tool

_AXE = "axe.run().then(found => JSON.stringify(found.violations.map(v => [v.id, v.nodes.map(n => n.html)])))"


@dataclass
class Browser:
    """A running Chromium with one page.

    :param complaints: what the page wrote to the console as errors or warnings, and what it threw.
    :param fetched: the addresses of everything it asked for that is no file of this machine.
    """

    process: subprocess.Popen[bytes]
    write: int
    read: int
    session: str = ""
    complaints: List[str] = field(default_factory=list)
    fetched: List[str] = field(default_factory=list)
    _number: int = 0
    _held: bytes = b""

    def call(self, method: str, **parameters: Any) -> Dict[str, Any]:
        """Call *method* of the protocol and wait for its result; events on the way are looked at."""
        self._number += 1
        message: Dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: Dict[str, Any] = answer["result"]
                return result
            self._event(answer)

    def _next(self) -> Dict[str, Any]:
        while b"\0" not in self._held:
            data = os.read(self.read, 1 << 16)
            assert data, f"the browser ended with {self.process.poll()}"
            self._held += data
        text, _, self._held = self._held.partition(b"\0")
        message: Dict[str, Any] = json.loads(text)
        return message

    def _event(self, message: Dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning"}:
            self.complaints.append(json.dumps(parameters["args"]))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(parameters["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if not address.startswith(("file:", "data:", "blob:")):
                self.fetched.append(address)

    def evaluate(self, expression: str) -> Any:
        """The value of the JavaScript *expression*, of what it promises where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def look(self, width: int, scheme: str) -> None:
        """From now on be *width* pixels wide and prefer the colours of *scheme* (``light``, ``dark``)."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, page: Path, query: str = "") -> None:
        """Load *page* with *query* (``?q=word``) and wait until it is complete."""
        address = page.as_uri() + query
        self.complaints.clear()
        self.fetched.clear()
        self.call("Page.navigate", url=address)
        ready = (
            "new Promise(done => document.readyState == 'complete' ? done(1) : addEventListener('load', () => done(1)))"
        )
        while self.evaluate("location.href") != address:
            pass
        self.evaluate(ready)

    def violations(self, axe: str) -> List[Tuple[str, List[str]]]:
        """What axe-core, whose text is *axe*, has against the page: rule and elements."""
        self.evaluate(f"{axe};1")
        return [(rule, nodes) for rule, nodes in json.loads(self.evaluate(_AXE))]

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and let go of the key called *key*, which types *text*."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, target: Path) -> None:
        """Write what the page looks like to *target* (PNG)."""
        target.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser with an empty page that reaches no network, and whose *profile* is a folder of its own."""
    chromium = require_tool("chromium", "chromium-browser", "google-chrome")
    theirs, write = os.pipe()
    read, ours = os.pipe()
    # The browser reads from its descriptor 3 and writes to 4.
    launcher = f'exec 3<&{theirs} 4>&{ours}; exec "$@"'
    options = ["--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", "--allow-file-access-from-files"]
    if os.getuid() == 0:
        options.append("--no-sandbox")
    command = ["bash", "-c", launcher, "bash", chromium, *options]
    process = subprocess.Popen(command, pass_fds=(theirs, ours), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.close(theirs)
    os.close(ours)
    browser = Browser(process, write, read)
    try:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        yield browser
    finally:
        os.close(write)
        os.close(read)
        process.kill()
        process.wait()
