// Files in memory to grey pixels, and back: ours beside libpng's simplified reader and OpenCV, one thread each.
#include "engine/io/image_file.h"
#include "engine/io/png_write.h"

#include <benchmark/benchmark.h>
#include <fstream>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <png.h>
#include <stdexcept>

namespace boneage::bench {
namespace {

using FileData = std::vector<uint8_t>;

// A hand of 1514x2044 pixels as it was published: 8 bits, every filter in use.
FileData radiograph_file() {
    std::ifstream file(BONEAGE_TEST_DATA "/radiographs/1381.png", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

cv::Mat radiograph() {
    static const cv::Mat image = cv::imdecode(radiograph_file(), cv::IMREAD_UNCHANGED);
    return image;
}

// Brought to 1500x2000 in 16 bits, so that the lower bits carry something.
cv::Mat deep_radiograph() {
    cv::Mat deep;
    radiograph().convertTo(deep, CV_16U, 257);
    cv::resize(deep, deep, {1500, 2000}, 0, 0, cv::INTER_AREA);
    return deep;
}

template <class P>
Image<const P, Host> view(const cv::Mat& image) {
    return {image.ptr<P>(), image.rows, image.cols, static_cast<int64_t>(image.step / sizeof(P))};
}

FileData encoded(const char* extension, const cv::Mat& image) {
    FileData file;
    cv::imencode(extension, image, file);
    return file;
}

void add(const std::string& name, const auto& run) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        for (auto _ : state) {
            run();
        }
    })->Unit(benchmark::kMillisecond);
}

void read_with_libpng(const FileData& file, FileData& pixels) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_memory(&image, file.data(), file.size()) == 0) {
        throw std::runtime_error(image.message);
    }
    pixels.resize(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) == 0) {
        throw std::runtime_error(image.message);
    }
}

void add_decode(const std::string& name, const FileData& file) {
    static io::ImageDecoder decoder;
    static io::DecodedImage image;
    static FileData pixels;
    add(name + "/boneage", [=] { decoder.decode(file, "in memory", image); });
    if (name.starts_with("png")) {
        add(name + "/libpng", [=] { read_with_libpng(file, pixels); });
    }
    add(name + "/opencv", [=] {
        const int flags = name.starts_with("png") ? cv::IMREAD_UNCHANGED : cv::IMREAD_GRAYSCALE;
        benchmark::DoNotOptimize(cv::imdecode(file, flags).data);
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    cv::setNumThreads(1);
    const cv::Mat deep = deep_radiograph();
    cv::Mat colour;
    cv::cvtColor(radiograph(), colour, cv::COLOR_GRAY2BGR);
    add_decode("png_u8", radiograph_file());
    add_decode("png_u16", io::encode_png(view<uint16_t>(deep)));
    add_decode("jpeg_grey", encoded(".jpg", radiograph()));
    add_decode("jpeg_colour", encoded(".jpg", colour));
    add_decode("bmp_u8", encoded(".bmp", radiograph()));
    add("png_u8_write/boneage", [] { benchmark::DoNotOptimize(io::encode_png(view<uint8_t>(radiograph())).data()); });
    add("png_u8_write/opencv", [] { benchmark::DoNotOptimize(encoded(".png", radiograph()).data()); });
    return true;
}();

}  // namespace
}  // namespace boneage::bench
