#include "tools/suggest.h"

#include <algorithm>

namespace boneage::tools {
namespace {

// Optimal string alignment distance, over a whole table: command-line words are short.
size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) {
        for (size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            const size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

std::string closest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    size_t fewest = 64;  // also bounds the words compared: longer ones are no typing mistakes
    if (word.size() >= fewest) {
        return best;
    }
    for (const std::string& candidate : candidates) {
        const size_t needed = edits(word, candidate);
        if (needed < fewest && needed * 3 <= std::max(candidate.size(), size_t{3})) {
            fewest = needed;
            best = candidate;
        }
    }
    return best;
}

}  // namespace boneage::tools
