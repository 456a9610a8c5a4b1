#include "engine/plan/staged_uploads.h"
#include "engine/train/batches_at.h"
#include "kernels/base/stream.h"

namespace boneage::train {
namespace {

class DeviceDesk {
public:
    using Space = Device;

    explicit DeviceDesk(Stream& stream) : stream_(stream), uploads_(stream) {}

    Stream& queue() { return stream_; }

    Tensor<const uint8_t, Device> keep(Tensor<const uint8_t, Host> pictures) {
        const auto& [n, h, w, c] = pictures.shape;
        const std::byte* kept = keep(pictures.data, pictures.size());
        return {reinterpret_cast<const uint8_t*>(kept), n, h, w, c};
    }

    // The images one after another, each with its rows packed, and the table that says where.
    Batch<const uint8_t, Device> keep(const std::vector<Image<const uint8_t, Host>>& images) {
        std::vector<uint8_t> pixels;
        for (const Image<const uint8_t, Host>& image : images) {
            for (int64_t y = 0; y < image.height; ++y) {
                pixels.insert(pixels.end(), image.row(y), image.row(y) + image.width);
            }
        }
        const auto* next = reinterpret_cast<const uint8_t*>(keep(pixels.data(), static_cast<int64_t>(pixels.size())));
        std::vector<Image<const uint8_t, Device>> table;
        for (const Image<const uint8_t, Host>& image : images) {
            table.emplace_back(next, image.height, image.width);
            next += image.pixels();
        }
        const std::byte* at = keep(table.data(), static_cast<int64_t>(table.size() * sizeof(table[0])));
        return batch_of<Device>(images, reinterpret_cast<const Image<const uint8_t, Device>*>(at));
    }

    Picks<Device> picks(const BatchDraw& batch) {
        const auto count = static_cast<int64_t>(batch.pictures.size());
        indices_.reserve(count);
        draws_.reserve(1);
        upload(indices_.data(), batch.pictures.data(), count * static_cast<int64_t>(sizeof(int32_t)));
        upload(draws_.data(), &batch.draws, static_cast<int64_t>(sizeof(AugmentDraws)));
        return {{indices_.data(), count}, {draws_.data(), 1}};
    }

    void put(float* to, const std::vector<float>& values) {
        upload(to, values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
    }

    Bytes<Device> scratch(int64_t bytes) {
        scratch_.reserve(bytes);
        return {scratch_.data(), bytes};
    }

    static void check(const plan::TrainingExecutor& executor) {
        expects(executor.queues(), "batches are made where the executor works");
    }

private:
    // A copy that stays.
    const std::byte* keep(const void* from, int64_t bytes) {
        const std::byte* kept = kept_.emplace_back(bytes).data();
        copy_to_device(stream_, kept_.back().data(), from, bytes);
        stream_.synchronize();
        return kept;
    }

    void upload(void* to, const void* from, int64_t bytes) {
        const auto* next = static_cast<const std::byte*>(from);
        for (int64_t done = 0; done < bytes; done += plan::StagedUploads::kMost) {
            uploads_.copy(static_cast<std::byte*>(to) + done, next + done,
                          std::min(bytes - done, plan::StagedUploads::kMost));
        }
    }

    Stream& stream_;
    plan::StagedUploads uploads_;
    std::vector<Buffer<std::byte, Device>> kept_;
    Buffer<int32_t, Device> indices_;
    Buffer<AugmentDraws, Device> draws_;
    Buffer<std::byte, Device> scratch_;
};

}  // namespace

std::unique_ptr<Batches> batches_on_device(const AgeCache& cache, Stream& stream) {
    return std::make_unique<AgeBatches<DeviceDesk>>(cache, stream);
}

std::unique_ptr<Batches> batches_on_device(const MaskCache& cache, Stream& stream) {
    return std::make_unique<MaskBatches<DeviceDesk>>(cache, stream);
}

}  // namespace boneage::train
