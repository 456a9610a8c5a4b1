#include "engine/pipeline/age_network.h"
#include "engine/train/batches_at.h"
#include "kernels/base/buffer.h"

#include <list>
#include <utility>

namespace boneage::train {
namespace {

class HostJudge final : public AgeJudge {
public:
    HostJudge(Workers& workers, Tensor<const uint8_t, Host> pictures, const pipeline::Recipe& recipe, JudgedAges judged,
              plan::Backend& backend)
        : workers_(workers), pictures_(pictures), recipe_(recipe), judged_(std::move(judged)), backend_(backend) {}

    // The network takes memory, and no time: it is made for every epoch.
    void prepare(const plan::ParameterSource& /*parameters*/) override {}

    std::vector<pipeline::Ages> estimate(const plan::ParameterSource& parameters) override {
        pipeline::AgeNetwork network({judged_.network, parameters}, recipe_, backend_, judged_.precision,
                                     judged_.batch);
        const NormaliseParams params = pipeline::normalise_params(recipe_.input);
        std::vector<pipeline::Ages> all;
        std::vector<pipeline::Ages> ages;
        for (size_t begin = 0; begin < judged_.pictures.size(); begin += static_cast<size_t>(judged_.batch)) {
            const size_t count = std::min(judged_.pictures.size() - begin, static_cast<size_t>(judged_.batch));
            for (size_t i = 0; i < count; ++i) {
                const Image<const uint8_t, Host> picture(pictures_.at(judged_.pictures[begin + i]), pictures_.shape[1],
                                                         pictures_.shape[2]);
                normalise<uint8_t, float>(workers_, one(picture), network.slot(static_cast<int64_t>(i)), params);
            }
            network.run(static_cast<int64_t>(count), ages);
            all.insert(all.end(), ages.begin(), ages.end());
        }
        return all;
    }

private:
    Workers& workers_;
    Tensor<const uint8_t, Host> pictures_;
    pipeline::Recipe recipe_;
    JudgedAges judged_;
    plan::Backend& backend_;
};

class HostDesk {
public:
    using Space = Host;
    using Judge = HostJudge;

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

std::unique_ptr<AgeBatches> batches_on_host(const AgeCache& cache, Workers& workers) {
    return std::make_unique<AgeBatchesAt<HostDesk>>(cache, workers);
}

std::unique_ptr<Batches> batches_on_host(const MaskCache& cache, Workers& workers) {
    return std::make_unique<MaskBatchesAt<HostDesk>>(cache, workers);
}

}  // namespace boneage::train
