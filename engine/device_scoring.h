// Scores inputs on a device: threads decode into pinned memory, one thread keeps the device busy.
#pragma once

#include "engine/pipeline/device_pipeline.h"
#include "engine/row_order.h"
#include "engine/session.h"

#include <memory>
#include <span>

namespace boneage::session {

// A pipeline for `options.batch` images at a time or, where the device has no room for so many, for half of them, and
// so on down to one. Room that radiographs of a usual size will need is left free. Throws OutOfDeviceMemory, saying
// what helps, when there is no room for one.
std::unique_ptr<pipeline::DevicePipeline> make_largest_pipeline(const pipeline::Models& models, plan::Backend& backend,
                                                                Stream& stream,
                                                                pipeline::DevicePipelineOptions options);

// Gives `order` a row for every input it hands out. Two batches are under way at any time, and a third is being
// filled; a batch starts when it is full, or as soon as the device would be idle. An image that cannot be read, or for
// which there is no memory, is a row; what the device itself does wrong ends the run through order.fail().
//   inputs    all of them;   folders  where each one's stage pictures go, or empty
//   decoders  threads that read and decode, >= 1
// Called on the thread to which `pipeline` belongs.
void score_on_device(pipeline::DevicePipeline& pipeline, std::span<const Input> inputs,
                     std::span<const std::string> folders, int decoders, RowOrder& order);

}  // namespace boneage::session
