#include "threads.h"

#include <atomic>
#ifdef DS_STD_THREADS
#include <system_error>
#include <thread>
#include <vector>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace ds {

static std::atomic<bool> is_forked_child{false};

#if defined(__unix__) || defined(__APPLE__)
static const int registered =
    pthread_atfork(nullptr, nullptr, [] { is_forked_child.store(true); });
#endif

int effective_threads(int requested) {
    if (requested < 1 || is_forked_child.load(std::memory_order_relaxed)) return 1;
    return requested;
}

#ifdef DS_STD_THREADS
void run_on_threads(long count, int threads, void (*call)(const void*, long), const void* body) {
    std::atomic<long> next{0};
    const auto work = [&] {
        for (long index = next++; index < count; index = next++) call(body, index);
    };
    std::vector<std::thread> others;
    for (long other = 1; other < threads && other < count; ++other) {
        try {
            others.emplace_back(work);
        } catch (const std::system_error&) {  // no more threads to be had: the others do its part
            break;
        }
    }
    work();
    for (std::thread& other : others) other.join();
}
#endif

}  // namespace ds
