#include "tests/support/thread_orders.h"

#include <cuda_runtime.h>

namespace boneage::testing {
namespace {

// Restores the runner's options, also where a body throws.
class Restored {
public:
    Restored() = default;
    ~Restored() { simt::options() = saved_; }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;

private:
    simt::Options saved_ = simt::options();
};

}  // namespace

void in_every_thread_order(const std::function<void()>& body) {
    const Restored restored;
    for (const simt::Order order : {simt::Order::ascending, simt::Order::descending, simt::Order::shuffled}) {
        simt::options().order = order;
        body();
    }
}

void in_racing_thread_orders(const std::function<void()>& body) {
    const Restored restored;
    simt::options().order = simt::Order::shuffled;
    for (const unsigned yield_every : {2U, 3U, 7U}) {
        simt::options().seed = yield_every;
        simt::options().yield_every = yield_every;
        body();
    }
}

}  // namespace boneage::testing
