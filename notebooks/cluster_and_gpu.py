# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A study on a cluster and on a GPU
#
# You want a diagram over many learning rates and batch sizes, and have more machines than one. How is the work shared,
# what if one dies, and what changes on a GPU?

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import xarray as xr

import sde_sgd as ss

# in the quick size the study has four cells of few trajectories
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))
SMALLER = ["trajectories=512", "sweep.learning_rate=[0.024, 0.036]", "sweep.batch_size=[8, 12]"]
SMALLER = [*SMALLER, "dt=0.012", "reference.grid=[-1.6, 2.4, 400]"] if QUICK else []
# it goes with the process
folder = tempfile.TemporaryDirectory()
work = Path(folder.name)


def sde_sgd(*words):
    """`sde-sgd WORDS` in a process of its own, as in a terminal."""
    command = [sys.executable, "-m", "sde_sgd.cli", *words]
    return subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def told(run):
    """What a process has printed by its end, below what was typed."""
    said, _ = run.communicate()
    print("$ sde-sgd", *run.args[3:])
    print(said)
    if run.returncode:
        raise RuntimeError(f"it ended with the exit status {run.returncode}")


# %% [markdown]
# ## The file
#
# A study is a file: what is asked, of which landscape, over which numbers. This one comes with the package; redirect it
# to a file of your own to change it, or change single keys with `--set`.

# %%
told(sde_sgd("show", "escape"))

# %% [markdown]
# ## Workers
#
# A study's folder is all that its computers share. `init` makes it and computes nothing. Then any number of workers
# compute their shares: here two, at once; on a cluster an array of jobs, where SLURM, SGE or LSF say which share is
# whose. Nobody hands out work. `sde-sgd status shared`, or a call, says how far it is, from anywhere, while they
# compute or after one has died.

# %%
told(sde_sgd("init", "escape", "--out", "shared", *(f"--set={change}" for change in SMALLER)))
workers = [sde_sgd("worker", "shared", "--shard", f"{share}/2") for share in range(2)]
print(ss.study.status(work / "shared"))
for each in workers:
    told(each)

# %% [markdown]
# `resume` finishes what is missing, here nothing, and writes table, dataset and figures. A unit that is half done when
# its machine is lost is not there, and is computed again: to the same bits, for each depends on the study alone.

# %%
told(sde_sgd("resume", "shared"))
stored = xr.open_zarr(work / "shared" / "dataset.zarr").load()

# %% [markdown]
# ## Dask
#
# Whatever has `submit` computes units. A `LocalCluster` stands for the cluster that you have; here its workers are
# threads of this process. The numbers are those of the workers above.

# %%
try:
    from dask.distributed import Client, LocalCluster
except ImportError:
    print("Dask is not installed here: pip install '.[cluster]' brings it")
else:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        changes = ss.study.read_changes(SMALLER)
        outcome = ss.study.run("escape", work / "by_dask", executor=client, changes=changes, progress=False)
    same = bool((outcome.dataset.probability == stored.probability).all())
    print(f"{outcome.computed} cells computed by Dask; the same probabilities to the last bit: {same}")

# %% [markdown]
# ## A GPU
#
# On a machine with a GPU install JAX for it (`pip install "jax[cuda13]"`) and give the same commands: JAX takes what
# it finds. What changes is the line that begins with *devices*, and how much it takes to fill them: ask for many
# trajectories there. One process for each GPU is enough, each with its `CUDA_VISIBLE_DEVICES`.

# %%
wells = ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=0.1)
chain = ss.EulerMaruyama(ss.LangevinSGD(wells, ss.noise.Isotropic(32.0), 0.024, 8), dt=0.004)
trajectories = 4_096 if jax.default_backend() == "cpu" else 2**20
print(ss.plan(chain, wells.sharp_minimum, steps=6_250, trajectories=trajectories))

# %% [markdown]
# ## What came out
#
# `sde-sgd report shared`, or this call, writes the study as one HTML file, to hand to a colleague.

# %%
report = ss.study.report_html(work / "shared")
print(f"{report.name}, {report.stat().st_size / 1e6:.2f} MB")

# %% [markdown]
# The picture that answers: the probability of an escape by the horizon, for each learning rate and batch size. It is
# the same along the lines of constant γ/M, which is what the diffusion knows of both; a larger γ/M escapes more often,
# and from the sharp minimum more often than from the flat one.

# %%
figure = ss.plotting.phase_diagram(stored)
figure.savefig("escape_phase_diagram.png", dpi=120)
figure
