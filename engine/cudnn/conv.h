// A planned convolution as a cuDNN graph.
#pragma once

#include "engine/cudnn/graphs.h"
#include "engine/plan/backend.h"

#include <vector>

namespace boneage::cudnn {

// The convolution of one step over whole batches. Throws ContractError for operands that a graph cannot describe.
ConvGeometry geometry_of(const plan::FusedConv& step, const plan::Operands& at);

// The graph that computes it, of x's unfolded rows where those are better.
FusedConvGraph graph_of(const plan::FusedConv& step, const plan::Operands& at);

// What the operands' type asks for; for float32 ones float32, or tf32 where asked.
Arithmetic arithmetic_of(const plan::Operands& at, bool tf32);

// [out, in, k, k] as [out, k, k, in], the order in which cuDNN graphs of NHWC tensors take weights.
std::vector<float> as_krsc(const std::vector<float>& weight, int64_t out, int64_t in, int64_t kernel);

}  // namespace boneage::cudnn
