#include "tools/size_table.h"

#include "tools/id_table.h"

#include <charconv>
#include <string_view>

namespace boneage::tools {
namespace {

constexpr int64_t kLargest = 100'000;

int64_t pixels_of(const io::CsvReader& reader, std::string_view text) {
    int64_t pixels = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), pixels);
    if (problem != std::errc() || end != text.data() + text.size() || pixels < 1 || pixels > kLargest) {
        reader.fail("size \"" + std::string(text) + "\" is no number of pixels from 1 to 100000");
    }
    return pixels;
}

}  // namespace

SizeTable read_size_table(const std::filesystem::path& path) {
    return read_id_table<ImageSize>(path, {"orig_width", "orig_height"}, "size",
                                    [](const io::CsvReader& reader, const auto& fields) -> std::optional<ImageSize> {
                                        if (fields[0].empty() && fields[1].empty()) {
                                            return std::nullopt;
                                        }
                                        const int64_t height = pixels_of(reader, fields[1]);
                                        return ImageSize{height, pixels_of(reader, fields[0])};
                                    });
}

}  // namespace boneage::tools
