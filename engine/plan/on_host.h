// Back ends that work in this process's own memory. Included by their sources only.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/host_memory.h"

#include <algorithm>

namespace boneage::plan {

// `Base` is Backend or TrainingBackend.
template <class Base>
class OnHost : public Base {
public:
    [[nodiscard]] Memory allocate(int64_t bytes) override {
        return {allocate_host(bytes, static_cast<std::size_t>(kArenaAlignment)), free_host};
    }
    [[nodiscard]] bool host_addressable() const override { return true; }
    void upload(std::byte* to, const void* from, int64_t bytes) override {
        std::copy_n(static_cast<const std::byte*>(from), bytes, to);
    }
    void download(void* to, const std::byte* from, int64_t bytes) override {
        std::copy_n(from, bytes, static_cast<std::byte*>(to));
    }
    void synchronize() override {}
};

}  // namespace boneage::plan
