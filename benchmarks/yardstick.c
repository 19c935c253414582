/* Euler-Maruyama on the 1-D double well by hand: what the hardware allows.
 *
 *     V(x) = (x^2 - 1)^2,   x' = x - 4 dt x (x^2 - 1) + amplitude * normal
 *
 * The random numbers are those of sde_sgd, draw for draw: Threefry-2x32-20 counts (trajectory, pair of steps) under
 * the component's key, and each hash gives the normals of two consecutive steps by Box and Muller with the same
 * polynomials. So the final states agree with `sde_sgd.simulate` up to rounding.
 *
 * LANES trajectories advance together: a loop over them is one run of vector instructions without a branch, and
 * their states stay in the nearest cache for all steps. Threads share the groups of LANES.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 128

typedef struct { uint32_t first, second; } Words;

static inline uint32_t bits_of(float x) { uint32_t bits; memcpy(&bits, &x, sizeof bits); return bits; }
static inline float float_of(uint32_t bits) { float x; memcpy(&x, &bits, sizeof x); return x; }

#define ROUND(rotation) \
    x0 += x1; \
    x1 = ((x1 << (rotation)) | (x1 >> (32 - (rotation)))) ^ x0;
#define FOUR_EVEN ROUND(13) ROUND(15) ROUND(26) ROUND(6)
#define FOUR_ODD ROUND(17) ROUND(29) ROUND(16) ROUND(24)
#define INJECT(a, b, count) x0 += (a); x1 += (b) + (count);

static inline Words threefry2x32(Words key, uint32_t x0, uint32_t x1) {
    const uint32_t k0 = key.first, k1 = key.second, k2 = k0 ^ k1 ^ 0x1BD11BDAu;
    x0 += k0;
    x1 += k1;
    FOUR_EVEN INJECT(k1, k2, 1u)
    FOUR_ODD INJECT(k2, k0, 2u)
    FOUR_EVEN INJECT(k0, k1, 3u)
    FOUR_ODD INJECT(k1, k2, 4u)
    FOUR_EVEN INJECT(k2, k0, 5u)
    return (Words){x0, x1};
}

/* Natural logarithm of a normal positive float (Cephes logf). */
static inline float logarithm(float x) {
    const int32_t shifted = (int32_t)bits_of(x) - 0x3F3504F3;
    const float exponent = (float)(shifted >> 23);
    const float f = float_of((uint32_t)((shifted & 0x7FFFFF) + 0x3F3504F3)) - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const float square = f * f;
    return exponent * 0.6931471805599453f + (f + (f * square * p - 0.5f * square));
}

static inline void normals(Words w, float *even, float *odd) {
    const float high = (float)(int32_t)(w.first >> 16), low = (float)(int32_t)(w.first & 0xFFFFu);
    const float uniform = (high * 65536.0f + (low + 0.5f)) * 0x1p-32f;
    const float radius = sqrtf(-2.0f * logarithm(uniform));
    const float angle = (float)(int32_t)(w.second << 2) * (3.14159265358979f * 0x1p-33f);
    const float a2 = angle * angle;
    const float sine = angle + angle * a2 * ((-1.9515295891e-4f * a2 + 8.3321608736e-3f) * a2 - 1.6666654611e-1f);
    const float cosine =
        1.0f - 0.5f * a2 + a2 * a2 * ((2.443315711809948e-5f * a2 - 1.388731625493765e-3f) * a2 + 4.166664568298827e-2f);
    /* the top two bits choose the quadrant */
    const uint32_t swap = 0u - ((w.second >> 30) & 1u);
    const uint32_t s = bits_of(sine), c = bits_of(cosine);
    const uint32_t sign_odd = w.second & 0x80000000u, sign_even = sign_odd ^ (swap & 0x80000000u);
    *even = radius * float_of(((s & swap) | (c & ~swap)) ^ sign_even);
    *odd = radius * float_of(((c & swap) | (s & ~swap)) ^ sign_odd);
}

/* Final states of `trajectories` (a multiple of LANES) trajectories after `steps` (an even number of) steps. */
void double_well(
    uint32_t seed_low, uint32_t seed_high, float start, float dt, float amplitude,
    int64_t trajectories, int64_t steps, float *states
) {
    const Words key = threefry2x32((Words){seed_low, seed_high}, 0u, 0u);
    const float slope = 4.0f * dt;
#pragma omp parallel for schedule(static)
    for (int64_t group = 0; group < trajectories / LANES; group++) {
        float x[LANES];
        for (int lane = 0; lane < LANES; lane++) x[lane] = start;
        for (uint32_t pair = 0; pair < (uint32_t)(steps / 2); pair++) {
#pragma omp simd
            for (int lane = 0; lane < LANES; lane++) {
                float even, odd, y = x[lane];
                normals(threefry2x32(key, (uint32_t)(group * LANES + lane), pair), &even, &odd);
                y = y - slope * y * (y * y - 1.0f) + amplitude * even;
                x[lane] = y - slope * y * (y * y - 1.0f) + amplitude * odd;
            }
        }
        memcpy(states + group * LANES, x, sizeof x);
    }
}
