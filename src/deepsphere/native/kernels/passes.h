// One pass over a signal for all that follows a filter, and two passes for its gradient:
//     y = pool(activation((z - center) * scale + shift)),
// with one center, scale and shift per channel, pooled over groups of consecutive rows. The gradient
// of a maximum is spread evenly over the rows that attain it.
// Included by variant.cpp alone: everything lives in the namespace of the variant.
#pragma once

#include "activation.h"
#include "passes_arguments.h"

namespace ds {
namespace DS_VARIANT {

// Numbers of the poolings in the C interface.
constexpr int kNoPooling = 0;
constexpr int kMax = 1;
constexpr int kMean = 2;

// Rows of a group at most, where the gradient of a maximum is wanted.
constexpr int64_t kLargestGroup = 64;

// Scalars of z (32 kB of float32), and groups, that are visited together; sums of float32 go over
// to double precision after them.
constexpr int64_t kScalarsPerBlock = 8192, kGroupsPerBlock = 256;

// Calls body(channel, done, start, stop) for N channels of the groups start..stop, for all of both,
// in blocks of groups that stay in the cache. The last vector of a row is moved back to end with
// it, and its first `done` lanes were in the vector before; rows must have N channels or more.
template <int N, class Body>
static inline void for_each_block(int64_t first, int64_t last, int64_t scalars, int64_t channels,
                                  const Body& body) {
    const int64_t fitting = scalars < kScalarsPerBlock ? kScalarsPerBlock / scalars : 1;
    const int64_t step = fitting < kGroupsPerBlock ? fitting : kGroupsPerBlock;
    for (int64_t start = first; start < last; start += step) {
        const int64_t stop = start + step < last ? start + step : last;
        for (int64_t channel = 0; channel < channels; channel += N) {
            const int64_t excess = channel + N - channels;
            const int64_t done = excess > 0 ? excess : 0;
            body(channel - done, static_cast<int>(done), start, stop);
        }
    }
}

// Whether `b` replaces the maximum `a`; a NaN stays or comes.
template <class V>
static inline auto exceeds(V b, V a) {
    return (b > a) | ((b != b) & (a == a));
}

template <class T, int N, int A, int P>
struct Pass {
    typedef Vector<T, N> V;
    typedef decltype(V{} < V{}) Integers;

    const T *z, *grad;
    T* out;
    int64_t group, channels;
    V center, scale, shift;
    const PassArguments& a;

    explicit Pass(const PassArguments& arguments)
        : z(static_cast<const T*>(arguments.z)),
          grad(static_cast<const T*>(arguments.grad)),
          out(static_cast<T*>(arguments.out)),
          group(P == kNoPooling ? 1 : arguments.group),
          channels(arguments.channels),
          a(arguments) {}

    static inline V of_channels(const void* values, int64_t channel) {
        return load<T, N>(static_cast<const T*>(values) + channel);
    }

    inline void take_channels(int64_t channel) {
        center = of_channels(a.center, channel);
        scale = of_channels(a.scale, channel);
        shift = of_channels(a.shift, channel);
    }

    template <class Body>
    inline void visit(int64_t first_group, int64_t last_group, const Body& body) const {
        for_each_block<N>(first_group, last_group, group * channels, channels, body);
    }

    // Row i of a group, less its center.
    inline V centered(const T* first, int64_t i) const {
        return load<T, N>(first + i * channels) - center;
    }

    inline V normalized(V centered) const { return centered * scale + shift; }

    // What is compared to find a maximum: the values before an increasing activation will do.
    inline V compared(V value) const {
        return kIsMonotone<A> ? value : activate<A, T, N>(value);
    }

    inline V pooled(const T* first) const {
        V result = compared(normalized(centered(first, 0)));
        if constexpr (P == kMax) {
            for (int64_t i = 1; i < group; ++i) {
                const V next = compared(normalized(centered(first, i)));
                result = exceeds(next, result) ? next : result;
            }
        }
        if constexpr (P != kMean) return kIsMonotone<A> ? activate<A, T, N>(result) : result;
        V sum = activate<A, T, N>(normalized(centered(first, 0)));
        for (int64_t i = 1; i < group; ++i) {
            sum += activate<A, T, N>(normalized(centered(first, i)));
        }
        return sum / static_cast<T>(group);
    }

    // Where the maximum of a group is; at a tie the `share` of each place, and the mean `value`.
    struct Best {
        V largest{}, share{}, value{};
        V compared[kLargestGroup];
    };

    inline void find_best(const T* first, Best& best) const {
        for (int64_t i = 0; i < group; ++i) {
            const V rival = compared(normalized(centered(first, i)));
            best.compared[i] = rival;
            if (i == 0) best.largest = rival;
            best.largest = exceeds(rival, best.largest) ? rival : best.largest;
        }
        V count{};
        best.value = V{};
        for (int64_t i = 0; i < group; ++i) {
            const Integers is_best = best.compared[i] == best.largest;
            count += is_best ? broadcast<T, N>(1) : V{};
            best.value += is_best ? centered(first, i) : V{};
        }
        best.share = T(1) / count;
        best.value *= best.share;
    }

    // The gradient before the activation, of a value less its center.
    inline V through(V grad_after, V centered) const {
        return grad_after * derivative<A, T, N>(normalized(centered));
    }

    void forward(int64_t first_group, int64_t last_group) {
        visit(first_group, last_group, [&](int64_t channel, int, int64_t start, int64_t stop) {
            take_channels(channel);
            for (int64_t g = start; g < stop; ++g) {
                store<T, N>(out + g * channels + channel,
                            pooled(z + g * group * channels + channel));
            }
        });
    }

    // Adds the gradient of shift and that of scale to `sums` (2, channels).
    void sums(int64_t first_group, int64_t last_group, double* sums) {
        visit(first_group, last_group, [&](int64_t channel, int done, int64_t start, int64_t stop) {
            take_channels(channel);
            V of_shift{}, of_scale{};
            for (int64_t g = start; g < stop; ++g) add_sums(g, channel, of_shift, of_scale);
            for (int lane = done; lane < N; ++lane) {
                sums[channel + lane] += static_cast<double>(of_shift[lane]);
                sums[channels + channel + lane] += static_cast<double>(of_scale[lane]);
            }
        });
    }

    inline void add_sums(int64_t g, int64_t channel, V& of_shift, V& of_scale) const {
        const T* first = z + g * group * channels + channel;
        V after = load<T, N>(grad + g * channels + channel);
        if constexpr (P == kMean) {
            after /= static_cast<T>(group);
            for (int64_t i = 0; i < group; ++i) {
                const V value = centered(first, i), before = through(after, value);
                of_shift += before;
                of_scale += before * value;
            }
        } else {
            Best best;
            if constexpr (P == kMax) find_best(first, best);
            const V value = P == kMax ? best.value : centered(first, 0);
            const V before = through(after, value);
            of_shift += before;
            of_scale += before * value;
        }
    }

    // The gradient of z, where center and scale are statistics of z.
    void gradient(int64_t first_group, int64_t last_group) {
        visit(first_group, last_group, [&](int64_t channel, int, int64_t start, int64_t stop) {
            take_channels(channel);
            const V mean = of_channels(a.mean_grad, channel);
            const V slope = of_channels(a.slope_grad, channel);
            for (int64_t g = start; g < stop; ++g) write_gradient(g, channel, mean, slope);
        });
    }

    inline void write_gradient(int64_t g, int64_t channel, V mean, V slope) const {
        const T* first = z + g * group * channels + channel;
        T* to = out + g * group * channels + channel;
        V after = load<T, N>(grad + g * channels + channel);
        if constexpr (P == kMean) after /= static_cast<T>(group);
        Best best;
        V at_best{};
        if constexpr (P == kMax) {
            find_best(first, best);
            at_best = through(after, best.value) * best.share;
        }
        for (int64_t i = 0; i < group; ++i) {
            const V value = centered(first, i);
            V before;
            if constexpr (P == kMax) {
                before = best.compared[i] == best.largest ? at_best : V{};
            } else {
                before = through(after, value);
            }
            store<T, N>(to + i * channels, scale * (before - mean - value * slope));
        }
    }
};

enum class Task { kForward, kSums, kGradient };

template <class T, int N, int A, int P>
static void run_pass(Task task, const PassArguments& a, int64_t first, int64_t last, double* sums) {
    Pass<T, N, A, P> pass(a);
    if (task == Task::kForward) pass.forward(first, last);
    if (task == Task::kSums) pass.sums(first, last, sums);
    if (task == Task::kGradient) pass.gradient(first, last);
}

template <class T, int N, int A>
static void run_pooling(Task task, const PassArguments& a, int64_t first, int64_t last,
                        double* sums) {
    if (a.pooling == kMax) return run_pass<T, N, A, kMax>(task, a, first, last, sums);
    if (a.pooling == kMean) return run_pass<T, N, A, kMean>(task, a, first, last, sums);
    run_pass<T, N, A, kNoPooling>(task, a, first, last, sums);
}

template <class T, int N>
static void run_activation(Task task, const PassArguments& a, int64_t first, int64_t last,
                           double* sums) {
    if (a.activation == kRelu) return run_pooling<T, N, kRelu>(task, a, first, last, sums);
    if (a.activation == kGelu) return run_pooling<T, N, kGelu>(task, a, first, last, sums);
    run_pooling<T, N, kIdentity>(task, a, first, last, sums);
}

template <class T>
static void run_scalar(Task task, const PassArguments& a, int64_t first, int64_t last,
                       double* sums) {
    constexpr int kFull = kLanes<T>, kQuarter = kFull < 4 ? 1 : kFull / 4;
    if (a.channels >= kFull) return run_activation<T, kFull>(task, a, first, last, sums);
    if (a.channels >= kQuarter) return run_activation<T, kQuarter>(task, a, first, last, sums);
    run_activation<T, 1>(task, a, first, last, sums);
}

static void run(Task task, const PassArguments& a, int64_t first, int64_t last, double* sums) {
    if (a.is_double) return run_scalar<double>(task, a, first, last, sums);
    run_scalar<float>(task, a, first, last, sums);
}

// The groups first..last of the three passes; called by passes_api.cpp.
void pass_forward(const PassArguments& a, int64_t first, int64_t last) {
    run(Task::kForward, a, first, last, nullptr);
}

void pass_sums(const PassArguments& a, int64_t first, int64_t last, double* sums) {
    run(Task::kSums, a, first, last, sums);
}

void pass_gradient(const PassArguments& a, int64_t first, int64_t last) {
    run(Task::kGradient, a, first, last, nullptr);
}

}  // namespace DS_VARIANT
}  // namespace ds
