// Ctrl-C as a wish to finish what is being done and stop.
#pragma once

#include <atomic>

namespace boneage::tools {

// From the first call on, SIGINT and SIGTERM set the flag that is returned. A second one ends the program at once.
const std::atomic<bool>& interrupted();

}  // namespace boneage::tools
