// Back ends that work in this process's own memory. Included by their sources only.
#pragma once

#include "engine/plan/backend.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace boneage::plan {

// `Base` is Backend or TrainingBackend.
template <class Base>
class OnHost : public Base {
public:
    [[nodiscard]] Memory allocate(int64_t bytes) override {
        const std::align_val_t alignment{kArenaAlignment};
        return {static_cast<std::byte*>(::operator new(static_cast<size_t>(std::max<int64_t>(bytes, 1)), alignment)),
                [alignment](std::byte* memory) { ::operator delete(memory, alignment); }};
    }
    [[nodiscard]] bool host_addressable() const override { return true; }
    void upload(std::byte* to, const void* from, int64_t bytes) override {
        std::memcpy(to, from, static_cast<size_t>(bytes));
    }
    void download(void* to, const std::byte* from, int64_t bytes) override {
        std::memcpy(to, from, static_cast<size_t>(bytes));
    }
    void synchronize() override {}
};

}  // namespace boneage::plan
