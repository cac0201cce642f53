"""What absolute values cost without superposition: neurons that each compute one sign of one feature.

    y_i = |x_i|, x_i = 0 with probability 1 - p, else uniform on [-1, 1]; |x_i| = ReLU(x_i) + ReLU(-x_i)

Times its importance a feature costs, by how many neurons it has to itself,

    0   p/3 - p^2/4             y' = p/2, the best constant
    1   p/6 - p^2/(16 - 6 p)    y' = c ReLU(x) + b at its best, b = 2 p / (8 - 3 p), c = 1 - 3 b / 2: it is the minimum
                                of p/2 (b^2/4 + 1/3 - b + b^2) + (1 - p) b^2
    2   0                       both signs

The second neuron saves more than the first, at any p: so the best choice gives pairs to the most important features,
and what is left over to the next one. Not in the paper; its section is "Computation in Superposition".
"""

import numpy as np
from jaxtyping import Float


def costs(p: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "3 ..."]:
    """What a feature of importance 1 and density p in [0, 1] costs with no neuron, one and two."""
    p = np.asarray(p, np.float64)
    return np.stack([p / 3 - p**2 / 4, p / 6 - p**2 / (16 - 6 * p), 0 * p])


def loss(
    p: Float[np.ndarray, "..."] | float, importance: Float[np.ndarray, "... n"], m: int
) -> Float[np.ndarray, "..."]:
    """The lowest loss of m neurons that each compute one sign of one feature, summed over n features.

    Args:
        p: density of every feature, in [0, 1].
        importance: of each feature, at least 0; its leading dimensions broadcast with those of p.
        m: how many neurons there are.
    """
    worth = -np.sort(-np.asarray(importance, np.float64), axis=-1)
    none, one, _ = costs(p)
    unpaired = worth[..., m // 2 :]
    return np.asarray(none * unpaired.sum(axis=-1) - (m % 2) * (none - one) * unpaired[..., :1].sum(axis=-1))
