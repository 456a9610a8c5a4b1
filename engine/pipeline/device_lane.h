// The stages of one batch on a device, for one pixel type: their images, their scratch and their order.
#pragma once

#include "engine/pipeline/device_images.h"
#include "engine/pipeline/device_networks.h"
#include "engine/pipeline/image_batch.h"
#include "engine/pipeline/stages.h"
#include "kernels/image/components.h"
#include "kernels/image/contrast.h"

#include <functional>
#include <optional>

namespace boneage::pipeline {

// Where the answers of a batch lie, on the device and in pinned memory alike.
struct AnswerTables {
    explicit AnswerTables(int64_t batch)
        : contrast(layout, batch),
          broken_map(layout, batch),
          components(layout, batch),
          ages(layout, batch),
          mirrored(layout, batch) {}

    // As the network scales them.
    struct AgeTables {
        AgeTables(TableLayout& layout, int64_t batch) : if_male(layout, batch), if_female(layout, batch) {}
        Table<float> if_male;
        Table<float> if_female;
    };

    TableLayout layout;
    Table<ContrastStats> contrast;
    Table<uint8_t> broken_map;         // 1 where the segmenter's answers are not all numbers
    Table<ComponentStats> components;  // of the mask
    AgeTables ages;
    AgeTables mirrored;  // of the mirror images, where those are scored as well
};

// What lanes of both pixel types use: the networks, since their weights are large.
struct DeviceModels {
    std::optional<DeviceSegmenter> segmenter;
    DeviceAgeNetwork age_network;
};

template <class P>
class DeviceLane {
public:
    // `mirror`: the mirror images are scored as well.
    DeviceLane(const Recipe& recipe, int64_t batch, bool mirror, int64_t places, Stream& stream);

    // Of one copy of the tables; the same for every pixel type.
    [[nodiscard]] int64_t table_bytes() const { return layout_.size(); }
    // Writes the tables for these images, and makes launches large enough for them. True when that changed the
    // launches: recorded ones are then too small.
    bool describe(const ImageBatch& images);
    // Queues the tables' copy to the device.
    void send_tables(const ImageBatch& images) const;

    // Called between stages with what the stage left.
    struct Observer {
        std::function<void(Stage, const ImageTable<P>&)> image;
        std::function<void(Stage, const ImageTable<uint8_t>&)> mask;
        std::function<void()> input;
    };
    // Queues every stage, from the pixels to the answers.
    void enqueue(DeviceModels& models, std::byte* answers, const Observer* observer = nullptr);

    CapturedGraph graph;  // of enqueue(), once recorded

private:
    const DeviceImages<uint8_t>& find_hand(DeviceSegmenter& segmenter, std::byte* answers, const Observer* observer);
    [[nodiscard]] Bytes<Device> scratch() const { return {scratch_.data(), scratch_.size()}; }

    const Recipe& recipe_;
    int64_t batch_;
    bool mirror_;
    Stream& stream_;
    const AnswerTables answer_tables_;

    TableLayout layout_;
    ImageTable<P> source_;
    int64_t source_height_ = 0;
    int64_t source_width_ = 0;
    DeviceImages<P> canvas_;
    DeviceImages<P> spare_;
    DeviceImages<P> working_;  // at the segmenter's size, and one of 0x0 behind them
    DeviceImages<P> fitted_;   // at the network's
    DeviceImages<uint8_t> mask_;
    DeviceImages<uint8_t> spare_mask_;
    DeviceImages<float> logits_;
    DeviceImages<float> canvas_logits_;
    Table<PatchPlace> places_;
    Table<int64_t> first_place_;

    Buffer<std::byte, Device> tables_;
    Buffer<uint8_t, Device> inverted_;
    Buffer<std::byte, Device> scratch_;
};

}  // namespace boneage::pipeline
