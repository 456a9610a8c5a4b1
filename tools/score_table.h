// The table of ages: its columns, its rows, and the count of what came out.
#pragma once

#include "engine/io/csv.h"
#include "engine/session.h"

#include <map>

namespace boneage::tools {

// Writes rows as they come, the header before the first; each is with the system before the next one, so whatever ends
// the program leaves whole rows. Ages have four decimals, contrast and mask_fraction too; what a row does not have
// stays empty.
class ScoreTable {
public:
    explicit ScoreTable(io::CsvWriter writer);
    // Throw Error when the file cannot be written.
    void write(const session::Row& row);
    void close();

private:
    void begin();

    io::CsvWriter writer_;
    bool begun_ = false;
};

// How many radiographs ended how, for people.
class ScoreCounts {
public:
    void add(const pipeline::Result& result);
    [[nodiscard]] size_t errors() const { return errors_; }
    // One line for each status and reason.
    [[nodiscard]] std::string text() const;

private:
    size_t errors_ = 0;
    std::map<std::pair<pipeline::Status, std::string>, size_t> counts_;
};

}  // namespace boneage::tools
