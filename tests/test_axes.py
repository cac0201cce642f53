"""Axes and paths of a program: which number each sets, and what is refused."""

import pytest

import superpose
from superpose import axes
from superpose.arguments import InputError
from superpose.features import IndependentFeatures
from superpose.following import Path
from superpose.memory import sweep_grid
from superpose.models import ReLUOutput
from superpose.optimizers import Constant
from superpose.program import Program
from superpose.weighting import LastFeature

COMMAND = ["plan=true", "weighting=last_feature"]


def program(path: Path | None) -> Program:
    return Program(ReLUOutput(3, 2), IndependentFeatures(3), LastFeature(1.0), schedule=Constant(5), path=path)


def test_a_paths_numbers_may_be_axes():
    assert {"path.start", "path.nudge"} < set(axes.targets(program(Path("features.density", (0.1, 0.2)))))
    assert not any(target.startswith("path") for target in axes.targets(program(None)))


@pytest.mark.parametrize(
    ("path", "points", "message"),
    [
        (
            Path("features.densitx", (0.1, 0.2)),
            {},
            "(?s)The path has the target 'features.densitx'.* Did you mean feat",
        ),
        (Path("model.W.0", (0.1, 0.2)), {}, "The path has the target 'model.W.0', which is no single float"),
        (Path("path.nudge", (0.1, 0.2)), {}, "A path has no target in itself"),
        (
            Path("features.density", (0.1, 0.2)),
            {"sparsity": [0.5]},
            "`sparsity` and the path both set features.density",
        ),
        (Path("features.density", (0.1, 1.2)), {}, r"must lie in \[1e-05, 1\], got 0.1 to 1.2"),
        (Path("features.relative_density.1", (0.5, 2)), {"sparsity": [0.1]}, "got 0.45 to 1.8"),
        (Path("weighting.relative", (-0.5, 2)), {}, "`importance` must be at least 0, got -0.5"),
        (Path("features.density", (0.1, 0.2)), {"start": [0, 0.5]}, "`start` starts a path at its first point, 0, or"),
        (
            Path("features.density", (0.1, 0.2)),
            {"nudge": [-1]},
            "`nudge` sets path.nudge, which must be at least 0, got -1",
        ),
        (Path("features.density", (0.1, 0.2)), {"path": {"target": "path.nudge", "points": [0]}}, "a name of its own"),
    ],
)
def test_a_path_is_checked_with_the_grid(path, points, message):
    with pytest.raises(ValueError, match=message):
        sweep_grid(program(path), points)


def test_a_path_node():
    node = {"target": "features.density", "preset": {"linear": [1.0, 0.5, 3]}, "points": None, "nudge": 0.1}
    assert axes.path_of(None) is None
    found = axes.path_of(node)
    assert found is not None and found.points == (1.0, 0.75, 0.5) and float(found.nudge) == pytest.approx(0.1)
    typed = axes.path_of(node | {"points": [0.3, 0.2]})
    assert typed is not None and typed.points == (0.3, 0.2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("path={points: [0.1,0.2]}", r"`path` is \{target: PATH, points: \[...\]\}"),
        ("path={target: features.density, points: [0.1,0.2], nudg: 1}", "`path` is {target: PATH"),
        ("path={target: features.density, points: [0.1,a]}", "`path.points` takes a list of numbers"),
        ("path={target: features.density, points: [0.1]}", "`path.points` are at least two"),
    ],
)
def test_a_typed_path_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        superpose.run_sweep([*COMMAND, override])


def test_an_axis_of_several_points_is_no_axis_beside_a_path_of_its_number():
    path = "path={target: features.density, points: [0.1,0.2]}"
    with pytest.raises(InputError, match=r"consumes `sparsity` \(2 points\). The path sets its number"):
        superpose.run_sweep([*COMMAND, path, "sparsity=[0.1,0.5]"])
    with pytest.raises(InputError, match="kept once at each point"):
        superpose.run_sweep([*COMMAND, path, "record.steps=3"])
