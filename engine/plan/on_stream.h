// Back ends that work in a device's memory, in the order of a stream. Present in CUDA builds only.
#pragma once

#include "engine/plan/backend.h"
#include "engine/plan/staged_uploads.h"
#include "kernels/base/stream.h"

namespace boneage::plan {

// `Base` is Backend or TrainingBackend. The stream must outlive this.
template <class Base>
class OnStream : public Base {
public:
    explicit OnStream(Stream& stream) : stream_(stream), uploads_(stream) {}

    [[nodiscard]] Memory allocate(int64_t bytes) override {
        return {static_cast<std::byte*>(allocate_device(bytes)), [](std::byte* memory) { free_device(memory); }};
    }
    [[nodiscard]] bool host_addressable() const override { return false; }
    void upload(std::byte* to, const void* from, int64_t bytes) override {
        if (bytes <= StagedUploads::kMost) {
            uploads_.copy(to, from, bytes);
        } else {
            copy_to_device(stream_, to, from, bytes);
        }
    }
    void download(void* to, const std::byte* from, int64_t bytes) override {
        copy_to_host(stream_, to, from, bytes);
        stream_.synchronize();
    }
    void synchronize() override { stream_.synchronize(); }

protected:
    Stream& stream_;

private:
    StagedUploads uploads_;
};

}  // namespace boneage::plan
