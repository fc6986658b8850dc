#include "scratch.h"

#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ds {

namespace {

constexpr std::size_t kGranule = std::size_t{1} << 21;

struct Kept {
    void* memory = nullptr;
    std::size_t size = 0;
    ~Kept() { std::free(memory); }
};

thread_local Kept kept;

}  // namespace

void* scratch(std::size_t bytes) {
    if (bytes > kept.size) {
        std::free(kept.memory);
        kept.size = (bytes + kGranule - 1) / kGranule * kGranule;
        kept.memory = std::aligned_alloc(kGranule, kept.size);
        if (kept.memory == nullptr) kept.size = 0;
#if defined(__linux__)
        // one large page instead of hundreds of small ones, whose addresses would not all be cached
        if (kept.memory != nullptr) madvise(kept.memory, kept.size, MADV_HUGEPAGE);
#endif
    }
    return kept.memory;
}

}  // namespace ds
