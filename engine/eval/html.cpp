#include "engine/eval/html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace boneage::eval {
namespace {

// Bytes of the valid UTF-8 sequence that `text` begins with; 0 when there is none.
size_t sequence_length(std::string_view text) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const unsigned first = byte(0);
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    // Overlong forms, surrogates, and what lies beyond the last code point.
    const bool invalid = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                         (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
    return invalid ? 0 : length;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string safe;
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        switch (text.front()) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            case '\'':
                safe += "&#39;";
                break;
            default:
                safe += length == 0 ? "\xEF\xBF\xBD" : text.substr(0, length);
        }
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return safe;
}

std::string base64(std::span<const uint8_t> bytes) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t there = std::min<size_t>(3, bytes.size() - i);
        uint32_t word = 0;
        for (size_t k = 0; k < 3; ++k) {
            word = word << 8 | (k < there ? bytes[i + k] : 0U);
        }
        for (size_t k = 0; k < 4; ++k) {
            text += k <= there ? kLetters[word >> (18 - 6 * k) & 63U] : '=';
        }
    }
    return text;
}

std::string decimal(double value, int digits) {
    if (!std::isfinite(value)) {
        return "\xE2\x80\x93";
    }
    char text[400];
    std::snprintf(text, sizeof text, "%.*f", digits, std::abs(value));
    const bool is_zero = std::string_view(text).find_first_not_of("0.") == std::string_view::npos;
    return (value < 0.0 && !is_zero ? "\xE2\x88\x92" : "") + std::string(text);
}

std::string percent(double share) {
    return std::isfinite(share) ? decimal(100.0 * share, 1) + "\xC2\xA0%" : decimal(share, 1);
}

}  // namespace boneage::eval
