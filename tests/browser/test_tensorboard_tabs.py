"""TensorBoard's tabs on a run of ``digits``, opened in a browser without a screen: each shows what the run wrote.

Skipped where the browser or TensorBoard is missing.  The pictures are left in the tests' directories.
"""

from __future__ import annotations

import json

import pytest

from corenn.layers.naming import reset_names
from corenn.training.run import Run

pytestmark = pytest.mark.slow

EPOCHS, RATE = 3, 0.0125
SETTINGS = {"epochs": EPOCHS, "learning_rate": RATE, "histograms": 1, "model_options.filters": "4,4"}

#: In elements of the name ``within``, those that match ``wanted``, elements of shadow trees included.
FIND = """((within, wanted, read) => { const found = [];
  const visit = (root, inside) => root.querySelectorAll('*').forEach(e => {
    const owner = e.closest(within) || (root.host && inside);
    if (owner && e.matches(wanted)) { const value = read(e); if (value) found.push(value); }
    if (e.shadowRoot) visit(e.shadowRoot, owner || e.matches(within)); });
  visit(document, false); return found; })"""
TEXTS = FIND + "('%s', '*', e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim())"
#: Outlines of more than a few points: what data draws, and an icon or axis does not.
OUTLINES = FIND + "('%s', 'path', e => (e.getAttribute('d') || '').length > 30 && e.getAttribute('d'))"


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """A run of a small network, with histograms of its weights."""
    place = tmp_path_factory.mktemp("runs")
    reset_names()  # whatever this process has made before
    Run.start("digits", backend="numpy", seed=2, changes=SETTINGS, out=place / "one", quiet=True).execute()
    return place


@pytest.fixture(scope="module")
def result(run_directory):
    """What came out of it."""
    return json.loads((run_directory / "one/result.json").read_text())


def texts(browser, wanted, within="body"):
    """All texts in elements of a name, once those wanted are among them."""
    return browser.wait_for(TEXTS % within, lambda found: set(wanted) <= set(found), f"wanted {sorted(wanted)}")


def outlines(browser, within, least):
    """What is drawn in elements of a name, once it is so much."""
    return browser.wait_for(OUTLINES % within, lambda found: len(found) >= least, f"wanted {least} outlines")


def test_scalars(server, browser, tmp_path):
    browser.open(f"{server}#scalars")
    texts(browser, ["epoch_accuracy", "epoch_loss", "test_accuracy", "test_loss", "one/events/train"])
    assert len(outlines(browser, "vz-line-chart2", 4)) >= 4  # training and validation, in two charts
    browser.picture(tmp_path / "scalars.png")


def test_histograms(server, browser, tmp_path):
    browser.open(f"{server}#histograms")
    found = texts(browser, ["batch_normalization/beta/histogram", "one/events/train"])
    assert sum(text == "one/events/train" for text in found) >= 4
    assert len(outlines(browser, "vz-histogram-timeseries", 4 * EPOCHS)) >= 4 * EPOCHS  # one an epoch in each
    browser.picture(tmp_path / "histograms.png")


def test_distributions(server, browser, tmp_path):
    browser.open(f"{server}#distributions")
    texts(browser, ["batch_normalization/beta/histogram"])
    assert len(outlines(browser, "vz-distribution-chart", 8)) >= 8
    browser.picture(tmp_path / "distributions.png")


def test_images(server, browser, tmp_path, result):
    mistakes = round((1 - result["metrics"]["test_accuracy"]) * 360)
    assert mistakes >= 12, "the network is to be so poor that there are mistakes to show"
    browser.open(f"{server}#images")
    sizes = FIND + "('tf-image-loader', 'img', e => e.complete && [e.naturalWidth, e.naturalHeight].join('x'))"
    found = browser.wait_for(sizes, lambda found: len(found) >= 12, "wanted a page of images")
    assert set(found) == {"64x64"}
    assert f"sample: 1 of {min(24, mistakes)}" in texts(browser, ["mistakes/images"])
    browser.picture(tmp_path / "images.png")


def test_text(server, browser, tmp_path):
    browser.open(f"{server}#text")
    texts(browser, ["taken for", "probability"])
    browser.picture(tmp_path / "text.png")


def test_the_graph_of_the_layers(server, browser, tmp_path):
    browser.open(f"{server}#graphs&run=one%2Fevents")
    texts(browser, ["input", "conv2d", "flatten", "dense", "dense_1"], "svg")
    browser.picture(tmp_path / "graph.png")


def test_hparams(server, browser, tmp_path, result):
    browser.open(f"{server}#hparams")
    wanted = ["one/events", "learning_rate", "batch_size", "32.000", "backend", "numpy", "test_accuracy"]
    found = texts(browser, wanted, "tf-hparams-main")
    accuracy = result["metrics"]["test_accuracy"]  # the last one in validation, which the table shows, too
    assert any(abs(float(t) - accuracy) < 1e-4 for t in found if t.replace(".", "", 1).isdigit()), (accuracy, found)
    browser.picture(tmp_path / "hparams.png")
