// Folders scored on a device: rows in order and one each, whatever the images are and however many threads decode them.
#include "engine/device_scoring.h"

#include "engine/io/png_write.h"
#include "engine/onednn/backend.h"
#include "tests/support/pipeline_cases.h"
#include "tests/support/test_device.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace boneage::session {
namespace {

using testing::bright_models;
using testing::disc;

class DeviceScoring : public ::testing::Test {
protected:
    DeviceScoring() {
        folder_ = std::filesystem::temp_directory_path() / ("boneage-device-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
    }
    ~DeviceScoring() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    void add(const std::string& name, const io::DecodedImage& image) {
        const std::string path = (folder_ / name).string();
        std::visit([&]<class P>(const HostImage<P>& pixels) { io::write_png<P>(path, pixels.view()); }, image.pixels);
        inputs_.push_back({path, name, pipeline::Sex::male, std::nullopt});
    }
    void add_broken(const std::string& name) {
        std::ofstream(folder_ / name) << "no picture";
        inputs_.push_back({folder_ / name, name, pipeline::Sex::unknown, std::nullopt});
    }

    // Images of both pixel types and many sizes, with broken files among them.
    void add_many(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string name = std::to_string(i) + ".png";
            if (i % 7 == 3) {
                add_broken(name);
            } else if (i % 5 == 1) {
                add(name, disc<uint16_t>(40 + i, 60));
            } else {
                add(name, disc(70, 50 + 3 * i));
            }
        }
    }

    std::vector<Row> scored(pipeline::DevicePipeline& pipeline, int decoders, const std::string& stages = "") {
        std::vector<Row> rows;
        const RowSink sink = [&](const Row& row) { rows.push_back(row); };
        const std::atomic<bool> stop = false;
        std::vector<std::string> folders;
        for (const Input& input : inputs_) {
            if (!stages.empty()) {
                folders.push_back((folder_ / stages / input.source).string());
            }
        }
        RowOrder order(inputs_.size(), 1, 12, sink, stop);
        score_on_device(pipeline, inputs_, folders, decoders, order);
        EXPECT_EQ(order.finish(), rows.size());
        return rows;
    }

    std::filesystem::path folder_;
    std::vector<Input> inputs_;
};

TEST_F(DeviceScoring, gives_every_input_its_row_in_order_at_any_batch_and_number_of_threads) {
    add_many(23);
    const auto device = testing::make_test_device();
    std::vector<Row> first;
    for (const int64_t batch : {1, 4}) {
        for (const int decoders : {1, 3}) {
            pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = batch});
            const std::vector<Row> rows = scored(pipeline, decoders);
            ASSERT_EQ(rows.size(), inputs_.size());
            first = first.empty() ? rows : first;
            for (size_t i = 0; i < rows.size(); ++i) {
                EXPECT_EQ(rows[i].source, inputs_[i].source);
                EXPECT_EQ(rows[i].result.status == pipeline::Status::error, i % 7 == 3);
                EXPECT_EQ(rows[i].result.bone_age_months.has_value(), i % 7 != 3);
                EXPECT_EQ(rows[i].result.bone_age_months, first[i].result.bone_age_months) << "the same bits";
                EXPECT_GT(rows[i].result.elapsed_ms, 0.0);
            }
        }
    }
}

TEST_F(DeviceScoring, saves_every_stage_where_it_is_asked_to) {
    add_many(2);
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 4});
    EXPECT_EQ(scored(pipeline, 2, "stages").size(), 2);
    for (const char* picture : {"00-contrast.png", "03-segment.png", "10-input.png"}) {
        EXPECT_TRUE(std::filesystem::exists(folder_ / "stages" / "1.png" / picture)) << picture;
    }
}

TEST_F(DeviceScoring, what_the_sink_throws_ends_the_run) {
    add_many(9);
    const auto device = testing::make_test_device();
    pipeline::DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 2});
    int rows = 0;
    const RowSink sink = [&](const Row&) {
        if (++rows == 3) {
            throw Error("the disk is full");
        }
    };
    const std::atomic<bool> stop = false;
    RowOrder order(inputs_.size(), 1, 12, sink, stop);
    score_on_device(pipeline, inputs_, {}, 2, order);
    EXPECT_THROW(order.finish(), Error);
    EXPECT_EQ(rows, 3);
}

}  // namespace
}  // namespace boneage::session
