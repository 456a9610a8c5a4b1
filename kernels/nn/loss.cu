#include "kernels/nn/halve.cuh"
#include "kernels/nn/loss.h"
#include "kernels/nn/loss_math.h"

namespace boneage {
namespace {

static_assert(kThreads == kLossLanes, "the contract's 256 partial sums are a block's threads");

// One block: a batch of ages is a few hundred numbers.
__global__ void __launch_bounds__(kThreads)
    absolute_error_kernel(const float* predictions, const float* targets, const float* weights, int64_t n, float* loss,
                          float* d_predictions) {
    double sums[2] = {};
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
        sums[0] += weighted_distance(predictions[i], targets[i], weights[i]);
        sums[1] += static_cast<double>(weights[i]);
    }
    double totals[2];
    halve(sums, totals);
    if (threadIdx.x == 0) {
        *loss = absolute_error(totals);
    }
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
        d_predictions[i] = absolute_error_gradient(predictions[i], targets[i], weights[i], totals[1]);
    }
}

// A block for each chunk of each image.
template <class T>
__global__ void __launch_bounds__(kThreads)
    segmentation_sums_kernel(Activations<const T, Device> logits, Activations<const float, Device> targets,
                             double* partials) {
    const int64_t pixels = logits.h * logits.w;
    const auto chunks = static_cast<unsigned>(loss_chunks(pixels));
    const int64_t first = blockIdx.x % chunks * kLossChunk;
    const int64_t end = min(first + kLossChunk, pixels);
    const T* x_row = logits.pixel(blockIdx.x / chunks, 0, 0);
    const float* t_row = targets.pixel(blockIdx.x / chunks, 0, 0);
    double sums[kSegmentationSums] = {};
    for (int64_t pixel = first + threadIdx.x; pixel < end; pixel += kThreads) {
        const float x = to_float(x_row[pixel * logits.pixel_stride]);
        const float t = t_row[pixel * targets.pixel_stride];
        const float decay = decay_of(x);
        const float p = probability(x, decay);
        sums[0] += static_cast<double>(cross_entropy_term(x, t, decay));
        sums[1] += static_cast<double>(p * t);
        sums[2] += static_cast<double>(p);
        sums[3] += static_cast<double>(t);
    }
    double totals[kSegmentationSums];
    halve(sums, totals);
    if (threadIdx.x < kSegmentationSums) {
        // A select, not an index: the totals have to stay in registers.
        const double low = threadIdx.x == 0 ? totals[0] : totals[1];
        const double high = threadIdx.x == 2 ? totals[2] : totals[3];
        partials[int64_t{blockIdx.x} * kSegmentationSums + threadIdx.x] = threadIdx.x < 2 ? low : high;
    }
}

// One block; a thread adds up the chunks of an image, and the first one the images.
__global__ void __launch_bounds__(kThreads)
    segmentation_totals_kernel(const double* partials, int64_t count, int64_t pixels, SegmentationLossParams params,
                               ImageLoss* images, SegmentationLoss* loss) {
    const int64_t chunks = loss_chunks(pixels);
    for (int64_t image = threadIdx.x; image < count; image += kThreads) {
        double sums[kSegmentationSums] = {};
#pragma unroll 4
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
#pragma unroll
            for (int s = 0; s < kSegmentationSums; ++s) {
                sums[s] += partials[(image * chunks + chunk) * kSegmentationSums + s];
            }
        }
        images[image] = image_loss(sums, count, params);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        *loss = whole_loss(images, count, pixels, params);
    }
}

// blockIdx.x: images, each in blocks of pixels.
template <class T>
__global__ void __launch_bounds__(kThreads)
    logit_gradient_kernel(Activations<const T, Device> logits, Activations<const float, Device> targets,
                          const ImageLoss* images, float factor, Activations<T, Device> d_logits) {
    const int64_t pixels = logits.h * logits.w;
    const unsigned blocks_per_image = blocks_for(pixels, kThreads);
    const unsigned image = blockIdx.x / blocks_per_image;
    const int64_t pixel = static_cast<int64_t>(blockIdx.x % blocks_per_image) * kThreads + threadIdx.x;
    if (pixel >= pixels) {
        return;
    }
    const float x = to_float(*logits.pixel(image, 0, pixel));
    const float t = *targets.pixel(image, 0, pixel);
    const ImageLoss* terms = images + image;
    *d_logits.pixel(image, 0, pixel) = from_float<T>(logit_gradient(x, t, factor, terms->dice_factor, terms->dice));
}

}  // namespace

void absolute_error_loss(Stream& stream, Tensor<const float, Device> predictions, Tensor<const float, Device> targets,
                         Tensor<const float, Device> weights, Tensor<float, Device> loss,
                         Tensor<float, Device> d_predictions) {
    check_absolute_error(predictions, targets, weights, loss, d_predictions);
    Launch{dim3(1), dim3(kThreads), stream}(absolute_error_kernel, predictions.data, targets.data, weights.data,
                                            predictions.size(), loss.data, d_predictions.data);
}

template <class T>
void segmentation_loss(Stream& stream, Activations<const T, Device> logits, Activations<const float, Device> targets,
                       const SegmentationLossParams& params, Tensor<SegmentationLoss, Device> loss,
                       Activations<T, Device> d_logits, Bytes<Device> scratch) {
    check_segmentation(logits, targets, params, loss, d_logits, scratch);
    const int64_t pixels = logits.h * logits.w;
    const int64_t chunks = loss_chunks(pixels);
    ScratchCursor<Device> cursor(scratch);
    auto* partials = cursor.take<double>(logits.n * chunks * kSegmentationSums);
    auto* images = cursor.take<ImageLoss>(logits.n);
    Launch{dim3(static_cast<unsigned>(logits.n * chunks)), dim3(kThreads), stream}(segmentation_sums_kernel<T>, logits,
                                                                                   targets, partials);
    Launch{dim3(1), dim3(kThreads), stream}(segmentation_totals_kernel, partials, logits.n, pixels, params, images,
                                            loss.data);
    const dim3 grid(static_cast<unsigned>(logits.n) * blocks_for(pixels, kThreads));
    Launch{grid, dim3(kThreads), stream}(logit_gradient_kernel<T>, logits, targets, images,
                                         cross_entropy_factor(logits.pixels(), params), d_logits);
}

template void segmentation_loss(Stream&, Activations<const float, Device>, Activations<const float, Device>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Device>,
                                Activations<float, Device>, Bytes<Device>);
template void segmentation_loss(Stream&, Activations<const bfloat16, Device>, Activations<const float, Device>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Device>,
                                Activations<bfloat16, Device>, Bytes<Device>);
template void segmentation_loss(Stream&, Activations<const float16, Device>, Activations<const float, Device>,
                                const SegmentationLossParams&, Tensor<SegmentationLoss, Device>,
                                Activations<float16, Device>, Bytes<Device>);

}  // namespace boneage
