// Memory of a thread that stays between calls: first touches cost more than the work done in it.
#pragma once

#include <cstddef>

namespace ds {

// At least `bytes`, aligned to 64; uninitialized, valid until the next call on the same thread.
// Null if there is no memory.
void* scratch(std::size_t bytes);

}  // namespace ds
