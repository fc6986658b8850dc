// The polynomial filter on tiles: all products, the weights and what follows them while a block of
// vertices is in cache. Part of variant.cpp.
#pragma once

#include "activation.h"
#include "filter_arguments.h"
#include "gemm.h"
#include "plan.h"
#include "scratch.h"
#include "steps.h"
#include "threads.h"

namespace ds {
namespace DS_VARIANT {

template <class T>
static inline T* take(char*& memory, int64_t count) {
    T* taken = reinterpret_cast<T*>(memory);
    // blocks start at cache lines, with a register to spare: reads may reach beyond the last value
    memory += (count * static_cast<int64_t>(sizeof(T)) + 2 * kVectorBytes + 63) / 64 * 64;
    return taken;
}

template <class T>
static inline int64_t taken_bytes(int64_t count) {
    char* memory = nullptr;
    take<T>(memory, count);
    return memory - static_cast<char*>(nullptr);
}

template <class T>
static inline void copy_row(const T* from, T* to, int64_t count) {
    constexpr int kShort = 16 / static_cast<int>(sizeof(T));
    if (count < kShort) {
        for (int64_t i = 0; i < count; ++i) to[i] = from[i];
        return;
    }
    constexpr int kFull = kLanes<T>;
    int64_t i = 0;
    for (; i + kFull <= count; i += kFull) store<T, kFull>(to + i, load<T, kFull>(from + i));
    for (; i + kShort <= count; i += kShort) store<T, kShort>(to + i, load<T, kShort>(from + i));
    // the last ones once more, from the end
    if (i < count) store<T, kShort>(to + count - kShort, load<T, kShort>(from + count - kShort));
}

template <class T>
static inline void fill_row(T value, T* to, int64_t count) {
    constexpr int kFull = kLanes<T>;
    const Vector<T, kFull> values = broadcast<T, kFull>(value);
    int64_t i = 0;
    for (; i + kFull <= count; i += kFull) store<T, kFull>(to + i, values);
    for (; i < count; ++i) to[i] = value;
}

// Items of a signal, and how far apart its items, vertices and channels are.
template <class T>
struct Signal {
    const T* values;
    int64_t item, vertex, channel;
    int64_t channels;
};

template <class T>
static inline Signal<T> signal_at(const void* values, const int64_t* strides, int64_t channels,
                                  int64_t first) {
    return {static_cast<const T*>(values) + first * strides[0], strides[0], strides[1], strides[2],
            channels};
}

template <class T>
static inline void copy_vertex(const Signal<T>& signal, const T* from, T* to) {
    if (signal.channel == 1) return copy_row(from, to, signal.channels);
    if (signal.channel == 0) return fill_row(*from, to, signal.channels);  // gradient of a sum
    for (int64_t c = 0; c < signal.channels; ++c) to[c] = from[c * signal.channel];
}

// Items of a signal side by side, for the tile's own vertices and `num_halo` of its halo: rows
// (items, channels) of `stride` scalars, zeros after the last.
template <class T>
static void load_tile(const Signal<T>& signal, int64_t items, const Tile& tile, int64_t num_halo,
                      T* rows, int64_t stride) {
    const int64_t num_own = tile.sizes[0], used = items * signal.channels;
    const bool is_copy = tile.own == nullptr && stride == signal.channels &&
                         signal.channel == 1 && signal.vertex == stride;
    for (int64_t item = 0; item < items; ++item) {
        const T* from = signal.values + item * signal.item;
        T* to = rows + item * signal.channels;
        if (is_copy) {
            std::memcpy(to, from + tile.first * stride,
                        static_cast<size_t>(num_own * stride) * sizeof(T));
        } else {
            for (int64_t i = 0; i < num_own; ++i) {
                const int64_t vertex = tile.own != nullptr ? tile.own[i] : tile.first + i;
                copy_vertex(signal, from + vertex * signal.vertex, to + i * stride);
            }
        }
        to += num_own * stride;
        for (int64_t i = 0; i < num_halo; ++i) {
            copy_vertex(signal, from + tile.halo[i] * signal.vertex, to + i * stride);
        }
    }
    if (used == stride) return;
    for (int64_t i = 0; i < num_own + num_halo; ++i) {
        for (int64_t c = used; c < stride; ++c) rows[i * stride + c] = 0;
    }
}

// Of a product on the rows of the tile and `rings` rings of its halo.
template <class T>
static inline StepArguments<T> step_arguments(const Tile& tile, int64_t rings, int64_t stride) {
    StepArguments<T> a{};
    a.runs = tile.runs;
    a.runs_end = tile.runs + tile.run_counts[rings];
    a.rows = tile.rows;
    a.columns = tile.columns;
    a.weights = static_cast<const T*>(tile.weights);
    a.diagonal = static_cast<const T*>(tile.diagonal);
    a.stride = stride;
    return a;
}

// Chebyshev basis of the rows in bases[0]; order k on the rows that orders above it need.
template <class T>
static void make_basis(const Tile& tile, int64_t orders, int64_t stride, T* const* bases) {
    for (int64_t k = 1; k < orders; ++k) {
        auto a = step_arguments<T>(tile, orders - 1 - k, stride);
        a.signal = bases[k - 1];
        a.previous = bases[k >= 2 ? k - 2 : 0];
        a.out = bases[k];
        if (k == 1) {
            step<T, Step::kFirst>(a);
        } else {
            step<T, Step::kRecurrence>(a);
        }
    }
}

// Running mean and sum of squared deviations of the columns of a panel, merged block by block.
template <class T>
static void add_statistics(const T* block, int64_t stride, int64_t num_rows, int64_t columns,
                           double count, double* mean, double* deviations) {
    const double merged = count + static_cast<double>(num_rows);
    const double share = static_cast<double>(num_rows) / merged;
    for (int64_t first = 0; first < columns; first += kLanes<T>) {
        using V = Vector<T, kLanes<T>>;
        V sum = V{};
        for (int64_t r = 0; r < num_rows; ++r) {
            sum += load<T, kLanes<T>>(block + r * stride + first);
        }
        const V center = sum / static_cast<T>(num_rows);
        V squares = V{};
        for (int64_t r = 0; r < num_rows; ++r) {
            const V deviation = load<T, kLanes<T>>(block + r * stride + first) - center;
            squares += deviation * deviation;
        }
        for (int64_t c = 0; c < kLanes<T> && first + c < columns; ++c) {
            const double difference = static_cast<double>(center[c]) - mean[first + c];
            mean[first + c] += difference * share;
            deviations[first + c] += static_cast<double>(squares[c]) +
                                     difference * difference * count * share;
        }
    }
}

// Rows of a block of results, scaled, shifted and activated, to their vertices `own`; without
// `own`, pooled too, to consecutive rows of `out`.
template <class T, int A>
static void write_finished(const T* block, int64_t stride, int64_t num_rows, int64_t columns,
                           const T* scale, const T* shift, const FilterArguments& f,
                           const int32_t* own, T* out) {
    constexpr int kFull = kLanes<T>;
    using V = Vector<T, kFull>;
    for (int64_t first = 0; first < columns; first += kFull) {
        const int64_t rest = columns - first;
        V factor = broadcast<T, kFull>(T(1)), offset = V{};
        if (rest >= kFull) {
            factor = load<T, kFull>(scale + first);
            offset = load<T, kFull>(shift + first);
        } else {
            for (int64_t c = 0; c < rest; ++c) {
                factor[c] = scale[first + c];
                offset[c] = shift[first + c];
            }
        }
        for (int64_t r = 0; r < num_rows; r += f.group) {
            const T* from = block + r * stride + first;
            V value = activate<A, T, kFull>(load<T, kFull>(from) * factor + offset);
            for (int64_t g = 1; g < f.group; ++g) {
                const V other =
                    activate<A, T, kFull>(load<T, kFull>(from + g * stride) * factor + offset);
                value = f.pool == kPoolMax ? maximum<T, kFull>(value, other) : value + other;
            }
            if (f.pool == kPoolMean) value = value / static_cast<T>(f.group);
            const int64_t target = own != nullptr ? own[r] : r / f.group;
            T* to = out + target * f.out_channels + first;
            if (rest >= kFull) {
                store<T, kFull>(to, value);
            } else {
                for (int64_t c = 0; c < rest; ++c) to[c] = value[c];
            }
        }
    }
}

// Rows of a block of results to their vertices.
template <class T>
static void write_rows(const T* block, int64_t stride, int64_t num_rows, int64_t columns,
                       const int32_t* own, T* out, int64_t out_stride) {
    for (int64_t r = 0; r < num_rows; ++r) {
        copy_row(block + r * stride, out + (own != nullptr ? own[r] : r) * out_stride, columns);
    }
}

// Rows that pass through the first-level cache at a time: a multiple of kBlockRows and of the
// groups that are pooled.
static inline int64_t chunk_rows(int64_t group) {
    int64_t rows = kBlockRows * 4;
    return group > 1 ? (rows / group > 0 ? rows / group : 1) * group : rows;
}

// What follows the filter, for rows row .. row + num_rows of a tile and columns first .. first +
// columns of its outputs; `out` is the item's result.
template <class T>
static void finish_block(const FilterArguments& f, const Tile& tile, const T* block, int64_t stride,
                         int64_t row, int64_t num_rows, int64_t first, int64_t columns, T* out,
                         double* statistics) {
    const int64_t outputs = f.out_channels;
    if (statistics != nullptr) {
        // every panel counts the same rows: the count itself moves on after the last panel
        double count = statistics[0] + static_cast<double>(row);
        double* mean = statistics + 1 + first;
        add_statistics(block, stride, num_rows, columns, count, mean, mean + outputs);
    }
    if (f.scale == nullptr) {
        if (tile.own != nullptr) {
            write_rows(block, stride, num_rows, columns, tile.own + row, out + first, outputs);
        } else {
            write_rows<T>(block, stride, num_rows, columns, nullptr,
                          out + (tile.first + row) * outputs + first, outputs);
        }
        return;
    }
    // patches (`own`) are not pooled here: their vertices are not consecutive
    const int32_t* own = tile.own != nullptr ? tile.own + row : nullptr;
    T* to = out + first + (own != nullptr ? 0 : (tile.first + row) / f.group * outputs);
    const T* scale = static_cast<const T*>(f.scale) + first;
    const T* shift = static_cast<const T*>(f.shift) + first;
    if (f.activation == kRelu) {
        write_finished<T, kRelu>(block, stride, num_rows, columns, scale, shift, f, own, to);
    } else if (f.activation == kGelu) {
        write_finished<T, kGelu>(block, stride, num_rows, columns, scale, shift, f, own, to);
    } else {
        write_finished<T, kIdentity>(block, stride, num_rows, columns, scale, shift, f, own, to);
    }
}

// Weights as multiply() reads them: panels `step` apart, whose rows are `stride` apart.
template <class T>
struct Panels {
    const T* values;
    int64_t step, stride;

    const T* at(int64_t column) const { return values + column / kPanelColumns<T> * step; }
};

// Outputs begin .. end - 1, the first a multiple of the width of a panel.
struct Columns {
    int64_t begin, end;
};

// The weights' product with a basis of one item for some outputs, and what follows.
template <class T>
static void mix_channels(const FilterArguments& f, const Tile& tile, const T* const* bases,
                         int64_t offset, int64_t stride, int64_t inputs,
                         const Panels<T>& panels, const Columns& range, T* block, T* out,
                         double* statistics) {
    constexpr int64_t kWide = kPanelColumns<T>;
    const int64_t outputs = f.out_channels, orders = f.orders;
    const int64_t num_rows = tile.sizes[0], chunk = chunk_rows(f.group);
    for (int64_t first = range.begin; first < range.end; first += kWide) {
        const int64_t columns = range.end - first < kWide ? range.end - first : kWide;
        Product<T> product{bases, offset, stride, orders, inputs, panels.at(first), panels.stride};
        if (f.scale == nullptr && statistics == nullptr && tile.own == nullptr &&
            written_columns<T>(columns) == columns) {
            const Target<T> direct{out + tile.first * outputs + first, outputs, f.is_final != 0};
            multiply<T>(num_rows, columns, product, direct);
            continue;
        }
        for (int64_t row = 0; row < num_rows; row += chunk) {
            const int64_t rows = num_rows - row < chunk ? num_rows - row : chunk;
            product.offset = offset + row * stride;
            multiply<T>(rows, columns, product, Target<T>{block, kWide, false});
            finish_block<T>(f, tile, block, kWide, row, rows, first, columns, out, statistics);
        }
    }
    if (statistics != nullptr) statistics[0] += static_cast<double>(num_rows);
}

// Items side by side in a row of a tile.
struct Group {
    int64_t first, items, stride;
};

template <class T>
static inline Group group_of(int64_t index, int64_t items, int64_t batch, int64_t channels) {
    Group group;
    group.first = index * items;
    group.items = batch - group.first < items ? batch - group.first : items;
    group.stride = padded_width<T>(group.items * channels);
    return group;
}

// One tile and group: basis of the input, then the weights.
template <class T>
static int filter_on_input(const FilterArguments& f, const Tile& tile, const Group& group,
                           const Panels<T>& panels, const Columns& range, double* statistics) {
    const int64_t orders = f.orders, stride = group.stride;
    int64_t bytes = taken_bytes<T>(kPanelColumns<T> * chunk_rows(f.group));
    for (int64_t k = 0; k < orders; ++k) {
        bytes += taken_bytes<T>(tile.sizes[orders - 1 - k] * stride);
    }
    char* memory = static_cast<char*>(scratch(static_cast<size_t>(bytes)));
    if (memory == nullptr) return 2;
    T* block = take<T>(memory, kPanelColumns<T> * chunk_rows(f.group));
    T* bases[kMostOrders];
    for (int64_t k = 0; k < orders; ++k) {
        bases[k] = take<T>(memory, tile.sizes[orders - 1 - k] * stride);
    }
    load_tile(signal_at<T>(f.signal, f.signal_strides, f.in_channels, group.first), group.items,
              tile, tile.sizes[orders - 1] - tile.sizes[0], bases[0], stride);
    make_basis(tile, orders, stride, bases);
    for (int64_t item = 0; item < group.items; ++item) {
        T* out = static_cast<T*>(f.out) + (group.first + item) * f.out_vertices * f.out_channels;
        mix_channels<T>(f, tile, bases, item * f.in_channels, stride, f.in_channels, panels, range,
                        block, out, statistics);
    }
    return 0;
}

// One tile and group by Clenshaw's recurrence b_k = x W_k + 2 L b_{k+1} - b_{k+2} on the output.
template <class T>
static int filter_on_output(const FilterArguments& f, const Tile& tile, const Group& group,
                            const Panels<T>& panels, double* statistics) {
    constexpr int64_t kWide = kPanelColumns<T>;
    const int64_t orders = f.orders, channels = f.out_channels;
    const int64_t stride = group.stride, all = tile.sizes[orders - 1];
    const int64_t chunk = chunk_rows(f.group);
    const int64_t in_stride = group.items * f.in_channels;
    const int64_t block_size = kWide * chunk_rows(1);
    const int64_t bytes = taken_bytes<T>(block_size) + taken_bytes<T>(all * in_stride) +
                          3 * taken_bytes<T>(all * stride);
    char* memory = static_cast<char*>(scratch(static_cast<size_t>(bytes)));
    if (memory == nullptr) return 2;
    T* block = take<T>(memory, block_size);
    T* source = take<T>(memory, all * in_stride);
    T* terms[3];
    for (T*& term : terms) term = take<T>(memory, all * stride);
    load_tile(signal_at<T>(f.signal, f.signal_strides, f.in_channels, group.first), group.items,
              tile, all - tile.sizes[0], source, in_stride);
    for (int64_t k = orders - 1; k >= 0; --k) {
        T* current = terms[k % 3];
        const int64_t num_rows = tile.sizes[k];
        for (int64_t item = 0; item < group.items; ++item) {
            for (int64_t first = 0; first < channels; first += kWide) {
                const int64_t columns = channels - first < kWide ? channels - first : kWide;
                const T* panel = panels.at(first) + k * f.in_channels * panels.stride;
                const T* bases[1] = {source + item * f.in_channels};
                for (int64_t row = 0; row < num_rows; row += chunk_rows(1)) {
                    const int64_t rows =
                        num_rows - row < chunk_rows(1) ? num_rows - row : chunk_rows(1);
                    const Product<T> product{bases, row * in_stride, in_stride,    1,
                                             f.in_channels, panel, panels.stride};
                    multiply<T>(rows, columns, product, Target<T>{block, kWide, false});
                    for (int64_t r = 0; r < rows; ++r) {
                        copy_row(block + r * kWide,
                                 current + (row + r) * stride + item * channels + first, columns);
                    }
                }
            }
        }
        const int64_t used = group.items * channels;
        if (used < stride) {
            for (int64_t r = 0; r < num_rows; ++r) {
                for (int64_t c = used; c < stride; ++c) current[r * stride + c] = 0;
            }
        }
        if (k + 1 == orders) continue;
        auto a = step_arguments<T>(tile, k, stride);
        a.signal = terms[(k + 1) % 3];
        a.previous = terms[(k + 2) % 3];
        a.out = current;
        a.scale = k == 0 ? T(1) : T(2);
        if (k + 2 < orders) {
            step<T, Step::kAddMinus>(a);
        } else {
            step<T, Step::kAdd>(a);
        }
    }
    for (int64_t item = 0; item < group.items; ++item) {
        T* out = static_cast<T*>(f.out) + (group.first + item) * f.out_vertices * channels;
        const T* results = terms[0] + item * channels;
        for (int64_t first = 0; first < channels; first += kWide) {
            const int64_t columns = channels - first < kWide ? channels - first : kWide;
            for (int64_t row = 0; row < tile.sizes[0]; row += chunk) {
                const int64_t rest = tile.sizes[0] - row;
                finish_block<T>(f, tile, results + row * stride + first, stride, row,
                                rest < chunk ? rest : chunk, first, columns, out, statistics);
            }
        }
        if (statistics != nullptr) statistics[0] += static_cast<double>(tile.sizes[0]);
    }
    return 0;
}

// Items side by side: enough to fill registers, such that little of them is padding. Products read
// the indices and weights of an edge once for all, so more is better up to four registers.
template <class T>
static int64_t items_side_by_side(int64_t batch, int64_t channels) {
    const int64_t most = 4 * kLanes<T>;
    if (channels >= most || batch <= 1) return 1;
    int64_t best = 1, best_width = padded_width<T>(channels);
    for (int64_t items = 2; items <= batch && items * channels <= most; ++items) {
        const int64_t width = padded_width<T>(items * channels);
        // less padding per item, or as little and more items
        if (width * best <= best_width * items) {
            best = items;
            best_width = width;
        }
    }
    return best;
}

// Sums of deviations merged in the order of the shares: the same from run to run.
static void merge_statistics(const double* shares, int64_t num_shares, int64_t channels,
                             double* mean, double* variance) {
    const int64_t size = 1 + 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
        double count = 0, center = 0, deviations = 0;
        for (int64_t s = 0; s < num_shares; ++s) {
            const double* share = shares + s * size;
            const double merged = count + share[0];
            if (share[0] == 0) continue;
            const double difference = share[1 + c] - center;
            center += difference * share[0] / merged;
            deviations += share[1 + channels + c] +
                          difference * difference * count * share[0] / merged;
            count = merged;
        }
        mean[c] = center;
        variance[c] = count > 0 ? deviations / count : 0;
    }
}

// Work in equal shares: fixed for a number of threads, so that sums over them are reproducible.
static inline int64_t num_shares(int64_t num_tasks, int threads) {
    const int64_t wanted = 8 * static_cast<int64_t>(threads);
    return num_tasks < wanted ? num_tasks : wanted;
}

template <class T>
static inline Panels<T> packed_panels(const T* packed, int64_t orders, int64_t inputs) {
    return {packed, kPanelColumns<T> * orders * inputs, kPanelColumns<T>};
}

// Whether the weights serve as they are: a copy of them takes a large share of a small filter.
template <class T>
static inline bool is_panelled(const FilterArguments& f) {
    constexpr int64_t kFewRows = 512;
    return f.batch * f.num_vertices <= kFewRows && f.out_channels % kPanelColumns<T> == 0 &&
           f.weight_strides[2] == 1 && f.weight_strides[1] == f.out_channels &&
           f.weight_strides[0] == f.in_channels * f.out_channels;
}

// Returns 0, or 2 where memory is short.
template <class T>
int run_filter(const FilterArguments& f, const Plan& plan) {
    const int threads = effective_threads(f.threads);
    const bool is_on_input = f.side == kSideInput;
    const int64_t channels = is_on_input ? f.in_channels : f.out_channels;
    const int64_t items = items_side_by_side<T>(f.batch, channels);
    const int64_t num_groups = (f.batch + items - 1) / items;
    // on a small graph threads share the outputs, and each makes the basis for itself
    const int64_t num_panels = (f.out_channels + kPanelColumns<T> - 1) / kPanelColumns<T>;
    int64_t parts = is_on_input && f.mean == nullptr ? threads / (num_groups * plan.num_tiles) : 1;
    if (parts > num_panels) parts = num_panels;
    if (parts < 1) parts = 1;
    const int64_t num_tasks = num_groups * plan.num_tiles * parts;
    const int64_t shares = f.mean == nullptr ? num_tasks : num_shares(num_tasks, threads);
    const int64_t statistics_size = f.mean == nullptr ? 0 : 1 + 2 * f.out_channels;
    Panels<T> panels{static_cast<const T*>(f.weight), kPanelColumns<T>, f.out_channels};
    const bool is_packed = !is_panelled<T>(f);
    const int64_t size =
        is_packed ? packed_size<T>(f.orders, f.in_channels, f.out_channels) : 0;
    T* packed = static_cast<T*>(std::malloc(static_cast<size_t>(size + 1) * sizeof(T)));
    double* statistics = static_cast<double*>(
        std::calloc(static_cast<size_t>(shares * statistics_size + 1), sizeof(double)));
    int status = packed == nullptr || statistics == nullptr ? 2 : 0;
    if (status == 0) {
        if (is_packed) {
            pack_weights(static_cast<const T*>(f.weight), f.orders, f.in_channels, f.out_channels,
                         f.weight_strides[0], f.weight_strides[1], f.weight_strides[2], packed);
            panels = packed_panels(packed, f.orders, f.in_channels);
        }
        int failed = 0;
        parallel_for(static_cast<long>(shares), threads, [&](long share) {
            double* sums = statistics_size > 0 ? statistics + share * statistics_size : nullptr;
            const int64_t end = num_tasks * (share + 1) / shares;
            for (int64_t task = num_tasks * share / shares; task < end; ++task) {
                const int64_t block = task / parts, part = task % parts;
                const Tile tile = plan.tile(block / num_groups);
                const Group group = group_of<T>(block % num_groups, items, f.batch, channels);
                Columns range{num_panels * part / parts * kPanelColumns<T>,
                              num_panels * (part + 1) / parts * kPanelColumns<T>};
                if (part + 1 == parts) range.end = f.out_channels;
                const int outcome =
                    is_on_input ? filter_on_input<T>(f, tile, group, panels, range, sums)
                                : filter_on_output<T>(f, tile, group, panels, sums);
                if (outcome != 0) __atomic_store_n(&failed, outcome, __ATOMIC_RELAXED);
            }
        });
        status = failed;
        if (status == 0 && f.mean != nullptr) {
            merge_statistics(statistics, shares, f.out_channels, f.mean, f.variance);
        }
    }
    std::free(packed);
    std::free(statistics);
    return status;
}

}  // namespace DS_VARIANT
}  // namespace ds
