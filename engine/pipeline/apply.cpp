#include "engine/pipeline/apply.h"

#include "engine/pipeline/apply_on.h"

#include <algorithm>

namespace boneage::pipeline {
namespace {

class HostSide {
public:
    using Space = Host;

    HostSide(int threads, plan::Backend& backend) : workers_(std::make_unique<Workers>(threads)), backend_(backend) {}

    template <class P>
    struct Held {
        HostImage<P> pixels;
        Image<P, Host> image = pixels.view();
        Image<const P, Host> const_image = image;
        [[nodiscard]] Batch<P, Host> batch() const { return one(image); }
        [[nodiscard]] Batch<const P, Host> const_batch() const { return one(const_image); }
    };
    template <class T>
    struct Read {
        std::unique_ptr<T> at = std::make_unique<T>();
        [[nodiscard]] Tensor<T, Host> tensor() const { return {at.get(), 1}; }
    };

    [[nodiscard]] Workers& queue() const { return *workers_; }
    [[nodiscard]] int64_t parts() const { return workers_->count(); }
    Bytes<Host> scratch(int64_t bytes) { return scratch_.bytes(bytes); }

    template <class P>
    Held<P> make(ImageSize size) {
        return {HostImage<P>(size.height, size.width)};
    }
    template <class P>
    Held<P> put(const HostImage<P>& image) {
        Held<P> held = make<P>({image.height(), image.width()});
        std::copy_n(image.view().data, image.view().pixels(), held.image.data);
        return held;
    }
    template <class P>
    HostImage<P> get(const Held<P>& held) {
        HostImage<P> image(held.image.height, held.image.width);
        std::copy_n(held.image.data, held.image.pixels(), image.view().data);
        return image;
    }
    template <class T>
    Read<T> read() {
        return {};
    }
    template <class T>
    T value(const Read<T>& read) {
        return *read.at;
    }

    template <class P>
    void segment(const Held<P>& canvas, const Held<uint8_t>& mask, const SegmenterSource& source,
                 const Recipe& recipe) {
        expect_numbers(Segmenter(source, recipe.segment, backend_, plan::Precision::f32)
                           .segment<P>(*workers_, canvas.const_image, mask.image));
    }

private:
    std::unique_ptr<Workers> workers_;
    HostScratch scratch_;
    plan::Backend& backend_;
};

}  // namespace

std::unique_ptr<Applier> make_applier(int threads, plan::Backend& backend) {
    return std::make_unique<ApplierOn<HostSide>>(HostSide(threads, backend));
}

}  // namespace boneage::pipeline
