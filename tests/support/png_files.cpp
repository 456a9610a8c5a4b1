#include "tests/support/png_files.h"

#include <algorithm>
#include <csetjmp>
#include <libdeflate.h>
#include <png.h>
#include <stdexcept>

namespace boneage::testing {
namespace {

// Rows packed as PNG stores samples: big-endian, several to a byte below 8 bits.
std::vector<FileData> pack(const PngKind& kind, int64_t height, int64_t width, const std::vector<uint16_t>& samples) {
    const int64_t per_row = width * kind.channels();
    std::vector<FileData> rows(static_cast<size_t>(height));
    for (int64_t y = 0; y < height; ++y) {
        FileData& row = rows[static_cast<size_t>(y)];
        row.resize(static_cast<size_t>((per_row * kind.depth + 7) / 8));
        for (int64_t i = 0; i < per_row; ++i) {
            const uint16_t sample = samples[static_cast<size_t>(y * per_row + i)];
            const int64_t bit = i * kind.depth;
            if (kind.depth == 16) {
                row[static_cast<size_t>(2 * i)] = static_cast<uint8_t>(sample >> 8);
                row[static_cast<size_t>(2 * i + 1)] = static_cast<uint8_t>(sample);
            } else {
                row[static_cast<size_t>(bit / 8)] |= static_cast<uint8_t>(sample << (8 - kind.depth - bit % 8));
            }
        }
    }
    return rows;
}

uint32_t number(const uint8_t* p) {
    return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 |
           p[3];
}
void set_number(uint8_t* p, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        *p++ = static_cast<uint8_t>(value >> shift);
    }
}

}  // namespace

FileData libpng_file(const PngKind& kind, int64_t height, int64_t width, const std::vector<uint16_t>& samples,
                     const std::vector<uint8_t>& palette) {
    std::vector<FileData> rows = pack(kind, height, width, samples);
    std::vector<png_bytep> row_starts;
    for (FileData& row : rows) {
        row_starts.push_back(row.data());
    }
    FileData file;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    const auto write = [&]() -> bool {
        if (setjmp(png_jmpbuf(png)) != 0) {
            return false;
        }
        png_set_write_fn(
            png, &file,
            [](png_structp p, png_bytep data, size_t size) {
                auto& to = *static_cast<FileData*>(png_get_io_ptr(p));
                to.insert(to.end(), data, data + size);
            },
            nullptr);
        png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
        png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), kind.depth,
                     kind.colour, kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        if (kind.colour == PNG_COLOR_TYPE_PALETTE) {
            png_set_PLTE(png, info, reinterpret_cast<png_const_colorp>(palette.data()),
                         static_cast<int>(palette.size() / 3));
        }
        if (kind.filters != 0) {
            png_set_filter(png, 0, kind.filters);
        }
        png_set_compression_buffer_size(png, static_cast<size_t>(kind.compressed_part));
        png_write_info(png, info);
        png_write_image(png, row_starts.data());
        png_write_end(png, info);
        return true;
    };
    const bool written = write();
    png_destroy_write_struct(&png, &info);
    if (!written) {
        throw std::runtime_error("libpng refused to write a test file");
    }
    return file;
}

FileData chunk(std::string_view type, const FileData& data) {
    FileData out(12 + data.size());
    set_number(out.data(), static_cast<uint32_t>(data.size()));
    std::copy(type.begin(), type.end(), out.begin() + 4);
    std::copy(data.begin(), data.end(), out.begin() + 8);
    set_number(out.data() + 8 + data.size(), libdeflate_crc32(0, out.data() + 4, 4 + data.size()));
    return out;
}

FileData header_chunk(uint32_t width, uint32_t height, int depth, int colour, int interlace) {
    FileData data(13);
    set_number(data.data(), width);
    set_number(data.data() + 4, height);
    data[8] = static_cast<uint8_t>(depth);
    data[9] = static_cast<uint8_t>(colour);
    data[12] = static_cast<uint8_t>(interlace);
    return chunk("IHDR", data);
}

FileData data_chunk(const FileData& rows) {
    libdeflate_compressor* deflater = libdeflate_alloc_compressor(9);
    FileData data(libdeflate_zlib_compress_bound(deflater, rows.size()));
    data.resize(libdeflate_zlib_compress(deflater, rows.data(), rows.size(), data.data(), data.size()));
    libdeflate_free_compressor(deflater);
    return chunk("IDAT", data);
}

FileData png_of(const std::vector<FileData>& chunks) {
    FileData png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    for (const FileData& part : chunks) {
        png.insert(png.end(), part.begin(), part.end());
    }
    return png;
}

void repair_checksums(FileData& png) {
    size_t at = 8;
    while (at + 12 <= png.size()) {
        const size_t length = number(png.data() + at);
        if (length > png.size() - at - 12) {
            return;
        }
        set_number(png.data() + at + 8 + length, libdeflate_crc32(0, png.data() + at + 4, length + 4));
        at += length + 12;
    }
}

}  // namespace boneage::testing
