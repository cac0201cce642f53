"""The exact expected loss L = E_x sum_i I_i (x_i - x'_i)^2 of x' = f(W^T W x + b), without any sample.

    Linear                          closed form                               any n
    f of two lines (ReLU, leaky)    `quadrature.split`, exact to rounding     n <= 3
                                    `series`, a cosine series per output      any n
    other f (GELU, tanh)            `quadrature.tensor`                       n <= 3

It exists for independent features that are to be given back. The features may differ in density and importance.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from superpose import few_active, quadrature, series, theory
from superpose.features import AbstractFeatures, IndependentFeatures
from superpose.models import (
    ACTIVATIONS,
    AbstractTiedModel,
    AbstractToyModel,
    ElementwiseOutput,
    ElementwiseOutputWithoutBias,
    LeakyReLUOutput,
    Linear,
    ReLUOutput,
)
from superpose.task import Identity, Target, Task

RULES = ("auto", "quadrature", "series")
MODELS = (Linear, ReLUOutput, LeakyReLUOutput, ElementwiseOutput, ElementwiseOutputWithoutBias)


class Method(eqx.Module):
    """How an exact loss is computed.

    Args:
        rule: `quadrature` (n <= 3), `series` (any n), or `auto`: the closed form of a linear model, else quadrature
            where n <= 3, else the series.
        nodes: quadrature nodes of a piece (of a feature, for a smooth activation), at least 2; enough for rounding, by
            default.
        terms: terms of the series, at least 16. The error, relative to max(L, 1e-3 sum_i I_i p_i / 3), was at most 8e-5
            with 256 terms over n = 20, 80 and 400, densities 1 to 1e-4 and weights of all kinds. In float32 rounding is
            the limit; with weights in float64, under `jax.enable_x64`, 512 terms gave 2e-6.
    """

    rule: str = eqx.field(static=True, default="auto")
    nodes: int | None = eqx.field(static=True, default=None)
    terms: int = eqx.field(static=True, default=256)

    def __check_init__(self):
        if self.rule not in RULES:
            raise ValueError(f"`objective.rule` is one of {', '.join(RULES)}, got {self.rule!r}.")
        if self.nodes is not None and (not isinstance(self.nodes, int) or self.nodes < 2):
            raise ValueError(
                f"`objective.nodes` must be an integer of at least 2, got {self.nodes!r}. Leave it out: null is enough."
            )
        if not isinstance(self.terms, int) or self.terms < 16:
            raise ValueError(f"`objective.terms` must be an integer of at least 16, got {self.terms!r}.")


def refusal(model: AbstractToyModel, features: AbstractFeatures, target: Target, method: Method) -> str | None:
    """Why there is no exact loss by this method; None where there is one.

    It is known for these classes, not for one's own that are made from them and may compute anything.
    """
    few = features.n <= quadrature.MOST_FEATURES
    if type(features) is not IndependentFeatures:
        return f"the features are {type(features).__name__}, not independent ones"
    if type(target) is not Identity:
        return "the target is not the features themselves"
    if not isinstance(model, AbstractTiedModel) or type(model) not in MODELS:
        return f"the model {type(model).__name__} is not of the form f(W^T W x + b) with an f that is known"
    if method.rule == "quadrature" and not few:
        return f"the rule `quadrature` ends at {quadrature.MOST_FEATURES} features, and there are {features.n}"
    if model.slope is None and model.activation not in ACTIVATIONS.values():
        return "the activation is a function of one's own, which may have kinks"
    if model.slope is None and not few:
        return f"with more than {quadrature.MOST_FEATURES} features it is known for ReLU, leaky ReLU and linear models"
    if model.slope is None and method.rule == "series":
        return "the rule `series` is for ReLU, leaky ReLU and linear models"
    return None


def way(model: AbstractToyModel, n: int, method: Method) -> Literal["closed form", "split", "tensor", "series"]:
    """Which of the four a loss is found by, where `refusal` knows no reason against it."""
    if type(model) is Linear and method.rule == "auto":
        return "closed form"
    if n > quadrature.MOST_FEATURES or method.rule == "series":
        return "series"
    return "tensor" if getattr(model, "slope", None) is None else "split"


def loss(model: AbstractToyModel, task: Task, method: Method) -> Float[Array, ""]:
    """L, where `refusal` knows no reason against it. Works under jit, vmap and grad."""
    features = task.features
    assert isinstance(model, AbstractTiedModel) and isinstance(features, IndependentFeatures)
    p, how = features.densities, way(model, features.n, method)
    if how == "closed form":
        return theory.linear_loss(model.W, model.b, task.importance, *theory.moments(p))
    if how == "series":
        return series.loss(model.W, model.b, p, task.importance, model.slope, method.terms)
    if how == "tensor":
        return quadrature.tensor(lambda x: task.losses(model, x), p, method.nodes)
    return quadrature.split(model.W, model.b, p, task.importance, model.activation, method.nodes)


def by_active(model: AbstractToyModel, task: Task) -> Float[Array, "4"]:
    """L by the number of active features: what examples with 0, 1, 2 and more of them add to it.

        L = sum_k P(k active) L_k;    for equal densities p, P(k) L_k = p^k (1 - p)^(n - k) sum over all sets of k

    The first three are found each on its own, the last as what they leave of L, with L's error. Paper: "Mathematical
    Understanding", where L = (1 - S)^n L_n + ... + (1 - S) S^(n - 1) L_1 + S^n L_0.

    Args:
        model: one with `slope`, ReLU, leaky ReLU or linear.
        task: one with independent features that are to be given back.

    Raises:
        ValueError: the model or the task is another.
    """
    features, reason = task.features, refusal(model, task.features, task.target, Method())
    if reason or not isinstance(model, AbstractTiedModel) or model.slope is None:
        raise ValueError(
            f"The loss by active features is of ReLU, leaky ReLU and linear models: {reason or 'f is smooth'}."
        )
    assert isinstance(features, IndependentFeatures)
    arguments = model.W, model.b, features.densities, task.importance, model.slope
    few = [part(*arguments) for part in (few_active.none_active, few_active.one_active, few_active.two_active)]
    return jnp.stack([*few, loss(model, task, Method()) - few[0] - few[1] - few[2]])


def examples(model: AbstractToyModel, n: int, method: Method) -> int:
    """How many examples of a batch take about as long as the exact loss."""
    how = way(model, n, method)
    if how == "tensor":
        return (1 + (method.nodes or quadrature.SMOOTH_NODES[n])) ** n
    return {"closed form": n, "split": quadrature.split_examples(n, method.nodes), "series": 48 * method.terms * n}[how]
