#include "tests/support/naive_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace boneage::testing {
namespace {

using net::Shape;
using Values = std::vector<double>;

size_t at(const Shape& s, int64_t n, int64_t y, int64_t x, int64_t c) {
    return static_cast<size_t>(((n * s.h + y) * s.w + x) * s.c + c);
}

class Evaluator {
public:
    Evaluator(const std::vector<Shape>& shapes, std::vector<Values>& values, const ExactParameters& parameters,
              Norms norms)
        : shapes_(shapes), values_(values), parameters_(parameters), norms_(norms) {}

    void operator()(const net::ConvUnit& op) const {
        convolve(op);
        if (op.norm) {
            normalise(op.y, *op.norm);
        }
        const Shape& s = shapes_[static_cast<size_t>(op.y)];
        Values& out = values_[static_cast<size_t>(op.y)];
        for (size_t i = 0; i < static_cast<size_t>(s.size()); ++i) {
            out[i] = activate(op.residual ? out[i] + values_[static_cast<size_t>(*op.residual)].at(i) : out[i], op.act);
        }
    }
    void operator()(const net::MaxPool& op) const {
        each(op.y, [&](int64_t n, int64_t y, int64_t x, int64_t c) {
            constexpr double kOutside = -std::numeric_limits<double>::infinity();
            double largest = kOutside;
            for (int64_t a = 0; a < op.kernel; ++a) {
                for (int64_t b = 0; b < op.kernel; ++b) {
                    largest = std::max(largest, padded(op.x, n, y * op.stride + a - op.padding,
                                                       x * op.stride + b - op.padding, c, kOutside));
                }
            }
            return largest;
        });
    }
    void operator()(const net::GlobalAvgPool& op) const {
        const Shape& s = shapes_[static_cast<size_t>(op.x)];
        each(op.y, [&](int64_t n, int64_t, int64_t, int64_t c) {
            double sum = 0;
            for (int64_t y = 0; y < s.h; ++y) {
                for (int64_t x = 0; x < s.w; ++x) {
                    sum += padded(op.x, n, y, x, c, 0.0);
                }
            }
            return sum / static_cast<double>(s.h * s.w);
        });
    }
    void operator()(const net::Linear& op) const {
        each(op.y, [&](int64_t n, int64_t, int64_t, int64_t o) {
            double sum = parameter(op.name + ".bias")[static_cast<size_t>(o)];
            for (int64_t c = 0; c < op.in; ++c) {
                sum +=
                    parameter(op.name + ".weight")[static_cast<size_t>(o * op.in + c)] * padded(op.x, n, 0, 0, c, 0.0);
            }
            return activate(sum, op.act);
        });
    }
    void operator()(const net::TransposedConv& op) const {
        each(op.y, [&](int64_t n, int64_t y, int64_t x, int64_t o) {
            double sum = parameter(op.name + ".bias")[static_cast<size_t>(o)];
            for (int64_t c = 0; c < op.in; ++c) {
                const auto w = static_cast<size_t>(((c * op.out + o) * 2 + y % 2) * 2 + x % 2);
                sum += parameter(op.name + ".weight")[w] * padded(op.x, n, y / 2, x / 2, c, 0.0);
            }
            return sum;
        });
    }
    void operator()(const net::Concat& op) const {
        each(op.y, [&](int64_t n, int64_t y, int64_t x, int64_t c) {
            size_t part = 0;
            while (c >= shapes_[static_cast<size_t>(op.x[part])].c) {
                c -= shapes_[static_cast<size_t>(op.x[part])].c;
                ++part;
            }
            return padded(op.x[part], n, y, x, c, 0.0);
        });
    }

private:
    static double activate(double value, net::Act act) { return act == net::Act::relu ? std::max(value, 0.0) : value; }

    // All outputs of a pixel together: the largest networks here would take minutes otherwise.
    void convolve(const net::ConvUnit& op) const {
        const net::Conv2d& conv = op.conv;
        const auto& weight = parameter(conv.name + ".weight");
        const auto taps = static_cast<size_t>(conv.kernel * conv.kernel);
        const auto in = static_cast<size_t>(conv.in);
        const auto outputs = static_cast<size_t>(conv.out);
        Values rows(weight.size());  // [tap, in, out]
        for (size_t o = 0; o < outputs; ++o) {
            for (size_t c = 0; c < in; ++c) {
                for (size_t tap = 0; tap < taps; ++tap) {
                    rows[(tap * in + c) * outputs + o] = weight[(o * in + c) * taps + tap];
                }
            }
        }
        const Values start = conv.bias ? parameter(conv.name + ".bias") : Values(outputs, 0.0);
        const Shape& from = shapes_[static_cast<size_t>(op.x)];
        const Shape& to = shapes_[static_cast<size_t>(op.y)];
        const Values& x_values = values_[static_cast<size_t>(op.x)];
        Values& out = values_[static_cast<size_t>(op.y)];
        out.resize(static_cast<size_t>(to.size()));
        for (int64_t pixel = 0; pixel < to.pixels(); ++pixel) {
            const int64_t n = pixel / (to.h * to.w);
            const int64_t y = pixel / to.w % to.h;
            const int64_t x = pixel % to.w;
            double* sums = out.data() + static_cast<size_t>(pixel * to.c);
            std::ranges::copy(start, sums);
            for (size_t tap = 0; tap < taps; ++tap) {
                const int64_t from_y = y * conv.stride - conv.padding + static_cast<int64_t>(tap) / conv.kernel;
                const int64_t from_x = x * conv.stride - conv.padding + static_cast<int64_t>(tap) % conv.kernel;
                if (from_y < 0 || from_y >= from.h || from_x < 0 || from_x >= from.w) {
                    continue;
                }
                for (size_t c = 0; c < in; ++c) {
                    const double value = x_values[at(from, n, from_y, from_x, static_cast<int64_t>(c))];
                    const double* row = rows.data() + (tap * in + c) * outputs;
                    for (size_t o = 0; o < outputs; ++o) {
                        sums[o] += value * row[o];
                    }
                }
            }
        }
    }

    void normalise(net::ValueId id, const net::Norm& norm) const {
        const Shape& s = shapes_[static_cast<size_t>(id)];
        Values& values = values_[static_cast<size_t>(id)];
        const auto channels = static_cast<size_t>(s.c);
        const auto pixels = static_cast<double>(s.pixels());
        for (size_t c = 0; c < channels; ++c) {
            double mean = parameter(norm.name + ".running_mean")[c];
            double variance = parameter(norm.name + ".running_var")[c];
            if (norms_ == Norms::batch) {
                mean = 0;
                variance = 0;
                for (size_t i = c; i < values.size(); i += channels) {
                    mean += values[i] / pixels;
                }
                for (size_t i = c; i < values.size(); i += channels) {
                    variance += (values[i] - mean) * (values[i] - mean) / pixels;
                }
            }
            const double scale = parameter(norm.name + ".weight")[c] / std::sqrt(variance + norm.eps);
            for (size_t i = c; i < values.size(); i += channels) {
                values[i] = (values[i] - mean) * scale + parameter(norm.name + ".bias")[c];
            }
        }
    }

    [[nodiscard]] const Values& parameter(const std::string& name) const { return parameters_.at(name); }

    [[nodiscard]] double padded(net::ValueId id, int64_t n, int64_t y, int64_t x, int64_t c, double outside) const {
        const Shape& s = shapes_[static_cast<size_t>(id)];
        return y < 0 || y >= s.h || x < 0 || x >= s.w ? outside
                                                      : values_[static_cast<size_t>(id)].at(at(s, n, y, x, c));
    }

    template <class Element>
    void each(net::ValueId id, const Element& element) const {
        const Shape& s = shapes_[static_cast<size_t>(id)];
        Values& out = values_[static_cast<size_t>(id)];
        out.resize(static_cast<size_t>(s.size()));
        for (int64_t n = 0; n < s.n; ++n) {
            for (int64_t y = 0; y < s.h; ++y) {
                for (int64_t x = 0; x < s.w; ++x) {
                    for (int64_t c = 0; c < s.c; ++c) {
                        out[at(s, n, y, x, c)] = element(n, y, x, c);
                    }
                }
            }
        }
    }

    const std::vector<Shape>& shapes_;
    std::vector<Values>& values_;
    const ExactParameters& parameters_;
    Norms norms_;
};

}  // namespace

Parameters random_parameters(const net::Graph& graph, uint64_t seed) {
    Parameters values;
    std::mt19937_64 random(seed);
    const auto uniform = [&](double low, double high) {
        return static_cast<float>(low + (high - low) * (static_cast<double>(random() >> 11) * 0x1p-53));
    };
    for (const net::Parameter& parameter : net::parameters(graph)) {
        std::vector<float> initial = net::initial_values(parameter, seed);
        for (float& value : initial) {
            if (parameter.kind == net::ParameterKind::norm_weight ||
                parameter.kind == net::ParameterKind::running_var) {
                value = uniform(0.5, 1.5);
            } else if (parameter.kind == net::ParameterKind::norm_bias ||
                       parameter.kind == net::ParameterKind::running_mean) {
                value = uniform(-0.3, 0.3);
            }
        }
        values[parameter.name] = std::move(initial);
    }
    return values;
}

ExactParameters exact(const Parameters& parameters) {
    ExactParameters values;
    for (const auto& [name, given] : parameters) {
        values[name].assign(given.begin(), given.end());
    }
    return values;
}

std::map<std::string, std::vector<double>> evaluate(const net::Graph& graph, int64_t batch, int64_t height,
                                                    int64_t width, const ExactParameters& parameters,
                                                    const std::map<std::string, std::vector<float>>& inputs,
                                                    Norms norms) {
    const std::vector<Shape> shapes = net::infer_shapes(graph, batch, height, width);
    std::vector<Values> values(graph.values.size());
    for (const net::Input& input : graph.inputs) {
        const auto& given = inputs.at(graph.values[static_cast<size_t>(input.value)].name);
        values[static_cast<size_t>(input.value)].assign(given.begin(), given.end());
    }
    for (const net::Op& op : graph.ops) {
        std::visit(Evaluator(shapes, values, parameters, norms), op);
    }
    std::map<std::string, std::vector<double>> named;
    for (size_t i = 0; i < values.size(); ++i) {
        named[graph.values[i].name] = std::move(values[i]);
    }
    return named;
}

std::map<std::string, std::vector<double>> evaluate(const net::Graph& graph, int64_t batch, int64_t height,
                                                    int64_t width, const Parameters& parameters,
                                                    const std::map<std::string, std::vector<float>>& inputs) {
    return evaluate(graph, batch, height, width, exact(parameters), inputs, Norms::running);
}

}  // namespace boneage::testing
