# Finds the OpenCV modules that tests and benchmarks compare with, from the small per-module packages
# (libopencv-core-dev, libopencv-imgproc-dev, libopencv-imgcodecs-dev), which ship no CMake package of their own.
# Defines the imported targets opencv_core, opencv_imgproc and opencv_imgcodecs.
find_path(OpenCVModules_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4)
set(OpenCVModules_VARS OpenCVModules_INCLUDE_DIR)
foreach(module core imgproc imgcodecs)
    find_library(OpenCVModules_${module}_LIBRARY opencv_${module})
    list(APPEND OpenCVModules_VARS OpenCVModules_${module}_LIBRARY)
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVModules REQUIRED_VARS ${OpenCVModules_VARS})
if(OpenCVModules_FOUND AND NOT TARGET opencv_core)
    foreach(module core imgproc imgcodecs)
        add_library(opencv_${module} UNKNOWN IMPORTED)
        set_target_properties(opencv_${module} PROPERTIES
            IMPORTED_LOCATION "${OpenCVModules_${module}_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${OpenCVModules_INCLUDE_DIR}")
    endforeach()
endif()
