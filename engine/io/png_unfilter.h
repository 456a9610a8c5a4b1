// Undoes PNG's row filters, fifteen rows at a time.
#pragma once

#include "kernels/base/buffer.h"

#include <functional>

namespace boneage::io {

class PngUnfilter {
public:
    // Bytes that must be readable, whatever they hold, before and after the filtered rows.
    static constexpr int64_t kMargin = 160;

    // `filtered` holds `rows` rows of one filter byte (0 to 4) and `row_bytes` bytes each; `pixel_bytes` is the
    // filters' distance, one of 1, 2, 3, 4, 6, 8. Calls sink(y, row) for every row in order, with its bytes unfiltered.
    // Returns false, before anything is passed on, when a filter byte is none of PNG's.
    bool run(const uint8_t* filtered, int64_t rows, int64_t row_bytes, int pixel_bytes,
             const std::function<void(int64_t, const uint8_t*)>& sink);

private:
    Buffer<uint8_t, Host> band_;
};

}  // namespace boneage::io
