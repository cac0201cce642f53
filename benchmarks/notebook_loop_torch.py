"""What one writes in PyTorch: many models in one einsum, fresh data each step, AdamW, a Python loop.

    python benchmarks/notebook_loop_torch.py N M INSTANCES [STEPS] [compile]      e.g.  20 5 16 200

The way of the authors' notebook, and the baseline of superpose's speed. The work of a step is that of fast_sweep.py:
batch 1,024, learning rate 1e-3, weight decay 1e-2, densities from 1 to 0.05, importance 0.9^i. With `compile` the loss
and its gradient go through torch.compile, which needs a C++ compiler; its own random numbers are slower on a CPU, so
the draws stay outside. Needs PyTorch.
"""

import sys
import time
from collections.abc import Callable

import torch

BATCH = 1024
WARM_UP = 3


def trainer(n: int, m: int, instances: int, *, compiled: bool = False) -> tuple[Callable[[int], float], float]:
    """A function that trains `instances` models for so many steps and gives the seconds; and those of the first steps,
    in which torch.compile works."""
    torch.manual_seed(0)
    W = torch.nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(instances, n, m)))
    b = torch.nn.Parameter(torch.zeros(instances, n))
    density = 20.0 ** -torch.linspace(0, 1, instances)
    importance = 0.9 ** torch.arange(n)
    optimizer = torch.optim.AdamW([W, b], lr=1e-3, weight_decay=1e-2)

    def batch() -> torch.Tensor:
        values = torch.rand(BATCH, instances, n)
        active = torch.rand(BATCH, instances, n) <= density[:, None]
        return torch.where(active, values, torch.zeros(()))

    def total_loss(x: torch.Tensor) -> torch.Tensor:
        hidden = torch.einsum("bif,ifh->bih", x, W)
        x_hat = torch.relu(torch.einsum("bih,ifh->bif", hidden, W) + b)
        return (importance * (x - x_hat) ** 2).mean(dim=(0, 2)).sum()

    loss = torch.compile(total_loss) if compiled else total_loss

    def run(steps: int) -> float:
        begun = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss(batch()).backward()
            optimizer.step()
        return time.perf_counter() - begun

    return run, run(WARM_UP)


def main():
    n, m, instances = (int(argument) for argument in sys.argv[1:4])
    steps = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    run, first = trainer(n, m, instances, compiled="compile" in sys.argv)
    rate = instances * steps / run(steps)
    print(f"n={n} m={m} instances={instances}: {rate:,.0f} model-steps/s; the first {WARM_UP} steps took {first:.1f} s")


if __name__ == "__main__":
    main()
