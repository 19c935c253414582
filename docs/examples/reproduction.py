# %%
import tempfile

import numpy as np

import sde_sgd as ss
from sde_sgd import reproduction

# %% Cells, Finding, judge, Verdict, Answer
ratios = ss.Estimate(np.array([1.0, 1.1]), np.array([0.9, 1.0]), np.array([1.1, 1.2]))
cells = reproduction.Cells(ratios, where=["M = 8", "M = 16"], status=["complete", "complete"])
finding = reproduction.Finding("both are nearly one", "the ratio", cells, low=0.8, high=1.25)
verdict: reproduction.Verdict = reproduction.judge(finding)
verdict.answer is reproduction.Answer.SUPPORTED  # → True
print(verdict)
reproduction.judge(finding._replace(low=1.3, high=2.0)).answer  # → not supported

# %% together
reproduction.together([verdict, verdict]).answer  # → supported

# %% all_claims, AbstractClaim, register
claims: list[reproduction.AbstractClaim] = reproduction.all_claims()
[claim.number for claim in claims]  # → [1, 2, 3, 4, 5, 6, 7]
reproduction.register(type(claims[0])) is type(claims[0])  # → True

# %% Size
[size.value for size in reproduction.Size]  # → ['quick', 'normal', 'full']

# %% sensible_processes
1 <= reproduction.sensible_processes() <= 4  # → True

# %% reproduce, Reproduction, Judged, judged_by
done: reproduction.Reproduction = reproduction.reproduce(
    tempfile.mkdtemp() + "/all", size="quick", only=[2], progress=False
)
second: reproduction.Judged = done.claims[0]
second.verdict.answer
reproduction.judged_by(second.claim, second.data).verdict == second.verdict  # → True
