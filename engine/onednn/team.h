// The threads of one back end, and how they share the images of a batch.
#pragma once

#include "kernels/base/workers.h"

#include <functional>
#include <memory>
#include <vector>

namespace boneage::onednn {

// Who works on one image: `workers` on slot `slot` of whatever is kept once per thread. `whole` when all threads do.
struct Crew {
    Workers& workers;
    int slot = 0;
    bool whole = false;
};

// Threads are OpenMP's, because oneDNN's are: with a second pool, the threads of the one would spin while those of the
// other work. ThreadSanitizer cannot see libgomp's barriers, so in its builds our own kernels run on a pool of
// std::threads instead; only oneDNN's generated code, which it cannot see either, keeps OpenMP.
class Team {
public:
    explicit Team(int threads);

    [[nodiscard]] int threads() const { return threads_; }
    // Of a batch of n, the images that single threads take: the largest multiple of the thread count, if there are two.
    [[nodiscard]] int64_t images_alone(int64_t n) const { return threads_ == 1 ? 0 : n / threads_ * threads_; }

    // Calls body(image, crew) for every image of a batch, or other part of the work; the first exception is rethrown
    // when all threads are done.
    void for_images(int64_t n, const std::function<void(int64_t, const Crew&)>& body);

    [[nodiscard]] Workers& workers() { return *whole_; }

private:
    int threads_;
    Workers::Runner runner_;
    std::unique_ptr<Workers> whole_;
    std::vector<std::unique_ptr<Workers>> alone_;  // one per thread
#ifdef __SANITIZE_THREAD__
    std::unique_ptr<Workers> pool_;
#endif
};

// While it lives, oneDNN calls of this thread use `threads` threads.
class OpenMpThreads {
public:
    explicit OpenMpThreads(int threads);
    ~OpenMpThreads();
    OpenMpThreads(const OpenMpThreads&) = delete;
    OpenMpThreads& operator=(const OpenMpThreads&) = delete;

private:
    int before_;
};

}  // namespace boneage::onednn
