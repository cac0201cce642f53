"""superpose: a laboratory for superposition. Trains hundreds to hundreds of thousands of toy models in parallel.

    tree = superpose.load("outputs/basic_results")               # a run's labelled arrays, an xarray DataTree
    ds = superpose.sweep_grid(program, {"sparsity": [0, 0.9], "seed": range(8)})     # a sweep in memory
    tree = superpose.run_sweep(["experiment=basic_results", "scale=smoke"])          # as on the command line

Names are imported when they are first used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "app": ("run_sweep",),
    "experiment": ("Claim", "Experiment", "Verdict"),
    "features": (
        "AbstractFeatures",
        "AbstractIndependentFeatures",
        "AbstractSparseFeatures",
        "IndependentFeatures",
        "SignedFeatures",
    ),
    "following": ("Path",),
    "grid": ("Axis", "Grid", "Tile"),
    "initial": ("AbstractInit", "Normal", "Notebook", "Xavier"),
    "leaves": ("scalar", "vector"),
    "memory": ("sweep_grid",),
    "models": (
        "AbstractTiedModel",
        "AbstractToyModel",
        "BiasedReLUHidden",
        "ElementwiseOutput",
        "ElementwiseOutputWithoutBias",
        "LeakyReLUOutput",
        "Linear",
        "ReLUHidden",
        "ReLUOutput",
        "UntiedLinearHidden",
        "UntiedReLUHidden",
    ),
    "objective": ("AbstractObjective", "Exact", "Sampled"),
    "optimizers": (
        "SGD",
        "AbstractOptimizer",
        "AbstractSchedule",
        "Adam",
        "AdamW",
        "Constant",
        "CosineDecay",
        "LinearDecay",
    ),
    "penalties": ("AbstractPenalty", "Adversarial", "HiddenL1", "NoPenalty"),
    "polishing": ("LBFGS", "AbstractPolish", "NoPolish"),
    "program": ("Program",),
    "reading": ("model_at",),
    "record": ("Record",),
    "sets": ("AnticorrelatedSets", "CorrelatedSets"),
    "store": ("load",),
    "sweep": ("Seeding",),
    "task": ("AbsoluteValue", "Identity", "Task"),
    "weighting": ("AbstractWeighting", "Geometric", "LastFeature", "Uniform"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'superpose' has no attribute {name!r}")
    return getattr(importlib.import_module(f"superpose.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
