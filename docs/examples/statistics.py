# %%
import numpy as np
import xarray as xr

import sde_sgd as ss

# %% Estimate
estimate = ss.Estimate(0.5, 0.4, 0.6)
estimate.relative_half_width  # → 0.2
print(estimate)

# %% clopper_pearson
ss.statistics.clopper_pearson(3, 10)  # → 0.30 [0.07, 0.65]

# %% proportion_with_undecided
ss.statistics.proportion_with_undecided(3, 2, 10).value  # → 0.375

# %% inverse_binomial
ss.statistics.inverse_binomial(successes=5, undecided=0, trials=21).value  # → 0.2

# %% chi_square_rate
ss.statistics.chi_square_rate(events=4, exposure=2.0).value  # → 2.0

# %% student_mean
ss.statistics.student_mean(np.array([1.0, 2.0, 3.0])).value  # → 2.0

# %% smirnov_probability
ss.statistics.smirnov_probability(np.arange(100.0), np.arange(100.0) + 19.5)  # → 0.032

# %% normal_width, student_width
ss.statistics.normal_width(0.95)  # → 1.96
ss.statistics.student_width(0.95, 2)  # → 4.303

# %% add_estimate
data = xr.Dataset()
ss.statistics.add_estimate(data, "share", (), estimate, "1", "a share")
sorted(data)  # → ['share', 'share_high', 'share_low']
