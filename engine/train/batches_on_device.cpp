#include "engine/pipeline/device_networks.h"
#include "engine/plan/recorded.h"
#include "engine/plan/staged_uploads.h"
#include "engine/train/batches_at.h"
#include "kernels/base/numeric.h"
#include "kernels/base/stream.h"

#include <optional>

namespace boneage::train {
namespace {

// Queues all batches of an epoch at once: nothing is copied to the device but weights, and the host waits for the last
// batch's answers only.
class DeviceJudge final : public AgeJudge {
public:
    DeviceJudge(Stream& stream, Tensor<const uint8_t, Device> pictures, const pipeline::Recipe& recipe,
                const JudgedAges& judged, plan::Backend& backend)
        : stream_(stream),
          recipe_(recipe),
          judged_(judged),
          backend_(backend),
          batches_(ceil_div(static_cast<int64_t>(judged.pictures.size()), judged.batch)),
          pictures_(batches_ * judged.batch),
          answers_(2 * judged.batch),
          all_answers_(batches_ * answers_.size()) {
        expects(!backend.host_addressable(), "what judges works where batches are made");
        std::vector<Image<const uint8_t, Device>> table;
        for (const int64_t i : judged.pictures) {
            table.emplace_back(pictures.at(i), pictures.shape[1], pictures.shape[2]);
        }
        table.resize(static_cast<size_t>(pictures_.size()));  // what fills up the last batch is black
        copy_to_device(stream_, pictures_.data(), table.data(),
                       pictures_.size() * static_cast<int64_t>(sizeof(table[0])));
        stream_.synchronize();
    }

    void prepare(const plan::ParameterSource& parameters) override {
        if (!network_) {
            network_.emplace(pipeline::AgeNetworkSource{judged_.network, parameters}, recipe_, backend_,
                             judged_.precision, judged_.batch, stream_);
        }
    }

    std::vector<pipeline::Ages> estimate(const plan::ParameterSource& parameters) override {
        if (network_) {
            network_->reload(parameters);
        }
        prepare(parameters);
        const Tensor<float, Device> input = network_->input();
        for (int64_t batch = 0; batch < batches_; ++batch) {
            normalise<uint8_t, float>(
                stream_, {pictures_.data() + batch * judged_.batch, judged_.batch, input.shape[1], input.shape[2]},
                input, pipeline::normalise_params(recipe_.input));
            forward_.run(nullptr);
            copy_to_host(stream_, all_answers_.data() + batch * answers_.size(), answers_.data(),
                         answers_.size() * static_cast<int64_t>(sizeof(float)));
        }
        stream_.synchronize();
        std::vector<pipeline::Ages> ages(judged_.pictures.size());
        for (size_t i = 0; i < ages.size(); ++i) {
            const auto picture = static_cast<int64_t>(i);
            const float* boy =
                all_answers_.data() + picture / judged_.batch * answers_.size() + picture % judged_.batch;
            ages[i] = {recipe_.age.months(boy[0]), recipe_.age.months(boy[judged_.batch])};
        }
        return ages;
    }

private:
    Stream& stream_;
    pipeline::Recipe recipe_;
    JudgedAges judged_;
    plan::Backend& backend_;
    int64_t batches_;
    Buffer<Image<const uint8_t, Device>, Device> pictures_;
    Buffer<float, Device> answers_;    // [2, batch]: as boys, as girls
    PinnedBuffer<float> all_answers_;  // [batches, 2, batch]
    std::optional<pipeline::DeviceAgeNetwork> network_;
    plan::Recorded forward_{stream_, [this] {
                                network_->enqueue(stream_, {answers_.data(), judged_.batch},
                                                  {answers_.data() + judged_.batch, judged_.batch});
                            }};
};

class DeviceDesk {
public:
    using Space = Device;
    using Judge = DeviceJudge;

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

std::unique_ptr<AgeBatches> batches_on_device(const AgeCache& cache, Stream& stream) {
    return std::make_unique<AgeBatchesAt<DeviceDesk>>(cache, stream);
}

std::unique_ptr<Batches> batches_on_device(const MaskCache& cache, Stream& stream) {
    return std::make_unique<MaskBatchesAt<DeviceDesk>>(cache, stream);
}

}  // namespace boneage::train
