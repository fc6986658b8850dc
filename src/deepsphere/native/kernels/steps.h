// One product with the operator on the rows of a tile. Part of variant.cpp.
#pragma once

#include "plan.h"
#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

// What becomes of the product p = L x of a row.
enum class Step {
    kFirst,       // out = p
    kRecurrence,  // out = 2 p - previous
    kAdd,         // out += scale p
    kAddMinus,    // out += scale p - previous
};

template <class T>
struct StepArguments {
    const Run* runs;
    const Run* runs_end;
    const uint16_t* rows;
    const uint16_t* columns;
    const T* weights;
    const T* diagonal;
    const T* signal;
    const T* previous;
    T* out;
    T scale;
    int64_t stride;
};

template <Step kStep, class V, class T>
static inline V finished(V product, const T* previous, const T* out, T scale) {
    V value;
    if constexpr (kStep == Step::kFirst) return product;
    if constexpr (kStep == Step::kRecurrence) {
        std::memcpy(&value, previous, sizeof(V));
        return product + product - value;
    }
    V sum;
    std::memcpy(&sum, out, sizeof(V));
    sum += product * scale;
    if constexpr (kStep == Step::kAddMinus) {
        std::memcpy(&value, previous, sizeof(V));
        sum -= value;
    }
    return sum;
}

constexpr int kUnroll = 4;

// The edges of a large plan come from memory, and in pages that hardware does not look beyond.
template <class T>
static inline void prefetch_edges(const uint16_t* columns, const T* weights) {
    constexpr int kAheadBytes = 2048;
    const char* ahead = reinterpret_cast<const char*>(weights) + kAheadBytes;
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + 64, 0, 2);
    __builtin_prefetch(reinterpret_cast<const char*>(columns) + kAheadBytes / 2, 0, 2);
}

template <class T, int Lanes, int Registers>
static inline void add_edge(const T* from, T weight, Vector<T, Lanes>* sums) {
    const Vector<T, Lanes> factor = broadcast<T, Lanes>(weight);
#pragma GCC unroll 4
    for (int c = 0; c < Registers; ++c) sums[c] += factor * load<T, Lanes>(from + c * Lanes);
}

// Rows of Registers x Lanes scalars; Stride is that of the rows, 0 if only known at run time.
// Several partial sums, where a row is narrow: each sum waits for its own last addition.
template <class T, int Lanes, int Registers, int Stride, Step kStep>
static void step_columns(const StepArguments<T>& a, int64_t first) {
    using V = Vector<T, Lanes>;
    constexpr int kChains = Registers == 1 ? 4 : Registers == 2 ? 2 : 1;
    const int64_t stride = Stride > 0 ? Stride : a.stride;
    const T* signal = a.signal + first;
    for (const Run* run = a.runs; run < a.runs_end; ++run) {
        const int32_t degree = run->degree;
        const uint16_t* columns = a.columns + run->edge;
        const T* weights = a.weights + run->edge;
        for (int32_t i = run->first; i < run->first + run->count; ++i) {
            const int64_t place = a.rows[i] * stride + first;
            V sums[kChains][Registers];
#pragma GCC unroll 4
            for (int c = 0; c < Registers; ++c) {
                sums[0][c] = load<T, Lanes>(a.signal + place + c * Lanes) * a.diagonal[i];
            }
            for (int s = 1; s < kChains; ++s) {
                for (int c = 0; c < Registers; ++c) sums[s][c] = V{};
            }
            prefetch_edges(columns, weights);
            int32_t edge = 0;
            for (; edge + kUnroll <= degree; edge += kUnroll) {
#pragma GCC unroll 4
                for (int u = 0; u < kUnroll; ++u) {
                    add_edge<T, Lanes, Registers>(signal + columns[edge + u] * stride,
                                                  weights[edge + u], sums[u % kChains]);
                }
            }
            for (; edge < degree; ++edge) {
                add_edge<T, Lanes, Registers>(signal + columns[edge] * stride, weights[edge],
                                              sums[0]);
            }
            columns += degree;
            weights += degree;
#pragma GCC unroll 4
            for (int c = 0; c < Registers; ++c) {
                V product = sums[0][c];
                if constexpr (kChains == 2) product += sums[1][c];
                if constexpr (kChains == 4) {
                    product = (product + sums[1][c]) + (sums[2][c] + sums[3][c]);
                }
                const int64_t at = place + c * Lanes;
                store<T, Lanes>(a.out + at, finished<kStep, V, T>(product, a.previous + at,
                                                                  a.out + at, a.scale));
            }
        }
    }
}

// Rows of one scalar.
template <class T, Step kStep>
static void step_scalars(const StepArguments<T>& a) {
    for (const Run* run = a.runs; run < a.runs_end; ++run) {
        const int32_t degree = run->degree;
        const uint16_t* columns = a.columns + run->edge;
        const T* weights = a.weights + run->edge;
        for (int32_t i = run->first; i < run->first + run->count; ++i) {
            const int64_t row = a.rows[i];
            prefetch_edges(columns, weights);
            T sums[kUnroll] = {a.diagonal[i] * a.signal[row]};
            int32_t edge = 0;
            for (; edge + kUnroll <= degree; edge += kUnroll) {
#pragma GCC unroll 4
                for (int u = 0; u < kUnroll; ++u) {
                    sums[u] += weights[edge + u] * a.signal[columns[edge + u]];
                }
            }
            for (; edge < degree; ++edge) sums[0] += weights[edge] * a.signal[columns[edge]];
            columns += degree;
            weights += degree;
            const T product = (sums[0] + sums[1]) + (sums[2] + sums[3]);
            if constexpr (kStep == Step::kFirst) a.out[row] = product;
            if constexpr (kStep == Step::kRecurrence) {
                a.out[row] = product + product - a.previous[row];
            }
            if constexpr (kStep == Step::kAdd) a.out[row] += a.scale * product;
            if constexpr (kStep == Step::kAddMinus) {
                a.out[row] += a.scale * product - a.previous[row];
            }
        }
    }
}

// Scalars in a row of `width` values: one, or whole short vectors.
template <class T>
static inline int64_t padded_width(int64_t width) {
    constexpr int64_t kFull = kLanes<T>;
    if (width == 1) return 1;
    if (kFull >= 16 && width <= kFull / 4) return kFull / 4;
    if (kFull >= 8 && width <= kFull / 2) return kFull / 2;
    return (width + kFull - 1) / kFull * kFull;
}

template <class T, Step kStep>
static void step(const StepArguments<T>& a) {
    constexpr int kFull = kLanes<T>;
    if (a.stride == 1) return step_scalars<T, kStep>(a);
    if constexpr (kFull >= 16) {
        if (a.stride == kFull / 4) return step_columns<T, kFull / 4, 1, kFull / 4, kStep>(a, 0);
    }
    if constexpr (kFull >= 8) {
        if (a.stride == kFull / 2) return step_columns<T, kFull / 2, 1, kFull / 2, kStep>(a, 0);
    }
    switch (a.stride / kFull) {
        case 1: return step_columns<T, kFull, 1, kFull, kStep>(a, 0);
        case 2: return step_columns<T, kFull, 2, 2 * kFull, kStep>(a, 0);
        case 3: return step_columns<T, kFull, 3, 3 * kFull, kStep>(a, 0);
        case 4: return step_columns<T, kFull, 4, 4 * kFull, kStep>(a, 0);
    }
    int64_t first = 0;
    for (; first + 4 * kFull <= a.stride; first += 4 * kFull) {
        step_columns<T, kFull, 4, 0, kStep>(a, first);
    }
    for (; first + 2 * kFull <= a.stride; first += 2 * kFull) {
        step_columns<T, kFull, 2, 0, kStep>(a, first);
    }
    if (first < a.stride) step_columns<T, kFull, 1, 0, kStep>(a, first);
}

}  // namespace DS_VARIANT
}  // namespace ds
