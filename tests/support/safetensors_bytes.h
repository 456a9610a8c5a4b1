// Safetensors files put together by hand, right or wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace boneage::testing {

// The header's length (`declared` where given), the header, then `data` zero bytes.
inline std::string safetensors_bytes(const std::string& header, size_t data,
                                     std::optional<uint64_t> declared = std::nullopt) {
    std::string bytes;
    for (uint64_t rest = declared.value_or(header.size()), i = 0; i < 8; ++i, rest >>= 8U) {
        bytes += static_cast<char>(rest & 0xffU);
    }
    return bytes + header + std::string(data, '\0');
}

}  // namespace boneage::testing
