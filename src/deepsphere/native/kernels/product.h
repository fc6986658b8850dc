// The product of a sparse matrix with every item of a batch of signals, channels side by side.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include "passes_arguments.h"
#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

// The weights of one row, and where the row begins in the result.
template <class T>
struct ProductRow {
    const int32_t* column;
    const T* value;
    int64_t count;
    T* out;
};

// V vectors of N channels from `first` on, in registers from the first weight to the last. The last
// one is moved back to end with the channels: what two of them compute is the same.
template <class T, int N, int V>
static inline void add_row(const T* signal, int64_t channels, int64_t first, ProductRow<T> row) {
    // sums of every second or fourth weight: one addition need not wait for that before
    constexpr int kApart = V == 1 ? 4 : V == 2 ? 2 : 1;
    const int64_t last = first + V * N > channels ? channels - N : first + (V - 1) * N;
    Vector<T, N> sums[kApart][V] = {};
    int64_t e = 0;
    for (; e + kApart <= row.count; e += kApart) {
        for (int i = 0; i < kApart; ++i) {
            const T* from = signal + static_cast<int64_t>(row.column[e + i]) * channels;
            const T value = row.value[e + i];
            for (int v = 0; v + 1 < V; ++v) sums[i][v] += value * load<T, N>(from + first + v * N);
            sums[i][V - 1] += value * load<T, N>(from + last);
        }
    }
    for (; e < row.count; ++e) {
        const T* from = signal + static_cast<int64_t>(row.column[e]) * channels;
        for (int v = 0; v + 1 < V; ++v) {
            sums[0][v] += row.value[e] * load<T, N>(from + first + v * N);
        }
        sums[0][V - 1] += row.value[e] * load<T, N>(from + last);
    }
    for (int v = 0; v < V; ++v) {
        Vector<T, N> sum = sums[0][v];
        for (int i = 1; i < kApart; ++i) sum += sums[i][v];
        store<T, N>(row.out + (v + 1 < V ? first + v * N : last), sum);
    }
}

// Rows of N channels or more.
template <class T, int N>
static void multiply_rows(const ProductArguments& a, int64_t item, int64_t first, int64_t last) {
    const int64_t channels = a.channels;
    const T* signal = static_cast<const T*>(a.signal) + item * a.num_columns * channels;
    T* out = static_cast<T*>(a.out) + item * a.num_rows * channels;
    for (int64_t r = first; r < last; ++r) {
        const int64_t start = a.row_start[r];
        const ProductRow<T> row{a.column + start, static_cast<const T*>(a.value) + start,
                                a.row_start[r + 1] - start, out + r * channels};
        int64_t c = 0;
        for (; c + 4 * N <= channels; c += 4 * N) add_row<T, N, 4>(signal, channels, c, row);
        const int64_t left = channels - c;
        if (left > 3 * N) add_row<T, N, 4>(signal, channels, c, row);
        else if (left > 2 * N) add_row<T, N, 3>(signal, channels, c, row);
        else if (left > N) add_row<T, N, 2>(signal, channels, c, row);
        else if (left > 0) add_row<T, N, 1>(signal, channels, c, row);
    }
}

// The widest vectors, up to N, that a row fills.
template <class T, int N>
static inline void multiply(const ProductArguments& a, int64_t item, int64_t first, int64_t last) {
    if constexpr (N > 1) {
        if (a.channels < N) return multiply<T, N / 2>(a, item, first, last);
    }
    multiply_rows<T, N>(a, item, first, last);
}

// Rows first..last of one item of the batch; called by passes_api.cpp.
void product_rows(const ProductArguments& a, int64_t item, int64_t first, int64_t last) {
    if (a.is_double) return multiply<double, kLanes<double>>(a, item, first, last);
    multiply<float, kLanes<float>>(a, item, first, last);
}

}  // namespace DS_VARIANT
}  // namespace ds
