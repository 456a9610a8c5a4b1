// Linked into programs that need to see a bug in one run: the runner starts with shuffled threads that stop between
// accesses to shared data, the order in which most goes wrong, and keeps it.
#include "tests/support/thread_orders.h"

#include <cuda_runtime.h>

namespace {

[[maybe_unused]] const bool kRacing = [] {
    simt::options().order = simt::Order::shuffled;
    simt::options().yield_every = 3;
    return true;
}();

}  // namespace

namespace boneage::testing {

void in_every_thread_order(const std::function<void()>& body) {
    body();
}

void in_racing_thread_orders(const std::function<void()>& body) {
    body();
}

}  // namespace boneage::testing
