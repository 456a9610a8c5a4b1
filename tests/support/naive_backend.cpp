#include "tests/support/naive_backend.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace boneage::testing {
namespace {

using plan::DataType;
using plan::Operands;
using plan::Place;
using plan::Shape;

double get(const Place& at, int64_t n, int64_t y, int64_t x, int64_t c) {
    const int64_t i = at.offset(n, y, x, c);
    switch (at.type) {
        case DataType::f32:
            return reinterpret_cast<const float*>(at.data)[i];
        case DataType::bf16:
            return to_float(reinterpret_cast<const bfloat16*>(at.data)[i]);
        case DataType::f16:
            return to_float(reinterpret_cast<const float16*>(at.data)[i]);
    }
    return 0.0;
}

void set(const Place& at, int64_t n, int64_t y, int64_t x, int64_t c, double value) {
    const int64_t i = at.offset(n, y, x, c);
    switch (at.type) {
        case DataType::f32:
            reinterpret_cast<float*>(at.data)[i] = static_cast<float>(value);
            break;
        case DataType::bf16:
            reinterpret_cast<bfloat16*>(at.data)[i] = to_bfloat16(static_cast<float>(value));
            break;
        case DataType::f16:
            reinterpret_cast<float16*>(at.data)[i] = to_float16(static_cast<float>(value));
            break;
    }
}

// Weights as the plan's precision stores them.
std::vector<double> stored(const std::vector<float>& weights, DataType type) {
    std::vector<double> values;
    for (const float weight : weights) {
        values.push_back(type == DataType::f32    ? weight
                         : type == DataType::bf16 ? to_float(to_bfloat16(weight))
                                                  : to_float(to_float16(weight)));
    }
    return values;
}

// A step whose elements are independent: element(n, y, x, c) is stored at every position of y.
template <class Element>
class EachElement : public plan::Runnable {
public:
    EachElement(Place y, Element element) : y_(y), element_(std::move(element)) {}
    void run(std::byte*) override {
        for (int64_t n = 0; n < y_.shape.n; ++n) {
            for (int64_t y = 0; y < y_.shape.h; ++y) {
                for (int64_t x = 0; x < y_.shape.w; ++x) {
                    for (int64_t c = 0; c < y_.shape.c; ++c) {
                        set(y_, n, y, x, c, element_(n, y, x, c));
                    }
                }
            }
        }
    }

private:
    Place y_;
    Element element_;
};

template <class Element>
std::unique_ptr<plan::Runnable> each_element(const Place& y, Element element) {
    return std::make_unique<EachElement<Element>>(y, std::move(element));
}

double relu(double value) {
    return value > 0 || std::isnan(value) ? value : 0.0;
}

// Calls body(source_y, source_x, a, b) for every position (a, b) of the window at (y, x) that lies inside x's image.
template <class Body>
void for_window(const Shape& x_shape, int64_t y, int64_t x, int64_t kernel, int64_t stride, int64_t padding,
                const Body& body) {
    for (int64_t a = 0; a < kernel; ++a) {
        for (int64_t b = 0; b < kernel; ++b) {
            const int64_t from_y = y * stride - padding + a;
            const int64_t from_x = x * stride - padding + b;
            if (from_y >= 0 && from_y < x_shape.h && from_x >= 0 && from_x < x_shape.w) {
                body(from_y, from_x, a, b);
            }
        }
    }
}

}  // namespace

plan::Memory NaiveBackend::allocate(int64_t bytes) {
    constexpr std::align_val_t kAlignment{plan::kArenaAlignment};
    const auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
    auto* memory = static_cast<std::byte*>(::operator new(size, kAlignment));
    std::memset(memory, 0xff, size);  // NaN in every type
    return {memory, [](std::byte* p) { ::operator delete(p, kAlignment); }};
}

void NaiveBackend::upload(std::byte* to, const void* from, int64_t bytes) {
    std::copy_n(static_cast<const std::byte*>(from), bytes, to);
}

void NaiveBackend::download(void* to, const std::byte* from, int64_t bytes) {
    std::copy_n(from, bytes, static_cast<std::byte*>(to));
}

NaiveBackend::Made NaiveBackend::make(const plan::FusedConv& step, const Operands& at, const plan::Weights& weights) {
    expects(static_cast<int64_t>(weights.bias.size()) == at.y.shape.c &&
                static_cast<int64_t>(weights.weight.size()) == at.y.shape.c * at.x.shape.c * step.kernel * step.kernel,
            "weights have the step's size");
    return each_element(at.y, [step, at, weight = stored(weights.weight, at.x.type), bias = weights.bias](
                                  int64_t n, int64_t y, int64_t x, int64_t o) {
        double sum = bias[static_cast<size_t>(o)];
        for_window(at.x.shape, y, x, step.kernel, step.stride, step.padding,
                   [&](int64_t from_y, int64_t from_x, int64_t a, int64_t b) {
                       for (int64_t c = 0; c < at.x.shape.c; ++c) {
                           const int64_t w = ((o * at.x.shape.c + c) * step.kernel + a) * step.kernel + b;
                           sum += get(at.x, n, from_y, from_x, c) * weight[static_cast<size_t>(w)];
                       }
                   });
        if (at.residual) {
            sum += get(*at.residual, n, y, x, o);
        }
        return step.relu ? relu(sum) : sum;
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::MaxPool& step, const Operands& at) {
    return each_element(at.y, [step, at](int64_t n, int64_t y, int64_t x, int64_t c) {
        double largest = -std::numeric_limits<double>::infinity();
        for_window(at.x.shape, y, x, step.kernel, step.stride, step.padding,
                   [&](int64_t from_y, int64_t from_x, int64_t, int64_t) {
                       const double value = get(at.x, n, from_y, from_x, c);
                       largest = value > largest || std::isnan(value) ? value : largest;
                   });
        return largest;
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::GlobalAvgPool&, const Operands& at) {
    return each_element(at.y, [at](int64_t n, int64_t, int64_t, int64_t c) {
        double sum = 0;
        for (int64_t y = 0; y < at.x.shape.h; ++y) {
            for (int64_t x = 0; x < at.x.shape.w; ++x) {
                sum += get(at.x, n, y, x, c);
            }
        }
        return sum / static_cast<double>(at.x.shape.h * at.x.shape.w);
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::Linear& step, const Operands& at, const plan::Weights& weights) {
    expects(static_cast<int64_t>(weights.bias.size()) == at.y.shape.c &&
                static_cast<int64_t>(weights.weight.size()) == at.y.shape.c * at.x.shape.c,
            "weights have the step's size");
    return each_element(at.y, [step, at, weights](int64_t n, int64_t, int64_t, int64_t o) {
        double sum = weights.bias[static_cast<size_t>(o)];
        for (int64_t c = 0; c < at.x.shape.c; ++c) {
            sum += get(at.x, n, 0, 0, c) * weights.weight[static_cast<size_t>(o * at.x.shape.c + c)];
        }
        return step.relu ? relu(sum) : sum;
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::TransposedConv&, const Operands& at, const plan::Weights& weights) {
    return each_element(at.y, [at, weight = stored(weights.weight, at.x.type), bias = weights.bias](
                                  int64_t n, int64_t y, int64_t x, int64_t o) {
        double sum = bias[static_cast<size_t>(o)];
        for (int64_t c = 0; c < at.x.shape.c; ++c) {
            const int64_t w = (c * at.y.shape.c + o) * 4 + (y % 2) * 2 + x % 2;
            sum += get(at.x, n, y / 2, x / 2, c) * weight[static_cast<size_t>(w)];
        }
        return sum;
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::DepthToSpace&, const Operands& at) {
    return each_element(at.y, [at](int64_t n, int64_t y, int64_t x, int64_t c) {
        return get(at.x, n, y / 2, x / 2, (2 * (y % 2) + x % 2) * at.y.shape.c + c);
    });
}

NaiveBackend::Made NaiveBackend::make(const plan::Copy&, const Operands& at) {
    return each_element(at.y, [at](int64_t n, int64_t y, int64_t x, int64_t c) { return get(at.x, n, y, x, c); });
}

}  // namespace boneage::testing
