// Linked into programs that run mutants: the runner starts with shuffled threads that stop between accesses to shared
// data, the order in which most goes wrong.
#include <cuda_runtime.h>

namespace {

[[maybe_unused]] const bool kRacing = [] {
    simt::options().order = simt::Order::shuffled;
    simt::options().yield_every = 3;
    return true;
}();

}  // namespace
