// Nearest neighbors of HEALPix pixels, exactly and without a tree.
//
// All pixels within a distance are found by walking the rings of latitude outwards from a pixel, and
// on each ring outwards in longitude: along both, distances only grow. The k-th neighbor within a
// distance that holds at least k is the k-th of all. That distance, a little more for ties, is the
// cutoff c of a pixel. Pixels i and j are joined if either is among the nearest of the other, which
// is d(i, j) <= max(c(i), c(j)): rows of the symmetric graph follow one by one, in any order.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "healpix.h"
#include "threads.h"

namespace ds {
namespace {

constexpr double kPi = 3.14159265358979323846;
// Pixels that a thread takes at once.
constexpr int kShare = 4096;
// Searches reach this much farther than the largest cutoff, so that no rounding matters there.
constexpr double kMargin = 1.0 + 1e-9;

struct Neighbor {
    Pixel pixel;
    double squared;  // distance
};

// Calls found(pixel, squared distance) for all pixels within a distance of one, itself too.
class Search {
  public:
    explicit Search(const Healpix& sphere) : sphere_(sphere) {}

    template <class Found>
    void within(Pixel center, double reach, const Found& found) const {
        for (int ring = center.ring; ring >= 1; --ring)
            if (!walk(center, ring, reach, found)) break;
        for (int ring = center.ring + 1; ring <= sphere_.num_rings(); ++ring)
            if (!walk(center, ring, reach, found)) break;
    }

  private:
    const Healpix& sphere_;

    // False if the whole ring is out of reach.
    template <class Found>
    bool walk(Pixel center, int ring, double reach, const Found& found) const {
        const Ring& here = sphere_.ring(center.ring);
        const Ring& there = sphere_.ring(ring);
        const double rise = here.height - there.height, away = here.radius - there.radius;
        const double nearest = rise * rise + away * away;
        if (nearest > reach) return false;
        // d^2 = nearest + 4 r r' sin^2(half the difference of longitude), which is, with t whole,
        // t pi / (8 q q'); half a turn is t = 4 q q'
        const double scale = 4.0 * (here.radius * there.radius);
        const double product = double(here.quarter) * there.quarter;
        const double unit = kPi / 8.0 / product;
        const int step = 2 * here.quarter, half = 4 * here.quarter * there.quarter;
        const int size = 4 * there.quarter;
        const int behind = (2 * center.position + here.offset) * there.quarter -
                           there.offset * here.quarter;
        // the first pixel that is not west of the center
        const int first = (behind + step - 1) / step;
        const auto squared = [&](int t) {
            const double sine = std::sin(t * unit);
            return nearest + scale * (sine * sine);
        };
        int position = first < size ? first : first - size;
        for (int t = first * step - behind; t <= half; t += step) {
            const double distance = squared(t);
            if (distance > reach) break;
            found(Pixel{ring, position}, distance);
            if (++position == size) position = 0;
        }
        position = (first == 0 ? size : first) - 1;
        for (int t = behind - (first - 1) * step; t < half; t += step) {
            const double distance = squared(t);
            if (distance > reach) break;
            found(Pixel{ring, position}, distance);
            position = (position == 0 ? size : position) - 1;
        }
        return true;
    }
};

bool same(Pixel a, Pixel b) { return a.ring == b.ring && a.position == b.position; }

// The graph of all pixels, or of those kept; rows are in the order given.
class NeighborGraph {
  public:
    NeighborGraph(int nside, bool nested, int num_neighbors, double tie_tolerance,
                  const int64_t* kept, int64_t num_kept, int threads)
        : sphere_(nside, nested),
          search_(sphere_),
          num_neighbors_(num_neighbors),
          ties_((1.0 + tie_tolerance) * (1.0 + tie_tolerance)),
          kept_(kept),
          num_rows_(kept == nullptr ? sphere_.num_pixels() : num_kept),
          threads_(effective_threads(threads)),
          // zeros that are never touched take no memory: where few pixels are kept, few are
          cutoffs_(allocate<double>(sphere_.num_classes())) {
        if (kept_ != nullptr) {
            row_of_.reset(allocate<int>(sphere_.num_pixels()));
            for (int64_t row = 0; row < num_rows_; ++row) {
                row_of_[kept_[row]] = static_cast<int>(row) + 1;
                cutoffs_[sphere_.class_of(sphere_.pixel(static_cast<int>(kept_[row])))] = 1.0;
            }
        }
        find_cutoffs();
    }

    // offsets[r + 1] - offsets[r] is the number of neighbors of row r.
    void count(int64_t* offsets) const {
        offsets[0] = 0;
        if (kept_ != nullptr) {
            for_shares(num_rows_, [&](int64_t begin, int64_t end, std::vector<Neighbor>& found) {
                for (int64_t row = begin; row < end; ++row) {
                    collect(pixel_of(row), found);
                    offsets[row + 1] = static_cast<int64_t>(found.size());
                }
            });
        } else {
            // equivalent pixels have as many neighbors
            std::vector<int> sizes(static_cast<size_t>(sphere_.num_classes()));
            for_classes([&](int index, Pixel pixel, std::vector<Neighbor>& found) {
                collect(pixel, found);
                sizes[static_cast<size_t>(index)] = static_cast<int>(found.size());
            });
            for_shares(num_rows_, [&](int64_t begin, int64_t end, std::vector<Neighbor>&) {
                for (int64_t row = begin; row < end; ++row)
                    offsets[row + 1] = sizes[static_cast<size_t>(
                        sphere_.class_of(sphere_.pixel(static_cast<int>(row))))];
            });
        }
        for (int64_t row = 0; row < num_rows_; ++row) offsets[row + 1] += offsets[row];
    }

    // Columns, increasing, and distances of every row.
    template <class Index>
    void fill(const int64_t* offsets, Index* columns, double* distances) const {
        for_shares(num_rows_, [&](int64_t begin, int64_t end, std::vector<Neighbor>& found) {
            std::vector<std::pair<int, double>> sorted;
            for (int64_t row = begin; row < end; ++row) {
                collect(pixel_of(row), found);
                sorted.clear();
                for (const Neighbor& neighbor : found) {
                    const int index = sphere_.index(neighbor.pixel);
                    sorted.emplace_back(kept_ == nullptr ? index : row_of_[index] - 1,
                                        neighbor.squared);
                }
                std::sort(sorted.begin(), sorted.end());
                if (static_cast<int64_t>(sorted.size()) != offsets[row + 1] - offsets[row])
                    throw std::bad_alloc();  // believed impossible; writing on would corrupt memory
                int64_t at = offsets[row];
                for (const auto& [column, squared] : sorted) {
                    columns[at] = static_cast<Index>(column);
                    distances[at++] = std::sqrt(squared);
                }
            }
        });
    }

  private:
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    template <class T>
    using Zeros = std::unique_ptr<T[], Free>;

    Healpix sphere_;
    Search search_;
    int num_neighbors_;
    double ties_;
    const int64_t* kept_;
    int64_t num_rows_;
    int threads_;
    Zeros<double> cutoffs_;  // squared, of every class
    Zeros<int> row_of_;      // of every kept pixel, and one
    double largest_cutoff_ = 0.0;

    template <class T>
    static T* allocate(int count) {
        void* memory = std::calloc(static_cast<size_t>(count), sizeof(T));
        if (memory == nullptr) throw std::bad_alloc();
        return static_cast<T*>(memory);
    }

    Pixel pixel_of(int64_t row) const {
        return sphere_.pixel(static_cast<int>(kept_ == nullptr ? row : kept_[row]));
    }

    // Runs body(begin, end, a list to use) on shares of a range, on all threads.
    template <class Body>
    void for_shares(int64_t count, const Body& body) const {
        std::atomic<bool> failed{false};
        parallel_for((count + kShare - 1) / kShare, threads_, [&](long share) {
            try {
                std::vector<Neighbor> found;
                const int64_t begin = int64_t{share} * kShare;
                body(begin, std::min(begin + kShare, count), found);
            } catch (const std::bad_alloc&) {
                failed = true;  // no exception may leave a thread
            }
        });
        if (failed) throw std::bad_alloc();
    }

    // Runs body(class, its representative, a list to use), on all threads.
    template <class Body>
    void for_classes(const Body& body) const {
        std::vector<int> starts;
        const int northern = (sphere_.num_rings() + 1) / 2;
        for (int ring = 1; ring <= northern; ++ring) starts.push_back(sphere_.ring(ring).classes);
        for_shares(sphere_.num_classes(),
                   [&](int64_t begin, int64_t end, std::vector<Neighbor>& found) {
                       const auto after = std::upper_bound(starts.begin(), starts.end(), begin);
                       int ring = static_cast<int>(after - starts.begin());
                       for (int64_t index = begin; index < end; ++index) {
                           if (ring < northern && index == sphere_.ring(ring + 1).classes) ++ring;
                           const int position = static_cast<int>(index) - sphere_.ring(ring).classes;
                           body(static_cast<int>(index), Pixel{ring, position}, found);
                       }
                   });
    }

    void find_cutoffs() {
        const bool all = kept_ == nullptr;
        for_classes([&](int index, Pixel pixel, std::vector<Neighbor>& found) {
            if (all || cutoffs_[index] != 0.0) cutoffs_[index] = cutoff(pixel, found);
        });
        for (int index = 0; index < sphere_.num_classes(); ++index)
            largest_cutoff_ = std::max(largest_cutoff_, cutoffs_[index]);
    }

    // Squared distance of the k-th neighbor, with the tolerance for ties.
    double cutoff(Pixel center, std::vector<Neighbor>& found) const {
        // a cap of radius r has the area pi r^2; half as much again holds k pixels nearly always
        double reach = 1.5 * 4.0 * (num_neighbors_ + 1) / sphere_.num_pixels();
        const size_t wanted = static_cast<size_t>(num_neighbors_);
        for (;; reach *= 2.0) {
            found.clear();
            search_.within(center, reach, [&](Pixel pixel, double squared) {
                if (!same(pixel, center)) found.push_back({pixel, squared});
            });
            if (found.size() >= wanted) break;
        }
        const auto last = found.begin() + static_cast<long>(wanted) - 1;
        std::nth_element(found.begin(), last, found.end(), [](const auto& a, const auto& b) {
            return a.squared < b.squared;
        });
        return last->squared * ties_;
    }

    // The neighbors of a pixel. Not inlined: where rounding depends on how a formula is compiled,
    // it must be the same for counting and for filling.
    __attribute__((noinline)) void collect(Pixel center, std::vector<Neighbor>& found) const {
        found.clear();
        const double own = cutoffs_[sphere_.class_of(center)];
        search_.within(center, largest_cutoff_ * kMargin, [&](Pixel pixel, double squared) {
            if (kept_ != nullptr && row_of_[sphere_.index(pixel)] == 0) return;
            if (squared > own && squared > cutoffs_[sphere_.class_of(pixel)]) return;
            if (!same(pixel, center)) found.push_back({pixel, squared});
        });
    }
};

}  // namespace
}  // namespace ds

// The graph of num_kept pixels (all if kept is null; kept must live as long), or null if memory
// does not suffice or a size is out of range.
DS_EXPORT void* ds_healpix_neighbors_open(int nside, int nested, int num_neighbors,
                                          double tie_tolerance, const int64_t* kept,
                                          int64_t num_kept, int num_threads) {
    if (nside < 1 || nside > ds::kLargestNside || num_neighbors < 1 ||
        num_neighbors >= 12 * nside * nside || (nested && (nside & (nside - 1)) != 0))
        return nullptr;
    try {
        return new ds::NeighborGraph(nside, nested != 0, num_neighbors, tie_tolerance, kept,
                                     num_kept, num_threads);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// Where each row begins, and where the last ends. 0, or 1 if memory does not suffice.
DS_EXPORT int ds_healpix_neighbors_count(const void* graph, int64_t* offsets) {
    try {
        static_cast<const ds::NeighborGraph*>(graph)->count(offsets);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

// Columns of 4 or 8 bytes, and distances. 0, or 1 if memory does not suffice.
DS_EXPORT int ds_healpix_neighbors_fill(const void* graph, const int64_t* offsets, void* columns,
                                        int column_bytes, double* distances) {
    const auto* rows = static_cast<const ds::NeighborGraph*>(graph);
    try {
        if (column_bytes == 4)
            rows->fill(offsets, static_cast<int32_t*>(columns), distances);
        else
            rows->fill(offsets, static_cast<int64_t*>(columns), distances);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

DS_EXPORT void ds_healpix_neighbors_close(void* graph) {
    delete static_cast<ds::NeighborGraph*>(graph);
}
