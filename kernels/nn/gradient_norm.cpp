#include "kernels/nn/gradient_norm.h"

#include "kernels/nn/gradient_norm_math.h"

#include <algorithm>

namespace boneage {
namespace {

double halved(double* lanes, int count) {
    for (int half = count / 2; half >= 1; half /= 2) {
        for (int lane = 0; lane < half; ++lane) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

// Rows of 1024 elements are added to as many lanes: in vectors, and in the contract's order.
double chunk_sum(const float* gradients, int64_t count) {
    alignas(64) double lanes[kNormLanes] = {};
    for (int64_t first = 0; first < count; first += kNormLanes) {
        const int64_t width = std::min<int64_t>(kNormLanes, count - first);
        for (int64_t j = 0; j < width; ++j) {
            lanes[j] += squared(gradients[first + j]);
        }
    }
    return halved(lanes, kNormLanes);
}

}  // namespace

int64_t clip_gradients_scratch_bytes(int64_t size) {
    return scratch_part<double>(norm_chunks(size));
}

void clip_gradients(Workers& workers, Tensor<float, Host> gradients, double max_norm, Tensor<GradientNorm, Host> norm,
                    Bytes<Host> scratch) {
    check_clipping(gradients, max_norm, norm, scratch);
    const int64_t chunks = norm_chunks(gradients.size());
    auto* sums = ScratchCursor<Host>(scratch).take<double>(chunks);
    workers.parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t chunk = begin; chunk < end; ++chunk) {
            const int64_t first = chunk * kNormChunk;
            sums[chunk] = chunk_sum(gradients.data + first, std::min(kNormChunk, gradients.size() - first));
        }
    });
    double lanes[kChunkSumLanes] = {};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        lanes[chunk % kChunkSumLanes] += sums[chunk];
    }
    *norm.data = clipping(halved(lanes, kChunkSumLanes), max_norm);
    const float factor = norm.data->factor;
    if (factor == 1.0F) {
        return;
    }
    workers.parallel_for(gradients.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            gradients.data[i] *= factor;
        }
    });
}

}  // namespace boneage
