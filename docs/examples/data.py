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
