// Small dense products on the rows of a tile. Part of variant.cpp.
#pragma once

#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

// Columns of a panel of weights: two full registers, so that an accumulator block of
// kBlockRows x 2 registers and two of weights fit.
template <class T>
constexpr int kPanelColumns = 2 * kLanes<T>;
constexpr int kBlockRows = kRegisters >= 32 ? 12 : 6;

// Weights (orders, inputs, outputs) at any strides, copied to panels (panel, order, input, column)
// with zeros beyond the last output.
template <class T>
static void pack_weights(const T* weight, int64_t orders, int64_t inputs, int64_t outputs,
                         int64_t order_stride, int64_t input_stride, int64_t output_stride,
                         T* packed) {
    constexpr int kWide = kPanelColumns<T>;
    for (int64_t first = 0; first < outputs; first += kWide) {
        const int64_t columns = outputs - first < kWide ? outputs - first : kWide;
        for (int64_t k = 0; k < orders; ++k) {
            for (int64_t i = 0; i < inputs; ++i) {
                const T* row = weight + k * order_stride + i * input_stride + first * output_stride;
                if (output_stride == 1 && columns == kWide) {
                    std::memcpy(packed, row, kWide * sizeof(T));
                    packed += kWide;
                    continue;
                }
                for (int64_t c = 0; c < columns; ++c) packed[c] = row[c * output_stride];
                for (int64_t c = columns; c < kWide; ++c) packed[c] = 0;
                packed += kWide;
            }
        }
    }
}

template <class T>
static inline int64_t packed_size(int64_t orders, int64_t inputs, int64_t outputs) {
    constexpr int kWide = kPanelColumns<T>;
    return (outputs + kWide - 1) / kWide * kWide * orders * inputs;
}

// A product of bases with weights: the sum over orders k and inputs i of
// bases[k][offset + row * stride + i] times row (k, i) of a panel of weights.
template <class T>
struct Product {
    const T* const* bases;
    int64_t offset, stride;
    int64_t orders, inputs;
    const T* panel;
    int64_t panel_stride;  // of its rows
};

// Where results go, rows `stride` apart. Final ones are not read again soon: they go past the
// caches, and each row is aligned to a register.
template <class T>
struct Target {
    T* values;
    int64_t stride;
    bool is_final;
};

// Rows first .. first + Rows - 1 of a product, Lanes x Registers columns.
template <class T, int Lanes, int Registers, int Rows>
static inline void multiply_rows(const Product<T>& p, int64_t first, const Target<T>& target) {
    Vector<T, Lanes> sums[Rows][Registers];
    for (int r = 0; r < Rows; ++r) {
        for (int c = 0; c < Registers; ++c) sums[r][c] = Vector<T, Lanes>{};
    }
    const T* panel = p.panel;
    const int64_t stride = p.stride, panel_stride = p.panel_stride;
    for (int64_t k = 0; k < p.orders; ++k) {
        const T* rows = p.bases[k] + p.offset + first * stride;
        for (int64_t i = 0; i < p.inputs; ++i) {
            Vector<T, Lanes> weights[Registers];
#pragma GCC unroll 4
            for (int c = 0; c < Registers; ++c) weights[c] = load<T, Lanes>(panel + c * Lanes);
            panel += panel_stride;
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
                const Vector<T, Lanes> value = broadcast<T, Lanes>(rows[r * stride + i]);
#pragma GCC unroll 4
                for (int c = 0; c < Registers; ++c) sums[r][c] += value * weights[c];
            }
        }
    }
    T* out = target.values + first * target.stride;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int c = 0; c < Registers; ++c) {
            T* to = out + r * target.stride + c * Lanes;
            if (target.is_final) {
                store_past_cache<T, Lanes>(to, sums[r][c]);
            } else {
                store<T, Lanes>(to, sums[r][c]);
            }
        }
    }
}

template <class T, int Lanes, int Registers>
static void multiply_columns(int64_t num_rows, const Product<T>& p, const Target<T>& target) {
    int64_t row = 0;
    for (; row + kBlockRows <= num_rows; row += kBlockRows) {
        multiply_rows<T, Lanes, Registers, kBlockRows>(p, row, target);
    }
    for (; row + 4 <= num_rows; row += 4) multiply_rows<T, Lanes, Registers, 4>(p, row, target);
    for (; row < num_rows; ++row) multiply_rows<T, Lanes, Registers, 1>(p, row, target);
}

// The first `columns` <= kPanelColumns columns, in the narrowest registers that hold them: writes
// written_columns(columns) of them.
template <class T>
static void multiply(int64_t num_rows, int64_t columns, const Product<T>& p,
                     const Target<T>& target) {
    constexpr int kFull = kLanes<T>;
    if (columns > kFull) return multiply_columns<T, kFull, 2>(num_rows, p, target);
    if constexpr (kFull >= 16) {
        if (columns <= kFull / 4) return multiply_columns<T, kFull / 4, 1>(num_rows, p, target);
    }
    if constexpr (kFull >= 8) {
        if (columns <= kFull / 2) return multiply_columns<T, kFull / 2, 1>(num_rows, p, target);
    }
    multiply_columns<T, kFull, 1>(num_rows, p, target);
}

template <class T>
static inline int64_t written_columns(int64_t columns) {
    constexpr int kFull = kLanes<T>;
    if (columns > kFull) return 2 * kFull;
    if (kFull >= 16 && columns <= kFull / 4) return kFull / 4;
    if (kFull >= 8 && columns <= kFull / 2) return kFull / 2;
    return kFull;
}

// sums[i * sums_stride + c] += sum over rows of left[row * left_stride + i] * right[row *
// right_stride + c], for Inputs values of i and Lanes x Registers columns.
template <class T, int Lanes, int Registers, int Inputs>
static inline void correlate_block(int64_t num_rows, const T* left, int64_t left_stride,
                                   const T* right, int64_t right_stride, T* sums,
                                   int64_t sums_stride) {
    Vector<T, Lanes> totals[Inputs][Registers];
    for (int i = 0; i < Inputs; ++i) {
        for (int c = 0; c < Registers; ++c) {
            totals[i][c] = load<T, Lanes>(sums + i * sums_stride + c * Lanes);
        }
    }
    for (int64_t row = 0; row < num_rows; ++row) {
        Vector<T, Lanes> values[Registers];
#pragma GCC unroll 4
        for (int c = 0; c < Registers; ++c) values[c] = load<T, Lanes>(right + c * Lanes);
#pragma GCC unroll 16
        for (int i = 0; i < Inputs; ++i) {
            const Vector<T, Lanes> factor = broadcast<T, Lanes>(left[i]);
#pragma GCC unroll 4
            for (int c = 0; c < Registers; ++c) totals[i][c] += factor * values[c];
        }
        left += left_stride;
        right += right_stride;
    }
    for (int i = 0; i < Inputs; ++i) {
        for (int c = 0; c < Registers; ++c) {
            store<T, Lanes>(sums + i * sums_stride + c * Lanes, totals[i][c]);
        }
    }
}

template <class T, int Lanes, int Registers>
static void correlate_columns(int64_t num_rows, int64_t inputs, const T* left, int64_t left_stride,
                              const T* right, int64_t right_stride, T* sums, int64_t sums_stride) {
    constexpr int kMany = kRegisters >= 32 ? 8 : 4;
    int64_t i = 0;
    for (; i + kMany <= inputs; i += kMany) {
        correlate_block<T, Lanes, Registers, kMany>(num_rows, left + i, left_stride, right,
                                                    right_stride, sums + i * sums_stride,
                                                    sums_stride);
    }
    for (; i + 2 <= inputs; i += 2) {
        correlate_block<T, Lanes, Registers, 2>(num_rows, left + i, left_stride, right,
                                                right_stride, sums + i * sums_stride, sums_stride);
    }
    for (; i < inputs; ++i) {
        correlate_block<T, Lanes, Registers, 1>(num_rows, left + i, left_stride, right,
                                                right_stride, sums + i * sums_stride, sums_stride);
    }
}

// Adds left^T right to sums (inputs, sums_stride); sums_stride is a multiple of a full register,
// and reads of `right` reach up to a register beyond its last column.
template <class T>
static void correlate(int64_t num_rows, int64_t inputs, const T* left, int64_t left_stride,
                      int64_t columns, const T* right, int64_t right_stride, T* sums,
                      int64_t sums_stride) {
    constexpr int kFull = kLanes<T>;
    for (int64_t c = 0; c < columns;) {
        if (columns - c > kFull) {
            correlate_columns<T, kFull, 2>(num_rows, inputs, left, left_stride, right + c,
                                           right_stride, sums + c, sums_stride);
            c += 2 * kFull;
        } else {
            correlate_columns<T, kFull, 1>(num_rows, inputs, left, left_stride, right + c,
                                           right_stride, sums + c, sums_stride);
            c += kFull;
        }
    }
}

}  // namespace DS_VARIANT
}  // namespace ds
