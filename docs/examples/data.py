# %%
import sde_sgd as ss

# %% mnist1d, Examples
data = ss.data.mnist1d(samples=50, held_out=0.2)
isinstance(data, ss.data.Examples) and data.inputs.shape  # → (40, 40)
data.held_out[0].shape  # → (10, 40)

# %% digits, breast_cancer, diabetes
# of scikit-learn (extra `data`), standardised by the training part
ss.data.digits(held_out=0.25).inputs.shape  # → (1348, 64)
ss.data.breast_cancer().inputs.shape[1]  # → 30
ss.data.diabetes().inputs.shape  # → (442, 10)

# %% gaussian, gaussian_moments
# linear regression with a known answer: normal inputs, or few with their moments up to the fifth
ss.data.gaussian(samples=100, features=3, noise=0.5).inputs.shape  # → (100, 3)
(ss.data.gaussian_moments(features=2).inputs ** 4).mean()  # → 3.0

# %% chebyshev
ss.data.chebyshev(samples=20, degree=4).targets.max().round(3)  # → 0.951
