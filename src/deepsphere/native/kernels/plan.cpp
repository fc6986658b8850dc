#include "plan.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "dispatch.h"
#include "threads.h"

namespace ds {

namespace {

// A table of marks for every vertex per thread: more threads would only take more memory.
constexpr int kMostThreads = 16;

// Large arrays ask for large pages: a plan is read from one end to the other in every call.
template <class T>
Array<T> allocate(int64_t count) {
    constexpr size_t kLargePage = size_t{1} << 21;
    size_t bytes = static_cast<size_t>(count + 1) * sizeof(T);
    void* memory = nullptr;
    if (bytes >= 2 * kLargePage) {
        bytes = (bytes + kLargePage - 1) / kLargePage * kLargePage;
        memory = std::aligned_alloc(kLargePage, bytes);
#if defined(__linux__)
        if (memory != nullptr) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    } else {
        memory = std::malloc(bytes);
    }
    if (memory == nullptr) throw std::bad_alloc();
    return Array<T>(static_cast<T*>(memory));
}

// Rows that are sorted by degree among themselves: as many as a first-level cache holds with their
// neighbors.
constexpr int64_t kWindow = 512;

// Vertices around one tile, ring by ring, by marks in a table of all vertices.
class Gatherer {
  public:
    Gatherer(const Rows& rows, int64_t num_vertices) : rows_(rows), local_(num_vertices, -1) {}

    // Numbers the tile's vertices and its halo; `halo` receives the latter.
    void gather(const int32_t* own, int64_t first, int64_t count, int steps, int32_t* sizes,
                std::vector<int32_t>& halo) {
        vertices_.clear();
        for (int64_t i = 0; i < count; ++i) {
            add(own != nullptr ? own[i] : static_cast<int32_t>(first + i));
        }
        sizes[0] = static_cast<int32_t>(count);
        size_t begin = 0;
        for (int step = 1; step <= steps; ++step) {
            const size_t end = vertices_.size();
            for (size_t i = begin; i < end; ++i) {
                const int32_t v = vertices_[i];
                for (int32_t e = rows_.offsets[v]; e < rows_.offsets[v + 1]; ++e) {
                    if (local_[rows_.columns[e]] < 0) add(rows_.columns[e]);
                }
            }
            // in the order of memory: a halo is read from there
            std::sort(vertices_.begin() + static_cast<int64_t>(end), vertices_.end());
            number(end);
            begin = end;
            sizes[step] = static_cast<int32_t>(vertices_.size());
        }
        halo.assign(vertices_.begin() + count, vertices_.end());
    }

    // Numbers a tile whose halo is known.
    void renumber(const int32_t* own, int64_t first, int64_t count, const int32_t* halo,
                  int64_t num_halo) {
        vertices_.clear();
        for (int64_t i = 0; i < count; ++i) {
            add(own != nullptr ? own[i] : static_cast<int32_t>(first + i));
        }
        for (int64_t i = 0; i < num_halo; ++i) add(halo[i]);
    }

    void clear() {
        for (const int32_t v : vertices_) local_[v] = -1;
    }

    int32_t local(int32_t vertex) const { return local_[vertex]; }
    const std::vector<int32_t>& vertices() const { return vertices_; }

  private:
    void add(int32_t vertex) {
        local_[vertex] = static_cast<int32_t>(vertices_.size());
        vertices_.push_back(vertex);
    }
    void number(size_t begin) {
        for (size_t i = begin; i < vertices_.size(); ++i) {
            local_[vertices_[i]] = static_cast<int32_t>(i);
        }
    }

    const Rows& rows_;
    std::vector<int32_t> local_, vertices_;
};

// Edges of a row beside its diagonal.
int32_t degree_of(const Rows& rows, int32_t vertex) {
    int32_t count = 0;
    for (int32_t e = rows.offsets[vertex]; e < rows.offsets[vertex + 1]; ++e) {
        count += rows.columns[e] != vertex;
    }
    return count;
}

// The order in which the rows of a tile are computed.
struct RowOrder {
    std::vector<uint16_t> rows;
    std::vector<int32_t> degrees;  // of the local rows
    std::vector<Run> runs;
    std::vector<int32_t> run_counts;
    int64_t num_edges = 0;
};

// Rows in runs of equal degree, window by window; no window crosses the end of a ring.
void order_rows(const Rows& rows, const std::vector<int32_t>& vertices, const int32_t* sizes,
                int steps, RowOrder& order) {
    order.rows.clear();
    order.runs.clear();
    order.run_counts.assign(static_cast<size_t>(steps + 1), 0);
    order.num_edges = 0;
    const int64_t num_rows = steps > 0 ? sizes[steps - 1] : 0;
    order.degrees.resize(static_cast<size_t>(num_rows));
    for (int64_t i = 0; i < num_rows; ++i) {
        order.degrees[static_cast<size_t>(i)] = degree_of(rows, vertices[static_cast<size_t>(i)]);
    }
    int64_t begin = 0;
    for (int step = 0; step < steps; ++step) {
        while (begin < sizes[step]) {
            const int64_t end = std::min<int64_t>(begin + kWindow, sizes[step]);
            for (int64_t i = begin; i < end; ++i) order.rows.push_back(static_cast<uint16_t>(i));
            std::stable_sort(order.rows.begin() + begin, order.rows.end(),
                             [&](uint16_t a, uint16_t b) {
                                 return order.degrees[a] < order.degrees[b];
                             });
            for (int64_t i = begin; i < end; ++i) {
                const int32_t degree = order.degrees[order.rows[static_cast<size_t>(i)]];
                if (i == begin || order.runs.back().degree != degree) {
                    order.runs.push_back(Run{static_cast<int32_t>(i), 0, degree,
                                             static_cast<int32_t>(order.num_edges)});
                }
                ++order.runs.back().count;
                order.num_edges += degree;
            }
            begin = end;
        }
        order.run_counts[static_cast<size_t>(step)] = static_cast<int32_t>(order.runs.size());
    }
}

template <class T>
void fill_edges(const Rows& rows, const Gatherer& gatherer, const RowOrder& order,
                uint16_t* columns, T* weights, T* diagonal) {
    const T* values = static_cast<const T*>(rows.values);
    int64_t position = 0;
    for (size_t i = 0; i < order.rows.size(); ++i) {
        const int32_t v = gatherer.vertices()[order.rows[i]];
        diagonal[i] = 0;
        for (int32_t e = rows.offsets[v]; e < rows.offsets[v + 1]; ++e) {
            if (rows.columns[e] == v) {
                diagonal[i] += values[e];
                continue;
            }
            columns[position] = static_cast<uint16_t>(gatherer.local(rows.columns[e]));
            weights[position++] = values[e];
        }
    }
}

// Runs body(begin, end) on consecutive shares of the tiles, one per thread. Throws std::bad_alloc
// where one of them does: no exception may leave the loop itself.
template <class Body>
void for_shares(int64_t num_tiles, int threads, const Body& body) {
    const int64_t shares = std::min<int64_t>(threads, num_tiles);
    std::atomic<bool> is_out_of_memory{false};
    parallel_for(static_cast<long>(shares), static_cast<int>(shares), [&](long share) {
        try {
            body(num_tiles * share / shares, num_tiles * (share + 1) / shares);
        } catch (const std::bad_alloc&) {
            is_out_of_memory = true;
        }
    });
    if (is_out_of_memory) throw std::bad_alloc();
}

}  // namespace

Tile Plan::tile(int64_t index) const {
    const int64_t item = dtype == 0 ? 4 : 8;
    Tile tile;
    tile.first = index * tile_size;
    tile.own = order ? order.get() + tile.first : nullptr;
    tile.sizes = sizes.get() + index * (steps + 1);
    tile.run_counts = run_counts.get() + index * (steps + 1);
    tile.halo = halo.get() + halo_start[index];
    tile.runs = runs.get() + run_start[index];
    tile.rows = rows.get() + row_start[index];
    tile.columns = columns.get() + edge_start[index];
    tile.weights = weights.get() + edge_start[index] * item;
    tile.diagonal = diagonal.get() + row_start[index] * item;
    return tile;
}

int64_t Plan::bytes() const {
    const int64_t item = dtype == 0 ? 4 : 8;
    return (order ? num_vertices * 4 : 0) + num_tiles * (steps + 1) * 8 +
           halo_start[num_tiles] * 4 + run_start[num_tiles] * static_cast<int64_t>(sizeof(Run)) +
           row_start[num_tiles] * (2 + item) + edge_start[num_tiles] * (2 + item) +
           4 * (num_tiles + 1) * 8;
}

std::unique_ptr<Plan> build_plan(const Rows& rows, int steps, int64_t tile_size,
                                 const int32_t* order, int threads) {
    auto plan = std::make_unique<Plan>();
    plan->dtype = rows.dtype;
    plan->num_vertices = rows.num_vertices;
    plan->tile_size = tile_size;
    plan->steps = steps;
    plan->num_tiles = (rows.num_vertices + tile_size - 1) / tile_size;
    const int64_t num_tiles = plan->num_tiles;
    if (order != nullptr) {
        plan->order = allocate<int32_t>(rows.num_vertices);
        std::copy(order, order + rows.num_vertices, plan->order.get());
    }
    plan->sizes = allocate<int32_t>(num_tiles * (steps + 1));
    plan->halo_start = allocate<int64_t>(num_tiles + 1);
    plan->run_counts = allocate<int32_t>(num_tiles * (steps + 1));
    plan->run_start = allocate<int64_t>(num_tiles + 1);
    plan->row_start = allocate<int64_t>(num_tiles + 1);
    plan->edge_start = allocate<int64_t>(num_tiles + 1);
    threads = std::min(effective_threads(threads), kMostThreads);

    auto own_of = [&](int64_t t) {
        return plan->order ? plan->order.get() + t * tile_size : nullptr;
    };
    auto count_of = [&](int64_t t) {
        return std::min(tile_size, rows.num_vertices - t * tile_size);
    };
    // first the sizes, then memory, then the edges: nothing is copied
    std::vector<std::vector<int32_t>> halos(static_cast<size_t>(num_tiles));
    std::atomic<int64_t> most_local{0};
    for_shares(num_tiles, threads, [&](int64_t begin, int64_t end) {
        Gatherer gatherer(rows, rows.num_vertices);
        RowOrder row_order;
        for (int64_t t = begin; t < end; ++t) {
            int32_t* sizes = plan->sizes.get() + t * (steps + 1);
            auto& halo = halos[static_cast<size_t>(t)];
            gatherer.gather(own_of(t), t * tile_size, count_of(t), steps, sizes, halo);
            int64_t seen = most_local.load();
            while (seen < sizes[steps] && !most_local.compare_exchange_weak(seen, sizes[steps])) {
            }
            if (most_local.load() > kMostLocal) return;
            order_rows(rows, gatherer.vertices(), sizes, steps, row_order);
            std::copy(row_order.run_counts.begin(), row_order.run_counts.end(),
                      plan->run_counts.get() + t * (steps + 1));
            plan->halo_start[t + 1] = static_cast<int64_t>(halo.size());
            plan->run_start[t + 1] = static_cast<int64_t>(row_order.runs.size());
            plan->row_start[t + 1] = static_cast<int64_t>(row_order.rows.size());
            plan->edge_start[t + 1] = row_order.num_edges;
            gatherer.clear();
        }
    });
    if (most_local > kMostLocal) return nullptr;
    plan->most_local = static_cast<int32_t>(most_local.load());
    for (int64_t* table : {plan->halo_start.get(), plan->run_start.get(), plan->row_start.get(),
                           plan->edge_start.get()}) {
        table[0] = 0;
        for (int64_t t = 0; t < num_tiles; ++t) table[t + 1] += table[t];
    }
    const int64_t item = rows.dtype == 0 ? 4 : 8;
    plan->halo = allocate<int32_t>(plan->halo_start[num_tiles]);
    plan->runs = allocate<Run>(plan->run_start[num_tiles]);
    plan->rows = allocate<uint16_t>(plan->row_start[num_tiles]);
    plan->columns = allocate<uint16_t>(plan->edge_start[num_tiles]);
    plan->weights = allocate<char>(plan->edge_start[num_tiles] * item);
    plan->diagonal = allocate<char>(plan->row_start[num_tiles] * item);
    for_shares(num_tiles, threads, [&](int64_t begin, int64_t end) {
        Gatherer gatherer(rows, rows.num_vertices);
        RowOrder row_order;
        for (int64_t t = begin; t < end; ++t) {
            auto& halo = halos[static_cast<size_t>(t)];
            std::copy(halo.begin(), halo.end(), plan->halo.get() + plan->halo_start[t]);
            gatherer.renumber(own_of(t), t * tile_size, count_of(t), halo.data(),
                              static_cast<int64_t>(halo.size()));
            std::vector<int32_t>().swap(halo);
            const int32_t* sizes = plan->sizes.get() + t * (steps + 1);
            order_rows(rows, gatherer.vertices(), sizes, steps, row_order);
            std::copy(row_order.runs.begin(), row_order.runs.end(),
                      plan->runs.get() + plan->run_start[t]);
            std::copy(row_order.rows.begin(), row_order.rows.end(),
                      plan->rows.get() + plan->row_start[t]);
            uint16_t* columns = plan->columns.get() + plan->edge_start[t];
            char* weights = plan->weights.get() + plan->edge_start[t] * item;
            char* diagonal = plan->diagonal.get() + plan->row_start[t] * item;
            if (rows.dtype == 0) {
                fill_edges(rows, gatherer, row_order, columns, reinterpret_cast<float*>(weights),
                           reinterpret_cast<float*>(diagonal));
            } else {
                fill_edges(rows, gatherer, row_order, columns, reinterpret_cast<double*>(weights),
                           reinterpret_cast<double*>(diagonal));
            }
            gatherer.clear();
        }
    });
    return plan;
}

void cluster_order(const Rows& rows, int64_t tile_size, int32_t* order) {
    const int64_t num_vertices = rows.num_vertices;
    std::vector<char> is_placed(static_cast<size_t>(num_vertices), 0);
    // vertices next to finished patches, from which the next patch starts: no islands are left over
    std::vector<int32_t> border;
    size_t next_border = 0;
    int64_t placed = 0, next_vertex = 0;
    while (placed < num_vertices) {
        const int64_t begin = placed, end = std::min(placed + tile_size, num_vertices);
        int64_t front = begin;
        while (placed < end) {
            if (front == placed) {
                int32_t seed = -1;
                while (next_border < border.size() && seed < 0) {
                    if (!is_placed[border[next_border]]) seed = border[next_border];
                    ++next_border;
                }
                while (seed < 0) {
                    if (!is_placed[next_vertex]) seed = static_cast<int32_t>(next_vertex);
                    ++next_vertex;
                }
                is_placed[seed] = 1;
                order[placed++] = seed;
            }
            const int32_t v = order[front++];
            for (int32_t e = rows.offsets[v]; e < rows.offsets[v + 1]; ++e) {
                const int32_t u = rows.columns[e];
                if (is_placed[u]) continue;
                if (placed == end) {
                    border.push_back(u);
                    continue;
                }
                is_placed[u] = 1;
                order[placed++] = u;
            }
        }
        for (; front < placed; ++front) {
            const int32_t v = order[front];
            for (int32_t e = rows.offsets[v]; e < rows.offsets[v + 1]; ++e) {
                if (!is_placed[rows.columns[e]]) border.push_back(rows.columns[e]);
            }
        }
    }
}

}  // namespace ds

namespace {

ds::Rows make_rows(int dtype, int64_t num_vertices, const int32_t* offsets, const int32_t* columns,
                   const void* values) {
    return ds::Rows{dtype, num_vertices, offsets, columns, values};
}

}  // namespace

// Status 0: built; 1: a tile would be too large; 2: out of memory.
DS_EXPORT int ds_plan_build(int dtype, int64_t num_vertices, const int32_t* offsets,
                            const int32_t* columns, const void* values, int steps,
                            int64_t tile_size, const int32_t* order, int threads, void** plan) {
    *plan = nullptr;
    try {
        const ds::Rows rows = make_rows(dtype, num_vertices, offsets, columns, values);
        *plan = ds::build_plan(rows, steps, tile_size, order, threads).release();
        return *plan == nullptr ? 1 : 0;
    } catch (const std::bad_alloc&) {
        return 2;
    }
}

DS_EXPORT void ds_plan_free(void* plan) { delete static_cast<ds::Plan*>(plan); }

// Vertices read per vertex, edges visited per edge and product, bytes, vertices of a tile's halo.
DS_EXPORT void ds_plan_describe(const void* handle, double* numbers) {
    const auto& plan = *static_cast<const ds::Plan*>(handle);
    int64_t read = 0, visited = 0;
    for (int64_t t = 0; t < plan.num_tiles; ++t) {
        const ds::Tile tile = plan.tile(t);
        read += tile.sizes[plan.steps];
        for (int s = 0; s < plan.steps; ++s) visited += tile.sizes[s];
    }
    const double vertices = static_cast<double>(plan.num_vertices);
    numbers[0] = static_cast<double>(read) / vertices;
    numbers[1] = static_cast<double>(visited) / vertices / std::max(plan.steps, 1);
    numbers[2] = static_cast<double>(plan.bytes());
    numbers[3] = static_cast<double>(plan.most_local);
}

DS_EXPORT int ds_cluster_order(int64_t num_vertices, const int32_t* offsets, const int32_t* columns,
                               int64_t tile_size, int32_t* order) {
    try {
        ds::cluster_order(make_rows(0, num_vertices, offsets, columns, nullptr), tile_size, order);
        return 0;
    } catch (const std::bad_alloc&) {
        return 2;
    }
}

// Size of a core's second-level cache; 0 where the system does not say.
DS_EXPORT int64_t ds_cache_bytes() {
#if defined(__linux__) && defined(_SC_LEVEL2_CACHE_SIZE)
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return size > 0 ? size : 0;
#elif defined(__APPLE__)
    int64_t size = 0;
    size_t length = sizeof(size);
    return sysctlbyname("hw.l2cachesize", &size, &length, nullptr, 0) == 0 ? size : 0;
#else
    return 0;
#endif
}
