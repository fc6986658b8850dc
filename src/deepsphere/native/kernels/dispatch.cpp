#include "dispatch.h"

#include <cstdlib>
#include <cstring>

namespace ds {

// The best that both the processor and this library have.
static InstructionSet best_supported() {
#if defined(DS_HAVE_AVX2) || defined(DS_HAVE_AVX512)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#ifdef DS_HAVE_AVX512
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw");
    if (avx512) return InstructionSet::kAvx512;
#endif
#ifdef DS_HAVE_AVX2
    if (avx2) return InstructionSet::kAvx2;
#endif
#endif
    return InstructionSet::kPortable;
}

static InstructionSet choose() {
    const InstructionSet best = best_supported();
    const char* asked = std::getenv("DEEPSPHERE_ISA");
    if (asked == nullptr) return best;
    InstructionSet wanted = best;
    if (std::strcmp(asked, "portable") == 0) wanted = InstructionSet::kPortable;
    if (std::strcmp(asked, "avx2") == 0) wanted = InstructionSet::kAvx2;
#ifndef DS_HAVE_AVX2
    if (wanted == InstructionSet::kAvx2) wanted = InstructionSet::kPortable;
#endif
    // never more than the processor has: that would end in an illegal instruction
    return wanted < best ? wanted : best;
}

InstructionSet instruction_set() {
    static const InstructionSet chosen = choose();
    return chosen;
}

}  // namespace ds

DS_EXPORT int ds_instruction_set() { return static_cast<int>(ds::instruction_set()); }
DS_EXPORT int ds_interface_version() { return 1; }
