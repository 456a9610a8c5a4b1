#include "engine/train/batches_at.h"
#include "kernels/base/buffer.h"

#include <list>

namespace boneage::train {
namespace {

class HostDesk {
public:
    using Space = Host;

    explicit HostDesk(Workers& workers) : workers_(workers) {}

    Workers& queue() { return workers_; }
    // Pictures stay where the cache has them.
    static Tensor<const uint8_t, Host> keep(Tensor<const uint8_t, Host> pictures) { return pictures; }
    Batch<const uint8_t, Host> keep(const std::vector<Image<const uint8_t, Host>>& images) {
        const auto& kept = kept_.emplace_back(images);
        return batch_of<Host>(kept, kept.data());
    }
    static Picks<Host> picks(const BatchDraw& batch) {
        return {{batch.pictures.data(), static_cast<int64_t>(batch.pictures.size())}, {&batch.draws, 1}};
    }
    static void put(float* to, const std::vector<float>& values) { std::ranges::copy(values, to); }
    Bytes<Host> scratch(int64_t bytes) { return scratch_.bytes(bytes); }
    static void check(const plan::TrainingExecutor& executor) {
        expects(!executor.queues(), "batches are made where the executor works");
    }

private:
    Workers& workers_;
    HostScratch scratch_;
    std::list<std::vector<Image<const uint8_t, Host>>> kept_;
};

}  // namespace

std::unique_ptr<Batches> batches_on_host(const AgeCache& cache, Workers& workers) {
    return std::make_unique<AgeBatches<HostDesk>>(cache, workers);
}

std::unique_ptr<Batches> batches_on_host(const MaskCache& cache, Workers& workers) {
    return std::make_unique<MaskBatches<HostDesk>>(cache, workers);
}

}  // namespace boneage::train
