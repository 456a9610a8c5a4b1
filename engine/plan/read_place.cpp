#include "engine/plan/backend.h"
#include "kernels/base/numeric.h"

namespace boneage::plan {
namespace {

float float_at(const std::byte* data, int64_t offset, DataType type) {
    switch (type) {
        case DataType::f32:
            return reinterpret_cast<const float*>(data)[offset];
        case DataType::bf16:
            return to_float(reinterpret_cast<const bfloat16*>(data)[offset]);
        case DataType::f16:
            return to_float(reinterpret_cast<const float16*>(data)[offset]);
    }
    return 0.0F;
}

}  // namespace

std::vector<float> read_place(BackendMemory& memory, const Place& at) {
    const Shape& s = at.shape;
    const int64_t count = at.offset(s.n - 1, s.h - 1, s.w - 1, s.c - 1) + 1;
    // Floats, so that the bytes are aligned for any type.
    std::vector<float> raw(static_cast<size_t>((count * size_of(at.type) + 3) / 4));
    memory.download(raw.data(), at.data, count * size_of(at.type));
    std::vector<float> values;
    values.reserve(static_cast<size_t>(s.size()));
    for (int64_t n = 0; n < s.n; ++n) {
        for (int64_t y = 0; y < s.h; ++y) {
            for (int64_t x = 0; x < s.w; ++x) {
                for (int64_t c = 0; c < s.c; ++c) {
                    values.push_back(
                        float_at(reinterpret_cast<const std::byte*>(raw.data()), at.offset(n, y, x, c), at.type));
                }
            }
        }
    }
    return values;
}

}  // namespace boneage::plan
