"""TensorBoard's graph tab, opened in a browser without a screen: what it draws of a graph.

Skipped where the browser or TensorBoard is missing.  The picture is left in the test's directory.
"""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.summary import FileWriter, graph_ops

#: Every text in drawings: names of nodes, shapes on edges.  The page keeps its parts in shadow trees.
TEXTS = """(() => { const found = []; const walk = root => {
  root.querySelectorAll('svg text, svg textPath').forEach(t => found.push(
    [...t.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('')));
  root.querySelectorAll('*').forEach(e => e.shadowRoot && walk(e.shadowRoot)); };
  walk(document); return found; })()"""
#: Open the group of this name, as a double click does.
OPEN = """(name => { const walk = root => {
  for (const g of root.querySelectorAll('g.node')) if (g.getAttribute('data-name') === name) return g;
  for (const e of root.querySelectorAll('*')) { const hit = e.shadowRoot && walk(e.shadowRoot); if (hit) return hit; }
  return null; };
  const g = walk(document); if (!g) return false;
  const target = g.querySelector('.nodeshape') || g;
  target.dispatchEvent(new MouseEvent('dblclick', {bubbles: true, composed: true})); return true; })"""


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """The events of a small training program."""
    place = tmp_path_factory.mktemp("logs")
    graph = G.Graph()
    with graph.as_default():
        with G.name_scope("input"):
            x = G.placeholder("float32", [None, 4], name="x")
        with G.variable_scope("layer"), graph.device("/device:GPU:0"):
            w = G.get_variable("kernel", [4, 3])
            y = corenn.matmul(x, w)
        with G.name_scope("loss"):
            loss = corenn.mean(corenn.square(y))
            graph_ops.scalar("square", loss)
        with G.name_scope("train"):
            step = w.assign_sub(0.1 * G.gradients(loss, [w])[0], name="step")
        G.cond(loss > 1.0, lambda: loss * 2.0, lambda: loss, name="choice")
        merged, init = graph_ops.merge_all(), G.global_variables_initializer()
    with G.Session(graph) as session, FileWriter(place / "run", session.graph) as writer:
        session.run(init)
        for i in range(3):
            found, _ = session.run([merged, step], {x: np.ones((2, 4))})
            writer.add_summary(found, i)
    return place


def wait_for(browser, wanted):
    """The texts of the drawing, once all those wanted are in it."""
    return browser.wait_for(TEXTS, lambda texts: set(wanted) <= set(texts), f"wanted {sorted(wanted)}")


@pytest.mark.slow
def test_the_graph_tab_draws_the_graph(server, browser, tmp_path):
    browser.open(f"{server}#graphs&run=run")
    texts = wait_for(browser, ["input", "layer", "loss", "train", "choice", "init"])
    assert any("×3" in t for t in texts), texts  # the shape of what flows from the layer, written on the edge
    assert "gradients" not in texts  # it is inside "train"
    assert browser.evaluate(f"{OPEN}('choice')")
    wait_for(browser, ["true", "false", "(choice)"])
    assert len(browser.picture(tmp_path / "graph.png")) > 20_000
