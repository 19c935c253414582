"""A CUDA kernel through CuPy: one thread for each trajectory, cuRAND's Philox. Imported only where CuPy is."""

import os
import shutil

import cupy

from .._measure import Contender
from .._problems import DOUBLE_WELL

_THREADS = 256
_SOURCE = r"""
#include <curand_kernel.h>
extern "C" __global__
void double_well(unsigned long long seed, float dt, float amplitude, int trajectories, int steps, float *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= trajectories) return;
    curandStatePhilox4_32_10_t state;
    curand_init(seed, i, 0, &state);
    const float slope = 4.0f * dt;
    float x = -1.0f;
    for (int step = 0; step < steps; step += 4) {
        const float4 z = curand_normal4(&state);
        x = x - slope * x * (x * x - 1.0f) + amplitude * z.x;
        x = x - slope * x * (x * x - 1.0f) + amplitude * z.y;
        x = x - slope * x * (x * x - 1.0f) + amplitude * z.z;
        x = x - slope * x * (x * x - 1.0f) + amplitude * z.w;
    }
    out[i] = x;
}
"""


def contenders(trajectories: int, steps: int) -> list[Contender]:
    """Steps in multiples of 4, the normals of one draw."""
    if steps % 4:
        raise ValueError(f"steps must be a multiple of 4, got {steps}")
    kernel = _kernel()
    blocks = -(-trajectories // _THREADS)

    def run():
        out = cupy.empty(trajectories, cupy.float32)
        scalars = (cupy.uint64(0), cupy.float32(DOUBLE_WELL.dt), cupy.float32(DOUBLE_WELL.amplitude))
        kernel((blocks,), (_THREADS,), (*scalars, cupy.int32(trajectories), cupy.int32(steps), out))
        return cupy.asnumpy(out)

    return [Contender("CuPy kernel, cuRAND Philox", run, trajectories, steps)]


def _kernel():
    """nvcc knows where cuRAND's headers are; without it they are looked for beside the CUDA libraries."""
    if shutil.which("nvcc"):
        return cupy.RawKernel(_SOURCE, "double_well", options=("--use_fast_math",), backend="nvcc")
    root = os.environ.get("CUDA_PATH") or cupy.cuda.get_cuda_path() or ""
    options = ("--use_fast_math", f"-I{os.path.join(root, 'include')}")
    return cupy.RawKernel(_SOURCE, "double_well", options=options, jitify=True)
