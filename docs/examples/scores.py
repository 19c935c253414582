# %%
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd import scores

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
diffusion = ss.LangevinSGD.at_temperature(landscape, 0.1)
start, target = np.array([-1.0, 0.0]), ss.regions.Ball([1.0, 0.0], 0.3)
chain = ss.EulerMaruyama(diffusion, dt=0.01)


def rises(score):
    """Whether it grows on the way."""
    values = [float(score(jnp.array([x, 0.0]))) for x in (-1.0, -0.5, 0.5)]
    return values == sorted(values) and values[0] < values[-1]


# %% committor, GridScore
grid = [(-2.0, 2.0, 60), (-1.5, 1.5, 40)]
committor: scores.GridScore = scores.committor(diffusion, target, grid, horizon=10.0)
rises(committor)  # → True

# %% path, PathScore
path: scores.PathScore = scores.path(landscape, [-1.0, 0.0], [1.0, 0.0])
rises(path)  # → True

# %% along
rises(scores.along(np.array([[-1.0, 0.0], [0.0, 0.2], [1.0, 0.0]])))  # → True

# %% ways, WaysScore
found = ss.landscapes.explore(landscape, start, height=2.0, max_searches=64, progress=False)
ways: scores.WaysScore = scores.ways(landscape, *found.ways(target))
rises(ways)  # → True

# %% choose, Choice
choice: scores.Choice = scores.choose(chain, start, target, horizon=10.0)
choice.reason
rises(choice.score)  # → True

# %% automatic
# the score of that choice
rises(scores.automatic(chain, start, target, horizon=10.0))  # → True

# %% Farthest
rises(scores.Farthest((path, lambda theta: theta[0])))  # → True
