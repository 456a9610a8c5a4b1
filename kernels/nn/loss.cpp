#include "kernels/nn/loss.h"

#include "kernels/nn/loss_math.h"

#include <algorithm>

namespace boneage {
namespace {

double halved(double* lanes) {
    for (int half = kLossLanes / 2; half >= 1; half /= 2) {
        for (int lane = 0; lane < half; ++lane) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

// A chunk's four sums. Rows of 256 pixels are added to as many lanes: in vectors, and in the contract's order.
template <class T>
void chunk_sums(const T* logits, int64_t logit_step, const float* targets, int64_t target_step, int64_t count,
                double* sums) {
    alignas(64) double lanes[kSegmentationSums][kLossLanes] = {};
    for (int64_t first = 0; first < count; first += kLossLanes) {
        const int64_t width = std::min<int64_t>(kLossLanes, count - first);
#pragma GCC ivdep
        for (int64_t j = 0; j < width; ++j) {
            const float x = to_float(logits[(first + j) * logit_step]);
            const float t = targets[(first + j) * target_step];
            const float decay = decay_of(x);
            const float p = probability(x, decay);
            lanes[0][j] += static_cast<double>(cross_entropy_term(x, t, decay));
            lanes[1][j] += static_cast<double>(p * t);
            lanes[2][j] += static_cast<double>(p);
            lanes[3][j] += static_cast<double>(t);
        }
    }
    for (int s = 0; s < kSegmentationSums; ++s) {
        sums[s] = halved(lanes[s]);
    }
}

}  // namespace

void absolute_error_loss(Workers& /*workers*/, Tensor<const float, Host> predictions, Tensor<const float, Host> targets,
                         Tensor<const float, Host> weights, Tensor<float, Host> loss,
                         Tensor<float, Host> d_predictions) {
    check_absolute_error(predictions, targets, weights, loss, d_predictions);
    const int64_t n = predictions.size();
    double distances[kLossLanes] = {};
    double shares[kLossLanes] = {};
    for (int64_t i = 0; i < n; ++i) {
        distances[i % kLossLanes] += weighted_distance(predictions.data[i], targets.data[i], weights.data[i]);
        shares[i % kLossLanes] += static_cast<double>(weights.data[i]);
    }
    const double sums[] = {halved(distances), halved(shares)};
    *loss.data = absolute_error(sums);
    for (int64_t i = 0; i < n; ++i) {
        d_predictions.data[i] = absolute_error_gradient(predictions.data[i], targets.data[i], weights.data[i], sums[1]);
    }
}

int64_t segmentation_loss_scratch_bytes(int64_t images, int64_t pixels) {
    return scratch_part<double>(images * loss_chunks(pixels) * kSegmentationSums) + scratch_part<ImageLoss>(images);
}

template <class T>
void segmentation_loss(Workers& workers, Activations<const T, Host> logits, Activations<const float, Host> targets,
                       const SegmentationLossParams& params, Tensor<SegmentationLoss, Host> loss,
                       Activations<T, Host> d_logits, Bytes<Host> scratch) {
    check_segmentation(logits, targets, params, loss, d_logits, scratch);
    const int64_t pixels = logits.h * logits.w;
    const int64_t chunks = loss_chunks(pixels);
    ScratchCursor<Host> cursor(scratch);
    auto* partials = cursor.take<double>(logits.n * chunks * kSegmentationSums);
    auto* images = cursor.take<ImageLoss>(logits.n);
    workers.parallel_for(logits.n * chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t first = task % chunks * kLossChunk;
            chunk_sums(logits.pixel(task / chunks, 0, first), logits.pixel_stride,
                       targets.pixel(task / chunks, 0, first), targets.pixel_stride,
                       std::min(kLossChunk, pixels - first), partials + task * kSegmentationSums);
        }
    });
    for (int64_t image = 0; image < logits.n; ++image) {
        double sums[kSegmentationSums] = {};
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            for (int s = 0; s < kSegmentationSums; ++s) {
                sums[s] += partials[(image * chunks + chunk) * kSegmentationSums + s];
            }
        }
        images[image] = image_loss(sums, logits.n, params);
    }
    *loss.data = whole_loss(images, logits.n, pixels, params);
    const float factor = cross_entropy_factor(logits.pixels(), params);
    workers.parallel_for(logits.n * chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / chunks;
            const int64_t first = task % chunks * kLossChunk;
            const T* x = logits.pixel(image, 0, first);
            const float* t = targets.pixel(image, 0, first);
            T* d_x = d_logits.pixel(image, 0, first);
            const ImageLoss terms = images[image];
            const int64_t count = std::min(kLossChunk, pixels - first);
#pragma GCC ivdep
            for (int64_t j = 0; j < count; ++j) {
                d_x[j * d_logits.pixel_stride] =
                    from_float<T>(logit_gradient(to_float(x[j * logits.pixel_stride]), t[j * targets.pixel_stride],
                                                 factor, terms.dice_factor, terms.dice));
            }
        }
    });
}

template void segmentation_loss(Workers&, Activations<const float, Host>, Activations<const float, Host>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Host>, Activations<float, Host>,
                                Bytes<Host>);
template void segmentation_loss(Workers&, Activations<const bfloat16, Host>, Activations<const float, Host>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Host>,
                                Activations<bfloat16, Host>, Bytes<Host>);
template void segmentation_loss(Workers&, Activations<const float16, Host>, Activations<const float, Host>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Host>,
                                Activations<float16, Host>, Bytes<Host>);

}  // namespace boneage
