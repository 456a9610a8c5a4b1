// What runs a plan: a factory of runnable steps over memory of its own kind.
#pragma once

#include "engine/plan/parameters.h"
#include "engine/plan/plan.h"
#include "kernels/base/error.h"

#include <functional>
#include <memory>

namespace boneage::plan {

// A value at its place. Element (n, y, x, c) lies at data + offset * size_of(type), where offset is
//   ((n*h + y)*w + x) * pixel_stride + c                                                            for channel_block
//   1,
//   (((n*pixel_stride/b + c/b)*h + y)*w + x) * b + c%b    (planes of b channels, NCHWc)              for channel_block
//   b.
// `data` is an address in the back end's memory: on a device, not one the host may dereference.
struct Place {
    std::byte* data = nullptr;
    Shape shape;
    DataType type = DataType::f32;
    int64_t pixel_stride = 0;   // channels of the buffer that holds the value
    int64_t channel_block = 1;  // divides shape.c, pixel_stride and the value's first channel
    [[nodiscard]] bool dense() const { return pixel_stride == shape.c; }
    // Where an element lies, in elements after `data`.
    [[nodiscard]] int64_t offset(int64_t n, int64_t y, int64_t x, int64_t c) const {
        const int64_t b = channel_block;
        return b == 1 ? ((n * shape.h + y) * shape.w + x) * pixel_stride + c
                      : (((n * pixel_stride / b + c / b) * shape.h + y) * shape.w + x) * b + c % b;
    }
};

struct Operands {
    Place x;
    std::optional<Place> residual;  // the same data as y when it is to be overwritten
    Place y;
};

// A step bound to its places and weights. Runs on the back end's workers or stream, in the order of the calls.
class Runnable {
public:
    virtual ~Runnable() = default;
    // Memory needed while it runs and not afterwards; steps share one area of the largest size asked for.
    [[nodiscard]] virtual int64_t scratch_bytes() const { return 0; }
    virtual void run(std::byte* scratch) = 0;
    // What the library that computes it calls its way of doing so; empty for kernels that there is one of.
    [[nodiscard]] virtual std::string implementation() const { return {}; }
    // Replaces the weights it was made with, for the runs from now on; recordings of it stay valid. Only for steps that
    // have some, of devices' back ends: throws ContractError elsewhere. Throws UsageError as make() does.
    virtual void reload(const Weights& /*weights*/) { throw ContractError("this step's weights cannot be replaced"); }
};

// Owned memory of the back end, aligned to kArenaAlignment.
using Memory = std::unique_ptr<std::byte, std::function<void(std::byte*)>>;

// The memory that a back end works in.
class BackendMemory {
public:
    virtual ~BackendMemory() = default;
    [[nodiscard]] virtual Memory allocate(int64_t bytes) = 0;
    // Whether the host may dereference this memory; then inputs and outputs are used where they lie.
    [[nodiscard]] virtual bool host_addressable() const = 0;
    // Between host memory and the back end's, in the order of the steps run. Once upload() returns, `from` may be
    // written to again; download() waits for the steps.
    virtual void upload(std::byte* to, const void* from, int64_t bytes) = 0;
    virtual void download(void* to, const std::byte* from, int64_t bytes) = 0;
    // Waits until everything run so far is done.
    virtual void synchronize() = 0;
};

// A copy of what lies at a place as float32, dense. Waits for the steps run so far.
std::vector<float> read_place(BackendMemory& memory, const Place& at);

// Everything expensive (choosing kernels, reordering weights) happens in make(): running allocates nothing. Places
// stay valid as long as the runnable lives. The same plan must give the same bits for an image at any batch size.
// A back end must outlive what it made, and serves one thread at a time.
class Backend : public BackendMemory {
public:
    [[nodiscard]] virtual Traits traits() const = 0;

    virtual std::unique_ptr<Runnable> make(const FusedConv& step, const Operands& at, const Weights& weights) = 0;
    virtual std::unique_ptr<Runnable> make(const MaxPool& step, const Operands& at) = 0;
    virtual std::unique_ptr<Runnable> make(const GlobalAvgPool& step, const Operands& at) = 0;
    virtual std::unique_ptr<Runnable> make(const Linear& step, const Operands& at, const Weights& weights) = 0;
    virtual std::unique_ptr<Runnable> make(const TransposedConv& step, const Operands& at, const Weights& weights) = 0;
    virtual std::unique_ptr<Runnable> make(const DepthToSpace& step, const Operands& at) = 0;
    virtual std::unique_ptr<Runnable> make(const Copy& step, const Operands& at) = 0;
};

}  // namespace boneage::plan
