#include "engine/onednn/conv.h"

#include "engine/onednn/places.h"
#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/nn/activation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <dnnl.hpp>
#include <string_view>
#include <unordered_map>

namespace boneage::onednn {
namespace {

using dnnl::memory;
using Dims = memory::dims;

const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

memory::data_type dnnl_type(plan::DataType type) {
    expects(type != plan::DataType::f16, "float16 is widened before oneDNN sees it");
    return type == plan::DataType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
}

// One image as oneDNN is to see it; padding channels, where there are any, belong to its description too. Without
// blocks it is dense pixels, or planes.
memory::desc image_desc(const plan::Place& place, bool planes = false) {
    const plan::Shape& s = place.shape;
    const auto layout = place.channel_block == 16  ? memory::format_tag::nChw16c
                        : place.channel_block == 8 ? memory::format_tag::nChw8c
                        : planes                   ? memory::format_tag::nchw
                                                   : memory::format_tag::nhwc;
    return {{1, s.c, s.h, s.w}, dnnl_type(place.type), layout};
}

// Spreads the channels of an image's pixels over planes.
void move_to_planes(Workers& workers, const plan::Place& image, std::byte* planes, plan::DataType type) {
    plan::Place channel = image;
    channel.shape.c = 1;
    plan::Place plane = staged(channel, type, 1);
    plane.data = planes;
    for (int64_t c = 0; c < image.shape.c; ++c) {
        move_image(workers, channel, plane);
        channel.data += plan::size_of(image.type);
        plane.data += bytes_of(plane);
    }
}

memory wrap(const memory::desc& desc, const void* data) {
    return {desc, engine(), const_cast<void*>(data)};
}

// Whether oneDNN has more for this than the loops that it checks its kernels by.
bool has_kernel(const dnnl::convolution_forward::primitive_desc& desc) {
    return !std::string_view(desc.impl_info_str()).starts_with("ref");
}

// Whether the primitive cannot work where the plan has the value.
bool differ(const plan::Place& planned, const plan::Place& wanted) {
    return planned.type != wanted.type || planned.channel_block != wanted.channel_block ||
           (planned.channel_block == 1 && !planned.dense());
}

// So few channels, and only so few, oneDNN reads faster from planes than from blocks.
constexpr int64_t kMostPlanes = 3;

bool computes(plan::DataType type) {
    switch (type) {
        case plan::DataType::f32:
            return true;
        case plan::DataType::bf16:
            return processor().computes_bf16;
        case plan::DataType::f16:
            return false;
    }
    return false;
}

// Rounded to `type` and widened again: an emulated type has the weights that the real one has.
std::vector<float> as_stored(const std::vector<float>& values, plan::DataType type, const std::string& name) {
    std::vector<float> result(values.size());
    with_type(type, [&]<class T>(T) {
        std::ranges::transform(plan::rounded<T>(values, name), result.begin(), [](T value) { return to_float(value); });
    });
    return result;
}

// What a convolution needs once for every thread that may run it.
struct Slot {
    memory x;
    memory y;
    memory workspace;
    dnnl::stream stream;
    std::unordered_map<int, memory> arguments;
};

// The primitive as it was made for a number of threads, with its own order of the weights.
struct Primitive {
    dnnl::convolution_forward run;
    std::string implementation;
    memory weights;
    memory bias;
    int64_t workspace_bytes = 0;
    std::vector<Slot> slots;
};

class Conv final : public plan::Runnable {
public:
    Conv(Team& team, int64_t channel_block, const plan::FusedConv& step, const plan::Operands& at,
         const plan::Weights& weights)
        : team_(team), at_(at), step_(step) {
        const bool wide = !computes(at.x.type);
        const plan::DataType x_type = wide ? plan::DataType::f32 : at.x.type;
        const plan::DataType y_type = wide ? plan::DataType::f32 : at.y.type;
        // oneDNN's ReLU turns NaN into 0, which would hide what overflowed in float16.
        relu_apart_ = step.relu && at.x.type == plan::DataType::f16;
        const auto finds_kernel = [&](int64_t block, bool planes) {
            planes_ = planes;
            x_ = staged(at.x, x_type, planes ? 1 : block);
            y_ = staged(at.y, y_type, block);
            return has_kernel(describe());
        };
        const bool few = at.x.channel_block == 1 && at.x.shape.c <= kMostPlanes;
        // Layers narrower than a vector oneDNN wants as pixels.
        if (!finds_kernel(channel_block, few) && !finds_kernel(1, false)) {
            std::fprintf(stderr, "boneage: oneDNN has no fast kernel for %s on this processor: it will take long\n",
                         step.weights.weight.c_str());
        }
        stages_x_ = differ(at.x, x_) || (planes_ && at.x.shape.c > 1);
        stages_y_ = differ(at.y, y_) || relu_apart_;

        plan::Weights emulated;
        if (wide) {
            emulated = {as_stored(weights.weight, at.x.type, step.weights.weight), weights.bias};
        }
        const plan::Weights& used = wide ? emulated : weights;
        const int64_t alone = team.images_alone(at.x.shape.n);
        if (alone > 0) {
            alone_ = make_primitive(1, team.threads(), used);
        }
        if (alone < at.x.shape.n) {
            whole_ = make_primitive(team.threads(), 1, used);
        }
    }

    [[nodiscard]] int64_t scratch_bytes() const override {
        const auto bytes = [&](const Primitive& primitive) {
            return slot_bytes(primitive) * static_cast<int64_t>(primitive.slots.size());
        };
        return std::max(bytes(alone_), bytes(whole_));
    }

    [[nodiscard]] std::string implementation() const override {
        return alone_.slots.empty() ? whole_.implementation : alone_.implementation;
    }

    void run(std::byte* scratch) override {
        team_.for_images(at_.x.shape.n, [&](int64_t image, const Crew& crew) {
            Primitive& primitive = crew.whole ? whole_ : alone_;
            run_image(image, crew.workers, primitive, primitive.slots[static_cast<size_t>(crew.slot)],
                      scratch + crew.slot * slot_bytes(primitive));
        });
    }

private:
    [[nodiscard]] int64_t slot_bytes(const Primitive& primitive) const {
        return (stages_x_ ? scratch_part<std::byte>(bytes_of(x_)) : 0) +
               (stages_y_ ? scratch_part<std::byte>(bytes_of(y_)) : 0) +
               scratch_part<std::byte>(primitive.workspace_bytes);
    }

    [[nodiscard]] Dims weight_dims() const { return {y_.shape.c, x_.shape.c, step_.kernel, step_.kernel}; }
    [[nodiscard]] memory::desc bias_desc() const {
        return {{y_.shape.c}, memory::data_type::f32, memory::format_tag::a};
    }

    [[nodiscard]] dnnl::convolution_forward::primitive_desc describe() const {
        const Dims strides{step_.stride, step_.stride};
        const Dims padding{step_.padding, step_.padding};
        dnnl::post_ops after;
        if (at_.residual) {
            after.append_sum();
        }
        if (step_.relu && !relu_apart_) {
            after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
        }
        dnnl::primitive_attr attributes;
        attributes.set_post_ops(after);
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        return {{dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, image_desc(x_, planes_),
                 memory::desc(weight_dims(), dnnl_type(x_.type), memory::format_tag::any), bias_desc(), image_desc(y_),
                 strides, padding, padding},
                attributes,
                engine()};
    }

    Primitive make_primitive(int threads, int slots, const plan::Weights& values) const {
        const OpenMpThreads guard(threads);
        const dnnl::convolution_forward::primitive_desc desc = describe();
        Primitive primitive;
        primitive.run = dnnl::convolution_forward(desc);
        primitive.implementation = desc.impl_info_str();
        dnnl::stream stream(engine());
        memory given = wrap({weight_dims(), memory::data_type::f32, memory::format_tag::oihw}, values.weight.data());
        primitive.weights = memory(desc.weights_desc(), engine());
        dnnl::reorder(given, primitive.weights).execute(stream, given, primitive.weights);
        primitive.bias = memory(bias_desc(), engine());
        std::copy(values.bias.begin(), values.bias.end(), static_cast<float*>(primitive.bias.get_data_handle()));
        stream.wait();

        const memory::desc workspace = desc.scratchpad_desc();
        primitive.workspace_bytes = static_cast<int64_t>(workspace.get_size());
        for (int i = 0; i < slots; ++i) {
            Slot slot{wrap(desc.src_desc(), nullptr),
                      wrap(desc.dst_desc(), nullptr),
                      wrap(workspace, nullptr),
                      dnnl::stream(engine()),
                      {}};
            slot.arguments = {{DNNL_ARG_SRC, slot.x},
                              {DNNL_ARG_WEIGHTS, primitive.weights},
                              {DNNL_ARG_BIAS, primitive.bias},
                              {DNNL_ARG_DST, slot.y},
                              {DNNL_ARG_SCRATCHPAD, slot.workspace}};
            primitive.slots.push_back(std::move(slot));
        }
        return primitive;
    }

    void run_image(int64_t image, Workers& workers, const Primitive& primitive, Slot& slot, std::byte* scratch) const {
        const auto take = [&scratch](int64_t bytes) {
            std::byte* part = scratch;
            scratch += scratch_part<std::byte>(bytes);
            return part;
        };
        plan::Place x = image_of(at_.x, image);
        plan::Place y = image_of(at_.y, image);
        const plan::Place result = y;
        if (stages_x_) {
            const plan::Place given = x;
            x = x_;
            x.data = take(bytes_of(x_));
            if (planes_) {
                move_to_planes(workers, given, x.data, x.type);
            } else {
                move_image(workers, given, x);
            }
        }
        if (stages_y_) {
            y = y_;
            y.data = take(bytes_of(y_));
        }
        // oneDNN adds to what lies in y.
        if (at_.residual) {
            const plan::Place residual = image_of(*at_.residual, image);
            if (residual.data != y.data) {
                move_image(workers, residual, y);
            }
        }
        slot.x.set_data_handle(x.data);
        slot.y.set_data_handle(y.data);
        slot.workspace.set_data_handle(take(primitive.workspace_bytes));
        primitive.run.execute(slot.stream, slot.arguments);
        slot.stream.wait();
        if (relu_apart_) {
            auto* sums = reinterpret_cast<float*>(y.data);
            const int64_t count = bytes_of(y) / plan::size_of(y.type);
            relu<float>(workers, {sums, count}, {sums, count});
        }
        if (stages_y_) {
            move_image(workers, y, result);
        }
    }

    Team& team_;
    plan::Operands at_;
    plan::FusedConv step_;
    plan::Place x_;  // one image as the primitive reads it; without data
    plan::Place y_;
    bool planes_ = false;  // whether x is spread over planes
    bool stages_x_ = false;
    bool stages_y_ = false;
    bool relu_apart_ = false;
    Primitive alone_;  // one thread, an image each
    Primitive whole_;  // all threads on one image
};

}  // namespace

const Processor& processor() {
    static const Processor found = [] {
        switch (dnnl::get_effective_cpu_isa()) {
            case dnnl::cpu_isa::avx512_core:
            case dnnl::cpu_isa::avx512_core_vnni:
                return Processor{"AVX-512", 16, 16, true, false};
            case dnnl::cpu_isa::avx512_core_bf16:
                return Processor{"AVX-512 with bf16", 16, 16, true, true};
            case dnnl::cpu_isa::avx512_core_amx:
                return Processor{"AVX-512 with AMX", 16, 1, true, true};
            case dnnl::cpu_isa::avx2:
            case dnnl::cpu_isa::avx2_vnni:
                return Processor{"AVX2", 8, 8, false, false};
            default:
                return Processor{"a processor without AVX2", 8, 8, false, false};
        }
    }();
    return found;
}

std::string library_version() {
    const dnnl_version_t* version = dnnl_version();
    return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
}

std::unique_ptr<plan::Runnable> make_conv(Team& team, int64_t channel_block, const plan::FusedConv& step,
                                          const plan::Operands& at, const plan::Weights& weights) {
    return std::make_unique<Conv>(team, channel_block, step, at, weights);
}

}  // namespace boneage::onednn
