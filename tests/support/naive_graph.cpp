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
    Evaluator(const std::vector<Shape>& shapes, std::vector<Values>& values, const Parameters& parameters)
        : shapes_(shapes), values_(values), parameters_(parameters) {}

    void operator()(const net::ConvUnit& op) const {
        const net::Conv2d& conv = op.conv;
        const auto& weight = parameter(conv.name + ".weight");
        each(op.y, [&](int64_t n, int64_t y, int64_t x, int64_t o) {
            double sum = conv.bias ? parameter(conv.name + ".bias")[static_cast<size_t>(o)] : 0.0;
            for (int64_t c = 0; c < conv.in; ++c) {
                for (int64_t a = 0; a < conv.kernel; ++a) {
                    for (int64_t b = 0; b < conv.kernel; ++b) {
                        const auto w = static_cast<size_t>(((o * conv.in + c) * conv.kernel + a) * conv.kernel + b);
                        sum += weight[w] * padded(op.x, n, y * conv.stride + a - conv.padding,
                                                  x * conv.stride + b - conv.padding, c, 0.0);
                    }
                }
            }
            if (op.norm) {
                const auto c = static_cast<size_t>(o);
                const std::string& name = op.norm->name;
                sum = (sum - parameter(name + ".running_mean")[c]) /
                          std::sqrt(parameter(name + ".running_var")[c] + op.norm->eps) *
                          parameter(name + ".weight")[c] +
                      parameter(name + ".bias")[c];
            }
            if (op.residual) {
                sum += padded(*op.residual, n, y, x, o, 0.0);
            }
            return activate(sum, op.act);
        });
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

    [[nodiscard]] const std::vector<float>& parameter(const std::string& name) const { return parameters_.at(name); }

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
    const Parameters& parameters_;
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

std::map<std::string, std::vector<double>> evaluate(const net::Graph& graph, int64_t batch, int64_t height,
                                                    int64_t width, const Parameters& parameters,
                                                    const std::map<std::string, std::vector<float>>& inputs) {
    const std::vector<Shape> shapes = net::infer_shapes(graph, batch, height, width);
    std::vector<Values> values(graph.values.size());
    for (const net::Input& input : graph.inputs) {
        const auto& given = inputs.at(graph.values[static_cast<size_t>(input.value)].name);
        values[static_cast<size_t>(input.value)].assign(given.begin(), given.end());
    }
    for (const net::Op& op : graph.ops) {
        std::visit(Evaluator(shapes, values, parameters), op);
    }
    std::map<std::string, std::vector<double>> named;
    for (size_t i = 0; i < values.size(); ++i) {
        named[graph.values[i].name] = std::move(values[i]);
    }
    return named;
}

}  // namespace boneage::testing
