// What the filter is called with, through the C interface.
#pragma once

#include <cstdint>

namespace ds {

constexpr int kMostOrders = 32;

constexpr int kSideInput = 0;   // a basis of the input, then the weights
constexpr int kSideOutput = 1;  // Clenshaw's recurrence on the output

constexpr int kPoolNone = 0;
constexpr int kPoolMax = 1;
constexpr int kPoolMean = 2;

// out = sum_k T_k(L) signal W_k, and where `scale` is given
// out = pool(activation(that * scale + shift)) over `group` consecutive vertices.
struct FilterArguments {
    int64_t batch, num_vertices, out_vertices, in_channels, out_channels, orders;
    const void* signal;         // (batch, num_vertices, in_channels) at any strides
    int64_t signal_strides[3];  // in scalars
    const void* weight;         // (orders, in_channels, out_channels) at any strides
    int64_t weight_strides[3];  // in scalars
    void* out;                  // (batch, out_vertices, out_channels)
    const void* scale;          // (out_channels,) or null
    const void* shift;          // (out_channels,)
    double* mean;               // (out_channels,) of the filtered signal, or null
    double* variance;           // (out_channels,), biased
    int64_t group;              // vertices that are pooled; 1 if none are
    int32_t pool, activation, side, threads;
    int32_t is_final;  // the result is too large to be read back from a cache
};

// Both gradients by one basis of `spread`: d_other = sum_k T_k(L) spread W_k and
// correlation[k] = other^T T_k(L) spread. L is the transpose of the operator that was applied
// where spread is the gradient of its output.
struct GradientArguments {
    int64_t batch, num_vertices, other_channels, spread_channels, orders;
    const void* spread;         // (batch, num_vertices, spread_channels) at any strides
    int64_t spread_strides[3];  // in scalars
    const void* other;          // (batch, num_vertices, other_channels)
    const void* weight;         // (orders, spread_channels, other_channels) at any strides
    int64_t weight_strides[3];  // in scalars
    void* other_gradient;       // (batch, num_vertices, other_channels) or null
    void* correlation;          // (orders, other_channels, spread_channels)
    int32_t threads;
    int32_t is_final;  // as above, of other_gradient
};

}  // namespace ds
