// Batches on the host and on a device from one text. Included by their sources only.
#pragma once

#include "engine/pipeline/kernel_params.h"
#include "engine/train/batches.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <utility>

namespace boneage::train {

// What the kernels read of a batch, in their memory.
template <class Space>
struct Picks {
    Tensor<const int32_t, Space> indices;
    Tensor<const AugmentDraws, Space> draws;
};

// A dense float32 input of the executor.
template <class Space>
Tensor<float, Space> tensor_at(const plan::Place& at) {
    expects(at.type == plan::DataType::f32 && at.dense() && at.channel_block == 1, "inputs are dense float32");
    return {reinterpret_cast<float*>(at.data), at.shape.n, at.shape.h, at.shape.w, at.shape.c};
}

// A `Desk` is where batches are made:
//   Space                    the memory it works in
//   queue()                  what runs kernels there
//   keep(tensor)             pictures as they lie there for good, of a tensor or of a vector of images
//   picks(batch)             what the kernels read of a batch, until the next one's
//   put(to, values)          floats of the host's, to be copied there
//   scratch(bytes)
//   check(executor)          throws ContractError when the executor works elsewhere
//   Judge                    an AgeJudge of queue(), such pictures, a recipe, what is judged and the back end
template <class Desk>
void put_inputs(Desk& desk, const BatchDraw& batch, plan::TrainingExecutor& executor) {
    for (const BatchDraw::Input& input : batch.inputs) {
        const auto to = tensor_at<typename Desk::Space>(executor.place(input.name));
        expects(std::cmp_equal(input.values.size(), to.size()), "an input has a value for every sample");
        desk.put(to.data, input.values);
    }
}

template <class Desk>
class AgeBatchesAt final : public AgeBatches {
public:
    template <class Queue>
    AgeBatchesAt(const AgeCache& cache, Queue& queue)
        : desk_(queue), pictures_(desk_.keep(cache.pictures())), recipe_(cache.recipe()) {}

    void make(const BatchDraw& batch, plan::TrainingExecutor& executor) override {
        desk_.check(executor);
        put_inputs(desk_, batch, executor);
        const auto picks = desk_.picks(batch);
        augment(desk_.queue(), pictures_, picks.indices, picks.draws,
                tensor_at<typename Desk::Space>(executor.place("image")), batch.augment,
                pipeline::normalise_params(recipe_.input), desk_.scratch(augment_scratch_bytes(picks.indices.size())));
    }

    std::unique_ptr<AgeJudge> judge(const JudgedAges& judged, plan::Backend& backend) override {
        expects(!judged.pictures.empty() && judged.batch >= 1, "there are pictures to judge by");
        return std::make_unique<typename Desk::Judge>(desk_.queue(), pictures_, recipe_, judged, backend);
    }

private:
    Desk desk_;
    Tensor<const uint8_t, typename Desk::Space> pictures_;
    pipeline::Recipe recipe_;
};

template <class Desk>
class MaskBatchesAt final : public Batches {
public:
    template <class Queue>
    MaskBatchesAt(const MaskCache& cache, Queue& queue)
        : desk_(queue), normalise_(pipeline::normalise_params(cache.recipe().segment)) {
        std::vector<Image<const uint8_t, Host>> pictures;
        std::vector<Image<const uint8_t, Host>> masks;
        for (int64_t i = 0; i < cache.count(); ++i) {
            pictures.push_back(cache.picture(i));
            masks.push_back(cache.mask(i));
        }
        pictures_ = desk_.keep(pictures);
        masks_ = desk_.keep(masks);
    }

    void make(const BatchDraw& batch, plan::TrainingExecutor& executor) override {
        using Space = typename Desk::Space;
        desk_.check(executor);
        put_inputs(desk_, batch, executor);
        const auto picks = desk_.picks(batch);
        augment_patches(desk_.queue(), pictures_, masks_, picks.indices, picks.draws,
                        tensor_at<Space>(executor.place("image")), tensor_at<Space>(executor.place("targets")),
                        batch.augment, normalise_, desk_.scratch(augment_scratch_bytes(picks.indices.size())));
    }

private:
    Desk desk_;
    Batch<const uint8_t, typename Desk::Space> pictures_;
    Batch<const uint8_t, typename Desk::Space> masks_;
    NormaliseParams normalise_;
};

// The bounds of a batch of images that lies at `at`.
template <class Space>
Batch<const uint8_t, Space> batch_of(const std::vector<Image<const uint8_t, Host>>& images,
                                     const Image<const uint8_t, Space>* at) {
    Batch<const uint8_t, Space> batch{at, static_cast<int64_t>(images.size()), 0, 0};
    for (const Image<const uint8_t, Host>& image : images) {
        batch.max_height = std::max(batch.max_height, image.height);
        batch.max_width = std::max(batch.max_width, image.width);
    }
    return batch;
}

}  // namespace boneage::train
