#include "engine/train/exclusions.h"

#include "engine/io/csv.h"

#include <utility>

namespace boneage::train {

void Exclusions::add(Exclusion exclusion) {
    ++by_reason_[exclusion.reason];
    failed_ += exclusion.failed ? 1 : 0;
    all_.push_back(std::move(exclusion));
}

void Exclusions::write_csv(const std::filesystem::path& path) const {
    io::CsvWriter table(path);
    table.row({"id", "source", "reason", "message"});
    for (const Exclusion& each : all_) {
        table.row({each.id, each.source, each.reason, each.message});
    }
    table.close();
}

}  // namespace boneage::train
