#include "engine/io/stored_numbers.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace boneage::io {
namespace {

// Numbers in a file may lie at any address, hence the copies.
template <class Stored, class Convert>
std::vector<float> read_as(std::span<const std::byte> bytes, Convert convert) {
    expects(bytes.size() % sizeof(Stored) == 0, "bytes must be whole numbers");
    std::vector<float> values(bytes.size() / sizeof(Stored));
    for (size_t i = 0; i < values.size(); ++i) {
        Stored stored;
        std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
        values[i] = convert(stored);
    }
    return values;
}

template <class Stored, class Convert>
std::vector<std::byte> write_as(std::span<const float> values, Convert convert) {
    std::vector<std::byte> bytes(values.size() * sizeof(Stored));
    for (size_t i = 0; i < values.size(); ++i) {
        const Stored stored = convert(values[i]);
        std::memcpy(bytes.data() + i * sizeof(Stored), &stored, sizeof(Stored));
    }
    return bytes;
}

}  // namespace

const char* text(StoredType type) {
    switch (type) {
        case StoredType::f32:
            return "F32";
        case StoredType::f16:
            return "F16";
        case StoredType::bf16:
            return "BF16";
        case StoredType::i64:
            return "I64";
        case StoredType::u8:
            return "U8";
    }
    throw ContractError("a stored type without a name");
}

int64_t size_of(StoredType type) {
    switch (type) {
        case StoredType::f32:
            return 4;
        case StoredType::f16:
        case StoredType::bf16:
            return 2;
        case StoredType::i64:
            return 8;
        case StoredType::u8:
            return 1;
    }
    throw ContractError("a stored type without a size");
}

bool is_floating(StoredType type) {
    return type == StoredType::f32 || type == StoredType::f16 || type == StoredType::bf16;
}

float half_to_float(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16U;
    const uint32_t exponent = (bits >> 10U) & 0x1fU;
    const uint32_t mantissa = bits & 0x3ffU;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    const uint32_t wide = exponent == 31 ? 255U : exponent + 112U;
    return std::bit_cast<float>(sign | (wide << 23U) | (mantissa << 13U));
}

uint16_t float_to_half(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 16U) & 0x8000U);
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) {
        return static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13U) & 0x3ffU));
    }
    if (magnitude >= 0x47800000U) {  // 65536 and more, infinity included
        return static_cast<uint16_t>(sign | 0x7c00U);
    }
    if (magnitude < 0x38800000U) {  // below 2^-14: a multiple of 2^-24
        const float scaled = std::bit_cast<float>(magnitude) * 0x1p24F;
        return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(scaled)));
    }
    const uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13U) & 1U);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

std::vector<float> to_float32(StoredType type, std::span<const std::byte> bytes) {
    switch (type) {
        case StoredType::f32:
            return read_as<float>(bytes, [](float value) { return value; });
        case StoredType::f16:
            return read_as<uint16_t>(bytes, half_to_float);
        case StoredType::bf16:
            return read_as<uint16_t>(bytes, [](uint16_t bits) { return to_float(bfloat16{bits}); });
        case StoredType::i64:
            return read_as<int64_t>(bytes, [](int64_t value) { return static_cast<float>(value); });
        case StoredType::u8:
            return read_as<uint8_t>(bytes, [](uint8_t value) { return static_cast<float>(value); });
    }
    throw ContractError("a stored type that cannot be read");
}

std::vector<std::byte> from_float32(StoredType type, std::span<const float> values) {
    switch (type) {
        case StoredType::f32:
            return write_as<float>(values, [](float value) { return value; });
        case StoredType::f16:
            return write_as<uint16_t>(values, float_to_half);
        case StoredType::bf16:
            return write_as<uint16_t>(values, [](float value) { return to_bfloat16(value).bits; });
        case StoredType::i64:
            return write_as<int64_t>(values, [](float value) { return static_cast<int64_t>(value); });
        case StoredType::u8:
            return write_as<uint8_t>(values, [](float value) { return static_cast<uint8_t>(value); });
    }
    throw ContractError("a stored type that cannot be written");
}

}  // namespace boneage::io
