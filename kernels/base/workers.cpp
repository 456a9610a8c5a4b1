#include "kernels/base/workers.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <sched.h>
#include <thread>
#include <utility>
#include <vector>

namespace boneage {

namespace {

// Tells the processor that this thread waits in a loop.
void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Waits a moment for what mostly comes at once: to put a thread to sleep and wake it takes as long as a small kernel.
template <class Condition>
void wait_awake(Condition condition) {
    constexpr auto kMoment = std::chrono::microseconds(50);
    const auto end = std::chrono::steady_clock::now() + kMoment;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        pause();
    }
}

void run_borrowed(const Workers::Runner& runner, int count, int64_t n, int64_t chunk,
                  const std::function<void(int64_t, int64_t)>& body) {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::exception_ptr error;
    runner(count, [&](int) {
        try {
            for (int64_t begin = next.fetch_add(chunk); begin < n; begin = next.fetch_add(chunk)) {
                body(begin, std::min(n, begin + chunk));
            }
        } catch (...) {
            next = n;
            const std::lock_guard lock(mutex);
            error = error ? error : std::current_exception();
        }
    });
    if (error) {
        std::rethrow_exception(error);
    }
}

}  // namespace

// One job at a time: every thread, the caller's included, takes the next range until none is left. Ranges are handed
// out under the mutex, which costs nothing beside rows of pixels and keeps the pool obviously free of races.
struct Workers::Pool {
    std::mutex mutex;
    std::condition_variable job_ready;
    std::condition_variable job_done;
    std::vector<std::thread> threads;

    const std::function<void(int64_t, int64_t)>* body = nullptr;
    int64_t n = 0;
    int64_t chunk = 1;
    int64_t next = 0;
    bool stop = false;
    std::exception_ptr error;
    // Changed under the mutex, but looked at without it by threads that wait awake.
    std::atomic<int64_t> running = 0;
    std::atomic<int64_t> jobs = 0;  // begun so far, the end of the pool included

    [[nodiscard]] bool has_work() const { return body != nullptr && next < n; }

    // Takes ranges until none is left. Called and left with the lock held.
    void drain(std::unique_lock<std::mutex>& lock) {
        while (has_work()) {
            const int64_t begin = next;
            const int64_t end = std::min(n, begin + chunk);
            next = end;
            ++running;
            const auto* current = body;
            lock.unlock();
            std::exception_ptr thrown;
            try {
                (*current)(begin, end);
            } catch (...) {
                thrown = std::current_exception();
            }
            lock.lock();
            --running;
            if (thrown) {
                next = n;
                if (!error) {
                    error = thrown;
                }
            }
        }
        if (running == 0) {
            job_done.notify_all();
        }
    }

    void thread_main() {
        std::unique_lock lock(mutex, std::defer_lock);
        for (int64_t seen = 0;; seen = jobs, lock.unlock()) {
            wait_awake([&] { return jobs != seen; });
            lock.lock();
            job_ready.wait(lock, [this] { return stop || has_work(); });
            if (stop) {
                return;
            }
            drain(lock);
        }
    }
};

Workers::Workers(int count) : count_(count) {
    expects(count >= 1, "count must be at least 1");
    if (count == 1) {
        return;
    }
    pool_ = std::make_unique<Pool>();
    for (int i = 1; i < count; ++i) {
        pool_->threads.emplace_back([pool = pool_.get()] { pool->thread_main(); });
    }
}

Workers::Workers(int count, Runner runner) : count_(count), runner_(std::move(runner)) {
    expects(count >= 1, "count must be at least 1");
}

Workers::~Workers() {
    if (!pool_) {
        return;
    }
    {
        const std::lock_guard lock(pool_->mutex);
        pool_->stop = true;
        ++pool_->jobs;
    }
    pool_->job_ready.notify_all();
    for (std::thread& thread : pool_->threads) {
        thread.join();
    }
}

void Workers::parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    expects(grain >= 1, "grain must be at least 1");
    if (n <= 0) {
        return;
    }
    if (count_ == 1 || n <= grain) {
        body(0, n);
        return;
    }
    // About four ranges a thread: enough to even out unequal rows, few enough to stay cheap.
    const int64_t wanted = (n + 4 * count_ - 1) / (4 * count_);
    const int64_t chunk = (std::max(wanted, grain) + grain - 1) / grain * grain;
    if (runner_) {
        run_borrowed(runner_, count_, n, chunk, body);
        return;
    }
    std::unique_lock lock(pool_->mutex);
    pool_->body = &body;
    pool_->n = n;
    pool_->chunk = chunk;
    pool_->next = 0;
    ++pool_->jobs;
    pool_->job_ready.notify_all();
    pool_->drain(lock);
    lock.unlock();
    wait_awake([&] { return pool_->running == 0; });
    lock.lock();
    pool_->job_done.wait(lock, [this] { return pool_->running == 0 && !pool_->has_work(); });
    pool_->body = nullptr;
    if (pool_->error) {
        std::rethrow_exception(std::exchange(pool_->error, nullptr));
    }
}

int available_processors() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    return std::max(1, CPU_COUNT(&set));
}

}  // namespace boneage
