// CLAHE on devices with more and with less shared memory: which kernels it launches there, and that tables are the
// same.
#include "kernels/image/clahe.h"
#include "tests/support/twin_batch.h"

#include <cuda_runtime.h>

namespace boneage {
namespace {

class ClaheOnDevices : public ::testing::Test {
protected:
    ~ClaheOnDevices() override { simt::faults().shared_bytes = 227 << 10; }

    // How many kernels one call takes on a device whose blocks may have this much.
    static uint64_t launches(int shared_bytes, const ClaheParams& params, const testing::Sizes& sizes) {
        simt::faults().shared_bytes = shared_bytes;
        Stream stream;
        Workers workers(1);
        HostScratch host_scratch;
        testing::TwinBatch<uint16_t> src(stream, sizes, testing::kRowLayouts[0]);
        testing::TwinBatch<uint16_t> dst(stream, sizes, testing::kRowLayouts[0]);
        src.fill([](int64_t h, int64_t w, size_t i) { return testing::smooth_image<uint16_t>(h, w, i); });
        const int64_t bytes = clahe_scratch_bytes<uint16_t>(params, src.count());
        const Buffer<std::byte, Device> memory(bytes);
        const uint64_t before = simt::counters().launches;
        clahe<uint16_t>(stream, src.const_device(), dst.device(), params, {memory.data(), bytes});
        const uint64_t after = simt::counters().launches;
        clahe<uint16_t>(workers, src.const_host(), dst.host(), params, host_scratch.bytes(bytes));
        dst.expect_twins_equal(std::to_string(shared_bytes) + " bytes");
        return after - before;
    }
};

constexpr int kHopper = 227 << 10;
constexpr int kAmpere = 163 << 10;
constexpr int kAda = 99 << 10;
constexpr uint64_t kOnePass = 2;  // tables and blend
constexpr uint64_t kPieces = 3;   // the sums of pieces before them

TEST_F(ClaheOnDevices, counts_16_bit_pixels_in_one_pass_where_all_counters_fit) {
    const testing::Sizes sizes{{67, 130}, {31, 45}};
    EXPECT_EQ(launches(kHopper, {2.0, 2, 2}, sizes), kOnePass);
    EXPECT_EQ(launches(kAmpere, {2.0, 2, 2}, sizes), kOnePass);
    EXPECT_EQ(launches(kHopper, {0.0, 2, 2}, sizes), kOnePass);
    EXPECT_EQ(launches(128 << 10, {2.0, 2, 2}, sizes), kPieces) << "the kernel has a few static bytes as well";
    EXPECT_EQ(launches(kAda, {2.0, 2, 2}, sizes), kPieces);
    EXPECT_EQ(launches(kAda, {0.0, 2, 2}, sizes), kPieces);
}

TEST_F(ClaheOnDevices, counts_in_pieces_where_one_image_might_have_counts_beyond_16_bits) {
    const testing::Sizes sizes{{31, 45}, {300, 280}};
    EXPECT_EQ(launches(kHopper, {2.0, 1, 1}, sizes), kOnePass);
    EXPECT_EQ(launches(kHopper, {0.0, 1, 1}, sizes), kPieces);
    EXPECT_EQ(launches(kHopper, {60000.0, 1, 1}, sizes), kPieces);
    EXPECT_EQ(launches(kHopper, {0.0, 2, 2}, sizes), kOnePass);
}

}  // namespace
}  // namespace boneage
