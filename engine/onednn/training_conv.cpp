#include "engine/onednn/training_conv.h"

#include "engine/onednn/conv.h"
#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <cstring>
#include <dnnl.hpp>
#include <optional>
#include <unordered_map>

namespace boneage::onednn {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using Kind = dnnl::algorithm;

const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

memory::data_type type_of(plan::DataType type) {
    return type == plan::DataType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
}

Dims dims_of(const plan::Place& place) {
    const plan::Shape& s = place.shape;
    return {s.n, s.c, s.h, s.w};
}

// A value where it lies: NHWC, pixels possibly further apart than they are long.
memory::desc value_desc(const plan::Place& place) {
    const plan::Shape& s = place.shape;
    const int64_t pixel = place.pixel_stride;
    return {dims_of(place), type_of(place.type), Dims{s.h * s.w * pixel, 1, s.w * pixel, pixel}};
}

// As oneDNN is to read or write a value: dense NHWC of the type it computes with.
memory::desc computed_desc(const plan::Place& place, plan::DataType type) {
    return {dims_of(place), type_of(type), memory::format_tag::nhwc};
}

// A convolution weight in the flat parameters: [out, k, k, in].
memory::desc weight_desc(const Dims& dims) {
    return {dims, memory::data_type::f32, memory::format_tag::ohwi};
}

// bf16 where this processor computes with it, else float32.
plan::DataType computed_type(plan::DataType type) {
    return processor().computes_bf16 ? type : plan::DataType::f32;
}

// The sizes of one convolution, x -> y.
struct Geometry {
    Dims weight;  // out, in, k, k
    Dims strides;
    Dims padding;

    Geometry(const plan::ConvShape& conv, const plan::Place& x, const plan::Place& y)
        : weight{y.shape.c, x.shape.c, conv.kernel, conv.kernel},
          strides{conv.stride, conv.stride},
          padding{conv.padding, conv.padding} {}

    [[nodiscard]] dnnl::convolution_forward::primitive_desc forward(const memory::desc& x, const memory::desc& w,
                                                                    const memory::desc& bias, const memory::desc& y,
                                                                    const dnnl::primitive_attr& attributes) const {
        return {{dnnl::prop_kind::forward_training, Kind::convolution_direct, x, w, bias, y, strides, padding, padding},
                attributes,
                engine()};
    }
};

dnnl::primitive_attr user_scratchpad() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

// A bias of `repeats` copies of the parameter.
memory::desc bias_desc(int64_t channels) {
    return {{channels}, memory::data_type::f32, memory::format_tag::a};
}

// Runs a primitive whose operands may need another order or type: what differs is staged in scratch, and results are
// brought back.
class StagedRun {
public:
    StagedRun(Team& team, dnnl::primitive primitive, const memory::desc& scratchpad)
        : team_(team), primitive_(std::move(primitive)), stream_(engine()) {
        add_scratch(DNNL_ARG_SCRATCHPAD, scratchpad);
    }

    // `given` is where the operand lies, `wanted` what the primitive takes.
    void input(int argument, const memory::desc& given, const void* data, const memory::desc& wanted) {
        add_operand(argument, given, const_cast<void*>(data), wanted, before_, true);
    }
    void output(int argument, const memory::desc& given, void* data, const memory::desc& wanted) {
        add_operand(argument, given, data, wanted, after_, false);
    }

    // Where an input lies from now on.
    void move_input(int argument, void* data) {
        for (Move& move : before_) {
            if (move.argument == argument) {
                move.given.set_data_handle(data);
                return;
            }
        }
        arguments_.at(argument).set_data_handle(data);
    }

    [[nodiscard]] int64_t scratch_bytes() const { return scratch_bytes_; }

    void run(std::byte* scratch) {
        const OpenMpThreads threads(team_.threads());
        for (auto& [argument, offset] : staged_) {
            arguments_.at(argument).set_data_handle(scratch + offset);
        }
        for (Move& move : before_) {
            move.reorder.execute(stream_, move.given, arguments_.at(move.argument));
        }
        primitive_.execute(stream_, arguments_);
        for (Move& move : after_) {
            move.reorder.execute(stream_, arguments_.at(move.argument), move.given);
        }
        stream_.wait();
    }

private:
    struct Move {
        int argument;
        memory given;
        dnnl::reorder reorder;
    };

    void add_scratch(int argument, const memory::desc& desc) {
        arguments_[argument] = memory(desc, engine(), nullptr);
        staged_[argument] = scratch_bytes_;
        scratch_bytes_ += scratch_part<std::byte>(static_cast<int64_t>(desc.get_size()));
    }
    void add_operand(int argument, const memory::desc& given, void* data, const memory::desc& wanted,
                     std::vector<Move>& moves, bool is_input) {
        if (given == wanted) {
            arguments_[argument] = memory(wanted, engine(), data);
            return;
        }
        add_scratch(argument, wanted);
        memory theirs(given, engine(), data);
        const memory& ours = arguments_.at(argument);
        moves.push_back({argument, theirs, is_input ? dnnl::reorder(theirs, ours) : dnnl::reorder(ours, theirs)});
    }

    Team& team_;
    dnnl::primitive primitive_;
    dnnl::stream stream_;
    std::unordered_map<int, memory> arguments_;
    std::unordered_map<int, int64_t> staged_;  // argument -> place in scratch
    std::vector<Move> before_;
    std::vector<Move> after_;
    int64_t scratch_bytes_ = 0;
};

class Staged : public plan::Runnable {
public:
    [[nodiscard]] int64_t scratch_bytes() const override { return run_->scratch_bytes(); }
    void run(std::byte* scratch) override { run_->run(scratch); }
    [[nodiscard]] std::string implementation() const override { return implementation_; }

protected:
    std::unique_ptr<StagedRun> run_;
    std::string implementation_;
};

// A weight in the flat parameters as a convolution of bf16 values sees it: where that is computed in float32, rounded
// to bf16 and widened again.
class WeightAsUsed {
public:
    WeightAsUsed(const plan::TrainingMemory& m, const plan::ConvShape& conv, plan::DataType type)
        : given_(m.parameter_data(conv.weight)) {
        if (computed_type(type) != type) {
            rounded_ = Buffer<float, Host>(m.parameter(conv.weight).size());
        }
    }

    [[nodiscard]] const float* data() const { return rounded_.size() > 0 ? rounded_.data() : given_; }
    void refresh(Workers& workers) {
        workers.parallel_for(rounded_.size(), 4096, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                rounded_[i] = to_float(to_bfloat16(given_[i]));
            }
        });
    }

private:
    const float* given_;
    Buffer<float, Host> rounded_;
};

// A step that reads a weight.
class Weighted : public Staged {
public:
    void run(std::byte* scratch) override {
        weight_.refresh(team_.workers());
        Staged::run(scratch);
    }

protected:
    Weighted(Team& team, const plan::TrainingMemory& m, const plan::ConvShape& conv, plan::DataType type)
        : team_(team), weight_(m, conv, type) {}

    Team& team_;
    WeightAsUsed weight_;
};

class Forward final : public Weighted {
public:
    Forward(Team& team, const plan::ConvForward& step, const plan::TrainingMemory& m)
        : Weighted(team, m, step.conv, m.place(step.x).type) {
        const OpenMpThreads threads(team.threads());
        const plan::Place x = m.place(step.x);
        const plan::Place y = m.place(step.y);
        const Geometry geometry(step.conv, x, y);
        const auto x_desc = computed_desc(x, computed_type(x.type));
        const auto y_desc = computed_desc(y, computed_type(y.type));
        const memory::desc any_weight(geometry.weight, x_desc.data_type(), memory::format_tag::any);
        const memory::desc bias = step.bias ? bias_desc(y.shape.c) : memory::desc();
        const auto desc = geometry.forward(x_desc, any_weight, bias, y_desc, user_scratchpad());
        implementation_ = desc.impl_info_str();
        run_ = std::make_unique<StagedRun>(team, dnnl::convolution_forward(desc), desc.scratchpad_desc());
        run_->input(DNNL_ARG_SRC, value_desc(x), x.data, desc.src_desc());
        run_->input(DNNL_ARG_WEIGHTS, weight_desc(geometry.weight), weight_.data(), desc.weights_desc());
        run_->output(DNNL_ARG_DST, value_desc(y), y.data, desc.dst_desc());
        if (step.bias) {
            bias_ = m.parameter_data(*step.bias);
            repeated_ = Buffer<float, Host>(y.shape.c);
            repeats_ = step.bias_repeats;
            run_->input(DNNL_ARG_BIAS, bias, repeated_.data(), bias);
        }
    }

    void run(std::byte* scratch) override {
        for (int64_t i = 0; i < repeated_.size(); ++i) {
            repeated_[i] = bias_[i % (repeated_.size() / repeats_)];
        }
        Weighted::run(scratch);
    }

private:
    const float* bias_ = nullptr;
    Buffer<float, Host> repeated_;
    int64_t repeats_ = 1;
};

class GradInput final : public Weighted {
public:
    GradInput(Team& team, const plan::ConvGradInput& step, const plan::TrainingMemory& m)
        : Weighted(team, m, step.conv, m.place(step.d_y).type) {
        expects(step.write == Write::assign, "this back end's traits ask for gradients that are assigned");
        const OpenMpThreads threads(team.threads());
        const plan::Place d_y = m.place(step.d_y);
        const plan::Place d_x = m.place(step.d_x);
        const Geometry geometry(step.conv, d_x, d_y);
        const auto y_desc = computed_desc(d_y, computed_type(d_y.type));
        const auto x_desc = computed_desc(d_x, computed_type(d_x.type));
        const memory::desc any_weight(geometry.weight, y_desc.data_type(), memory::format_tag::any);
        const auto hint = geometry.forward(x_desc, any_weight, {}, y_desc, {});
        const dnnl::convolution_backward_data::primitive_desc desc(
            {Kind::convolution_direct, x_desc, any_weight, y_desc, geometry.strides, geometry.padding,
             geometry.padding},
            user_scratchpad(), engine(), hint);
        implementation_ = desc.impl_info_str();
        run_ = std::make_unique<StagedRun>(team, dnnl::convolution_backward_data(desc), desc.scratchpad_desc());
        run_->input(DNNL_ARG_DIFF_DST, value_desc(d_y), d_y.data, desc.diff_dst_desc());
        run_->input(DNNL_ARG_WEIGHTS, weight_desc(geometry.weight), weight_.data(), desc.weights_desc());
        run_->output(DNNL_ARG_DIFF_SRC, value_desc(d_x), d_x.data, desc.diff_src_desc());
    }
};

// Every `stride`-th pixel of every `stride`-th row, densely into scratch. A 1x1 convolution with a stride is one
// without over these. oneDNN gathers them itself, but where a pixel has fewer channels than a vector it writes past the
// end of its workspace (its issue 6035): threads then spoil each other's numbers.
class Gather {
public:
    Gather(Team& team, const plan::Place& from, const plan::Place& to, int64_t stride)
        : team_(team), from_(from), to_(to), stride_(stride) {}

    [[nodiscard]] int64_t bytes() const { return scratch_part<std::byte>(to_.shape.size() * plan::size_of(to_.type)); }
    void run(std::byte* to) {
        const int64_t element = plan::size_of(from_.type);
        const int64_t pixel = to_.shape.c * element;
        team_.workers().parallel_for(to_.shape.n * to_.shape.h, 1, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t n = row / to_.shape.h;
                const int64_t y = row % to_.shape.h * stride_;
                for (int64_t x = 0; x < to_.shape.w; ++x) {
                    std::memcpy(to + (row * to_.shape.w + x) * pixel,
                                from_.data + from_.offset(n, y, x * stride_, 0) * element, static_cast<size_t>(pixel));
                }
            }
        });
    }

private:
    Team& team_;
    plan::Place from_;
    plan::Place to_;
    int64_t stride_;
};

class GradWeight final : public Staged {
public:
    GradWeight(Team& team, const plan::ConvGradWeight& step, const plan::TrainingMemory& m) {
        const OpenMpThreads threads(team.threads());
        const plan::Place given = m.place(step.x);
        const plan::Place d_y = m.place(step.d_y);
        plan::ConvShape conv = step.conv;
        plan::Place x = given;
        if (conv.kernel == 1 && conv.padding == 0 && conv.stride > 1) {
            x = d_y;
            x.shape.c = x.pixel_stride = given.shape.c;
            gather_.emplace(team, given, x, conv.stride);
            conv.stride = 1;
        }
        const Geometry geometry(conv, x, d_y);
        const auto x_desc = computed_desc(x, computed_type(x.type));
        const auto y_desc = computed_desc(d_y, computed_type(d_y.type));
        const memory::desc any_weight(geometry.weight, memory::data_type::f32, memory::format_tag::any);
        const memory::desc hint_weight(geometry.weight, x_desc.data_type(), memory::format_tag::any);
        const auto hint = geometry.forward(x_desc, hint_weight, {}, y_desc, {});
        const dnnl::convolution_backward_weights::primitive_desc desc(
            {Kind::convolution_direct, x_desc, any_weight, y_desc, geometry.strides, geometry.padding,
             geometry.padding},
            user_scratchpad(), engine(), hint);
        implementation_ = desc.impl_info_str();
        run_ = std::make_unique<StagedRun>(team, dnnl::convolution_backward_weights(desc), desc.scratchpad_desc());
        run_->input(DNNL_ARG_SRC, value_desc(x), x.data, desc.src_desc());
        run_->input(DNNL_ARG_DIFF_DST, value_desc(d_y), d_y.data, desc.diff_dst_desc());
        run_->output(DNNL_ARG_DIFF_WEIGHTS, weight_desc(geometry.weight), m.gradient_data(conv.weight),
                     desc.diff_weights_desc());
    }

    [[nodiscard]] int64_t scratch_bytes() const override {
        return Staged::scratch_bytes() + (gather_ ? gather_->bytes() : 0);
    }
    void run(std::byte* scratch) override {
        if (gather_) {
            gather_->run(scratch);
            run_->move_input(DNNL_ARG_SRC, scratch);
            scratch += gather_->bytes();
        }
        Staged::run(scratch);
    }

private:
    std::optional<Gather> gather_;
};

}  // namespace

std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory) {
    return std::make_unique<Forward>(team, step, memory);
}

std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory) {
    return std::make_unique<GradInput>(team, step, memory);
}

std::unique_ptr<plan::Runnable> make_training_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory) {
    return std::make_unique<GradWeight>(team, step, memory);
}

}  // namespace boneage::onednn
