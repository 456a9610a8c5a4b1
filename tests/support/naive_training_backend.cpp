#include "tests/support/naive_training_backend.h"

#include "engine/plan/kernel_steps.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace boneage::testing {
namespace {

using plan::DataType;
using plan::Place;
using plan::Runnable;
using plan::TrainingMemory;

double get(const Place& at, int64_t n, int64_t y, int64_t x, int64_t c) {
    const int64_t i = at.offset(n, y, x, c);
    return at.type == DataType::f32 ? reinterpret_cast<const float*>(at.data)[i]
                                    : to_float(reinterpret_cast<const bfloat16*>(at.data)[i]);
}

void set(const Place& at, int64_t n, int64_t y, int64_t x, int64_t c, double value) {
    const int64_t i = at.offset(n, y, x, c);
    if (at.type == DataType::f32) {
        reinterpret_cast<float*>(at.data)[i] = static_cast<float>(value);
    } else {
        reinterpret_cast<bfloat16*>(at.data)[i] = to_bfloat16(static_cast<float>(value));
    }
}

// A value's elements in double precision, dense.
std::vector<double> gather(const Place& at) {
    std::vector<double> values;
    values.reserve(static_cast<size_t>(at.shape.size()));
    for (int64_t n = 0; n < at.shape.n; ++n) {
        for (int64_t y = 0; y < at.shape.h; ++y) {
            for (int64_t x = 0; x < at.shape.w; ++x) {
                for (int64_t c = 0; c < at.shape.c; ++c) {
                    values.push_back(get(at, n, y, x, c));
                }
            }
        }
    }
    return values;
}

void scatter(const std::vector<double>& values, const Place& at, Write write) {
    size_t i = 0;
    for (int64_t n = 0; n < at.shape.n; ++n) {
        for (int64_t y = 0; y < at.shape.h; ++y) {
            for (int64_t x = 0; x < at.shape.w; ++x) {
                for (int64_t c = 0; c < at.shape.c; ++c) {
                    set(at, n, y, x, c, values[i++] + (write == Write::accumulate ? get(at, n, y, x, c) : 0));
                }
            }
        }
    }
}

// One convolution, x -> y. Calls body(element of x, element of y, element of the weight [out, k, k, in], channels in)
// for every tap inside the image and every output channel: body then runs over the channels, which lie one after the
// other.
struct Geometry {
    plan::Shape x;
    plan::Shape y;
    plan::ConvShape conv;

    template <class Body>
    void for_taps(const Body& body) const {
        for (int64_t pixel = 0; pixel < y.pixels(); ++pixel) {
            const int64_t n = pixel / (y.h * y.w);
            for (int64_t tap = 0; tap < conv.kernel * conv.kernel; ++tap) {
                const int64_t from_y = pixel / y.w % y.h * conv.stride - conv.padding + tap / conv.kernel;
                const int64_t from_x = pixel % y.w * conv.stride - conv.padding + tap % conv.kernel;
                if (from_y < 0 || from_y >= x.h || from_x < 0 || from_x >= x.w) {
                    continue;
                }
                const int64_t from = ((n * x.h + from_y) * x.w + from_x) * x.c;
                for (int64_t o = 0; o < y.c; ++o) {
                    const int64_t weight = (o * conv.kernel * conv.kernel + tap) * x.c;
                    body(static_cast<size_t>(from), static_cast<size_t>(pixel * y.c + o), static_cast<size_t>(weight),
                         static_cast<size_t>(x.c));
                }
            }
        }
    }
    [[nodiscard]] int64_t weights() const { return y.c * conv.kernel * conv.kernel * x.c; }
};

// A weight as a convolution of this type uses it.
std::vector<double> stored(const float* weight, int64_t count, DataType type) {
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) {
        values.push_back(type == DataType::f32 ? weight[i] : to_float(to_bfloat16(weight[i])));
    }
    return values;
}

std::unique_ptr<Runnable> make_conv(const plan::ConvForward& step, const TrainingMemory& m) {
    const Place x = m.place(step.x);
    const Place y = m.place(step.y);
    const float* weight = m.parameter_data(step.conv.weight);
    const float* bias = step.bias ? m.parameter_data(*step.bias) : nullptr;
    const Geometry geometry{x.shape, y.shape, step.conv};
    return plan::call([=, repeats = step.bias_repeats](std::byte*) {
        const auto from = gather(x);
        const auto w = stored(weight, geometry.weights(), x.type);
        std::vector<double> sums(static_cast<size_t>(y.shape.size()));
        for (int64_t i = 0; i < y.shape.size(); ++i) {
            sums[static_cast<size_t>(i)] = bias == nullptr ? 0 : bias[i % y.shape.c % (y.shape.c / repeats)];
        }
        geometry.for_taps([&](size_t at_x, size_t at_y, size_t at_w, size_t channels) {
            for (size_t c = 0; c < channels; ++c) {
                sums[at_y] += from[at_x + c] * w[at_w + c];
            }
        });
        scatter(sums, y, Write::assign);
    });
}

std::unique_ptr<Runnable> make_conv(const plan::ConvGradInput& step, const TrainingMemory& m) {
    const Place d_y = m.place(step.d_y);
    const Place d_x = m.place(step.d_x);
    const float* weight = m.parameter_data(step.conv.weight);
    const Geometry geometry{d_x.shape, d_y.shape, step.conv};
    return plan::call([=, write = step.write](std::byte*) {
        const auto from = gather(d_y);
        const auto w = stored(weight, geometry.weights(), d_y.type);
        std::vector<double> sums(static_cast<size_t>(d_x.shape.size()));
        geometry.for_taps([&](size_t at_x, size_t at_y, size_t at_w, size_t channels) {
            for (size_t c = 0; c < channels; ++c) {
                sums[at_x + c] += from[at_y] * w[at_w + c];
            }
        });
        scatter(sums, d_x, write);
    });
}

std::unique_ptr<Runnable> make_conv(const plan::ConvGradWeight& step, const TrainingMemory& m) {
    const Place x = m.place(step.x);
    const Place d_y = m.place(step.d_y);
    float* gradient = m.gradient_data(step.conv.weight);
    const Geometry geometry{x.shape, d_y.shape, step.conv};
    return plan::call([=](std::byte*) {
        const auto from = gather(x);
        const auto d = gather(d_y);
        std::vector<double> sums(static_cast<size_t>(geometry.weights()));
        geometry.for_taps([&](size_t at_x, size_t at_y, size_t at_w, size_t channels) {
            for (size_t c = 0; c < channels; ++c) {
                sums[at_w + c] += from[at_x + c] * d[at_y];
            }
        });
        std::ranges::transform(sums, gradient, [](double sum) { return static_cast<float>(sum); });
    });
}

void fill_with_nan(std::byte* memory, int64_t bytes) {
    std::memset(memory, 0xff, static_cast<size_t>(bytes));  // NaN in float32 and bfloat16
}

// A step between whose calls nothing survives that the plan does not keep.
class Poisoned : public Runnable {
public:
    Poisoned(std::unique_ptr<Runnable> step, const TrainingMemory& m, int64_t at) : step_(std::move(step)) {
        for (const plan::Buffer& buffer : m.plan.buffers) {
            const Range range{m.arena + buffer.offset, buffer.bytes};
            if (buffer.first == at) {
                before_.push_back(range);
            }
            if (buffer.last == at) {
                after_.push_back(range);
            }
        }
    }
    [[nodiscard]] int64_t scratch_bytes() const override { return step_->scratch_bytes(); }
    void run(std::byte* scratch) override {
        fill_with_nan(scratch, scratch_bytes());
        for (const Range& range : before_) {
            fill_with_nan(range.data, range.bytes);
        }
        step_->run(scratch);
        for (const Range& range : after_) {
            fill_with_nan(range.data, range.bytes);
        }
    }

private:
    struct Range {
        std::byte* data;
        int64_t bytes;
    };
    std::unique_ptr<Runnable> step_;
    std::vector<Range> before_;
    std::vector<Range> after_;
};

}  // namespace

plan::Memory NaiveTrainingBackend::allocate(int64_t bytes) {
    constexpr std::align_val_t kAlignment{plan::kArenaAlignment};
    const int64_t size = std::max<int64_t>(bytes, 1);
    auto* memory = static_cast<std::byte*>(::operator new(static_cast<size_t>(size), kAlignment));
    fill_with_nan(memory, size);
    return {memory, [](std::byte* p) { ::operator delete(p, kAlignment); }};
}

void NaiveTrainingBackend::upload(std::byte* to, const void* from, int64_t bytes) {
    std::copy_n(static_cast<const std::byte*>(from), bytes, to);
}

void NaiveTrainingBackend::download(void* to, const std::byte* from, int64_t bytes) {
    std::copy_n(from, bytes, static_cast<std::byte*>(to));
}

std::unique_ptr<Runnable> NaiveTrainingBackend::make(const plan::TrainingStep& step, const TrainingMemory& memory) {
    auto made = std::visit(
        [&](const auto& any) -> std::unique_ptr<Runnable> {
            if constexpr (requires { make_conv(any, memory); }) {
                return make_conv(any, memory);
            } else {
                return plan::KernelSteps<Workers, Host>(workers_, memory)(any);
            }
        },
        step);
    return std::make_unique<Poisoned>(std::move(made), memory, made_++);
}

std::unique_ptr<Runnable> NaiveTrainingBackend::make(const plan::AdamBuffers& at) {
    return plan::make_kernel_step<Host>(workers_, at);
}
std::unique_ptr<Runnable> NaiveTrainingBackend::make(const plan::ClipBuffers& at) {
    return plan::make_kernel_step<Host>(workers_, at);
}
std::unique_ptr<Runnable> NaiveTrainingBackend::make(const plan::AverageBuffers& at) {
    return plan::make_kernel_step<Host>(workers_, at);
}

}  // namespace boneage::testing
