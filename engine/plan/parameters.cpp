#include "engine/plan/parameters.h"

#include "engine/net/fold_norm.h"
#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"

#include <algorithm>
#include <cmath>

namespace boneage::plan {
namespace {

Weights load(const WeightSource& names, const ParameterSource& source) {
    return {source(names.weight), names.bias.empty() ? std::vector<float>{} : source(names.bias)};
}

// [in, out, 2, 2] and [out]  ->  [(a, b, out), in] and [(a, b, out)]
Weights transposed_as_pointwise(const Weights& transposed) {
    const size_t out = transposed.bias.size();
    expects(out > 0 && transposed.weight.size() % (4 * out) == 0,
            "a transposed convolution's weight is [in, out, 2, 2]");
    const size_t in = transposed.weight.size() / (4 * out);
    Weights pointwise{std::vector<float>(transposed.weight.size()), {}};
    for (size_t ab = 0; ab < 4; ++ab) {
        pointwise.bias.insert(pointwise.bias.end(), transposed.bias.begin(), transposed.bias.end());
        for (size_t o = 0; o < out; ++o) {
            for (size_t c = 0; c < in; ++c) {
                pointwise.weight[(ab * out + o) * in + c] = transposed.weight[(c * out + o) * 4 + ab];
            }
        }
    }
    return pointwise;
}

Weights load_or_fold(const WeightSource& names, const ParameterSource& source) {
    Weights weights = load(names, source);
    if (names.transposed) {
        return transposed_as_pointwise(weights);
    }
    if (names.norm) {
        const net::Norm& norm = *names.norm;
        net::ConvValues folded =
            net::fold_norm({std::move(weights.weight), std::move(weights.bias)},
                           {source(norm.name + ".weight"), source(norm.name + ".bias"),
                            source(norm.name + ".running_mean"), source(norm.name + ".running_var"), norm.eps});
        return {std::move(folded.weight), std::move(folded.bias)};
    }
    if (weights.bias.empty()) {
        weights.bias.assign(static_cast<size_t>(names.outputs), 0.0F);
    }
    return weights;
}

void expect_finite(const Weights& weights, const std::string& name) {
    for (const auto* values : {&weights.weight, &weights.bias}) {
        if (!std::ranges::all_of(*values, [](float value) { return std::isfinite(value); })) {
            throw UsageError(name + ", or what is folded into it, holds a value that is not finite");
        }
    }
}

}  // namespace

Weights load_weights(const FusedConv& step, const ParameterSource& source) {
    Weights weights = load_or_fold(step.weights, source);
    expect_finite(weights, step.weights.weight);
    return weights;
}

Weights load_weights(const Linear& step, const ParameterSource& source) {
    return load(step.weights, source);
}

Weights load_weights(const TransposedConv& step, const ParameterSource& source) {
    return load(step.weights, source);
}

template <class T>
std::vector<T> rounded(const std::vector<float>& weights, const std::string& name) {
    std::vector<T> values(weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
        values[i] = from_float<T>(weights[i]);
        if (std::isfinite(weights[i]) && !std::isfinite(to_float(values[i]))) {
            throw UsageError(name + " holds " + std::to_string(weights[i]) +
                             ", which is too large for this precision; give --precision f32");
        }
    }
    return values;
}

template std::vector<float> rounded(const std::vector<float>&, const std::string&);
template std::vector<bfloat16> rounded(const std::vector<float>&, const std::string&);
template std::vector<float16> rounded(const std::vector<float>&, const std::string&);

}  // namespace boneage::plan
