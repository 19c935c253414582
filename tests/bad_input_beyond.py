"""Calls with bad arguments beyond the engine and first passages: training, curvature, theory, interoperation, studies.

As those of `bad_input_cases`, which prints what they raise too.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
WARM = ss.LangevinSGD.at_temperature(WELL, 0.1)
CHAIN = ss.EulerMaruyama(WARM, 0.01)
LEFT, RIGHT = ss.regions.HalfSpace([1.0], 0.0), ss.regions.HalfSpace([-1.0], -0.9)
INPUTS, LABELS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.arange(20) % 3
MODEL = eqx.nn.MLP(3, 3, 4, 1, key=jax.random.key(0))


def risk(loss=ss.landscapes.cross_entropy, **options):
    return ss.EmpiricalRisk(MODEL, loss, INPUTS, LABELS, **options)


RISK = risk()


def train(**changes):
    small = {"networks": 2, "learning_rate": 0.1, "batch_size": 4, "stop": ss.training.Steps(3)}
    return ss.train(RISK, **(small | changes))


def compare(**changes):
    chains = {"a": ss.MinibatchSGD(RISK, 0.1, 4), "b": ss.chains.SVAG(RISK, 0.1, 4, 2)}
    return ss.compare(RISK, **({"chains": chains, "time": 0.5, "networks": 8} | changes))


def solver():
    return ss.reference.FokkerPlanck(WARM, (-2, 2, 50))


BEYOND = {
    "a chain that is a landscape": (lambda: ss.simulate(WELL, [-1.0], 4, 8), "chain must be a chain, such as"),
    "a plan of a diffusion": (lambda: ss.plan(WARM, [-1.0], 4, 8), "chain must be a chain, such as .* got Langevin"),
    "integrate of a diffusion": (
        lambda: ss.integrate(WARM, jnp.zeros((1, 1)), 0, 4, 0, [0]),
        "chain must be a chain, such as",
    ),
    "a start of half precision": (
        lambda: ss.simulate(CHAIN, np.array([-1.0], np.float16), 4, 8),
        "start must be float32 or float64, got float16",
    ),
    "states of half precision": (
        lambda: ss.integrate(CHAIN, jnp.zeros((1, 1), jnp.bfloat16), 0, 4, 0, [0]),
        "states must be float32 or float64, got bfloat16",
    ),
    "a tuning that is a word": (
        lambda: ss.simulate(CHAIN, [-1.0], 4, 8, tuning="fast"),
        "tuning must be an engine.Tuning, .* got 'fast'",
    ),
    "a score of NumPy": (
        lambda: ss.escape(CHAIN, [-1.0], LEFT, 1.0, trajectories=512, score=lambda x: np.sin(x[0])),
        "score must be made of JAX operations, such as those of jax.numpy",
    ),
    "progress that is a word": (
        lambda: ss.escape(CHAIN, [-1.0], LEFT, 1.0, trajectories=8, progress="yes"),
        "progress must be True, False, or None .* got 'yes'",
    ),
    "a line through one point": (
        lambda: ss.landscapes.along(WELL, [1.0], [1.0]),
        r"a and b must be two points, got \[1\.?0?\] twice",
    ),
    "branches of a word": (
        lambda: ss.passage.branches(CHAIN, [-1.0], RIGHT, trajectories="x"),
        "trajectories must be a whole number of at least 1, got 'x'",
    ),
    "a solver's times that are a word": (
        lambda: solver().escape_probability(LEFT, [-1.0], "x"),
        "times must be real numbers, got 'x'",
    ),
    "neighbours by number": (
        lambda: ss.transitions(CHAIN, [[-1.0], [1.0]], neighbours=[0, 1]),
        "neighbours must be pairs of different numbers from 0 to 1, got 0",
    ),
    "pairs by number": (
        lambda: ss.landscapes.saddle_graph(WELL, [[-1.0], [1.0]], pairs=3),
        "^pairs must be pairs of different numbers from 0 to 1, got 3",
    ),
    "explore misspelt": (
        lambda: ss.landscapes.explore(WELL, [-1.0], hight=1.0),
        "unknown option 'hight'; did you mean 'height'",
    ),
    # networks
    "a loss of NumPy": (
        lambda: risk(lambda model, x, y: -np.log(model(x))[y]),
        "per_example_loss must be made of JAX operations",
    ),
    "a loss of other arguments": (
        lambda: risk(lambda outputs, y: outputs[y]),
        r"per_example_loss must accept \(model, x, y\) of one example",
    ),
    "a penalty of NumPy": (
        lambda: risk(penalty=lambda model: np.sum(np.asarray(model.layers[0].weight))),
        "penalty must be made of JAX operations",
    ),
    "a batch larger than the data": (
        lambda: ss.MinibatchSGD(RISK, 0.1, 50, replacement=False),
        "batch_size must be at most 20, the number of examples, .* got 50",
    ),
    "no learning rate": (lambda: ss.MinibatchSGD(RISK, 0, 4), "learning_rate must be a finite number above 0, got 0"),
    "training at no learning rate": (lambda: train(learning_rate=0), "learning_rate must be above 0, got 0"),
    "training of larger batches": (
        lambda: train(batch_size=[4, 50], stop=ss.training.Epochs(10**6)),
        "batch_size must be at most the 20 examples .* got 50",
    ),
    "an unknown sampling": (
        lambda: train(sampling="random"),
        "sampling must be of replacement, without, epoch, or a sampling of chains, got 'random'",
    ),
    "a stop that is a number": (lambda: train(stop=50), r"stop must be Epochs\(…\), Steps\(…\) or Loss\(…\), got 50"),
    "a loss that is a word": (lambda: ss.training.Loss("low"), "value must be a finite number, got 'low'"),
    "an unknown measure": (lambda: compare(measures=["lossy"]), "measures must be of loss, .* got 'lossy'"),
    "chains that are no chains": (lambda: compare(chains={"a": 1, "b": 2}), "chains must be chains, .* got 1 for 'a'"),
    "looks between steps": (lambda: compare(time=None, times=[0.15]), "times must be whole steps of every chain"),
    # curvature
    "a seed of curvature": (
        lambda: ss.landscapes.sharpness(RISK, RISK.initial, method="products", seed="x"),
        "seed must be a whole number from 0",
    ),
    "a seed of polishing": (lambda: ss.landscapes.polish(WELL, [0.9], seed=-1), "seed must be a whole number from 0"),
    "a tolerance of curvature": (
        lambda: ss.landscapes.sharpness(RISK, RISK.initial, tolerance=-1.0),
        r"tolerance must be a finite number above 0 and below 1, got -1\.0",
    ),
    # theory
    "a Hessian that is a word": (
        lambda: ss.theory.covariance_at("H", [[1.0]], [1.0]),
        "hessian must be real numbers, got 'H'",
    ),
    "times of the theory": (lambda: ss.theory.covariance_at([[1.0]], [[1.0]], "x"), "times must be real numbers"),
    "weights that are a word": (lambda: ss.theory.weighted_chi2_tail("x", 1.0), "weights must be real numbers"),
    "a point that is a word": (lambda: ss.theory.weighted_chi2_tail([1.0], "x"), "x must be real numbers, got 'x'"),
    "a share that is a word": (lambda: ss.theory.poincare_bound(1.0, "x", 1.0), "share must be real numbers"),
    "minima that are a number": (
        lambda: ss.theory.gibbs_weights(WARM, 3.0),
        "minima must be a list of at least one minimum, got 3.0",
    ),
    "the risk on a hill": (lambda: ss.theory.excess_risk(WARM, [0.0]), "minimum must have a stationary law around it"),
    "rates that are no function": (
        lambda: ss.theory.rate_equation(3.0, [1.0, 0.0], [1.0]),
        "rates must be a function of the SDE time, got 3.0",
    ),
    "a law that is a word": (
        lambda: ss.theory.rate_equation(lambda t: np.zeros((2, 2)), "x", [1.0]),
        "start must be real numbers, got 'x'",
    ),
    "negative rates": (
        lambda: ss.stationary.transition_matrix(np.array([[0.0, -1.0], [1.0, 0.0]]), 1.0),
        "rates must be at least 0, got -1",
    ),
    "rates of no square": (
        lambda: ss.stationary.stationary_law(np.array([[0.0, 1.0]])),
        r"rates must be of shape \(K, K\), got shape \(1, 2\)",
    ),
    "a time before the start": (
        lambda: ss.stationary.transition_matrix(np.array([[0.0, 1.0], [1.0, 0.0]]), -1.0),
        r"time must be at least 0, got -1\.0",
    ),
    # other tools, and studies
    "a path that is a word": (lambda: ss.to_diffrax(WARM, "x"), "path must be a path as diffrax takes it, .* got 'x'"),
    "a key that is a word": (lambda: ss.to_diffrax(WARM, key="x"), "key must be a JAX key, .* got 'x'"),
    "a study that is a number": (lambda: ss.study.run(3, "out"), "source must be the name of a study, .* got 3"),
    "a folder that is a number": (lambda: ss.study.run("escape", 5), "out must be the path of a folder, .* got 5"),
    "changes that are a word": (
        lambda: ss.study.plan("escape", changes="trajectories=5"),
        "changes must be values by dotted key, .* got 'trajectories=5'",
    ),
    "a text that is a number": (lambda: ss.study.parse(5, "x"), "text must be that of a study file, got 5"),
    "claims that are words": (lambda: ss.reproduction.reproduce("out", only=["a"]), "only must be numbers of claims"),
}
