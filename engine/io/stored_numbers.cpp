#include "engine/io/stored_numbers.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

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

std::vector<float> to_float32(StoredType type, std::span<const std::byte> bytes) {
    switch (type) {
        case StoredType::f32:
            return read_as<float>(bytes, [](float value) { return value; });
        case StoredType::f16:
            return read_as<uint16_t>(bytes, [](uint16_t bits) { return to_float(float16{bits}); });
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
            return write_as<uint16_t>(values, [](float value) { return to_float16(value).bits; });
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
