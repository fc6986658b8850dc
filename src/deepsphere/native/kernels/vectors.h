// Short vectors of one instruction set, by the vector extensions of GCC and Clang.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ds {
namespace DS_VARIANT {

// Width of the widest registers, in bytes, and how many of them there are.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kRegisters = 32;
#else
constexpr int kVectorBytes = 16;
constexpr int kRegisters = 16;
#endif

// A vector of N scalars; loads and stores need no alignment beyond that of a scalar.
template <class T, int N>
struct VectorOf {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N>
using Vector = typename VectorOf<T, N>::type;

// Scalars in a full register.
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T, int N>
static inline Vector<T, N> load(const T* from) {
    Vector<T, N> value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

template <class T, int N>
static inline void store(T* to, Vector<T, N> value) {
    std::memcpy(to, &value, sizeof(value));
}

// Minus zero, not plus: that would change -0, so the compiler would have to carry it out.
template <class T, int N>
static inline Vector<T, N> broadcast(T scalar) {
    return scalar - Vector<T, N>{};
}

// A store of a whole cache line, or half of one, that leaves no copy in the caches: for results that
// are too large to be read back from there. `to` is aligned to the vector.
template <class T, int N>
static inline void store_past_cache(T* to, Vector<T, N> value) {
#if defined(__AVX512F__)
    if constexpr (N * sizeof(T) == 64) {
        return _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)value);
    }
#elif defined(__AVX2__)
    if constexpr (N * sizeof(T) == 32) {
        return _mm256_stream_si256(reinterpret_cast<__m256i*>(to), (__m256i)value);
    }
#endif
    store<T, N>(to, value);
}

// Larger of two, lane by lane; a NaN in `a` stays.
template <class T, int N>
static inline Vector<T, N> maximum(Vector<T, N> a, Vector<T, N> b) {
    return a < b ? b : a;
}

}  // namespace DS_VARIANT
}  // namespace ds
