"""The work that compare.py gives its programs, size by size, and what a program tells of it."""

from typing import Any, NamedTuple

BATCH = 1024
STEPS = 10_000  # the paper's, which every model of superpose trains: its judgement has the share of a paper-scale run


class Job(NamedTuple):
    """The work of one repeat at one size: 2 to 5 seconds of a program on two cores, of superpose 10 and more.

    superpose trains `levels` densities x `seeds` for 10,000 steps, at n >= 80 the fewest that occupy two cores.
    fast_sweep trains `models` models a device for `steps` steps, in its best `tile` and `segment`. The PyTorch loops
    and plain_vmap train `tile` models a core at once, for `loops` and `plain` steps.
    """

    n: int
    m: int
    levels: int
    seeds: int
    models: int
    steps: int
    tile: int
    segment: int
    loops: int
    plain: int

    @property
    def label(self) -> str:
        return f"{self.n}, {self.m}"


JOBS = (
    Job(2, 1, 32, 40, models=160, steps=10_000, tile=32, segment=20, loops=400, plain=2_000),
    Job(5, 2, 24, 12, models=64, steps=8_000, tile=32, segment=20, loops=150, plain=300),
    Job(20, 5, 8, 8, models=8, steps=10_000, tile=8, segment=20, loops=200, plain=500),
    Job(80, 20, 4, 2, models=4, steps=2_000, tile=4, segment=20, loops=100, plain=300),
    Job(100, 20, 4, 2, models=4, steps=2_000, tile=4, segment=20, loops=100, plain=200),
    Job(400, 30, 2, 2, models=2, steps=1_000, tile=2, segment=10, loops=50, plain=60),
)


class Timing(NamedTuple):
    """How long so many model-steps took, and how long the compile before them; `more` is a program's own figures."""

    model_steps: int
    seconds: float
    compile_seconds: float
    more: dict[str, Any] | None = None

    @property
    def rate(self) -> float:
        return self.model_steps / self.seconds
