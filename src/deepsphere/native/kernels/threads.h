// How many threads a loop may use.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace ds {

// `requested` threads, but one in a child of a fork: the threads of its parent do not exist there,
// and the OpenMP runtime would wait for them forever.
int effective_threads(int requested);

#ifdef DS_STD_THREADS
// Calls call(body, index) for 0 <= index < count on threads of C++, which live for this call only.
void run_on_threads(long count, int threads, void (*call)(const void*, long), const void* body);
#endif

// Calls body(index) for 0 <= index < count, in any order, on up to `threads` threads.
template <class Body>
static inline void parallel_for(long count, int threads, const Body& body) {
#if defined(DS_STD_THREADS)
    if (threads > 1 && count > 1) {
        const auto call = [](const void* that, long index) {
            (*static_cast<const Body*>(that))(index);
        };
        run_on_threads(count, threads, call, &body);
        return;
    }
#elif defined(_OPENMP)
    if (threads > 1 && count > 1) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
        for (long index = 0; index < count; ++index) body(index);
        return;
    }
#endif
    for (long index = 0; index < count; ++index) body(index);
}

}  // namespace ds
