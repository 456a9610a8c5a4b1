#include "engine/onednn/team.h"

#include "kernels/base/error.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <omp.h>

namespace boneage::onednn {

OpenMpThreads::OpenMpThreads(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
}

OpenMpThreads::~OpenMpThreads() {
    omp_set_num_threads(before_);
}

Team::Team(int threads) : threads_(threads) {
    if (threads < 1) {
        throw UsageError("a back end needs at least one thread, not " + std::to_string(threads));
    }
#ifdef __SANITIZE_THREAD__
    pool_ = std::make_unique<Workers>(threads);
    runner_ = [pool = pool_.get()](int count, const std::function<void(int)>& task) {
        pool->parallel_for(count, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                task(static_cast<int>(i));
            }
        });
    };
#else
    runner_ = [](int count, const std::function<void(int)>& task) {
#pragma omp parallel for num_threads(count) schedule(static, 1)
        for (int i = 0; i < count; ++i) {
            task(i);
        }
    };
#endif
    whole_ = std::make_unique<Workers>(threads, runner_);
    for (int i = 0; i < threads; ++i) {
        alone_.push_back(std::make_unique<Workers>(1));
    }
}

void Team::for_images(int64_t n, const std::function<void(int64_t, const Crew&)>& body) {
    const int64_t alone = images_alone(n);
    if (alone > 0) {
        std::atomic<int64_t> next{0};
        std::mutex mutex;
        std::exception_ptr error;
        runner_(threads_, [&](int thread) {
            const OpenMpThreads one_thread(1);
            const Crew crew{*alone_[static_cast<size_t>(thread)], thread, false};
            try {
                for (int64_t image = next++; image < alone; image = next++) {
                    body(image, crew);
                }
            } catch (...) {
                next = alone;
                const std::lock_guard lock(mutex);
                error = error ? error : std::current_exception();
            }
        });
        if (error) {
            std::rethrow_exception(error);
        }
    }
    const OpenMpThreads all_threads(threads_);
    for (int64_t image = alone; image < n; ++image) {
        body(image, {*whole_, 0, true});
    }
}

}  // namespace boneage::onednn
