"""Training of many networks side by side: the public call, and the runs that it is made of."""

import itertools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from .. import _progress
from .._errors import names_options, points, positive_integer
from ..chains import AbstractBatchChain, AbstractSampling, MinibatchSGD, MomentumSGD, Varying
from ..engine import observe, seed_key, seed_number
from ..landscapes import EmpiricalRisk
from ..results import Provenance
from ._between_looks import between_looks, losses_of
from ._ends import losses_of_ends, scale_of_loss
from ._grid import Grid
from ._result import Training
from ._stop import AbstractStop, Epochs

FIFTY_EPOCHS = Epochs(50)
_SAMPLINGS = {"replacement": True, "without": False, "epoch": "epoch"}


@names_options
def train(
    risk: Any,
    *,
    networks: int = 64,
    learning_rate: Any,
    batch_size: Any,
    momentum: Any = 0.0,
    sampling: Any = "epoch",
    stop: Any = FIFTY_EPOCHS,
    start: Any = None,
    seed: Any = 0,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Training:
    """Train `networks` networks in every cell of a grid of learning rates, batch sizes and momenta.

    risk: an EmpiricalRisk, the loss with its examples. learning_rate: γ > 0. batch_size: M. momentum: μ in [0, 1), see
        MomentumSGD. Each of the three is a number, or a list of numbers, which becomes a dimension of the result; all
        networks of one batch size are one program.
    sampling: "epoch", reshuffled epochs; "replacement"; "without", without replacement in each batch; or an object, as
        in MinibatchSGD.
    stop: `Epochs(n)`, `Steps(n)`, or `Loss(value)`.
    start: θ of shape (dim,) for all, or an object with such a `location`; or (networks, dim), the same in each cell; or
        a function of a JAX key that makes a model like the risk's, for networks that begin differently; None for the
        risk's own.
    seed: of the examples and of the starts. Network k of cell number c, in the order of rates, sizes and momenta, is
        trajectory c·networks + k. chunk, devices, progress: as in `simulate`, which says what holds for bits.

    Networks that diverge, whose parameters, loss or gradient are finite no more, are counted, and left out of every
    measure; those whose loss has grown a millionfold are named. With `Loss` a network's parameters are those of
    the step at which it came there. Raises ValueError, naming the argument, for what is not as said.
    """
    began = time.perf_counter()
    grid, chains = asked_of(risk, networks, learning_rate, batch_size, momentum, sampling, stop)
    number = seed_number(seed)
    starts = starts_of(risk, start, networks, number)
    found = _Found.of(grid, networks, starts)
    with _progress.shown(progress, "train"):
        for place, chain in enumerate(chains):
            run = _Run(chain, stop, number, chunk, devices)
            run(_states(chain, grid, starts), _ids(grid, place, networks), found.of_size(place))
    scale = scale_of_loss(risk, starts, found.steps[0].size)
    thetas, steps, reached, losses = found.over_the_grid()
    variances = np.array([_variance(chain) for chain in chains])
    return Training(risk, grid, starts, thetas, steps, reached, losses, scale, variances, stop, sampling=str(sampling),
                    provenance=Provenance.of(number, "train", int(steps.sum()), began, devices))  # fmt: skip


def asked_of(
    risk: Any, networks: int, learning_rate: Any, batch_size: Any, momentum: Any, sampling: Any, stop: Any
) -> tuple[Grid, list[Varying]]:
    """The grid, and the chain of each batch size. Raises ValueError as `train` does."""
    if not isinstance(risk, EmpiricalRisk):
        raise ValueError(f"risk must be an EmpiricalRisk, which has examples to train on, got {risk!r}")
    positive_integer("networks", networks)
    grid = Grid.of(learning_rate, batch_size, momentum)
    if not isinstance(stop, AbstractStop):
        raise ValueError(f"stop must be Epochs(…), Steps(…) or Loss(…), got {stop!r}")
    return grid, [_chain(risk, grid, int(size), sampling) for size in grid.batch_size]


def starts_of(risk: EmpiricalRisk, start: Any, networks: int, seed: int) -> Float[np.ndarray, "networks dim"]:
    if callable(start):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed & 0xFFFFFFFF), seed >> 32), networks)
        try:
            start = np.stack([np.asarray(risk.flatten(start(key))) for key in keys])
        except (TypeError, ValueError) as error:
            raise ValueError(f"start must make a model like the risk's from a key, got: {error}") from error
    given = np.asarray(risk.initial if start is None else getattr(start, "location", start))
    if given.shape not in ((risk.dim,), (networks, risk.dim)):
        raise ValueError(f"start must have shape ({risk.dim},) or ({networks}, {risk.dim}), got {given.shape}")
    points("start", given, risk.dim)
    # one for all stays one: not written out
    return np.broadcast_to(given.astype(jnp.result_type(float)), (networks, risk.dim))


class _Found(NamedTuple):
    """θ where each network ended, after how many steps, whether it had reached what ends it, and its loss there.

    Batch sizes come first, so that the networks of one lie together and a run writes them in their place.
    """

    thetas: Float[np.ndarray, "sizes rates momenta networks dim"]
    steps: Int[np.ndarray, "sizes rates momenta networks"]
    reached: Bool[np.ndarray, "sizes rates momenta networks"]
    losses: Float[np.ndarray, "sizes rates momenta networks"]

    @classmethod
    def of(cls, grid: Grid, networks: int, starts: Float[np.ndarray, "networks dim"]) -> "_Found":
        rates, sizes, momenta = grid.shape
        shape = sizes, rates, momenta, networks
        thetas, losses = np.zeros((*shape, starts.shape[1]), starts.dtype), np.zeros(shape, starts.dtype)
        return cls(thetas, np.zeros(shape, np.int64), np.zeros(shape, bool), losses)

    def of_size(self, place: int) -> "_Found":
        """The rows of all networks of one batch size, to be written into."""
        thetas, *others = self
        return _Found(thetas[place].reshape(-1, thetas.shape[-1]), *(each[place].ravel() for each in others))

    def over_the_grid(self) -> "_Found":
        """With rates first, as the grid has them."""
        return _Found(*(np.moveaxis(each, 0, 1) for each in self))


def _chain(risk: EmpiricalRisk, grid: Grid, size: int, sampling: Any) -> Varying:
    """The chain of one batch size, whose rate and momentum differ between networks."""
    how = _SAMPLINGS.get(sampling, sampling) if isinstance(sampling, str) else sampling
    if not isinstance(how, bool | AbstractSampling) and how != "epoch":
        raise ValueError(f"sampling must be of {', '.join(_SAMPLINGS)}, or a sampling of chains, got {sampling!r}")
    if isinstance(sampling, str) and how is not True and size > risk.examples:
        raise ValueError(
            f"batch_size must be at most the {risk.examples} examples with sampling={sampling!r}, got {size}; "
            "sampling='replacement' takes more"
        )
    rate = float(grid.learning_rate[0])
    if not grid.has_momentum:
        return Varying(MinibatchSGD(risk, rate, size, how), "learning_rate")
    chain = MomentumSGD(risk, rate, size, float(grid.momentum[0]), replacement=how)
    return Varying(chain, "learning_rate", "momentum")


def _variance(chain: Varying) -> float:
    """c, such that the gradient of a batch has covariance cV, V that of one example's."""
    inner: Any = chain.chain
    return float(inner.sampling.variance(inner.risk.examples, inner.batch_size))


def _states(chain: Varying, grid: Grid, starts: np.ndarray) -> Float[np.ndarray, "n state_dim"]:
    """Whole states of all networks of one batch size: rates, momenta, networks."""
    rates, _, momenta = grid.shape
    states = np.empty((rates, momenta, len(starts), chain.state_dim), starts.dtype)
    # a cell at a time: beside networks of this many, another copy of them all would be felt
    for (i, rate), (j, momentum) in itertools.product(enumerate(grid.learning_rate), enumerate(grid.momentum)):
        values = {"learning_rate": rate} | ({"momentum": momentum} if grid.has_momentum else {})
        states[i, j] = chain.states(starts, values)
    return states.reshape(-1, chain.state_dim)


def _ids(grid: Grid, place: int, networks: int) -> Int[np.ndarray, " n"]:
    cells = np.arange(int(np.prod(grid.shape))).reshape(grid.shape)[:, place]
    return (cells[:, :, None] * networks + np.arange(networks)).ravel()


class _Run:
    """Runs networks of one batch size until each has come to its end."""

    def __init__(self, chain: Varying, stop: AbstractStop, seed: Any, chunk: int | None, devices: Any):
        self.chain, self.stop, self.seed, self.chunk, self.devices = chain, stop, seed, chunk, devices
        inner: Any = chain.chain
        assert isinstance(inner, AbstractBatchChain)
        examples, size = inner.risk.examples, inner.batch_size
        self.risk, self.steps = inner.risk, stop.steps(examples, size)
        self.looks = stop.looks(examples, size)

    def __call__(self, states: np.ndarray, ids: np.ndarray, found: _Found) -> None:
        """Fills the rows of `found`. states: where each begins; where there are looks at a loss, then where each was at
        the look before that at which it had reached it.
        """
        dim, (thetas, steps, reached, losses) = self.risk.dim, found
        steps[:] = self.steps
        at = self.looks or [self.steps]
        looked = steps.copy()

        def look(part: Any, index: int, batch: Any, last: Any) -> Any:
            """Keep θ of those that are at their end now; the others' as long as they go on."""
            rows = _rows_of(part)
            now = np.asarray(batch[:, : part.used]).T
            on = ~reached[rows]
            np.copyto(thetas[rows], now[:, :dim], where=on[:, None])
            if not self.looks:
                return None
            there = on & self.stop.reached(losses_of(self.risk, now[:, :dim]))
            reached[rows][there], steps[rows][there] = True, at[index]
            if last is not None:
                states[rows][there], looked[rows][there] = last[there], at[index - 1]
            return now

        def ended(part: Any) -> bool:
            """Whether all of a part have reached their end, or are finite no more."""
            rows = _rows_of(part)
            return bool(np.all(reached[rows] | ~np.all(np.isfinite(thetas[rows]), axis=1)))

        def halve(part: Any, last: Any) -> None:
            """Find the step between two looks at which each had reached it."""
            rows = _rows_of(part)
            thetas[rows], steps[rows] = between_looks(
                self.chain, self.stop, self.seed, ids[rows], states[rows], looked[rows], thetas[rows], steps[rows]
            )

        key = seed_key(self.seed)
        observe(self.chain, states, ids, at, key, look, halve, self.chunk, self.devices, ended=ended)
        losses[:] = losses_of_ends(self.risk, thetas, len(thetas))


def _rows_of(part: Any) -> slice:
    return slice(part.rows.start, part.rows.start + part.used)
