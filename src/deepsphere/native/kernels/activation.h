// Activations and their derivatives on short vectors, for every kernel that ends in one.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

// Numbers of the activations in the C interface.
constexpr int kIdentity = 0;
constexpr int kRelu = 1;
constexpr int kGelu = 2;

// Whether max(activate(a), activate(b)) = activate(max(a, b)), so that a maximum may come first.
template <int A>
constexpr bool kIsMonotone = A != kGelu;

// e^x of x <= 0, to 1e-7 relative; zero below -80, as what it multiplies must not become subnormal.
template <int N>
static inline Vector<float, N> exponential_below_zero(Vector<float, N> x) {
    typedef Vector<uint32_t, N> Bits;
    constexpr float kLowest = -80.0f, kLog2OfE = 1.44269504f;
    // ln 2 in two parts: the first has few digits, so that its multiples by integers are exact
    constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
    // a number below 2^22 plus this has its nearest integer in the low bits
    constexpr float kRounder = 12582912.0f;
    const auto is_tiny = x < kLowest;
    const Vector<float, N> bounded = is_tiny ? broadcast<float, N>(kLowest) : x;
    const Vector<float, N> rounded = bounded * kLog2OfE + kRounder;
    const Vector<float, N> whole = rounded - kRounder;
    const Vector<float, N> rest = (bounded - whole * kLn2High) - whole * kLn2Low;
    // minimax of the relative error where |rest| <= ln 2 / 2
    Vector<float, N> power = rest * 0.0013836739f + 0.008374899f;
    power = power * rest + 0.041668233f;
    power = power * rest + 0.1666642f;
    power = power * rest + 0.4999999f;
    power = power * rest + 1.0f;
    power = power * rest + 1.0f;
    // times 2^whole, by adding to the exponent
    const Bits scaled = (Bits)power + ((Bits)rounded << 23);
    return is_tiny ? Vector<float, N>{} : (Vector<float, N>)scaled;
}

// The normal distribution at x: its density, and its integral from minus infinity.
template <class T, int N>
struct Normal {
    Vector<T, N> density, integral;
};

template <int N>
static inline Normal<float, N> normal_distribution(Vector<float, N> x) {
    constexpr float kInverseRootOfTwoPi = 0.398942280f;
    const Vector<float, N> size = x < 0.0f ? -x : x;
    const Vector<float, N> bell = exponential_below_zero<N>(size * size * -0.5f);
    // the tail beyond |x| is bell * t P(t), with P minimax of the relative error (3e-8) for |x| < 15
    const Vector<float, N> t = 1.0f / (size * 0.35f + 1.0f);
    Vector<float, N> tail = t * -0.0291639f + 0.1440607f;
    tail = tail * t + -0.25590166f;
    tail = tail * t + 0.15939273f;
    tail = tail * t + -0.023263734f;
    tail = tail * t + 0.105574764f;
    tail = tail * t + 0.119815506f;
    tail = tail * t + 0.13986434f;
    tail = tail * t + 0.13962126f;
    tail = tail * t * bell;
    return {bell * kInverseRootOfTwoPi, x < 0.0f ? tail : 1.0f - tail};
}

template <int N>
static inline Normal<double, N> normal_distribution(Vector<double, N> x) {
    constexpr double kInverseRootOfTwoPi = 0.39894228040143267794;
    constexpr double kRootOfHalf = 0.70710678118654752440;
    Normal<double, N> normal;
    for (int lane = 0; lane < N; ++lane) {
        normal.density[lane] = kInverseRootOfTwoPi * __builtin_exp(-0.5 * x[lane] * x[lane]);
        normal.integral[lane] = 0.5 * __builtin_erfc(-kRootOfHalf * x[lane]);
    }
    return normal;
}

// The activation, lane by lane; a NaN stays one.
template <int A, class T, int N>
static inline Vector<T, N> activate(Vector<T, N> x) {
    static_assert(A == kIdentity || A == kRelu || A == kGelu, "an activation without a formula");
    if constexpr (A == kRelu) return x < T(0) ? Vector<T, N>{} : x;
    if constexpr (A == kGelu) return x * normal_distribution<N>(x).integral;
    return x;
}

// Its derivative; that of the rectifier is zero at zero.
template <int A, class T, int N>
static inline Vector<T, N> derivative(Vector<T, N> x) {
    const Vector<T, N> one = broadcast<T, N>(T(1));
    if constexpr (A == kRelu) return x <= T(0) ? Vector<T, N>{} : one;
    if constexpr (A == kGelu) {
        const Normal<T, N> normal = normal_distribution<N>(x);
        return normal.integral + x * normal.density;
    }
    return one;
}

}  // namespace DS_VARIANT
}  // namespace ds
