# %%
import numpy as np

import sde_sgd as ss
from sde_sgd import passage

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
start, left = np.array([-1.0], np.float32), ss.regions.HalfSpace(normal=[1.0], offset=0.0)
warm = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.25), dt=0.01)
cold = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.08), dt=0.01)

# %% escape, FirstPassage
found = ss.escape(warm, start, left, horizon=20.0, trajectories=4096, seed=0)
isinstance(found, passage.FirstPassage) and found.status  # → complete
found.probability.low < 0.408 < found.probability.high  # → True
found.survival(np.array([5.0, 10.0])).value.shape  # → (2,)

# %% first_passage
far = ss.regions.HalfSpace(normal=[1.0], offset=-1.3)
which = ss.first_passage(warm, start, target=~left, avoid=far, trajectories=2048, seed=0, method="direct")
which.count("target") + which.count("avoid")  # → 2048

# %% Direct, DirectSample, OUTCOMES
direct = ss.escape(warm, start, left, 20.0, trajectories=4096, seed=0, method=passage.Direct())
isinstance(direct.evidence, passage.DirectSample)  # → True
sum(direct.count(outcome) for outcome in passage.OUTCOMES)  # → 4096

# %% Splitting, SplittingSample
rare = ss.escape(cold, start, left, 10.0, trajectories=16_384, seed=0, method=passage.Splitting(score="level"))
isinstance(rare.evidence, passage.SplittingSample)  # → True
rare.probability.low < 8e-5 and rare.probability.high > 3e-5  # → True

# %% Automatic, METHODS
sorted(passage.METHODS)  # → ['auto', 'direct', 'splitting']
auto = ss.escape(cold, start, left, 10.0, rtol=0.3, seed=0, method=passage.Automatic(score="level"))
auto.method[:9]  # → splitting

# %% SettledRate, SteadyStateSample
rate = ss.first_passage(
    cold, start, ~left, trajectories=8_192, seed=0, method=passage.SettledRate(score="level"), progress=False
)
isinstance(rate.evidence, passage.SteadyStateSample)  # → True
bool(np.isclose(rate.exit_rate.value * rate.mean_exit_time.value, 1))  # → True

# %% branches, Branches, Branch
tree = passage.branches(cold, start, ~left, horizon=5.0, trajectories=16, score="level", seed=0)
isinstance(tree, passage.Branches) and isinstance(tree.branches[0], passage.Branch)  # → True

# %% way_shares
plane = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(plane, 0.15), dt=0.01)
explored = ss.landscapes.explore(plane, [-1.0, 0.0], height=2.0, max_searches=64, progress=False)
shares = passage.way_shares(
    chain, [-1.0, 0.0], ss.regions.Ball([1.0, 0.0], 0.3), explored, trajectories=2048, seed=0, progress=False
)
shares.value.round(1)  # → [1.]

# %% TwoSetsSample
two = ss.first_passage(
    ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.05), 0.05),
    np.zeros(1, np.float32), ss.regions.HalfSpace([-1.0], -1.1), ss.regions.HalfSpace([1.0], -1.2),
    trajectories=8_192, seed=0, method="splitting", progress=False,
)  # fmt: skip
isinstance(two.evidence, passage.TwoSetsSample) and two.probability.value > 0.5  # → True

# %% JumpProcessSample
# the shallow well between falls into a deep one on the far side first, and the mean time is that of the jumps
wells = ss.landscapes.GaussianWells([[-2.0], [0.0]], depths=[1.6, 1.0], widths=0.5, confinement=0.05)
inner = ss.landscapes.find_minima(wells, [[-2.0], [0.0]])
at = next(point.location for point in inner if abs(point.location[0]) < 0.5)
slow = ss.first_passage(
    ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, 0.11), 0.05), at.astype(np.float32),
    ss.regions.HalfSpace([-1.0], -1.2), trajectories=4_096, seed=0, method="splitting", progress=False,
)  # fmt: skip
isinstance(slow.evidence, passage.JumpProcessSample)  # → True
slow.time_shares  # shares of the time in each basin


# %% AbstractMethod, Answer, Question, Execution, Effort
class FirstThousand(passage.AbstractMethod):
    """A method of your own: it answers a question by running its execution."""

    def answer(self, question: passage.Question, run: passage.Execution, effort: passage.Effort):
        stops = run.run(range(1_000))
        sample = passage.DirectSample(question.watch(), stops.step, stops.code.astype(np.int64))
        return passage.Answer("first thousand", sample, ss.results.Verdict())


ss.escape(warm, start, left, 5.0, trajectories=1, seed=0, method=FirstThousand()).trajectories  # → 1000

# %% AbstractEvidence, Watch
isinstance(found.evidence, passage.AbstractEvidence) and isinstance(found.evidence.watch, passage.Watch)  # → True
