// Filters ThreadSanitizer's reports about kernels; part of ThreadSanitizer builds only.
#include "cuda_runtime.h"

extern "C" {
int __tsan_get_report_data(void*, const char**, int*, int*, int*, int*, int*, int*, int*, void**, unsigned long);
int __tsan_get_report_loc(void*, unsigned long, const char**, void**, void**, unsigned long*, int*, int*, int*, void**,
                          unsigned long);
}

// With the blocks left unordered, their one copy of each __shared__ array looks contended: device memory is
// all on the heap, so reports about anything else are dropped. The ordered mode checks shared memory.
namespace __tsan {
class ReportDesc;
__attribute__((used)) bool OnReport(const ReportDesc* r, bool suppressed) {
    if (!simt::options().race_across_blocks)
        return suppressed;
    auto* report = const_cast<ReportDesc*>(r);
    const char *what, *type = "";
    void *address, *start, *trace[1];
    unsigned long size;
    int tid, fd, drop, n, locations;
    __tsan_get_report_data(report, &what, &n, &n, &n, &locations, &n, &n, &n, trace, 1);
    if (locations)
        __tsan_get_report_loc(report, 0, &type, &address, &start, &size, &tid, &fd, &drop, trace, 1);
    return suppressed || std::strcmp(type, "heap") != 0;
}
}  // namespace __tsan
