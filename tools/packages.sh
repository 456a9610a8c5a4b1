# Sourced by the scripts beside it: installs what is missing of a list of Debian packages.
# Asks nothing when all are there, so a second run costs a fraction of a second.

# ocl-icd-opencl-dev: libdnnl-dev's CMake package asks for OpenCL, which the package only recommends.
packages_to_build=(build-essential cmake ninja-build libdnnl-dev ocl-icd-opencl-dev libcli11-dev nlohmann-json3-dev libfmt-dev libdeflate-dev libpng-dev
    libjpeg62-turbo-dev libstb-dev)
packages_to_test=(libgtest-dev libbenchmark-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev python3 clang-format gnuplot-nox)

install_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Please install sudo, or run as root: apt-get install ${missing[*]}" >&2; return 1; }
        as_root=(sudo)
    fi
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "Could not install the packages; the whole log is in $log" >&2
        return 1
    fi
    rm -f "$log"
}

# With a CUDA toolkit and cuDNN at hand, gets what else the CUDA back end is built with. Where that cannot be had, the
# configuration says that it builds without CUDA, and why.
prepare_cuda() {
    local nvcc
    nvcc=$(command -v nvcc || true)
    [ -n "$nvcc" ] || nvcc=${CUDA_PATH:-/usr/local/cuda}/bin/nvcc
    [ -x "$nvcc" ] || return 0
    if ! python3 -m pip --version >/dev/null 2>&1; then
        install_packages python3-pip || return 0
    fi
    tools/cudnn_frontend.sh || echo "cudnn-frontend could not be fetched; building without CUDA"
}

# build_options: CMake options that suit this machine, one a line.
build_options() {
    if command -v ccache >/dev/null; then
        printf -- '-DCMAKE_%s_COMPILER_LAUNCHER=ccache\n' CXX CUDA
    fi
}
