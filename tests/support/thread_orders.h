// Device tests in every order of threads that the CPU runner knows; a GPU has its own.
#pragma once

#ifdef BONEAGE_SIMT
#include <cuda_runtime.h>
#endif

namespace boneage::testing {

// Runs `body` once on a GPU, and on the CPU runner with the threads of each block and the blocks of each grid in
// ascending, descending and shuffled order: a missing barrier or a race between threads changes some result.
template <class Body>
void in_every_thread_order(const Body& body) {
#ifdef BONEAGE_SIMT
    const simt::Options saved = simt::options();
    for (const simt::Order order : {simt::Order::ascending, simt::Order::descending, simt::Order::shuffled}) {
        simt::options().order = order;
        body();
    }
    simt::options() = saved;
#else
    body();
#endif
}

// As above, in shuffled orders only, and threads stop every now and then between one access to shared data and the
// next: what is lost when two threads change the same thing is lost in one of these runs.
template <class Body>
void in_racing_thread_orders(const Body& body) {
#ifdef BONEAGE_SIMT
    const simt::Options saved = simt::options();
    simt::options().order = simt::Order::shuffled;
    for (const unsigned yield_every : {2U, 3U, 7U}) {
        simt::options().seed = yield_every;
        simt::options().yield_every = yield_every;
        body();
    }
    simt::options() = saved;
#else
    body();
#endif
}

}  // namespace boneage::testing
