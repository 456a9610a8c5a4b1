// Numbers as weights files store them, to and from float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace boneage::io {

enum class StoredType { f32, f16, bf16, i64, u8 };
const char* text(StoredType type);  // as safetensors spells it: "F32", ...
int64_t size_of(StoredType type);   // bytes
bool is_floating(StoredType type);

// Little-endian numbers, at any address, as float32: f16, bf16 and u8 convert exactly, i64 rounds to nearest.
std::vector<float> to_float32(StoredType type, std::span<const std::byte> bytes);

// The reverse: rounds to nearest, ties to even; NaN stays NaN, and what is too large becomes infinity. Values for i64
// and u8 must be whole numbers within their range.
std::vector<std::byte> from_float32(StoredType type, std::span<const float> values);

}  // namespace boneage::io
