// Bits of HTML.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace boneage::eval {

// Text as it may stand between tags and in quoted attributes; whatever is no valid UTF-8 becomes U+FFFD.
std::string escaped(std::string_view text);

// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

// printf's %.*f with a true minus sign; a dash where there is no number.
std::string decimal(double value, int digits);
// "83.1 %"
std::string percent(double share);

}  // namespace boneage::eval
