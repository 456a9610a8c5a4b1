// Weights in the order in which steps read them, held once for all back ends that run the same networks.
#pragma once

#include "kernels/base/buffer.h"

#include <memory>
#include <mutex>
#include <vector>

namespace boneage::onednn {

// May be used by several threads at a time.
class WeightStore {
public:
    using Held = std::shared_ptr<const Buffer<float, Host>>;

    // What equals `weights` and is held already, or else `weights`, held as long as somebody has them.
    [[nodiscard]] Held hold(Buffer<float, Host> weights);

    // Of all that is held.
    [[nodiscard]] int64_t bytes() const;

private:
    mutable std::mutex mutex_;
    std::vector<std::weak_ptr<const Buffer<float, Host>>> all_;  // only grows: see hold()
};

}  // namespace boneage::onednn
