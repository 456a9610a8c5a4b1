// Linked into programs that need to see a bug in one run: the runner starts with shuffled threads that stop between
// accesses to shared data, the order in which most goes wrong, and keeps it.
#include <cuda_runtime.h>

namespace {

[[maybe_unused]] const bool kRacing = [] {
    simt::options().order = simt::Order::shuffled;
    simt::options().yield_every = 3;
    return true;
}();

}  // namespace
