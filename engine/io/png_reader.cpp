#include "engine/io/decoders.h"
#include "engine/io/grey.h"
#include "engine/io/samples.h"

#include <algorithm>
#include <array>
#include <bit>
#include <libdeflate.h>
#include <new>

namespace boneage::io {
namespace {

constexpr uint32_t tag(const char (&name)[5]) {
    return static_cast<uint32_t>(static_cast<unsigned char>(name[0])) << 24 |
           static_cast<uint32_t>(static_cast<unsigned char>(name[1])) << 16 |
           static_cast<uint32_t>(static_cast<unsigned char>(name[2])) << 8 |
           static_cast<uint32_t>(static_cast<unsigned char>(name[3]));
}
uint32_t big_endian(const uint8_t* p) {
    return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 |
           static_cast<uint32_t>(p[3]);
}
uint16_t big_endian_16(const uint8_t* p) {
    return static_cast<uint16_t>(p[0] << 8 | p[1]);
}

constexpr int64_t kSignatureBytes = 8;
constexpr int kPalette = 3;  // PNG's colour types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha

struct Header {
    int64_t width = 0;
    int64_t height = 0;
    int depth = 0;
    int colour = 0;
    bool interlaced = false;

    [[nodiscard]] int channels() const { return std::array{1, 0, 3, 1, 2, 0, 4}[static_cast<size_t>(colour)]; }
    [[nodiscard]] int pixel_bits() const { return depth * channels(); }
    [[nodiscard]] int64_t row_bytes(int64_t pixels) const { return ceil_div(pixels * pixel_bits(), 8); }
};

struct Palette {
    std::array<uint8_t, 256> grey{};
    int64_t size = 0;
};

// One chunk whose bytes lie within the file.
struct Chunk {
    uint32_t type = 0;
    FileBytes data;

    [[nodiscard]] bool ancillary() const { return (type >> 24 & 0x20U) != 0; }
    [[nodiscard]] std::string name() const {
        std::string text;
        for (int shift = 24; shift >= 0; shift -= 8) {
            const char letter = static_cast<char>(type >> shift & 0xffU);
            text += (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ? letter : '?';
        }
        return text;
    }
};

// Takes chunks one after another; checksums of all but the ancillary ones, which are skipped, are verified.
class ChunkReader {
public:
    explicit ChunkReader(const Source& source) : source_(source) {}

    Chunk next() {
        const FileBytes rest = source_.bytes.subspan(static_cast<size_t>(position_));
        if (rest.size() < 8) {
            source_.truncated("before its last part (IEND)");
        }
        const uint32_t length = big_endian(rest.data());
        Chunk chunk{big_endian(rest.data() + 4), {}};
        if (length > 0x7fffffffU) {
            source_.corrupt("part " + chunk.name() + " declares an impossible length");
        }
        if (rest.size() < size_t{12} + length) {
            source_.truncated("within part " + chunk.name());
        }
        chunk.data = rest.subspan(8, length);
        position_ += 12 + static_cast<int64_t>(length);
        if (!chunk.ancillary() &&
            libdeflate_crc32(0, rest.data() + 4, size_t{4} + length) != big_endian(rest.data() + 8 + length)) {
            source_.corrupt("the checksum of part " + chunk.name() + " is wrong");
        }
        return chunk;
    }

private:
    const Source& source_;
    int64_t position_ = kSignatureBytes;
};

Header parse_header(const Chunk& chunk, const Source& source) {
    if (chunk.type != tag("IHDR") || chunk.data.size() != 13) {
        source.corrupt("it does not begin with a PNG header");
    }
    const uint8_t* p = chunk.data.data();
    Header header{big_endian(p), big_endian(p + 4), p[8], p[9], p[12] == 1};
    const bool known_colour = header.colour == 0 || header.colour == 2 || header.colour == kPalette ||
                              header.colour == 4 || header.colour == 6;
    const bool known_depth = header.depth <= 16 && std::has_single_bit(static_cast<unsigned>(header.depth));
    if (!known_colour || !known_depth || (header.colour == kPalette && header.depth == 16) ||
        (header.colour != 0 && header.colour != kPalette && header.depth < 8) || p[10] != 0 || p[11] != 0 ||
        p[12] > 1) {
        source.corrupt("its header describes no kind of PNG there is");
    }
    source.check_size(header.height, header.width);
    return header;
}

Palette parse_palette(const Chunk& chunk, const Header& header, const Source& source) {
    const auto entries = static_cast<int64_t>(chunk.data.size() / 3);
    if (chunk.data.size() % 3 != 0 || entries < 1 || entries > (header.colour == kPalette ? 1 << header.depth : 256)) {
        source.corrupt("its palette has an impossible size");
    }
    Palette palette;
    palette.size = entries;
    for (int64_t i = 0; i < entries; ++i) {
        const uint8_t* rgb = chunk.data.data() + 3 * i;
        palette.grey[static_cast<size_t>(i)] = static_cast<uint8_t>(grey_of(rgb[0], rgb[1], rgb[2]));
    }
    return palette;
}

// Everything but the pixels: `data` are the IDAT parts, whose contents together are one zlib stream.
struct Structure {
    Header header;
    Palette palette;
    std::vector<FileBytes> data;
    int64_t data_bytes = 0;
};

Structure parse(const Source& source) {
    ChunkReader chunks(source);
    Structure png;
    png.header = parse_header(chunks.next(), source);
    bool data_ended = false;
    while (true) {
        const Chunk chunk = chunks.next();
        if (chunk.type == tag("IEND")) {
            break;
        }
        if (chunk.type == tag("IDAT")) {
            if (data_ended) {
                source.corrupt("its pixel data is interrupted by other parts");
            }
            png.data.push_back(chunk.data);
            png.data_bytes += static_cast<int64_t>(chunk.data.size());
            continue;
        }
        data_ended = !png.data.empty();
        if (chunk.type == tag("PLTE")) {
            if (data_ended || png.palette.size > 0) {
                source.corrupt("its palette is in the wrong place");
            }
            png.palette = parse_palette(chunk, png.header, source);
        } else if (!chunk.ancillary()) {
            source.corrupt("part " + chunk.name() + " is unknown or in the wrong place");
        }
    }
    if (png.data_bytes == 0) {
        source.corrupt("it holds no pixel data");
    }
    if (png.header.colour == kPalette && png.palette.size == 0) {
        source.corrupt("it has no palette, though its pixels need one");
    }
    return png;
}

// One row of 8 or 16-bit samples, `channels` a pixel, to grey.
template <class P, int channels>
void convert(const uint8_t* row, int64_t width, P* out) {
    const auto sample = [row](int64_t i) {
        if constexpr (sizeof(P) == 1) {
            return row[i];
        } else {
            return big_endian_16(row + 2 * i);
        }
    };
    for (int64_t x = 0; x < width; ++x) {
        if constexpr (channels < 3) {
            out[x] = sample(channels * x);
        } else {
            out[x] = static_cast<P>(grey_of(sample(channels * x), sample(channels * x + 1), sample(channels * x + 2)));
        }
    }
}

// Turns unfiltered rows into grey pixels.
class RowConverter {
public:
    RowConverter(const Structure& png, const Source& source) : png_(png), source_(source), table_(png.palette.grey) {
        if (png.header.colour == 0 && png.header.depth < 8) {
            const int white = (1 << png.header.depth) - 1;
            for (int v = 0; v <= white; ++v) {
                table_[static_cast<size_t>(v)] = static_cast<uint8_t>(v * 255 / white);
            }
        }
    }

    template <class P>
    void operator()(const uint8_t* row, int64_t width, P* out) const {
        if constexpr (sizeof(P) == 1) {
            if (png_.header.colour == kPalette) {
                if (look_up(row, width, png_.header.depth, table_, out) >= png_.palette.size) {
                    source_.corrupt("a pixel names a colour that its palette does not have");
                }
                return;
            }
            if (png_.header.depth < 8) {
                look_up(row, width, png_.header.depth, table_, out);
                return;
            }
        }
        switch (png_.header.channels()) {
            case 1:
                return convert<P, 1>(row, width, out);
            case 2:
                return convert<P, 2>(row, width, out);
            case 3:
                return convert<P, 3>(row, width, out);
            default:
                return convert<P, 4>(row, width, out);
        }
    }

private:
    const Structure& png_;
    const Source& source_;
    std::array<uint8_t, 256> table_;
};

// Which pixels one of Adam7's passes brings. A picture that is not interlaced is one pass of all of them.
struct Pass {
    int64_t x0, y0, dx, dy;
    [[nodiscard]] int64_t width(const Header& h) const { return ceil_div(std::max<int64_t>(h.width - x0, 0), dx); }
    [[nodiscard]] int64_t height(const Header& h) const { return ceil_div(std::max<int64_t>(h.height - y0, 0), dy); }
    // Filter bytes included; an empty pass has none.
    [[nodiscard]] int64_t bytes(const Header& h) const {
        return width(h) == 0 ? 0 : height(h) * (1 + h.row_bytes(width(h)));
    }
};
constexpr std::array kWhole{Pass{0, 0, 1, 1}};
constexpr std::array kAdam7{Pass{0, 0, 8, 8}, Pass{4, 0, 8, 8}, Pass{0, 4, 4, 8}, Pass{2, 0, 4, 4},
                            Pass{0, 2, 2, 4}, Pass{1, 0, 2, 2}, Pass{0, 1, 1, 2}};

std::span<const Pass> passes_of(const Header& header) {
    return header.interlaced ? std::span<const Pass>(kAdam7) : std::span<const Pass>(kWhole);
}

// Inflates the pixel data to exactly `size` bytes at `out`.
void inflate(libdeflate_decompressor* inflater, FileBytes data, uint8_t* out, int64_t size, const Source& source) {
    switch (libdeflate_zlib_decompress(inflater, data.data(), data.size(), out, static_cast<size_t>(size), nullptr)) {
        case LIBDEFLATE_SUCCESS:
            return;
        case LIBDEFLATE_SHORT_OUTPUT:
            source.corrupt("it holds fewer pixels than its header says");
        case LIBDEFLATE_INSUFFICIENT_SPACE:
            source.corrupt("it holds more pixels than its header says");
        case LIBDEFLATE_BAD_DATA:
            break;
    }
    source.corrupt("its compressed pixels contradict themselves");
}

template <class P>
void unpack(const Structure& png, const uint8_t* filtered, PngUnfilter& unfilter, Buffer<uint16_t, Host>& pass_row,
            const Source& source, DecodedImage& image) {
    const Header& header = png.header;
    const Image<P, Host> out = reshape<P>(image, header.height, header.width);
    const RowConverter convert_row(png, source);
    pass_row.reserve(header.width);
    P* whole_row = reinterpret_cast<P*>(pass_row.data());
    const int pixel_bytes = std::max(1, header.pixel_bits() / 8);
    for (const Pass& pass : passes_of(header)) {
        const int64_t width = pass.width(header);
        if (pass.bytes(header) == 0) {
            continue;
        }
        const auto take = [&](int64_t y, const uint8_t* row) {
            P* target = out.row(pass.y0 + y * pass.dy);
            if (pass.dx == 1) {
                convert_row(row, width, target);
                return;
            }
            convert_row(row, width, whole_row);
            for (int64_t x = 0; x < width; ++x) {
                target[pass.x0 + x * pass.dx] = whole_row[x];
            }
        };
        if (!unfilter.run(filtered, pass.height(header), header.row_bytes(width), pixel_bytes, take)) {
            source.corrupt("a row names a filter that PNG does not have");
        }
        filtered += pass.bytes(header);
    }
}

}  // namespace

PngReader::PngReader() : inflater_(libdeflate_alloc_decompressor()) {
    if (inflater_ == nullptr) {
        throw std::bad_alloc();
    }
}

PngReader::~PngReader() {
    libdeflate_free_decompressor(inflater_);
}

void PngReader::read(const Source& source, DecodedImage& image) {
    const Structure png = parse(source);
    int64_t filtered_bytes = 0;
    for (const Pass& pass : passes_of(png.header)) {
        filtered_bytes += pass.bytes(png.header);
    }
    // Deflate makes at most 1032 bytes of one, so a small file cannot make us reserve a large picture.
    if (filtered_bytes / 1032 > png.data_bytes) {
        source.corrupt("it holds fewer pixels than its header says");
    }
    FileBytes data = png.data.front();
    if (png.data.size() > 1) {
        compressed_.reserve(png.data_bytes);
        uint8_t* end = compressed_.data();
        for (const FileBytes& part : png.data) {
            end = std::copy(part.begin(), part.end(), end);
        }
        data = {compressed_.data(), end};
    }
    filtered_.reserve(filtered_bytes + 2 * PngUnfilter::kMargin);
    uint8_t* filtered = filtered_.data() + PngUnfilter::kMargin;
    inflate(inflater_, data, filtered, filtered_bytes, source);

    image.format = ImageFormat::png;
    image.channels = png.header.colour == kPalette ? 3 : png.header.channels();
    image.bit_depth = png.header.depth;
    image.orientation = 1;
    if (png.header.depth == 16) {
        unpack<uint16_t>(png, filtered, unfilter_, pass_row_, source, image);
    } else {
        unpack<uint8_t>(png, filtered, unfilter_, pass_row_, source, image);
    }
}

}  // namespace boneage::io
