// Device tests in every order of threads that the CPU runner knows; a GPU has its own.
#pragma once

#include <functional>

namespace boneage::testing {

// Runs `body` once on a GPU, and on the CPU runner with the threads of each block and the blocks of each grid in
// ascending, descending and shuffled order: a missing barrier or a race between threads changes some result.
void in_every_thread_order(const std::function<void()>& body);

// As above, in shuffled orders only, and threads stop every now and then between one access to shared data and the
// next: what is lost when two threads change the same thing is lost in one of these runs.
void in_racing_thread_orders(const std::function<void()>& body);

}  // namespace boneage::testing
