"""``explain``: what it says about a program, and that it fits a terminal."""

from __future__ import annotations

import re

import numpy as np
import pytest

import corenn
from corenn import layers
from corenn.compiler.explain import WIDTH, explain, figures, listing
from corenn.compiler.machine import Machine
from corenn.compiler.program import Block, Fused, Program
from corenn.compiler.watching import watching

MACHINE = Machine(100e9, 10e9)


@pytest.fixture(scope="module")
def step():
    """The step of a small network, as lowered and as it runs."""
    corenn.random.seed(0)
    blocks = [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.5)]
    model = corenn.Sequential([layers.Input((6, 6, 2)), *blocks, layers.Dense(3, name="last")])
    optimizer = corenn.optimizers.Adam()
    optimizer.build(model.trainable_weights)

    @corenn.function
    def train(x, y):
        with corenn.GradientTape() as tape:
            loss = corenn.losses.MeanSquaredError()(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    with watching() as seen:
        train(np.ones((5, 6, 6, 2), np.float32), np.ones((5, 3), np.float32))
    ((lowered, executable),) = seen
    return lowered, executable


def fused(executable):
    """The executable of a program whose elementwise calls are one group."""

    class Grouped:
        source = "line one\nline two"
        memory = "arena of 3 buffers"

    program = corenn.function(lambda x: corenn.sum(corenn.exp(x) * x)).get_concrete_function(
        corenn.graph.TensorSpec((4, 5))
    ).program(corenn.ones((4, 5)))  # fmt: skip
    group = Fused(program.instructions, program.results, None)
    block = Block([group], program.results)
    Grouped.program = Program(program.device, program.inputs, [], block, program.results, [])
    return program, Grouped()


def test_every_section_is_there_and_no_line_is_too_long(step):
    text = explain(*step, MACHINE, source=True)
    titles = [line for line in text.splitlines() if line.isupper()]
    assert titles == [
        "BEFORE THE PASSES",
        "AFTER THE PASSES",
        "FUSED GROUPS",
        "MEMORY",
        "WORK",
        "TIME",
        "GENERATED CODE",
    ]
    shown = text[: text.index("GENERATED CODE")]
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert not any(line != line.rstrip() for line in shown.splitlines())
    brief = explain(*step, MACHINE, instructions=False)
    assert "BEFORE" not in brief and "GENERATED" not in brief and brief.splitlines()[0] == text.splitlines()[0]


def test_instructions_have_names_shapes_flops_and_what_is_not_the_default(step):
    lines = listing(step[0])
    conv = next(line for line in lines if " conv(" in line)
    # Five images of 6x6 from 2 channels to 4, 3x3 windows without what hangs over the edge: 16 * 16 products a channel.
    assert re.fullmatch(r" +20\.5 k +\S+ k?B  v\d+ f32\[5,6,6,4\] = conv\(f0, s0; padding=\(\(1,1\),\(1,1\)\).*", conv)
    assert "strides" not in conv and "dilation" not in conv
    assert any(re.fullmatch(r" +s\d+ f32\[144,3\]   variable last/kernel", line) for line in lines)
    assert any(re.fullmatch(r" +last/kernel := v\d+", line) for line in lines)
    assert lines[-1].split()[0] == "return"


def test_symbols_are_named_once_and_used_by_that_name(step):
    text = "\n".join(listing(step[1].program))
    made = re.findall(r"\b(v\d+) (?:f32|bool|i64|u64)\[", text)
    assert len(made) == len(set(made)) > 20
    used = set(re.findall(r"\bv\d+\b", text))
    assert used == set(made)


def test_figures_are_those_of_the_text(step):
    found = figures(*step, MACHINE)
    assert found["flops"] > 0 and found["peak"] <= found["total"]
    assert found["floor_s"] == max(found["flops"] / 100e9, found["least_bytes"] / 10e9) <= found["bound_s"]
    assert found["inputs"] == 2 and found["state"] == found["writes"]  # variables, two slots for each, moving averages
    text = explain(*step, MACHINE, instructions=False)
    assert f"{found['instructions']} instructions ({found['lowered']} before the passes)" in text


def test_groups_plans_and_source_are_shown_where_there_are_some():
    lowered, executable = fused(None)
    text = explain(lowered, executable, MACHINE, source=True)
    group = next(line for line in text.splitlines() if "exp, multiply, sum" in line)
    assert group.split()[:6] == ["60", "84", "B", "484", "B", "3:"]
    assert "v1 f32[] = fused(f0)" in text and "  v2 f32[4,5] = exp(f0)" in text
    assert "arena of 3 buffers" in text and text.endswith("line one\nline two")
    found = figures(lowered, executable, MACHINE)
    assert (found["groups"], found["fused_calls"]) == (1, 3)
