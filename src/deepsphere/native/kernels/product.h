// The product of a sparse matrix with every item of a batch of signals, channels side by side.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include "passes_arguments.h"
#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

// V vectors of N channels of one row, in registers from the first weight to the last.
template <class T, int N, int V>
static inline void add_row(const T* signal, int64_t channels, const int32_t* column, const T* value,
                           int64_t count, T* out) {
    Vector<T, N> sums[V] = {};
    for (int64_t e = 0; e < count; ++e) {
        const T* from = signal + static_cast<int64_t>(column[e]) * channels;
        for (int v = 0; v < V; ++v) sums[v] += value[e] * load<T, N>(from + v * N);
    }
    for (int v = 0; v < V; ++v) store<T, N>(out + v * N, sums[v]);
}

// One channel: four weights at a time, for the sum of one would wait for that before.
template <class T>
static inline T sum_row(const T* signal, const int32_t* column, const T* value, int64_t count) {
    T sums[4] = {};
    int64_t e = 0;
    for (; e + 4 <= count; e += 4) {
        for (int i = 0; i < 4; ++i) sums[i] += value[e + i] * signal[column[e + i]];
    }
    for (; e < count; ++e) sums[0] += value[e] * signal[column[e]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
static void multiply_rows(const ProductArguments& a, int64_t item, int64_t first, int64_t last) {
    constexpr int kFull = kLanes<T>, kQuarter = kFull < 4 ? 1 : kFull / 4;
    const T* signal = static_cast<const T*>(a.signal) + item * a.num_columns * a.channels;
    T* out = static_cast<T*>(a.out) + item * a.num_rows * a.channels;
    for (int64_t row = first; row < last; ++row) {
        const int64_t start = a.row_start[row], count = a.row_start[row + 1] - start;
        const int32_t* column = a.column + start;
        const T* value = static_cast<const T*>(a.value) + start;
        T* to = out + row * a.channels;
        if (a.channels == 1) {
            *to = sum_row(signal, column, value, count);
            continue;
        }
        int64_t c = 0;
        for (; c + 4 * kFull <= a.channels; c += 4 * kFull) {
            add_row<T, kFull, 4>(signal + c, a.channels, column, value, count, to + c);
        }
        for (; c + kFull <= a.channels; c += kFull) {
            add_row<T, kFull, 1>(signal + c, a.channels, column, value, count, to + c);
        }
        for (; c + kQuarter <= a.channels; c += kQuarter) {
            add_row<T, kQuarter, 1>(signal + c, a.channels, column, value, count, to + c);
        }
        for (; c < a.channels; ++c) {
            add_row<T, 1, 1>(signal + c, a.channels, column, value, count, to + c);
        }
    }
}

// Rows first..last of one item of the batch; called by passes_api.cpp.
void product_rows(const ProductArguments& a, int64_t item, int64_t first, int64_t last) {
    if (a.is_double) return multiply_rows<double>(a, item, first, last);
    multiply_rows<float>(a, item, first, last);
}

}  // namespace DS_VARIANT
}  // namespace ds
