// Single images of planned values, as the kernels see them.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage::onednn {

// Calls body with a value of the element type that `type` names: float, bfloat16 or float16.
template <class Body>
void with_type(plan::DataType type, const Body& body) {
    switch (type) {
        case plan::DataType::f32:
            return body(float{});
        case plan::DataType::bf16:
            return body(bfloat16{});
        case plan::DataType::f16:
            return body(float16{});
    }
}

// The place of image `i` alone.
inline plan::Place image_of(const plan::Place& place, int64_t i) {
    plan::Place image = place;
    image.shape.n = 1;
    image.data += i * place.shape.h * place.shape.w * place.pixel_stride * plan::size_of(place.type);
    return image;
}

// One image as a kernel's operand: one picture of c channels, or c / b planes of b channels.
template <class T>
Activations<T, Host> activations(const plan::Place& image) {
    expects(image.shape.n == 1, "one image at a time");
    T* data = reinterpret_cast<T*>(image.data);
    const plan::Shape& s = image.shape;
    const int64_t b = image.channel_block;
    return b == 1 ? Activations<T, Host>(data, 1, s.h, s.w, s.c, image.pixel_stride)
                  : Activations<T, Host>(data, s.c / b, s.h, s.w, b);
}

// A dense value in scratch memory: one image like `like`, in another type and other blocks. Its channels are padded to
// whole blocks, which pixel_stride counts.
plan::Place staged(const plan::Place& like, plan::DataType type, int64_t channel_block);
int64_t bytes_of(const plan::Place& place);

// Copies one image between places of any type, block and stride. `to`'s padding becomes zero, so that it can stand for
// channels that do not exist.
void move_image(Workers& workers, const plan::Place& from, const plan::Place& to);

}  // namespace boneage::onednn
