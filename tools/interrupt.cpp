#include "tools/interrupt.h"

#include <csignal>

namespace boneage::tools {
namespace {

// The one piece of global state: a signal handler has no other way to reach anything.
std::atomic<bool> asked_to_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

}  // namespace

const std::atomic<bool>& interrupted() {
    struct sigaction action {};
    action.sa_handler = [](int) { asked_to_stop = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return asked_to_stop;
}

}  // namespace boneage::tools
