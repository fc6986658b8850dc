#include "scratch.h"

#include <cstdlib>

namespace ds {

namespace {

constexpr std::size_t kGranule = std::size_t{1} << 20;

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
    }
    return kept.memory;
}

}  // namespace ds
