"""A page as a browser shows it: in a frame, as MLflow's artifact view does it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: install it to see the report as a reader does"
)

LOOK = """<!doctype html><body style="margin:0">
<iframe id="f" style="width:%dpx;height:900px;border:0"></iframe><script>
const f = document.getElementById("f");
f.onload = () => {
  const d = f.contentDocument, e = d.documentElement;
  document.title = JSON.stringify({
    wide: e.scrollWidth, figures: [...d.images].map(i => i.complete && i.naturalWidth > 0 && i.clientWidth > 0),
    asked: f.contentWindow.performance.getEntriesByType("resource").map(r => r.name)
      .filter(name => !name.startsWith("data:")),
    answers: d.querySelector(".answers").getBoundingClientRect().bottom, heading: d.querySelector("h1").innerText,
  });
};
f.srcdoc = %s;
</script>"""


def look_at(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What a browser makes of a page in a frame of a width: its ``heading``, how ``wide`` it is, where its ``answers``
    end, whether its ``figures`` are seen, and what it ``asked`` the network for."""
    (folder / "look.html").write_text(LOOK % (width, json.dumps(page).replace("</", "<\\/")), encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--window-size=1500,1000", "--virtual-time-budget=5000", "--dump-dom", f"file://{folder / 'look.html'}",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert found, shown[:500]
    told: dict[str, Any] = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    return told
