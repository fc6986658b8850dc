// The choice among the instruction sets for which variant.cpp was compiled.
#pragma once

#define DS_EXPORT extern "C" __attribute__((visibility("default")))

namespace ds {

enum class InstructionSet { kPortable = 0, kAvx2 = 1, kAvx512 = 2 };

// The best that the processor has, or DEEPSPHERE_ISA from the environment; found out once.
InstructionSet instruction_set();

}  // namespace ds

// Declares a function of every variant; the declaration must be a single macro argument.
// DS_PICK names the one of the instruction set in use. Which variants there are is known to whoever
// compiles (setup.py): an old compiler lacks some.
#ifdef DS_HAVE_AVX2
#define DS_IN_AVX2(...) namespace avx2 { __VA_ARGS__ }
#define DS_OR_AVX2(function) \
    ds::instruction_set() == ds::InstructionSet::kAvx2 ? ds::avx2::function:
#else
#define DS_IN_AVX2(...)
#define DS_OR_AVX2(function)
#endif
#ifdef DS_HAVE_AVX512
#define DS_IN_AVX512(...) namespace avx512 { __VA_ARGS__ }
#define DS_OR_AVX512(function) \
    ds::instruction_set() == ds::InstructionSet::kAvx512 ? ds::avx512::function:
#else
#define DS_IN_AVX512(...)
#define DS_OR_AVX512(function)
#endif
#define DS_IN_VARIANTS(...)            \
    namespace ds {                     \
    namespace portable { __VA_ARGS__ } \
    DS_IN_AVX2(__VA_ARGS__)            \
    DS_IN_AVX512(__VA_ARGS__)          \
    }
#define DS_PICK(function) (DS_OR_AVX512(function) DS_OR_AVX2(function) ds::portable::function)
