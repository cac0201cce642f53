"""What a GPU and a TPU would be given, read on a CPU: the function of a wave, lowered for them but not compiled.

On those a tile holds the cells of several seeds (`estimate.tile_lanes`), so that products have two batch dimensions.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from superpose import estimate, geometry
from superpose.features import IndependentFeatures
from superpose.grid import Axis, Grid, Tile, fit_tile
from superpose.models import ReLUOutput
from superpose.objective import Exact, Sampled
from superpose.optimizers import Constant
from superpose.program import Program
from superpose.sweep import Seeding, tile_runner, wave_inputs, waves
from superpose.weighting import Geometric

BATCH = 37
PLATFORMS = ("cuda", "tpu")


def program(n: int, m: int, objective: Any) -> Program:
    parts = {"objective": objective, "schedule": Constant(100), "axes": (("sparsity", "features.density"),)}
    return Program(ReLUOutput(n, m), IndependentFeatures(n), Geometric(0.7), **parts)


PROGRAMS = {
    "sampled": program(20, 5, Sampled(BATCH)),
    "split": program(2, 1, Exact()),
    "series": program(20, 5, Exact()),
}


@cache
def traced(name: str, tile: Tile) -> Any:
    """The wave of two devices, as `sweep` traces it."""
    points = tuple(np.linspace(0, 0.9, tile.cells).tolist())
    rows = Grid((Axis("sparsity", points),), tuple(range(2 * tile.lanes))).rows()
    devices = jax.devices()[:2]
    run, _ = tile_runner(PROGRAMS[name], tile, devices, Seeding())
    inputs = wave_inputs([rows], next(waves([rows], tile, 2)), tile, None)
    with jax.default_matmul_precision("highest"):
        return jax.jit(run).trace(*inputs)


def lowered(wave: Any, platform: str) -> str:
    with jax.default_matmul_precision("highest"):
        return wave.lower(lowering_platforms=(platform,)).as_text()


def products(text: str) -> list[str]:
    return [line for line in text.splitlines() if "stablehlo.dot_general" in line]


def loops(jaxpr: Any) -> Iterator[int | None]:
    """The turns of every loop; None where they are counted as it runs."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("scan", "while"):
            yield equation.params.get("length")
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from loops(inner)


def test_a_tile_of_an_accelerator_has_cells_and_seeds():
    """As the engine lays one out for the paper's sweep, where a CPU's has one seed."""
    made = PROGRAMS["sampled"]
    grid = Grid((Axis("sparsity", tuple(np.linspace(0, 0.99, 7).tolist())),), tuple(range(64)))
    shapes = {
        platform: fit_tile(
            grid, estimate.tile_budget(made, platform, 2.0**35), estimate.tile_lanes(made, platform, 2.0**35)
        )
        for platform in ("gpu", "tpu", "cpu")
    }
    assert shapes["gpu"] == shapes["tpu"] == Tile(64, 7)
    assert shapes["cpu"].lanes == 1


@pytest.mark.parametrize("name", ["sampled", "split"])
def test_a_program_is_the_same_for_any_number_of_models(name):
    """28 models of a tile or 168: as many loops, of as many turns, and a text of the same size but for the digits."""
    small, large = traced(name, Tile(4, 7)), traced(name, Tile(8, 21))
    assert sorted(map(str, loops(small.jaxpr.jaxpr))) == sorted(map(str, loops(large.jaxpr.jaxpr)))
    for platform in PLATFORMS:
        texts = lowered(small, platform), lowered(large, platform)
        assert texts[0].count("stablehlo.while") == texts[1].count("stablehlo.while") > 0
        assert len(texts[1]) < 1.03 * len(texts[0])
        assert all("custom_call" not in text and "callback" not in text for text in texts)


def test_products_stay_batched_and_precise():
    """Every product that a batch goes through is one, over all seeds and cells; none may round to TF32 or bfloat16."""
    wave = traced("sampled", Tile(4, 7))
    for platform in PLATFORMS:
        every = products(lowered(wave, platform))
        steps = [line for line in every if f"x{BATCH}xf32" in line]
        assert len(steps) >= 5  # the forward pass, its gradient, and both for the loss curve
        assert all("batching_dims = [0, 1] x [0, 1]" in line and "tensor<4x7x" in line for line in steps)
        assert all("precision = [HIGHEST, HIGHEST]" in line for line in every)


@pytest.mark.slow
def test_the_exact_loss_of_many_features_is_batched_and_precise():
    text = lowered(traced("series", Tile(4, 7)), "cuda")
    assert products(text) and all("precision = [HIGHEST, HIGHEST]" in line for line in products(text))
    assert all("batching_dims = [0, 1] x [0, 1]" in line for line in products(text))
    assert "custom_call" not in text and "callback" not in text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_measures_are_known_to_accelerators(platform):
    """The geometry asks for eigenvalues: of the device's own library, or written out, never of the host."""
    with jax.default_matmul_precision("highest"):
        wave = jax.jit(jax.vmap(geometry.summary)).trace(jax.ShapeDtypeStruct((64, 5, 20), np.float32))
    text = lowered(wave, platform)
    assert "callback" not in text
    assert not [name for name in re.findall(r"custom_call @(\w+)", text) if "lapack" in name]
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products(text))
