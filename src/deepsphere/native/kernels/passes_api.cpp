// The C interface of what follows a filter: normalization, activation and pooling in one pass, its
// gradient, and the product of a rectangular sparse matrix with a batch.
#include <cstddef>
#include <vector>

#include "dispatch.h"
#include "passes_arguments.h"
#include "threads.h"

DS_IN_VARIANTS(
    void pass_forward(const PassArguments&, int64_t first, int64_t last);
    void pass_sums(const PassArguments&, int64_t first, int64_t last, double* sums);
    void pass_gradient(const PassArguments&, int64_t first, int64_t last);
    void product_rows(const ProductArguments&, int64_t item, int64_t first, int64_t last);)

namespace ds {
namespace {

// Scalars of one piece of work; sums are taken piece by piece, so this is part of their result.
constexpr int64_t kScalarsPerPiece = int64_t{1} << 16;

struct Pieces {
    int64_t total, step, count;

    Pieces(int64_t total_, int64_t scalars_each) : total(total_) {
        step = scalars_each < kScalarsPerPiece ? kScalarsPerPiece / scalars_each : 1;
        count = (total + step - 1) / step;
    }
    int64_t first(int64_t piece) const { return piece * step; }
    int64_t last(int64_t piece) const {
        return (piece + 1) * step < total ? (piece + 1) * step : total;
    }
};

PassArguments pass_arguments(int dtype, int activation, int pooling, int64_t group,
                             int64_t channels, const void* z, const void* center,
                             const void* scale, const void* shift) {
    PassArguments a{};
    a.is_double = dtype;
    a.activation = activation;
    a.pooling = pooling;
    a.group = group;
    a.channels = channels;
    a.z = z;
    a.center = center;
    a.scale = scale;
    a.shift = shift;
    return a;
}

}  // namespace
}  // namespace ds

// y = pool(activation((z - center) * scale + shift)).
DS_EXPORT void ds_pass_forward(int dtype, int activation, int pooling, int64_t num_groups,
                               int64_t group, int64_t channels, const void* z, const void* center,
                               const void* scale, const void* shift, void* out, int num_threads) {
    ds::PassArguments a = ds::pass_arguments(dtype, activation, pooling, group, channels, z,
                                             center, scale, shift);
    a.out = out;
    const ds::Pieces pieces(num_groups, group * channels);
    const auto forward = DS_PICK(pass_forward);
    ds::parallel_for(pieces.count, ds::effective_threads(num_threads), [&](long piece) {
        forward(a, pieces.first(piece), pieces.last(piece));
    });
}

// The gradients of shift and of scale, into `sums` (2, channels), whatever the number of threads.
DS_EXPORT void ds_pass_sums(int dtype, int activation, int pooling, int64_t num_groups,
                            int64_t group, int64_t channels, const void* grad, const void* z,
                            const void* center, const void* scale, const void* shift, double* sums,
                            int num_threads) {
    ds::PassArguments a = ds::pass_arguments(dtype, activation, pooling, group, channels, z,
                                             center, scale, shift);
    a.grad = grad;
    const ds::Pieces pieces(num_groups, group * channels);
    std::vector<double> parts(static_cast<std::size_t>(pieces.count * 2 * channels));
    const auto add_sums = DS_PICK(pass_sums);
    ds::parallel_for(pieces.count, ds::effective_threads(num_threads), [&](long piece) {
        add_sums(a, pieces.first(piece), pieces.last(piece), &parts[piece * 2 * channels]);
    });
    for (int64_t i = 0; i < 2 * channels; ++i) {
        double sum = 0;
        for (int64_t piece = 0; piece < pieces.count; ++piece) sum += parts[piece * 2 * channels + i];
        sums[i] = sum;
    }
}

// The gradient of z: scale * (g - mean_grad - (z - center) * slope_grad), g before the activation.
DS_EXPORT void ds_pass_gradient(int dtype, int activation, int pooling, int64_t num_groups,
                                int64_t group, int64_t channels, const void* grad, const void* z,
                                const void* center, const void* scale, const void* shift,
                                const void* mean_grad, const void* slope_grad, void* out,
                                int num_threads) {
    ds::PassArguments a = ds::pass_arguments(dtype, activation, pooling, group, channels, z,
                                             center, scale, shift);
    a.grad = grad;
    a.mean_grad = mean_grad;
    a.slope_grad = slope_grad;
    a.out = out;
    const ds::Pieces pieces(num_groups, group * channels);
    const auto write_gradient = DS_PICK(pass_gradient);
    ds::parallel_for(pieces.count, ds::effective_threads(num_threads), [&](long piece) {
        write_gradient(a, pieces.first(piece), pieces.last(piece));
    });
}

// The product of a matrix (rows, columns) with each item of a signal (batch, columns, channels).
DS_EXPORT void ds_sparse_product(int dtype, int64_t batch, int64_t num_rows, int64_t num_columns,
                                 int64_t channels, const int32_t* row_start, const int32_t* column,
                                 const void* value, const void* signal, void* out,
                                 int num_threads) {
    ds::ProductArguments a{};
    a.is_double = dtype;
    a.num_rows = num_rows;
    a.num_columns = num_columns;
    a.channels = channels;
    a.row_start = row_start;
    a.column = column;
    a.value = value;
    a.signal = signal;
    a.out = out;
    if (num_rows == 0) return;
    const ds::Pieces pieces(num_rows, (row_start[num_rows] / num_rows + 1) * channels);
    const auto multiply = DS_PICK(product_rows);
    ds::parallel_for(batch * pieces.count, ds::effective_threads(num_threads), [&](long index) {
        const int64_t item = index / pieces.count, piece = index % pieces.count;
        multiply(a, item, pieces.first(piece), pieces.last(piece));
    });
}
