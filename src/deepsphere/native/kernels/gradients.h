// Gradients of the polynomial filter on tiles. Part of variant.cpp.
#pragma once

#include "filter.h"

namespace ds {
namespace DS_VARIANT {

// Sums that all shares of the work may have together, beyond one share a thread.
constexpr int64_t kMostSums = int64_t{1} << 19;
// Rows of a correlation that stay in the first-level cache.
constexpr int64_t kCorrelatedRows = 96;

template <class T>
static inline int64_t sums_stride(int64_t channels) {
    return (channels + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

// Which of the two has its channels in registers: those of a thin one would be mostly empty.
template <class T>
static inline bool has_wide_other(const GradientArguments& g) {
    return g.spread_channels < kLanes<T> && g.other_channels > g.spread_channels;
}

// Sums of the products of a share of the work: single values over some thousand rows, which go to a
// total in double precision before their rounding errors add up.
template <class T>
struct Sums {
    T* recent;
    double* totals;
    int64_t size, num_rows;

    void add(int64_t rows) {
        num_rows += rows;
        if (num_rows >= kSummedRows) flush();
    }
    void flush() {
        for (int64_t i = 0; i < size; ++i) {
            totals[i] += static_cast<double>(recent[i]);
            recent[i] = 0;
        }
        num_rows = 0;
    }
    static constexpr int64_t kSummedRows = 4096;
};

// One tile and group: a basis of `spread`, which serves both gradients.
template <class T>
static int gradients_of_tile(const GradientArguments& g, const FilterArguments& mixing,
                             const Tile& tile, const Group& group, const T* packed, Sums<T>& sums) {
    const int64_t orders = g.orders, stride = group.stride, num_own = tile.sizes[0];
    const int64_t others = g.other_channels, spreads = g.spread_channels;
    const bool is_other_wide = has_wide_other<T>(g);
    // registers reach beyond the last value, which they must not in memory of the caller
    const bool is_gathered = tile.own != nullptr || is_other_wide;
    const int64_t kept = is_gathered ? num_own * others : 0;
    int64_t bytes = taken_bytes<T>(kPanelColumns<T> * chunk_rows(1)) + taken_bytes<T>(kept);
    for (int64_t k = 0; k < orders; ++k) {
        bytes += taken_bytes<T>(tile.sizes[orders - 1 - k] * stride);
    }
    char* memory = static_cast<char*>(scratch(static_cast<size_t>(bytes)));
    if (memory == nullptr) return 2;
    T* block = take<T>(memory, kPanelColumns<T> * chunk_rows(1));
    T* gathered = take<T>(memory, kept);
    T* bases[kMostOrders];
    for (int64_t k = 0; k < orders; ++k) {
        bases[k] = take<T>(memory, tile.sizes[orders - 1 - k] * stride);
    }
    load_tile(signal_at<T>(g.spread, g.spread_strides, spreads, group.first), group.items, tile,
              tile.sizes[orders - 1] - num_own, bases[0], stride);
    make_basis(tile, orders, stride, bases);
    for (int64_t item = 0; item < group.items; ++item) {
        const int64_t place = (group.first + item) * g.num_vertices * others;
        if (g.other_gradient != nullptr) {
            mix_channels<T>(mixing, tile, bases, item * spreads, stride, spreads,
                            packed_panels(packed, orders, spreads), Columns{0, others}, block,
                            static_cast<T*>(g.other_gradient) + place, nullptr);
        }
        const T* other = static_cast<const T*>(g.other) + place + tile.first * others;
        if (is_gathered) {
            const T* item_values = static_cast<const T*>(g.other) + place;
            load_tile(Signal<T>{item_values, 0, others, 1, others}, 1, tile, 0, gathered, others);
            other = gathered;
        }
        for (int64_t row = 0; row < num_own; row += kCorrelatedRows) {
            const int64_t rows = num_own - row < kCorrelatedRows ? num_own - row : kCorrelatedRows;
            for (int64_t k = 0; k < orders; ++k) {
                const T* basis = bases[k] + row * stride + item * spreads;
                const T* kept_rows = other + row * others;
                if (is_other_wide) {
                    const int64_t width = sums_stride<T>(others);
                    correlate<T>(rows, spreads, basis, stride, others, kept_rows, others,
                                 sums.recent + k * spreads * width, width);
                } else {
                    const int64_t width = sums_stride<T>(spreads);
                    correlate<T>(rows, others, kept_rows, others, spreads, basis, stride,
                                 sums.recent + k * others * width, width);
                }
            }
            sums.add(rows);
        }
    }
    return 0;
}

// Returns 0, or 2 where memory is short.
template <class T>
int run_gradients(const GradientArguments& g, const Plan& plan) {
    const int threads = effective_threads(g.threads);
    const int64_t items = items_side_by_side<T>(g.batch, g.spread_channels);
    const int64_t num_groups = (g.batch + items - 1) / items;
    const int64_t num_tasks = num_groups * plan.num_tiles;
    const bool is_other_wide = has_wide_other<T>(g);
    const int64_t rows = is_other_wide ? g.spread_channels : g.other_channels;
    const int64_t columns = is_other_wide ? g.other_channels : g.spread_channels;
    const int64_t width = sums_stride<T>(columns), size = g.orders * rows * width;
    // large weights have work enough in every share, and sums in each take memory
    const int64_t most_shares = kMostSums / size > threads ? kMostSums / size : threads;
    int64_t shares = num_shares(num_tasks, threads);
    if (shares > most_shares) shares = most_shares;
    FilterArguments mixing{};
    mixing.batch = g.batch;
    mixing.num_vertices = mixing.out_vertices = g.num_vertices;
    mixing.in_channels = g.spread_channels;
    mixing.out_channels = g.other_channels;
    mixing.orders = g.orders;
    mixing.group = 1;
    mixing.is_final = g.is_final;
    const int64_t num_packed =
        g.other_gradient == nullptr
            ? 0
            : packed_size<T>(g.orders, g.spread_channels, g.other_channels);
    T* packed = static_cast<T*>(std::malloc(static_cast<size_t>(num_packed + 1) * sizeof(T)));
    T* recent = static_cast<T*>(std::calloc(static_cast<size_t>(shares * size + 1), sizeof(T)));
    double* totals =
        static_cast<double*>(std::calloc(static_cast<size_t>(shares * size + 1), sizeof(double)));
    int status = packed == nullptr || recent == nullptr || totals == nullptr ? 2 : 0;
    if (status == 0) {
        if (g.other_gradient != nullptr) {
            pack_weights(static_cast<const T*>(g.weight), g.orders, g.spread_channels,
                         g.other_channels, g.weight_strides[0], g.weight_strides[1],
                         g.weight_strides[2], packed);
        }
        int failed = 0;
        parallel_for(static_cast<long>(shares), threads, [&](long share) {
            Sums<T> sums{recent + share * size, totals + share * size, size, 0};
            const int64_t end = num_tasks * (share + 1) / shares;
            for (int64_t task = num_tasks * share / shares; task < end; ++task) {
                const Tile tile = plan.tile(task / num_groups);
                const Group group =
                    group_of<T>(task % num_groups, items, g.batch, g.spread_channels);
                const int outcome = gradients_of_tile<T>(g, mixing, tile, group, packed, sums);
                if (outcome != 0) __atomic_store_n(&failed, outcome, __ATOMIC_RELAXED);
            }
            sums.flush();
        });
        status = failed;
        T* correlation = static_cast<T*>(g.correlation);
        for (int64_t row = 0; row < g.orders * rows; ++row) {
            for (int64_t c = 0; c < columns; ++c) {
                double total = 0;
                for (int64_t s = 0; s < shares; ++s) {
                    total += totals[s * size + row * width + c];
                }
                const int64_t place = is_other_wide ? (row / rows * columns + c) * rows + row % rows
                                                    : row * columns + c;
                correlation[place] = static_cast<T>(total);
            }
        }
    }
    std::free(packed);
    std::free(recent);
    std::free(totals);
    return status;
}

}  // namespace DS_VARIANT
}  // namespace ds
