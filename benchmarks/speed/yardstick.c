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

/* -2 ln(x / 2^32) of a normal positive float. */
static inline float minus_two_log(float x) {
    const int32_t shifted = (int32_t)bits_of(x) - (0x3F3504F3 + (32 << 23));
    const float exponent = (float)(shifted >> 23);
    const float f = float_of((uint32_t)((shifted & 0x7FFFFF) + 0x3F3504F3)) - 1.0f;
    float p = 0.2044883f;
    p = p * f - 0.3228247f;
    p = p * f + 0.34333732f;
    p = p * f - 0.39820458f;
    p = p * f + 0.49961152f;
    p = p * f - 0.66669382f;
    return exponent * (-2 * 0.6931471805599453f) + (f * f * (f * p + 1.0f) - (f + f));
}

static inline void normals(Words w, float *even, float *odd) {
    const float high = (float)(int32_t)(w.first >> 16), low = (float)(int32_t)(w.first & 0xFFFFu);
    const float length = sqrtf(minus_two_log(high * 65536.0f + (low + 0.5f)));
    /* the top bit chooses the half of the circle */
    const float radius = float_of(bits_of(length) ^ (w.second & 0x80000000u));
    const float angle = (float)(int32_t)(w.second << 1) * (3.14159265358979f * 0x1p-32f);
    const float a2 = angle * angle;
    const float sine =
        angle + angle * a2 * (((2.60006259e-6f * a2 - 1.98066189e-4f) * a2 + 8.33301734e-3f) * a2 - 1.66666571e-1f);
    const float cosine = 1.0f + a2 * (a2 * ((2.33793892e-5f * a2 - 1.38652316e-3f) * a2 + 4.16654401e-2f) - 0.5f);
    *even = radius * cosine;
    *odd = radius * sine;
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
