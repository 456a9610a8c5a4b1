#include "tests/support/random_graph.h"

#include <algorithm>
#include <random>

namespace boneage::testing {
namespace {

using net::Shape;
using net::ValueId;

class RandomGraph {
public:
    explicit RandomGraph(uint64_t seed, bool trainable = false) : random_(seed), trainable_(trainable) {}

    net::Graph make(int64_t height, int64_t width) {
        add_ops(height, width);
        add_outputs();
        return std::move(graph_);
    }

    net::Graph make_for_ages(int64_t height, int64_t width) {
        add_ops(height, width);
        const auto vectors = where([](const Shape& s) { return s.h == 1 && s.w == 1; });
        ValueId x = vectors.empty() ? global(any()) : vectors.back();
        const ValueId last = static_cast<ValueId>(shapes_.size()) - 1;
        if (x != last) {
            x = joined({x, global(last)});
        }
        graph_.outputs = {linear(x, 1, net::Act::none)};
        return std::move(graph_);
    }

    net::Graph make_for_masks(int64_t height, int64_t width) {
        add_ops(height, width);
        const auto images = where([](const Shape& s) { return s.h > 1 && s.w > 1; });
        net::ConvUnit head;
        head.x = images.back();
        head.conv = {op_name() + ".head", shape(head.x).c, 1, 1, 1, 0, true};
        Shape y = shape(head.x);
        y.c = 1;
        head.y = value(y);
        graph_.ops.emplace_back(head);
        graph_.outputs = {head.y};
        return std::move(graph_);
    }

private:
    void add_ops(int64_t height, int64_t width) {
        graph_.name = "random";
        input("image", {1, height, width, pick<int64_t>({1, 3, 8})}, true);
        if (chance(50)) {
            input("extra", {1, 1, 1, 2}, false);
        }
        const int64_t ops = 4 + below(14);
        for (int64_t i = 0; i < ops; ++i) {
            add_op();
        }
    }

    int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
    bool chance(int64_t percent) { return below(100) < percent; }
    template <class T>
    T pick(const std::vector<T>& from) {
        return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
    }

    const Shape& shape(ValueId id) const { return shapes_[static_cast<size_t>(id)]; }

    ValueId value(const std::string& name, const Shape& shape) {
        graph_.values.push_back({name, shape.c});
        shapes_.push_back(shape);
        return static_cast<ValueId>(shapes_.size()) - 1;
    }
    static std::string numbered(std::string name, size_t number) { return name += std::to_string(number); }
    ValueId value(const Shape& shape) { return value(numbered("v", shapes_.size()), shape); }
    std::string op_name() const { return numbered("op", graph_.ops.size()); }

    void input(const std::string& name, const Shape& shape, bool spatial) {
        graph_.inputs.push_back({value(name, shape), spatial});
    }

    // Recent values more often than old ones, so that chains form.
    ValueId any() {
        const auto count = static_cast<int64_t>(shapes_.size());
        return static_cast<ValueId>(chance(60) ? count - 1 - below(std::min<int64_t>(3, count)) : below(count));
    }
    std::vector<ValueId> where(auto&& condition) const {
        std::vector<ValueId> found;
        for (ValueId id = 0; id < static_cast<ValueId>(shapes_.size()); ++id) {
            if (condition(shape(id))) {
                found.push_back(id);
            }
        }
        return found;
    }

    void add_op() {
        const ValueId x = any();
        const Shape s = shape(x);
        const bool vector = s.h == 1 && s.w == 1;
        switch (below(vector ? 4 : 8)) {
            case 0:
                return concat(s);
            case 1:
                return vector ? linear(x) : pool(x);
            case 2:
                return vector ? linear(x) : static_cast<void>(global(x));
            case 3:
                return s.h <= 8 ? up(x) : pool(x);
            default:
                return conv(x);
        }
    }

    void conv(ValueId x) {
        const Shape s = shape(x);
        net::ConvUnit op;
        op.x = x;
        const int64_t kernel = pick<int64_t>({1, 3, 3, 5});
        const int64_t stride = s.h > 2 && s.w > 2 && chance(25) ? 2 : 1;
        op.conv = {op_name() + ".conv", s.c, pick<int64_t>({1, 4, 8, 8, 16}), kernel, stride, kernel / 2, chance(30)};
        const Shape y{1, (s.h - 1) / stride + 1, (s.w - 1) / stride + 1, op.conv.out};
        const bool plain = trainable_ ? chance(30) : !chance(70);
        if (!plain) {
            op.norm = net::Norm{op_name() + ".bn", op.conv.out};
        }
        const auto residuals = where([&](const Shape& other) { return other == y; });
        const bool bare = trainable_ && plain;  // training knows a residual or a ReLU behind a norm only
        if (!residuals.empty() && chance(60) && !bare) {
            op.residual = chance(50) ? residuals.back() : pick(residuals);
        }
        op.act = chance(60) && !bare ? net::Act::relu : net::Act::none;
        op.y = value(y);
        graph_.ops.emplace_back(op);
    }
    void pool(ValueId x) {
        const Shape s = shape(x);
        const int64_t kernel = pick<int64_t>({2, 3});
        const int64_t padding = kernel / 2;
        const auto size = [&](int64_t n) { return (n + 2 * padding - kernel) / 2 + 1; };
        graph_.ops.emplace_back(net::MaxPool{x, kernel, 2, padding, value({1, size(s.h), size(s.w), s.c})});
    }
    ValueId global(ValueId x) {
        const ValueId y = value({1, 1, 1, shape(x).c});
        graph_.ops.emplace_back(net::GlobalAvgPool{x, y});
        return y;
    }
    void linear(ValueId x) {
        const int64_t out = 1 + below(9);
        linear(x, out, chance(50) ? net::Act::relu : net::Act::none);
    }
    ValueId linear(ValueId x, int64_t out, net::Act act) {
        const ValueId y = value({1, 1, 1, out});
        graph_.ops.emplace_back(net::Linear{x, op_name() + ".fc", shape(x).c, out, act, y});
        return y;
    }
    void up(ValueId x) {
        const Shape s = shape(x);
        const int64_t out = pick<int64_t>({2, 8});
        graph_.ops.emplace_back(net::TransposedConv{x, op_name() + ".up", s.c, out, value({1, 2 * s.h, 2 * s.w, out})});
    }
    void concat(const Shape& like) {
        const auto fitting = where([&](const Shape& s) { return s.h == like.h && s.w == like.w; });
        std::vector<ValueId> parts;
        for (int64_t more = 1 + below(3); more > 0; --more) {
            parts.push_back(chance(50) ? fitting.back() : pick(fitting));
        }
        joined(parts);
    }
    ValueId joined(const std::vector<ValueId>& parts) {
        Shape y = shape(parts.front());
        y.c = 0;
        for (const ValueId part : parts) {
            y.c += shape(part).c;
        }
        net::Concat op{parts, value(y)};
        graph_.ops.emplace_back(op);
        return op.y;
    }

    void add_outputs() {
        const auto count = static_cast<int64_t>(shapes_.size());
        graph_.outputs.push_back(static_cast<ValueId>(count - 1));
        for (int64_t more = below(3); more > 0; --more) {
            const auto id = static_cast<ValueId>(below(count));
            if (std::ranges::find(graph_.outputs, id) == graph_.outputs.end()) {
                graph_.outputs.push_back(id);
            }
        }
    }

    std::mt19937_64 random_;
    bool trainable_;
    net::Graph graph_;
    std::vector<Shape> shapes_;
};

}  // namespace

net::Graph random_graph(uint64_t seed, int64_t height, int64_t width) {
    return RandomGraph(seed).make(height, width);
}

net::Graph random_age_graph(uint64_t seed, int64_t height, int64_t width) {
    return RandomGraph(seed, true).make_for_ages(height, width);
}

net::Graph random_mask_graph(uint64_t seed, int64_t height, int64_t width) {
    return RandomGraph(seed, true).make_for_masks(height, width);
}

}  // namespace boneage::testing
