// For a GPU, which has its own order, and for programs in which another file has chosen one.
#include "tests/support/thread_orders.h"

namespace boneage::testing {

void in_every_thread_order(const std::function<void()>& body) {
    body();
}

void in_racing_thread_orders(const std::function<void()>& body) {
    body();
}

}  // namespace boneage::testing
