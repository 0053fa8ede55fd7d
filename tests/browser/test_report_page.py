"""The page of ``corenn report``, opened in a browser without a screen and without a network."""

from __future__ import annotations

import json
import math

import pytest

from corenn.training.plots import Plots
from corenn.training.report import read_runs, write_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report on three runs: two that have ended, one of them in parts, and one that has not."""
    place = tmp_path_factory.mktemp("report")
    for number, name in enumerate(("first", "second", "third")):
        out = place / name
        out.mkdir()
        config = {
            "task": "digits", "backend": "numpy", "seed": number, "dataset": "digits", "data_dir": None,
            "settings": {"epochs": 30, "learning_rate": 0.01 * (1 + number % 2)}, "command": "corenn run",
        }  # fmt: skip
        (out / "config.json").write_text(json.dumps(config))
        lines = [
            {"kind": "epoch", "epoch": n, "step": 45 * (n + 1), "loss": math.exp(-n / (4 + number)) + 0.05,
             "val_loss": math.exp(-n / (5 + number)) + 0.1, "accuracy": 1 - 0.9 / (n + 1)}
            for n in range(30)
        ]  # fmt: skip
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if number < 2:
            result = {"steps": 1350, "seconds": 12.5, "metrics": {"test_accuracy": 0.9 + 0.05 * number}}
            (out / "result.json").write_text(json.dumps(result))
            truth = [n % 10 for n in range(200)]
            plots = Plots(out / "plots")
            plots.confusion_matrix(
                truth, [t if n % 7 else (t + 1) % 10 for n, t in enumerate(truth)], list("0123456789")
            )
            plots.learning_curves({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7]})
    return write_report(read_runs([place / name for name in ("first", "second", "third")]), place / "report.html")


#: Elements whose box leaves that of the page or of the card they are in, unless they scroll there.
OVERFLOWING = """[...document.querySelectorAll('main *')].filter(e => {
  if (e.closest('.scroll') && !e.classList.contains('scroll') || e.closest('.skip')) return false;
  const outer = e.parentElement.closest('.card') || document.documentElement;
  const box = e.getBoundingClientRect(), room = outer.getBoundingClientRect();
  return box.width > 0 && (box.right > room.right + 1 || box.left < room.left - 1);
  }).map(e => e.outerHTML.slice(0, 80))"""
#: The contrast of each kind of text with what it stands on, by WCAG's formula.
CONTRAST = """(() => {
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parse = text => { const v = text.match(/[\\d.]+/g).map(Number); return v.length > 3 ? v : [...v, 1]; };
  const behind = e => { const layers = [];
    for (let at = e; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
    const over = (under, [r, g, b, a]) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
    return layers.reduce(over, [255, 255, 255]); };
  const found = {};
  for (const e of document.querySelectorAll('h1, h2, h3, td, th, code, .badge, summary, figcaption, .end, .tick')) {
    const style = getComputedStyle(e), text = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(parse(text).slice(0, 3)), light(behind(e))].sort((x, y) => y - x);
    const name = e.tagName + '.' + e.getAttribute('class'), ratio = (a + 0.05) / (b + 0.05);
    if (e.textContent.trim()) found[name] = Math.min(found[name] || 99, ratio); }
  return found; })()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_is_drawn_whole(page, browser, tmp_path, scheme, width):
    browser.ask("Network.enable")
    browser.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    browser.open(page.as_uri())
    pictures = "[...document.images].map(i => i.complete && i.naturalWidth)"
    assert all(
        size > 300 for size in browser.wait_for(pictures, lambda found: len(found) == 2 and all(found), "images")
    )
    assert browser.evaluate("document.querySelectorAll('svg .series path').length") == 9
    boxes = browser.evaluate("[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width)")
    assert len(boxes) == 2 and all(250 < box <= width for box in boxes)
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    tables = "[...document.querySelectorAll('.matrix')].map(e => e.parentElement.clientWidth - e.offsetWidth)"
    assert min(browser.evaluate(tables)) >= 0  # ten classes are seen whole, on a phone too
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    contrast = browser.evaluate(CONTRAST)
    assert len(contrast) > 10
    assert {name: ratio for name, ratio in contrast.items() if ratio < 4.5} == {}
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate(OVERFLOWING) == []
    browser.picture(tmp_path / "report.png", captureBeyondViewport=True)
