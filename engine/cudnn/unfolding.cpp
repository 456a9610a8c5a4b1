#include "engine/cudnn/unfolding.h"

#include "kernels/base/error.h"

namespace boneage::cudnn {

std::optional<ConvGeometry> on_unfolded_rows(const ConvGeometry& conv, plan::DataType type) {
    if (conv.c != 1 || conv.kernel_w > kUnfoldedChannels || type == plan::DataType::f32) {
        return std::nullopt;
    }
    ConvGeometry rows = conv;
    rows.w = conv.out_w();
    rows.c = kUnfoldedChannels;
    rows.kernel_w = 1;
    rows.stride_w = 1;
    rows.pad_w = 0;
    rows.x_pixel_stride = 0;
    return rows;
}

std::vector<float> filled_rows(const std::vector<float>& weight, int64_t kernel_w) {
    const auto width = static_cast<size_t>(kernel_w);
    expects(width > 0 && weight.size() % width == 0, "a weight has whole rows");
    std::vector<float> filled(weight.size() / width * kUnfoldedChannels, 0.0F);
    for (size_t i = 0; i < weight.size(); ++i) {
        filled[i / width * kUnfoldedChannels + i % width] = weight[i];
    }
    return filled;
}

GraphInput::GraphInput(Stream& stream, const plan::Place& x, const ConvGeometry& conv)
    : stream_(stream),
      x_(x),
      windows_(on_unfolded_rows(conv, x.type)),
      params_{.width = conv.kernel_w, .stride = conv.stride_w, .padding = conv.pad_w} {}

int64_t GraphInput::scratch_bytes() const {
    return windows_ ? scratch_part<bfloat16>(windows_->n * windows_->h * windows_->w * windows_->c) : 0;
}

void* GraphInput::ready(ScratchCursor<Device>& scratch) const {
    if (!windows_) {
        return x_.data;
    }
    const auto unfold = [&]<class T>(T) -> void* {
        const ConvGeometry& to = *windows_;
        T* windows = scratch.take<T>(to.n * to.h * to.w * to.c);
        unfold_rows<T>(stream_, {reinterpret_cast<const T*>(x_.data), to.n, to.h, x_.shape.w, 1, x_.pixel_stride},
                       {windows, to.n, to.h, to.w, to.c}, params_);
        return windows;
    };
    return x_.type == plan::DataType::bf16 ? unfold(bfloat16{}) : unfold(float16{});
}

}  // namespace boneage::cudnn
