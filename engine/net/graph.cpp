#include "engine/net/graph.h"

#include <algorithm>
#include <stdexcept>

namespace boneage::net {
namespace {

std::string size_text(const Shape& shape) {
    return std::to_string(shape.h) + "x" + std::to_string(shape.w);
}

// Computes the shape each op gives from the shapes it reads, and checks what the op declares against them.
class ShapeRule {
public:
    ShapeRule(const Graph& graph, const std::vector<Shape>& shapes, const std::string& y)
        : graph_(graph), shapes_(shapes), y_(y) {}

    Shape operator()(const ConvUnit& op) const {
        const Shape x = read(op.x, op.conv.in);
        Shape y = windows(x, op.conv.kernel, op.conv.stride, op.conv.padding);
        y.c = op.conv.out;
        if (op.norm) {
            require(op.norm->channels == y.c, op.norm->name + " does not have the convolution's channels");
        }
        if (op.residual) {
            require(read(*op.residual, y.c) == y, "the residual's size differs from the convolution's");
        }
        return y;
    }
    Shape operator()(const MaxPool& op) const {
        require(op.padding * 2 <= op.kernel, "a window lies wholly in the padding");
        return windows(read(op.x), op.kernel, op.stride, op.padding);
    }
    Shape operator()(const GlobalAvgPool& op) const {
        const Shape x = read(op.x);
        return {x.n, 1, 1, x.c};
    }
    Shape operator()(const Linear& op) const {
        const Shape x = read(op.x, op.in);
        require(x.h == 1 && x.w == 1, "a linear layer reads one pixel, not " + size_text(x));
        return {x.n, 1, 1, op.out};
    }
    Shape operator()(const TransposedConv& op) const {
        const Shape x = read(op.x, op.in);
        return {x.n, 2 * x.h, 2 * x.w, op.out};
    }
    Shape operator()(const Concat& op) const {
        require(!op.x.empty(), "nothing to concatenate");
        Shape y = read(op.x.front());
        y.c = 0;
        for (const ValueId id : op.x) {
            const Shape x = read(id);
            require(x.n == y.n && x.h == y.h && x.w == y.w,
                    name(id) + " is " + size_text(x) + " but " + name(op.x.front()) + " is " + size_text(y) +
                        "; the image's sides must be divisible by every pooling");
            y.c += x.c;
        }
        return y;
    }

private:
    void require(bool condition, const std::string& what) const {
        if (!condition) {
            throw std::invalid_argument(graph_.name + ", " + y_ + ": " + what);
        }
    }
    [[nodiscard]] const std::string& name(ValueId id) const { return graph_.values[static_cast<size_t>(id)].name; }
    [[nodiscard]] Shape read(ValueId id) const {
        require(id >= 0 && static_cast<size_t>(id) < shapes_.size(), "reads a value that does not exist");
        const Shape shape = shapes_[static_cast<size_t>(id)];
        require(shape.size() > 0, name(id) + " is read before it is made");
        return shape;
    }
    [[nodiscard]] Shape read(ValueId id, int64_t channels) const {
        const Shape shape = read(id);
        require(shape.c == channels,
                name(id) + " has " + std::to_string(shape.c) + " channels, not " + std::to_string(channels));
        return shape;
    }
    [[nodiscard]] Shape windows(const Shape& x, int64_t kernel, int64_t stride, int64_t padding) const {
        require(kernel >= 1 && stride >= 1 && padding >= 0, "kernel and stride must be positive");
        require(x.h + 2 * padding >= kernel && x.w + 2 * padding >= kernel,
                "an image of " + size_text(x) + " is smaller than a window of " + std::to_string(kernel));
        return {x.n, (x.h + 2 * padding - kernel) / stride + 1, (x.w + 2 * padding - kernel) / stride + 1, x.c};
    }

    const Graph& graph_;
    const std::vector<Shape>& shapes_;
    const std::string& y_;
};

}  // namespace

std::optional<ValueId> find_value(const Graph& graph, std::string_view name) {
    const auto at = std::ranges::find(graph.values, name, &Value::name);
    if (at == graph.values.end()) {
        return std::nullopt;
    }
    return static_cast<ValueId>(at - graph.values.begin());
}

std::vector<ValueId> reads(const Op& op) {
    struct Reads {
        std::vector<ValueId> operator()(const ConvUnit& unit) const {
            return unit.residual ? std::vector{unit.x, *unit.residual} : std::vector{unit.x};
        }
        std::vector<ValueId> operator()(const MaxPool& pool) const { return {pool.x}; }
        std::vector<ValueId> operator()(const GlobalAvgPool& pool) const { return {pool.x}; }
        std::vector<ValueId> operator()(const Linear& linear) const { return {linear.x}; }
        std::vector<ValueId> operator()(const TransposedConv& conv) const { return {conv.x}; }
        std::vector<ValueId> operator()(const Concat& concat) const { return concat.x; }
    };
    return std::visit(Reads{}, op);
}

ValueId made_by(const Op& op) {
    return std::visit([](const auto& any) { return any.y; }, op);
}

std::vector<Shape> infer_shapes(const Graph& graph, int64_t batch, int64_t height, int64_t width) {
    if (batch < 1 || height < 1 || width < 1) {
        throw std::invalid_argument(graph.name + ": batch, height and width must be positive");
    }
    std::vector<Shape> shapes(graph.values.size());
    for (const Input& input : graph.inputs) {
        const auto id = static_cast<size_t>(input.value);
        const int64_t c = graph.values.at(id).channels;
        shapes[id] = input.spatial ? Shape{batch, height, width, c} : Shape{batch, 1, 1, c};
    }
    for (const Op& op : graph.ops) {
        const auto id = static_cast<size_t>(made_by(op));
        const Value& value = graph.values.at(id);
        if (shapes[id].size() > 0) {
            throw std::invalid_argument(graph.name + ": " + value.name + " is made twice");
        }
        const Shape shape = std::visit(ShapeRule(graph, shapes, value.name), op);
        if (shape.c != value.channels) {
            throw std::invalid_argument(graph.name + ": " + value.name + " is declared with other channels than made");
        }
        shapes[id] = shape;
    }
    return shapes;
}

}  // namespace boneage::net
