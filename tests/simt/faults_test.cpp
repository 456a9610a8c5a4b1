// What scoring says and keeps when the machine lets it down: the runner has less memory, no device, an old driver, or a
// device that vanishes in the middle of a run.
#include "engine/cudnn/failures.h"
#include "engine/device_scoring.h"
#include "engine/io/png_write.h"
#include "tests/support/folder.h"
#include "tests/support/pipeline_cases.h"
#include "tests/support/test_device.h"

#include <climits>
#include <cuda_runtime.h>
#include <gtest/gtest.h>

namespace boneage::session {
namespace {

using testing::bright_models;
using testing::disc;

class Faults : public ::testing::Test {
protected:
    ~Faults() override { repair(); }

    static void repair() {
        simt::faults().compute_capabilities = {90};
        simt::faults().old_driver = false;
        simt::faults().lost = false;
        simt::faults().device_bytes = SIZE_MAX / 2;
        simt::faults().pinned_bytes = SIZE_MAX / 2;
        simt::faults().waits = INT_MAX;
        simt::faults().graphs = INT_MAX;
    }

    void add(const io::DecodedImage& image) {
        const std::string name = std::to_string(inputs_.size()) + ".png";
        const std::string path = (folder_ / name).string();
        std::visit([&]<class P>(const HostImage<P>& pixels) { io::write_png<P>(path, pixels.view()); }, image.pixels);
        inputs_.push_back({path, name, pipeline::Sex::male, std::nullopt});
    }

    // What ended the run is in failure_.
    std::vector<Row> scored(pipeline::DevicePipeline& pipeline, int decoders = 2) {
        std::vector<Row> rows;
        const RowSink sink = [&](const Row& row) { rows.push_back(row); };
        const std::atomic<bool> stop = false;
        RowOrder order(inputs_.size(), 1, 12, sink, stop);
        score_on_device(pipeline, inputs_, {}, decoders, order);
        try {
            order.finish_with_gaps();
        } catch (const DeviceError& error) {
            failure_ = error.what();
        }
        return rows;
    }

    testing::Folder folder_;
    std::vector<Input> inputs_;
    std::string failure_;
};

// Ages in the order of the inputs, each row with its own name.
void expect_ages(const std::vector<Row>& rows, const std::vector<Input>& inputs) {
    for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_TRUE(i == 0 || rows[i - 1].input < rows[i].input);
        EXPECT_EQ(rows[i].source, inputs[rows[i].input].source);
        EXPECT_EQ(rows[i].result.status, pipeline::Status::ok) << rows[i].source << ": " << rows[i].result.message;
    }
}

// How much memory a pipeline of so many images takes.
size_t bytes_for(int64_t batch) {
    const auto device = testing::make_test_device();
    const size_t before = simt::device_bytes_in_use();
    const pipeline::DevicePipeline made(bright_models(), device->backend(), device->stream(), {.batch = batch});
    return simt::device_bytes_in_use() - before;
}

// How much make_largest_pipeline() wants before it makes one of so many.
size_t bytes_to_make(int64_t batch) {
    return bytes_for(batch) + 4 * static_cast<size_t>(pipeline::usual_bytes(batch));
}

TEST_F(Faults, too_little_memory_halves_the_batch_until_it_fits_and_gives_the_same_ages) {
    for (int i = 0; i < 7; ++i) {
        add(disc(60, 50 + 9 * i));
    }
    const auto device = testing::make_test_device();
    const pipeline::DevicePipelineOptions wanted{.batch = 8};
    const auto roomy = make_largest_pipeline(bright_models(), device->backend(), device->stream(), wanted);
    EXPECT_EQ(roomy->batch(), 8);
    const std::vector<Row> want = scored(*roomy);

    const size_t two = bytes_to_make(2);
    const size_t four = bytes_to_make(4);
    ASSERT_LT(two, four);
    const auto small = testing::make_test_device();
    simt::faults().device_bytes = simt::device_bytes_in_use() + (two + four) / 2;
    const auto tight = make_largest_pipeline(bright_models(), small->backend(), small->stream(), wanted);
    EXPECT_EQ(tight->batch(), 2);
    simt::faults().device_bytes = SIZE_MAX / 2;
    const std::vector<Row> got = scored(*tight);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].result.bone_age_months, want[i].result.bone_age_months);
    }
    simt::faults().device_bytes = 1000;
    try {
        make_largest_pipeline(bright_models(), small->backend(), small->stream(), wanted);
        FAIL() << "a pipeline in 1000 bytes";
    } catch (const OutOfDeviceMemory& error) {
        EXPECT_EQ(std::string(error.what()).find("--batch"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("end other programs that use it"), std::string::npos) << error.what();
    }
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "for a library to find";
}

TEST_F(Faults, a_batch_leaves_memory_for_its_images) {
    for (int i = 0; i < 9; ++i) {
        add(disc(1500, 1600 + 40 * i));
    }
    const auto device = testing::make_test_device();
    const size_t two = bytes_to_make(2);
    ASSERT_LT(bytes_for(8), two) << "as large a batch fits as long as there are no images";
    simt::faults().device_bytes = simt::device_bytes_in_use() + two;
    const auto tight = make_largest_pipeline(bright_models(), device->backend(), device->stream(), {.batch = 8});
    EXPECT_EQ(tight->batch(), 2);
    const std::vector<Row> rows = scored(*tight, 3);
    EXPECT_EQ(failure_, "");
    EXPECT_EQ(rows.size(), inputs_.size());
    expect_ages(rows, inputs_);
}

TEST_F(Faults, images_wait_for_the_only_memory_there_is) {
    for (int i = 0; i < 9; ++i) {
        add(i % 3 == 1 ? disc<uint16_t>(300, 310 + i) : disc(300, 400 + i));
    }
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 1});
    simt::faults().device_bytes = simt::device_bytes_in_use() + 300000;  // one image at a time
    const std::vector<Row> rows = scored(pipeline, 3);
    EXPECT_EQ(failure_, "");
    EXPECT_EQ(rows.size(), inputs_.size());
    expect_ages(rows, inputs_);
}

TEST(CudnnFailures, are_lack_of_memory_where_cudnn_says_so) {
    const std::string status = "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
    EXPECT_THROW(cudnn::throw_failure("cudnnCreate: " + status), OutOfDeviceMemory);
    try {
        cudnn::throw_failure("cuDNN refuses conv: CUDNN_STATUS_NOT_SUPPORTED");
    } catch (const OutOfDeviceMemory&) {
        FAIL() << "a smaller batch would not help";
    } catch (const DeviceError& error) {
        EXPECT_STREQ(error.what(), "cuDNN refuses conv: CUDNN_STATUS_NOT_SUPPORTED");
    }
}

TEST_F(Faults, an_image_that_memory_cannot_hold_is_one_row_and_the_others_go_on) {
    add(disc(60, 60));
    add(disc(900, 900));
    add(disc(50, 70));
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 2});
    simt::faults().device_bytes = simt::device_bytes_in_use() + 400000;
    const std::vector<Row> rows = scored(pipeline);
    EXPECT_EQ(failure_, "");
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].result.status, pipeline::Status::ok) << rows[0].result.message;
    EXPECT_EQ(rows[1].result.status, pipeline::Status::error);
    EXPECT_EQ(rows[1].result.reason, "out_of_memory");
    EXPECT_EQ(rows[2].result.status, pipeline::Status::ok) << rows[2].result.message;
}

TEST_F(Faults, an_image_that_cannot_be_pinned_is_one_row_that_does_not_blame_the_device) {
    add(disc(60, 60));
    add(disc(900, 900));
    add(disc(400, 400));
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 4});
    simt::faults().pinned_bytes = 400000;  // one of the last image, but not four
    const std::vector<Row> rows = scored(pipeline);
    EXPECT_EQ(failure_, "");
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].result.status, pipeline::Status::ok) << rows[0].result.message;
    EXPECT_EQ(rows[1].result.reason, "out_of_memory");
    EXPECT_EQ(rows[1].result.message,
              "this machine has not enough memory that the device can copy from for this image");
    EXPECT_EQ(rows[2].result.status, pipeline::Status::ok) << rows[2].result.message;
}

TEST_F(Faults, memory_that_cannot_be_pinned_is_said_to_be_the_machines) {
    simt::faults().pinned_bytes = 1 << 20;
    EXPECT_NO_THROW(PinnedBuffer<std::byte>(1 << 20));
    try {
        const PinnedBuffer<std::byte> more(3 << 20);
        FAIL() << "more than can be pinned";
    } catch (const OutOfPinnedMemory& error) {
        EXPECT_EQ(std::string(error.what()),
                  "this machine has not 3072 KiB of memory left that the GPU can copy from: free some, give a smaller "
                  "--batch, or --device cpu");
    }
}

TEST_F(Faults, a_device_that_vanishes_ends_the_run_in_one_sentence_and_keeps_every_finished_row) {
    for (int i = 0; i < 12; ++i) {
        add(disc(60, 50 + i));
    }
    ::testing::internal::CaptureStderr();
    {
        const auto device = testing::make_test_device();
        pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 1});
        simt::faults().waits = 5;
        const std::vector<Row> rows = scored(pipeline);
        EXPECT_EQ(rows.size(), 5U) << "one for each batch that was waited for";
        expect_ages(rows, inputs_);
        EXPECT_NE(failure_.find("the GPU failed: unknown error"), std::string::npos) << failure_;
        EXPECT_NE(failure_.find("--device cpu"), std::string::npos) << failure_;
    }
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "beside what was thrown";
}

// Batches of 8-bit images run while the second image waits for another of its type.
TEST_F(Faults, rows_behind_one_that_the_device_did_not_get_to_are_kept) {
    for (int i = 0; i < 12; ++i) {
        add(i == 1 ? disc<uint16_t>(60, 50) : disc(60, 50 + i));
    }
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 2});
    simt::faults().waits = 4;
    const std::vector<Row> rows = scored(pipeline, 1);
    EXPECT_NE(failure_, "");
    EXPECT_GE(rows.size(), 4U) << "at least one for each batch that was waited for";
    expect_ages(rows, inputs_);
}

TEST_F(Faults, what_is_under_way_is_finished_when_the_next_batch_cannot_start) {
    add(disc(60, 60));
    add(disc(60, 70));
    add(disc(700, 60));  // larger than what was recorded
    add(disc(60, 80));
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 1});
    simt::faults().graphs = 1;
    const std::vector<Row> rows = scored(pipeline, 1);
    EXPECT_NE(failure_.find("the GPU has no memory left"), std::string::npos) << failure_;
    EXPECT_EQ(rows.size(), 2U);
    expect_ages(rows, inputs_);
}

TEST_F(Faults, a_recording_that_failed_leaves_only_what_it_threw) {
    const Stream stream;
    ::testing::internal::CaptureStderr();
    const auto body = [&] {
        cudaStreamSynchronize(stream.native());  // ends the recording: there will be no graph
        throw Error("the body's own");
    };
    EXPECT_THROW(CapturedGraph(stream, body), Error);
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(Faults, a_device_that_fails_when_all_is_over_is_said_once) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto lose = [] {
        {
            const Stream stream;
            const Event first;
            const Event second;
            simt::faults().lost = true;
        }
        std::_Exit(0);
    };
    EXPECT_EXIT(lose(), ::testing::ExitedWithCode(0), "^boneage: cudaEventDestroy: unknown error\n$");
}

TEST_F(Faults, no_device_is_no_error_and_an_old_driver_says_what_to_do) {
    simt::faults().compute_capabilities.clear();
    EXPECT_EQ(cuda_device_count(), 0);
    simt::faults().old_driver = true;
    try {
        cuda_device_count();
        FAIL() << "the driver is older than the runtime";
    } catch (const DeviceError& error) {
        EXPECT_EQ(std::string(error.what()),
                  "the NVIDIA driver here supports CUDA 11.8, this program needs 13.0: update the driver or use "
                  "--device cpu");
    }
}

}  // namespace
}  // namespace boneage::session
