// The CPU's counterpart of a stream: a small pool of threads that every CPU twin takes as its first argument.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace boneage {

// `count` threads, the calling one included; Workers(1) starts none and runs everything inline. A Workers belongs to
// one caller at a time: calls on the same object must not overlap. Not copyable.
class Workers {
public:
    // Runs task(0) ... task(count - 1), each on its own thread where it can, and returns when all are done. Tasks do
    // not throw.
    using Runner = std::function<void(int count, const std::function<void(int)>& task)>;

    // Throws ContractError unless count >= 1.
    explicit Workers(int count);
    // Borrows the threads of another pool instead of starting its own: two pools that take turns would keep each
    // other's threads waiting.
    Workers(int count, Runner runner);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    [[nodiscard]] int count() const { return count_; }

    // Calls body(begin, end) on disjoint ranges that cover [0, n), each a multiple of `grain` long but for the last,
    // and returns when all are done. Ranges run in no particular order and may run at the same time; a twin must give
    // the same bits however they are cut. The first exception thrown by a body is rethrown here.
    void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

private:
    struct Pool;
    int count_;
    std::unique_ptr<Pool> pool_;  // null when count_ == 1 or the threads are borrowed
    Runner runner_;
};

// Processors this process may run on (its affinity mask, not the machine's total); at least 1.
int available_processors();

}  // namespace boneage
