// Tiles of a sparse operator: which rows a block of vertices needs for a polynomial, and their edges
// in local numbers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace ds {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
// Uninitialized memory: threads that fill it touch it first, in parallel.
template <class T>
using Array = std::unique_ptr<T[], Free>;

// Rows of equal degree, computed one after the other: a loop whose length changes from row to row
// would cost as much as the work in it.
struct Run {
    int32_t first;   // position of the first row among the rows of the tile
    int32_t count;   // of rows
    int32_t degree;  // edges of each, beside the diagonal
    int32_t edge;    // offset of the first edge
};

// One tile. Local number i < sizes[0] is a vertex of the tile itself; the halo follows, ring by
// ring: sizes[s] vertices are within s steps of the tile. Vertices 0 .. sizes[steps - 1] have rows.
struct Tile {
    int64_t first;            // position of the tile's first vertex in the order of all
    const int32_t* own;       // the tile's vertices; null where they are first, first + 1, ...
    const int32_t* sizes;     // steps + 1 counts
    const int32_t* run_counts;  // runs[0 .. run_counts[s]) are the rows of sizes[s] vertices
    const int32_t* halo;      // vertices sizes[0] .. sizes[steps] - 1
    const Run* runs;
    const uint16_t* rows;     // local numbers, in the order of the runs
    const uint16_t* columns;  // local numbers of the neighbors
    const void* weights;      // float or double, one per column
    const void* diagonal;     // float or double, one per row, in the order of the runs
};

constexpr int64_t kMostLocal = 65536;

struct Plan {
    int dtype = 0;  // 0: float, 1: double
    int64_t num_vertices = 0;
    int64_t tile_size = 0;
    int64_t num_tiles = 0;
    int steps = 0;
    int32_t most_local = 0;  // vertices of the largest tile, halo included
    Array<int32_t> order;    // null where tiles are consecutive vertices
    Array<int32_t> sizes, run_counts, halo;
    Array<int64_t> halo_start, run_start, row_start, edge_start;
    Array<Run> runs;
    Array<uint16_t> rows, columns;
    Array<char> weights, diagonal;

    Tile tile(int64_t index) const;
    int64_t bytes() const;
};

// Rows of the operator in compressed form, on the host.
struct Rows {
    int dtype;
    int64_t num_vertices;
    const int32_t* offsets;
    const int32_t* columns;
    const void* values;
};

// The plan of `tile_size` vertices a tile and `steps` products. Null where a tile has more than
// kMostLocal vertices with its halo. `order` is a permutation of the vertices or null.
// Throws std::bad_alloc.
std::unique_ptr<Plan> build_plan(const Rows& rows, int steps, int64_t tile_size,
                                 const int32_t* order, int threads);

// A permutation that puts vertices joined by edges close to one another, in runs of `tile_size`:
// patches grown in breadth.
void cluster_order(const Rows& rows, int64_t tile_size, int32_t* order);

}  // namespace ds
