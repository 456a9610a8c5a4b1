// The pipeline on a device: a batch of decoded images in, their answers out, and nothing between leaves the device.
#pragma once

#include "engine/pipeline/device_networks.h"
#include "engine/pipeline/image_batch.h"
#include "engine/pipeline/pipeline.h"

#include <functional>
#include <memory>
#include <span>

namespace boneage::pipeline {

struct DevicePipelineOptions {
    int64_t batch = 32;  // images that run together; a batch with fewer costs as much and gives the same bits
    plan::Precision precision = plan::Precision::f32;  // of the age network, as PipelineOptions has it
    bool mirror = false;                               // ages are means of a radiograph's and its mirror image's
    bool capture = true;  // record the work of a batch once and replay it: fewer calls, the same bits
};

template <class P>
class DeviceLane;

// Runs every stage for a whole batch in a fixed sequence of launches. Whether an image is rejected is decided on the
// device and read with its answers. The first batch of a pixel type runs launch by launch, later ones as one graph,
// recorded again when an image is larger than any before. Belongs to one thread.
//
//   ImageBatch a = pipeline.make_batch(), b = ...;   // two: one is filled while the other runs
//   fill(a); pipeline.start(a); fill(b); pipeline.start(b); pipeline.finish(a, sexes); ...
class DevicePipeline {
public:
    // `backend` must queue its work on `stream`, and both must outlive the pipeline. Throws OutOfDeviceMemory when the
    // device has no room for such a batch.
    DevicePipeline(const Models& models, plan::Backend& backend, Stream& stream, const DevicePipelineOptions& options);
    ~DevicePipeline();
    DevicePipeline(const DevicePipeline&) = delete;
    DevicePipeline& operator=(const DevicePipeline&) = delete;

    [[nodiscard]] int64_t batch() const { return options_.batch; }
    [[nodiscard]] ImageBatch make_batch() const;

    // Queues the copies and all stages of a batch that holds at least one image, and returns. The batch must be left
    // alone until finish().
    void start(ImageBatch& images);
    // Waits for the answers of a started batch: one result an image, in the order they were reserved.
    std::vector<Result> finish(ImageBatch& images, std::span<const Sex> sexes);

    // start() and finish(), launch by launch, with every stage's picture of every image, until it is rejected.
    using BatchSink = std::function<void(int64_t image, Stage stage, const StagePicture& picture)>;
    std::vector<Result> run(ImageBatch& images, std::span<const Sex> sexes, const BatchSink& sink);

private:
    template <class P>
    DeviceLane<P>& lane();
    void upload(ImageBatch& images);
    void read_back(ImageBatch& images);

    struct Shared;
    Recipe recipe_;
    DevicePipelineOptions options_;
    Stream& stream_;
    Stream copies_;
    std::unique_ptr<Shared> shared_;
    std::unique_ptr<DeviceLane<uint8_t>> lane8_;
    std::unique_ptr<DeviceLane<uint16_t>> lane16_;
};

}  // namespace boneage::pipeline
