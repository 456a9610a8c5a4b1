#include "engine/train/contact_sheet.h"

#include "engine/io/csv.h"
#include "engine/io/png_write.h"
#include "engine/pipeline/stages.h"

#include <algorithm>

namespace boneage::train {
namespace {

constexpr int64_t kPairsAcross = 6;
constexpr int64_t kGap = 4;  // pixels around a pair
constexpr int64_t kPairWidth = 2 * kThumbnailSide + kGap;
constexpr int64_t kPairHeight = kThumbnailSide + kGap;
constexpr int64_t kChannels = 3;
constexpr uint8_t kPaper = 48;

struct Colour {
    uint8_t red, green, blue;
};
constexpr Colour kLeftOut{120, 20, 20};
constexpr Colour kOutline{255, 220, 0};

class Sheet {
public:
    explicit Sheet(size_t pairs)
        : width_(std::min<int64_t>(kPairsAcross, static_cast<int64_t>(pairs)) * kPairWidth + kGap),
          height_(ceil_div(static_cast<int64_t>(pairs), kPairsAcross) * kPairHeight + kGap),
          pixels_(height_ * width_ * kChannels) {
        std::fill(pixels_.begin(), pixels_.end(), kPaper);
    }

    void set(int64_t y, int64_t x, Colour colour) {
        uint8_t* pixel = pixels_.data() + (y * width_ + x) * kChannels;
        pixel[0] = colour.red;
        pixel[1] = colour.green;
        pixel[2] = colour.blue;
    }
    // In the middle of the cell whose top left corner this is.
    void place(int64_t y, int64_t x, Image<const uint8_t, Host> picture) {
        y += (kThumbnailSide - picture.height) / 2;
        x += (kThumbnailSide - picture.width) / 2;
        for (int64_t v = 0; v < picture.height; ++v) {
            for (int64_t u = 0; u < picture.width; ++u) {
                const uint8_t grey = picture.at(v, u);
                set(y + v, x + u, {grey, grey, grey});
            }
        }
    }
    // Pixels of the mask that touch one outside of it.
    void outline(int64_t y, int64_t x, Image<const uint8_t, Host> mask) {
        constexpr uint8_t kInside = 128;
        y += (kThumbnailSide - mask.height) / 2;
        x += (kThumbnailSide - mask.width) / 2;
        const auto outside = [&](int64_t v, int64_t u) {
            return v < 0 || u < 0 || v >= mask.height || u >= mask.width || mask.at(v, u) < kInside;
        };
        for (int64_t v = 0; v < mask.height; ++v) {
            for (int64_t u = 0; u < mask.width; ++u) {
                if (!outside(v, u) &&
                    (outside(v - 1, u) || outside(v + 1, u) || outside(v, u - 1) || outside(v, u + 1))) {
                    set(y + v, x + u, kOutline);
                }
            }
        }
    }
    void leave_out(int64_t y, int64_t x) {
        for (int64_t v = 0; v < kThumbnailSide; ++v) {
            for (int64_t u = 0; u < kThumbnailSide; ++u) {
                set(y + v, x + u, kLeftOut);
            }
        }
    }
    [[nodiscard]] Tensor<const uint8_t, Host> view() const { return {pixels_.data(), height_, width_, kChannels}; }

private:
    int64_t width_;
    int64_t height_;
    Buffer<uint8_t, Host> pixels_;
};

}  // namespace

template <class P>
HostImage<uint8_t> thumbnail(Workers& workers, Image<const P, Host> image, ImageSize shape) {
    const ImageSize size = fit_inside(shape.height, shape.width, kThumbnailSide);
    HostImage<P> small(size.height, size.width);
    resize<P>(workers, one(image), one(small.view()), ResizeFilter::area);
    HostImage<uint8_t> bytes(size.height, size.width);
    std::transform(small.view().data, small.view().data + small.view().pixels(), bytes.view().data,
                   [](P value) { return pipeline::to_eight_bits(value); });
    return bytes;
}
template HostImage<uint8_t> thumbnail(Workers&, Image<const uint8_t, Host>, ImageSize);
template HostImage<uint8_t> thumbnail(Workers&, Image<const uint16_t, Host>, ImageSize);

std::vector<size_t> evenly_spread(size_t total, size_t count) {
    count = std::min(count, total);
    std::vector<size_t> chosen;
    for (size_t i = 0; i < count; ++i) {
        chosen.push_back(i * total / count);
    }
    return chosen;
}

void write_sheet(const std::filesystem::path& path, const std::vector<SheetPair>& pairs) {
    if (pairs.empty()) {
        std::filesystem::remove(path.string() + ".csv");
        std::filesystem::remove(path.string() + ".png");
        return;
    }
    Sheet sheet(pairs.size());
    io::CsvWriter table(path.string() + ".csv");
    table.row({"row", "column", "id"});
    for (size_t i = 0; i < pairs.size(); ++i) {
        const SheetPair& pair = pairs[i];
        const int64_t row = static_cast<int64_t>(i) / kPairsAcross;
        const int64_t column = static_cast<int64_t>(i) % kPairsAcross;
        const int64_t y = kGap + row * kPairHeight;
        const int64_t x = kGap + column * kPairWidth;
        sheet.place(y, x, pair.before.view());
        if (pair.after) {
            sheet.place(y, x + kThumbnailSide, pair.after->view());
            if (pair.mask) {
                sheet.outline(y, x + kThumbnailSide, pair.mask->view());
            }
        } else {
            sheet.leave_out(y, x + kThumbnailSide);
        }
        table.row({std::to_string(row + 1), std::to_string(column + 1), pair.id});
    }
    table.close();
    io::write_png(path.string() + ".png", sheet.view());
}

}  // namespace boneage::train
