#include "engine/onednn/steps.h"

#include "engine/onednn/places.h"
#include "kernels/nn/copy.h"
#include "kernels/nn/linear.h"
#include "kernels/nn/pool.h"

namespace boneage::onednn {
namespace {

using plan::Place;

// A step that does one image at a time, with x staged where the kernel cannot read it as it lies.
class ImageStep : public plan::Runnable {
public:
    // `read` describes x as the kernel wants it, without data; the same blocks as x: nothing is staged.
    ImageStep(Team& team, const plan::Operands& at, const Place& read) : team_(team), at_(at), read_(read) {}

    [[nodiscard]] int64_t scratch_bytes() const override { return stages() ? team_.threads() * slot_bytes() : 0; }

    void run(std::byte* scratch) override {
        team_.for_images(at_.x.shape.n, [&](int64_t image, const Crew& crew) {
            Place x = image_of(at_.x, image);
            if (stages()) {
                const Place given = x;
                x = read_;
                x.data = scratch + crew.slot * slot_bytes();
                move_image(crew.workers, given, x);
            }
            run_image(crew.workers, x, image_of(at_.y, image));
        });
    }

private:
    virtual void run_image(Workers& workers, const Place& x, const Place& y) const = 0;

    [[nodiscard]] bool stages() const { return read_.channel_block != at_.x.channel_block; }
    [[nodiscard]] int64_t slot_bytes() const { return round_up(bytes_of(read_), kScratchAlignment); }

    Team& team_;
    plan::Operands at_;
    Place read_;
};

class MaxPoolStep final : public ImageStep {
public:
    MaxPoolStep(Team& team, const plan::MaxPool& step, const plan::Operands& at)
        : ImageStep(team, at, staged(at.x, at.x.type, at.y.channel_block)),
          params_{step.kernel, step.stride, step.padding} {}

private:
    void run_image(Workers& workers, const Place& x, const Place& y) const override {
        with_type(x.type, [&](auto type) {
            using T = decltype(type);
            max_pool<T>(workers, activations<const T>(x), activations<T>(y), params_);
        });
    }

    PoolParams params_;
};

class AveragePoolStep final : public ImageStep {
public:
    AveragePoolStep(Team& team, const plan::Operands& at) : ImageStep(team, at, at.x) {}

private:
    void run_image(Workers& workers, const Place& x, const Place& y) const override {
        with_type(x.type, [&](auto type) {
            using T = decltype(type);
            const auto planes = activations<const T>(x);
            // One pixel lies the same way in blocks and plain.
            const Activations<float, Host> means(reinterpret_cast<float*>(y.data), planes.n, 1, 1, planes.c);
            global_average_pool<T>(workers, planes, means);
        });
    }
};

class DepthToSpaceStep final : public ImageStep {
public:
    DepthToSpaceStep(Team& team, const plan::Operands& at)
        : ImageStep(team, at, staged(at.x, at.x.type, at.y.channel_block)) {}

private:
    void run_image(Workers& workers, const Place& x, const Place& y) const override {
        with_type(x.type, [&](auto type) {
            using T = decltype(type);
            const auto all = activations<const T>(x);
            std::array<Activations<const T, Host>, 4> groups;
            for (int64_t g = 0; g < 4; ++g) {
                auto& group = groups[static_cast<size_t>(g)];
                if (x.channel_block == 1) {
                    group = all.channels(g * y.shape.c, y.shape.c);
                } else {
                    group = all;
                    group.n = all.n / 4;
                    group.data = all.pixel(g * group.n, 0, 0);
                }
            }
            depth_to_space<T>(workers, groups, activations<T>(y));
        });
    }
};

class CopyStep final : public ImageStep {
public:
    CopyStep(Team& team, const plan::Operands& at) : ImageStep(team, at, at.x) {}

private:
    void run_image(Workers& workers, const Place& x, const Place& y) const override { move_image(workers, x, y); }
};

class LinearStep final : public plan::Runnable {
public:
    LinearStep(Team& team, const plan::Linear& step, const plan::Operands& at, plan::Weights weights)
        : team_(team), at_(at), relu_(step.relu), weights_(std::move(weights)) {}

    void run(std::byte*) override {
        const Place& x = at_.x;
        const Place& y = at_.y;
        const OpenMpThreads threads(team_.threads());
        linear(team_.workers(), {reinterpret_cast<const float*>(x.data), x.shape.n, 1, 1, x.shape.c, x.pixel_stride},
               {weights_.weight.data(), y.shape.c, x.shape.c}, {weights_.bias.data(), y.shape.c},
               {reinterpret_cast<float*>(y.data), y.shape.n, 1, 1, y.shape.c, y.pixel_stride}, relu_);
    }

private:
    Team& team_;
    plan::Operands at_;
    bool relu_;
    plan::Weights weights_;
};

}  // namespace

std::unique_ptr<plan::Runnable> make_max_pool(Team& team, const plan::MaxPool& step, const plan::Operands& at) {
    return std::make_unique<MaxPoolStep>(team, step, at);
}

std::unique_ptr<plan::Runnable> make_average_pool(Team& team, const plan::Operands& at) {
    return std::make_unique<AveragePoolStep>(team, at);
}

std::unique_ptr<plan::Runnable> make_depth_to_space(Team& team, const plan::Operands& at) {
    return std::make_unique<DepthToSpaceStep>(team, at);
}

std::unique_ptr<plan::Runnable> make_copy(Team& team, const plan::Operands& at) {
    return std::make_unique<CopyStep>(team, at);
}

std::unique_ptr<plan::Runnable> make_linear(Team& team, const plan::Linear& step, const plan::Operands& at,
                                            const plan::Weights& weights) {
    return std::make_unique<LinearStep>(team, step, at, weights);
}

}  // namespace boneage::onednn
