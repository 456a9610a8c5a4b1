// The convolution step, and what oneDNN finds in this processor.
#pragma once

#include "engine/onednn/team.h"
#include "engine/plan/backend.h"

namespace boneage::onednn {

struct Processor {
    std::string isa;  // for people: "AVX2"
    // Channels stored together (plan::Traits::channel_block): as many as fill a vector register, which is what oneDNN's
    // convolutions block by. bf16's are pixels with AMX, whose tiles oneDNN fills from those alone. With AVX-512 it has
    // faster float32 convolutions of pixels too, but their order of sums is another for another number of threads.
    int64_t channel_block = 8;
    int64_t bf16_channel_block = 8;
    bool computes_bf16 = false;  // oneDNN has bf16 convolutions for it at all
    bool bf16_in_hardware = false;
};
const Processor& processor();

// "2.6.3"
std::string library_version();

// y = act(conv(x) + bias + residual). Values in the plan's blocks are read and written where they lie, and so is an x
// of one channel; all else is staged in scratch. Where oneDNN has no convolutions for a 16-bit type (float16 never,
// bf16 without AVX-512), values are widened to float32 before and rounded after: weights and stored values have that
// type, sums are float32, as they are with such convolutions.
std::unique_ptr<plan::Runnable> make_conv(Team& team, int64_t channel_block, const plan::FusedConv& step,
                                          const plan::Operands& at, const plan::Weights& weights);

}  // namespace boneage::onednn
