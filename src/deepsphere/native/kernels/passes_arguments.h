// What the passes over a signal are called with; plain values, for every instruction set the same.
#pragma once

#include <cstdint>

namespace ds {

// y = pool(activation((z - center) * scale + shift)) of rows of channels; see passes.h.
struct PassArguments {
    int is_double;
    int activation;
    int pooling;
    int64_t group;     // consecutive rows of z that one row of y is pooled from
    int64_t channels;
    const void* z;      // (groups * group, channels)
    const void* center;  // (channels), as are scale and shift
    const void* scale;
    const void* shift;
    const void* grad;        // of y, (groups, channels); for the gradients alone
    const void* mean_grad;   // (channels): what the gradient of z loses at every row, and
    const void* slope_grad;  // (channels): what it loses in proportion to z - center
    void* out;               // y, or the gradient of z
};

// The product of a sparse matrix with every item of a batch; see product.h.
struct ProductArguments {
    int is_double;
    int64_t num_rows, num_columns, channels;
    const int32_t* row_start;
    const int32_t* column;
    const void* value;
    const void* signal;  // (batch, columns, channels)
    void* out;           // (batch, rows, channels)
};

}  // namespace ds
