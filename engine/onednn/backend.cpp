#include "engine/onednn/backend.h"

#include "engine/onednn/conv.h"
#include "engine/onednn/steps.h"
#include "engine/onednn/winograd.h"
#include "engine/plan/on_host.h"
#include "kernels/base/error.h"

namespace boneage::onednn {
namespace {

class CpuBackend final : public plan::OnHost<plan::Backend> {
public:
    explicit CpuBackend(const BackendOptions& options)
        : team_(options.threads),
          convolutions_(options.convolutions),
          weights_(options.weights ? options.weights : std::make_shared<WeightStore>()),
          traits_{.conv_reads_slices = true,
                  .conv_writes_slices = true,
                  .residual_in_place = true,
                  .direct_transposed_conv = false,
                  .channel_block = options.channel_block.value_or(processor().channel_block),
                  .bf16_channel_block = options.channel_block.value_or(processor().bf16_channel_block)} {
        if (const int64_t block = traits_.channel_block; block != 1 && block != 8 && block != 16) {
            throw UsageError("oneDNN stores channels in blocks of 1, 8 or 16, not " + std::to_string(block));
        }
    }

    [[nodiscard]] plan::Traits traits() const override { return traits_; }

    std::unique_ptr<plan::Runnable> make(const plan::FusedConv& step, const plan::Operands& at,
                                         const plan::Weights& weights) override {
        if (convolutions_ == Convolutions::winograd && winograd_fits(step, at)) {
            return make_winograd_step(team_, *weights_, step, at, weights);
        }
        return make_conv(team_, traits_.block_of(at.x.type), step, at, weights);
    }
    std::unique_ptr<plan::Runnable> make(const plan::MaxPool& step, const plan::Operands& at) override {
        return make_max_pool(team_, step, at);
    }
    std::unique_ptr<plan::Runnable> make(const plan::GlobalAvgPool&, const plan::Operands& at) override {
        return make_average_pool(team_, at);
    }
    std::unique_ptr<plan::Runnable> make(const plan::Linear& step, const plan::Operands& at,
                                         const plan::Weights& weights) override {
        return make_linear(team_, step, at, weights);
    }
    std::unique_ptr<plan::Runnable> make(const plan::TransposedConv&, const plan::Operands&,
                                         const plan::Weights&) override {
        throw ContractError("this back end's traits ask for transposed convolutions in two steps");
    }
    std::unique_ptr<plan::Runnable> make(const plan::DepthToSpace&, const plan::Operands& at) override {
        return make_depth_to_space(team_, at);
    }
    std::unique_ptr<plan::Runnable> make(const plan::Copy&, const plan::Operands& at) override {
        return make_copy(team_, at);
    }

private:
    Team team_;
    Convolutions convolutions_;
    std::shared_ptr<WeightStore> weights_;
    plan::Traits traits_;
};

}  // namespace

std::unique_ptr<plan::Backend> make_backend(const BackendOptions& options) {
    return std::make_unique<CpuBackend>(options);
}

std::string describe(plan::Precision precision) {
    std::string text = "oneDNN " + library_version() + " on " + processor().isa;
    switch (precision) {
        case plan::Precision::f32:
            break;
        case plan::Precision::tf32:
            text += "; tf32 is a GPU's: computing in float32";
            break;
        case plan::Precision::bf16:
            if (!processor().computes_bf16) {
                text += "; bf16 emulated: this processor has no bf16 instructions, so f32 is likely faster";
            } else if (!processor().bf16_in_hardware) {
                text += "; bf16 emulated by oneDNN: this processor has no bf16 instructions, so f32 is likely faster";
            }
            break;
        case plan::Precision::f16:
            text += "; f16 emulated: oneDNN has none for processors; expect float32 speed";
            break;
    }
    return text;
}

}  // namespace boneage::onednn
