#include "engine/pipeline/apply_on.h"
#include "engine/pipeline/device_networks.h"
#include "kernels/image/finite.h"

namespace boneage::pipeline {
namespace {

class DeviceSide {
public:
    using Space = Device;

    DeviceSide(Stream& stream, std::function<plan::Backend&()> backend)
        : stream_(stream), backend_(std::move(backend)) {}

    // One image, and behind it one of 0x0.
    template <class P>
    struct Held {
        Buffer<P, Device> pixels;
        Image<P, Device> image;
        Buffer<Image<P, Device>, Device> table;
        Buffer<Image<const P, Device>, Device> const_table;
        [[nodiscard]] Batch<P, Device> batch() const { return {table.data(), 1, image.height, image.width}; }
        [[nodiscard]] Batch<const P, Device> const_batch(int64_t count = 1) const {
            return {const_table.data(), count, image.height, image.width};
        }
    };
    template <class T>
    struct Read {
        Buffer<T, Device> at = Buffer<T, Device>(1);
        [[nodiscard]] Tensor<T, Device> tensor() const { return {at.data(), 1}; }
    };

    [[nodiscard]] Stream& queue() const { return stream_; }
    [[nodiscard]] static int64_t parts() { return 1; }
    Bytes<Device> scratch(int64_t bytes) {
        scratch_.reserve(bytes);
        return {scratch_.data(), bytes};
    }

    template <class P>
    Held<P> make(ImageSize size) {
        constexpr auto kSize = static_cast<int64_t>(sizeof(P));
        const int64_t stride = round_up(size.width * kSize, kScratchAlignment) / kSize;
        Held<P> held{Buffer<P, Device>(size.height * stride),
                     {},
                     Buffer<Image<P, Device>, Device>(2),
                     Buffer<Image<const P, Device>, Device>(2)};
        held.image = {held.pixels.data(), size.height, size.width, stride};
        const Image<P, Device> images[]{held.image, {}};
        const Image<const P, Device> const_images[]{held.image, {}};
        copy_to_device(stream_, held.table.data(), images, sizeof images);
        copy_to_device(stream_, held.const_table.data(), const_images, sizeof const_images);
        stream_.synchronize();
        return held;
    }
    template <class P>
    Held<P> put(const HostImage<P>& image) {
        Held<P> held = make<P>({image.height(), image.width()});
        for (int64_t y = 0; y < image.height(); ++y) {
            copy_to_device(stream_, held.image.row(y), image.view().row(y), row_bytes<P>(image.width()));
        }
        stream_.synchronize();
        return held;
    }
    template <class P>
    HostImage<P> get(const Held<P>& held) {
        HostImage<P> image(held.image.height, held.image.width);
        for (int64_t y = 0; y < image.height(); ++y) {
            copy_to_host(stream_, image.view().row(y), held.image.row(y), row_bytes<P>(image.width()));
        }
        stream_.synchronize();
        return image;
    }
    template <class T>
    Read<T> read() {
        return {};
    }
    template <class T>
    T value(const Read<T>& read) {
        T value;
        copy_to_host(stream_, &value, read.at.data(), sizeof value);
        stream_.synchronize();
        return value;
    }

    template <class P>
    void segment(const Held<P>& canvas, const Held<uint8_t>& mask, const SegmenterSource& source,
                 const Recipe& recipe) {
        DeviceSegmenter segmenter(source, recipe, backend_(), plan::Precision::f32, 1);
        const ImageSize size = fit_inside(canvas.image.height, canvas.image.width, recipe.segment.long_side);
        const Held<P> working = make<P>(size);
        const Held<float> logits = make<float>(size);
        const Held<float> canvas_logits = make<float>({canvas.image.height, canvas.image.width});
        std::vector<PatchPlace> places;
        append_patches(places, 0, size.height, size.width, recipe.segment.patch, recipe.segment.step);
        const int64_t first[]{0, static_cast<int64_t>(places.size())};
        places.resize(static_cast<size_t>(segmenter.places()), {1, 0, 0});
        const Buffer<PatchPlace, Device> device_places(segmenter.places());
        const Buffer<int64_t, Device> device_first(2);
        copy_to_device(stream_, device_places.data(), places.data(),
                       device_places.size() * static_cast<int64_t>(sizeof(PatchPlace)));
        copy_to_device(stream_, device_first.data(), first, sizeof first);
        stream_.synchronize();
        resize<P>(stream_, canvas.const_batch(), working.batch(), ResizeFilter::area);
        segmenter.enqueue<P>(stream_, working.const_batch(2), {device_places.data(), device_places.size()},
                             {device_first.data(), 2}, logits.batch());
        const Read<uint8_t> broken = read<uint8_t>();
        find_not_finite(stream_, logits.const_batch(), broken.tensor());
        expect_numbers(value(broken) == 0);
        resize<float>(stream_, logits.const_batch(), canvas_logits.batch(), ResizeFilter::linear);
        threshold<float>(stream_, canvas_logits.const_batch(), mask.batch(),
                         logit(static_cast<float>(recipe.segment.threshold)));
        stream_.synchronize();
    }

private:
    template <class P>
    static int64_t row_bytes(int64_t width) {
        return width * static_cast<int64_t>(sizeof(P));
    }

    Stream& stream_;
    std::function<plan::Backend&()> backend_;
    Buffer<std::byte, Device> scratch_;
};

}  // namespace

std::unique_ptr<Applier> make_applier(Stream& stream, std::function<plan::Backend&()> backend) {
    return std::make_unique<ApplierOn<DeviceSide>>(DeviceSide(stream, std::move(backend)));
}

}  // namespace boneage::pipeline
