"""CUDA kernels through CuPy: one thread for each trajectory, cuRAND's Philox or our Threefry. Only where CuPy is."""

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
# the same generator as ours: two normals a hash, counted by (trajectory, pair of steps)
_THREEFRY = r"""
#define ROUND(r) x0 += x1; x1 = ((x1 << r) | (x1 >> (32 - r))) ^ x0;
#define EVEN ROUND(13) ROUND(15) ROUND(26) ROUND(6)
#define ODD ROUND(17) ROUND(29) ROUND(16) ROUND(24)
extern "C" __global__
void double_well(unsigned int k0, unsigned int k1, float dt, float amplitude, int trajectories, int steps, float *out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= trajectories) return;
    const unsigned int k2 = k0 ^ k1 ^ 0x1BD11BDAu;
    const float slope = 4.0f * dt;
    float x = -1.0f;
    for (int pair = 0; pair < steps / 2; pair++) {
        unsigned int x0 = i + k0, x1 = pair + k1;
        EVEN x0 += k1; x1 += k2 + 1u;
        ODD x0 += k2; x1 += k0 + 2u;
        EVEN x0 += k0; x1 += k1 + 3u;
        ODD x0 += k1; x1 += k2 + 4u;
        EVEN x0 += k2; x1 += k0 + 5u;
        const float radius = sqrtf(-2.0f * logf(((float)x0 + 0.5f) * 0x1p-32f));
        float sine, cosine;
        sincosf((float)(int)x1 * (3.14159265358979f * 0x1p-31f), &sine, &cosine);
        x = x - slope * x * (x * x - 1.0f) + amplitude * radius * cosine;
        x = x - slope * x * (x * x - 1.0f) + amplitude * radius * sine;
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


def with_threefry(trajectories: int, steps: int) -> list[Contender]:
    """The same with a hash for every two steps, written out, and the device's own fast logarithm, sine and cosine."""
    if steps % 2:
        raise ValueError(f"steps must be even, got {steps}")
    kernel = cupy.RawKernel(_THREEFRY, "double_well", options=("--use_fast_math",))
    blocks = -(-trajectories // _THREADS)

    def run():
        out = cupy.empty(trajectories, cupy.float32)
        scalars = (cupy.uint32(1), cupy.uint32(2), cupy.float32(DOUBLE_WELL.dt), cupy.float32(DOUBLE_WELL.amplitude))
        kernel((blocks,), (_THREADS,), (*scalars, cupy.int32(trajectories), cupy.int32(steps), out))
        return cupy.asnumpy(out)

    return [Contender("CuPy kernel, Threefry", run, trajectories, steps)]


def _kernel():
    """nvcc knows where cuRAND's headers are; without it they are looked for beside the CUDA libraries."""
    if shutil.which("nvcc"):
        return cupy.RawKernel(_SOURCE, "double_well", options=("--use_fast_math",), backend="nvcc")
    root = os.environ.get("CUDA_PATH") or cupy.cuda.get_cuda_path() or ""
    options = ("--use_fast_math", f"-I{os.path.join(root, 'include')}")
    return cupy.RawKernel(_SOURCE, "double_well", options=options, jitify=True)
