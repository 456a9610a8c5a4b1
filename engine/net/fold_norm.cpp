#include "engine/net/fold_norm.h"

#include <cmath>
#include <stdexcept>

namespace boneage::net {

ConvValues fold_norm(const ConvValues& conv, const NormValues& norm) {
    const size_t channels = norm.weight.size();
    if (channels == 0 || norm.bias.size() != channels || norm.running_mean.size() != channels ||
        norm.running_var.size() != channels || conv.weight.size() % channels != 0 ||
        (!conv.bias.empty() && conv.bias.size() != channels)) {
        throw std::invalid_argument("a batch norm does not have the channels of its convolution");
    }
    const size_t per_channel = conv.weight.size() / channels;
    ConvValues folded{std::vector<float>(conv.weight.size()), std::vector<float>(channels)};
    for (size_t c = 0; c < channels; ++c) {
        const double scale = norm.weight[c] / std::sqrt(static_cast<double>(norm.running_var[c]) + norm.eps);
        const double bias = conv.bias.empty() ? 0.0 : conv.bias[c];
        folded.bias[c] = static_cast<float>((bias - norm.running_mean[c]) * scale + norm.bias[c]);
        for (size_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
            folded.weight[i] = static_cast<float>(conv.weight[i] * scale);
        }
    }
    return folded;
}

}  // namespace boneage::net
