// Short vectors of one instruction set, by the vector extensions of GCC and Clang.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

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

template <class T, int N>
static inline Vector<T, N> broadcast(T scalar) {
    return Vector<T, N>{} + scalar;
}

// Larger of two, lane by lane; a NaN in `a` stays.
template <class T, int N>
static inline Vector<T, N> maximum(Vector<T, N> a, Vector<T, N> b) {
    return a < b ? b : a;
}

}  // namespace DS_VARIANT
}  // namespace ds
