# %%
import numpy as np

import sde_sgd as ss
from sde_sgd import passage

landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
start, left = np.array([-1.0], np.float32), ss.regions.HalfSpace(normal=[1.0], offset=0.0)
warm = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.25), dt=0.01)
cold = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.08), dt=0.01)

# %% escape, FirstPassage
found: passage.FirstPassage = ss.escape(warm, start, left, horizon=20.0, trajectories=4096, seed=0)
found.status  # → complete
found.probability.low < 0.408 < found.probability.high  # → True
found.survival(np.array([5.0, 10.0])).value.round(1)  # → [0.9 0.8]

# %% first_passage
far = ss.regions.HalfSpace(normal=[1.0], offset=-1.3)
which = ss.first_passage(warm, start, target=~left, avoid=far, trajectories=4096, seed=0, method="direct")
which.probability.value.round(1)  # → 0.0

# %% Direct, DirectSample, OUTCOMES
direct = ss.escape(warm, start, left, 20.0, trajectories=4096, seed=0, method=passage.Direct())
sample: passage.DirectSample = direct.evidence
[f"{sample.count(outcome) / 4096:.1f} {outcome}" for outcome in passage.OUTCOMES]

# %% Splitting, SplittingSample
rare = ss.escape(cold, start, left, 10.0, trajectories=4096, seed=0, method=passage.Splitting(score="level"))
weighted: passage.SplittingSample = rare.evidence
weighted.repetitions, weighted.trajectories_per_repetition  # → (32, 128)
rare.probability.low < 8e-5 and rare.probability.high > 3e-5  # → True

# %% Automatic, METHODS
sorted(passage.METHODS)  # → ['auto', 'direct', 'splitting']
auto = ss.escape(cold, start, left, 10.0, trajectories=4096, seed=0, method=passage.Automatic(score="level"))
auto.method  # → splitting

# %% SettledRate, SteadyStateSample
rate = ss.first_passage(
    cold, start, ~left, trajectories=4096, seed=0, method=passage.SettledRate(score="level"), progress=False
)
settled: passage.SteadyStateSample = rate.evidence
f"{rate.exit_rate.value * rate.mean_exit_time.value:.3f} once settled, by t = {settled.settling_time:.2f}"

# %% branches, Branches, Branch
tree: passage.Branches = passage.branches(cold, start, ~left, horizon=10.0, trajectories=16, score="level", seed=0)
first: passage.Branch = tree.branches[0]
first.stage, first.states[0]  # → (0, array([-1.], dtype=float32))

# %% way_shares
explored = ss.landscapes.explore(landscape, start, height=2.0, max_searches=64, progress=False)
beyond = ss.regions.HalfSpace(normal=[-1.0], offset=-0.7)
shares = passage.way_shares(cold, start, beyond, explored, trajectories=256, score="level", seed=0, progress=False)
shares.value  # → [1.]

# %% TwoSetsSample
# `first_passage(..., target=B, avoid=A, method="splitting")` of two rare sets measures the rate towards each
none_yet = ss.Estimate(0.0, 0.0, 0.0)
two = passage.TwoSetsSample(
    settled.watch, to_target=settled, to_avoid=settled, early=weighted, early_avoid=none_yet, told=""
)
two.probability.value.round(2)  # → 0.5

# %% JumpProcessSample
# a mean time by splitting that falls into a slow basin measures all rates: here out of the start's basin to the other
# one and to the target, and back
rates = np.array([[0.0, 3.0, 1.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
jumps = passage.JumpProcessSample(
    settled.watch, locations=np.array([[-1.0], [1.0]]), cores=(left, ~left), rates=ss.Estimate(rates, rates, rates),
    first=np.array([100, 0, 0]), settled_by=0.5, checked=5.0, told="", n_trajectories=100, n_diverged=0,
)  # fmt: skip
jumps.mean_exit_time.value.round(6)  # → 31.0
jumps.time_shares.value.round(3)  # → [0.032 0.968]


# %% AbstractMethod, Answer, Question, Execution, Effort
class FirstThousand(passage.AbstractMethod):
    """A method of your own: it answers a question by running its execution."""

    def answer(self, question: passage.Question, run: passage.Execution, effort: passage.Effort):
        stops = run.run(range(1_000))
        sample = passage.DirectSample(question.watch(), stops.step, stops.code.astype(np.int64))
        return passage.Answer("first thousand", sample, ss.results.Verdict())


ss.escape(warm, start, left, 5.0, trajectories=1, seed=0, method=FirstThousand()).trajectories  # → 1000

# %% AbstractEvidence, Watch
evidence: passage.AbstractEvidence = found.evidence
watch: passage.Watch = evidence.watch
watch.horizon, watch.monitoring  # → (20.0, 'discrete')
