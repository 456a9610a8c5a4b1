// A CUDA driver library without a device: enough for cuDNN to compile and finalise graphs on a machine that has no GPU.
// Built as libcuda.so.1 and put first on the library path of the program that builds graphs. cuDNN skips loading what
// it compiled when the device count is 0; every other entry answers CUDA_ERROR_NO_DEVICE.
extern "C" {

constexpr int kNoDevice = 100;

int cuDriverGetVersion(int* version) {
    *version = 13000;
    return 0;
}
int cuDeviceGetCount(int* count) {
    *count = 0;
    return kNoDevice;
}

#define ANSWERS_NO_DEVICE(name) \
    int name() {                \
        return kNoDevice;       \
    }
ANSWERS_NO_DEVICE(cuCtxGetCurrent)
ANSWERS_NO_DEVICE(cuCtxGetLimit)
ANSWERS_NO_DEVICE(cuCtxPopCurrent)
ANSWERS_NO_DEVICE(cuCtxPushCurrent)
ANSWERS_NO_DEVICE(cuDeviceGet)
ANSWERS_NO_DEVICE(cuGetErrorName)
ANSWERS_NO_DEVICE(cuGetErrorString)
ANSWERS_NO_DEVICE(cuKernelGetAttribute)
ANSWERS_NO_DEVICE(cuKernelSetAttribute)
ANSWERS_NO_DEVICE(cuLaunchCooperativeKernel)
ANSWERS_NO_DEVICE(cuLaunchKernel)
ANSWERS_NO_DEVICE(cuLaunchKernelEx)
ANSWERS_NO_DEVICE(cuLibraryGetKernel)
ANSWERS_NO_DEVICE(cuLibraryLoadData)
ANSWERS_NO_DEVICE(cuLibraryLoadFromFile)
ANSWERS_NO_DEVICE(cuLibraryUnload)
ANSWERS_NO_DEVICE(cuLinkAddData)
ANSWERS_NO_DEVICE(cuLinkComplete)
ANSWERS_NO_DEVICE(cuLinkCreate)
ANSWERS_NO_DEVICE(cuLinkDestroy)
ANSWERS_NO_DEVICE(cuOccupancyMaxPotentialClusterSize)
ANSWERS_NO_DEVICE(cuStreamGetCtx)
#undef ANSWERS_NO_DEVICE
}
