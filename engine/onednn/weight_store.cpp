#include "engine/onednn/weight_store.h"

#include <algorithm>

namespace boneage::onednn {

WeightStore::Held WeightStore::hold(Buffer<float, Host> weights) {
    // Compared while others go on: those that are added in the meantime come after the ones compared.
    for (size_t compared = 0;; ++compared) {
        Held candidate;
        {
            const std::lock_guard lock(mutex_);
            if (compared == all_.size()) {
                auto kept = std::make_shared<const Buffer<float, Host>>(std::move(weights));
                all_.push_back(kept);
                return kept;
            }
            candidate = all_[compared].lock();
        }
        if (candidate && std::ranges::equal(*candidate, weights)) {
            return candidate;
        }
    }
}

int64_t WeightStore::bytes() const {
    const std::lock_guard lock(mutex_);
    int64_t floats = 0;
    for (const auto& one : all_) {
        const Held held = one.lock();
        floats += held ? held->size() : 0;
    }
    return floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace boneage::onednn
