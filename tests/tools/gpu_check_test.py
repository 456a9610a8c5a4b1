#!/usr/bin/env python3
"""tools/gpu_check.sh on a machine without a GPU: every program that it calls is a stand-in, so what is tested is the script,
above all that whatever goes wrong ends in another status than 0."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
TEST_PROGRAMS = ("test_image_gpu", "test_layers_gpu", "test_pipeline_gpu", "test_training_gpu")
# Answers as the program does: SHIFT months are added to the ages of 16 bits.
BONEAGE = r"""#!/usr/bin/env bash
echo "$*" >>"$CALLS"
command=$1 out= device= precision= epochs=
while [ $# -gt 0 ]; do
    case $1 in
        -o) out=$2 ;;
        --device) device=$2 ;;
        --precision) precision=$2 ;;
        --epochs) epochs=$2 ;;
    esac
    shift
done
case $command in
    init) touch "$out" ;;
    score)
        age=100
        [[ $precision == f32 ]] || age=$((100 + ${SHIFT:-0}))
        printf 'source,status,reason,bone_age_months\na.png,ok,,%s\n' "$age" >"$out"
        ;;
    train)
        mkdir -p "$out"
        for ((i = 0; i < 2; i++)); do echo '{"train_loss": 1.5}' >>"$out/train.jsonl"; done
        ;;
esac
"""
PASSES = "#!/bin/sh\necho '[  PASSED  ] 3 tests.'\n"


def write(path, text, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.bundle = self.folder / "bundle"
        self.stubs = self.folder / "stubs"
        write(self.bundle / "gpu_check.sh", (TOOLS / "gpu_check.sh").read_text())
        write(self.bundle / "commit", "0123\n", 0o644)
        write(self.bundle / "radiographs/labels.csv", "id,boneage_months\na,100\nb,110\n", 0o644)
        write(self.bundle / "bin/boneage", BONEAGE)
        for program in TEST_PROGRAMS:
            write(self.bundle / "bin" / program, PASSES)
        write(self.folder / "cudnn/lib/libcudnn.so.9", "", 0o644)
        write(self.stubs / "nvidia-smi", "#!/bin/sh\nprintf 'name, driver_version\\nGPU, 1.2\\n'\n")
        write(self.stubs / "compute-sanitizer", "#!/bin/sh\n")

    def run_script(self, script, *words, **variables):
        environment = {"PATH": f"{self.stubs}:{os.environ['PATH']}", "CUDNN_PATH": str(self.folder / "cudnn"),
                       "CUDA_PATH": "/nowhere", "CALLS": str(self.folder / "calls"), "HOME": str(self.folder), **variables}
        done = subprocess.run(["bash", script, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        return done.returncode, done.stdout

    def run_tests(self, **variables):
        return self.run_script(self.bundle / "gpu_check.sh", "run", self.folder / "out", "tests", **variables)

    def test_a_run_in_which_everything_passes_ends_with_0(self):
        status, output = self.run_tests()
        self.assertEqual(status, 0, output)
        self.assertTrue((self.folder / "out/gpu_check.json").exists())

    def test_a_shard_without_a_test_fails(self):
        write(self.bundle / "bin/test_pipeline_gpu", "#!/bin/sh\n[ $GTEST_SHARD_INDEX = 0 ] && exec echo '[  PASSED  ] 1 test.'\n"
                                                     "echo '[  PASSED  ] 0 tests.'\n")
        status, output = self.run_tests()
        self.assertEqual(status, 1, output)
        self.assertIn("test_pipeline_gpu.0: passed", output)
        self.assertIn("test_pipeline_gpu.1: FAILED (it ran no test)", output)

    def test_what_is_skipped_or_fails_fails(self):
        write(self.bundle / "bin/test_image_gpu", "#!/bin/sh\necho '[  SKIPPED ] 1 test.'\n")
        write(self.bundle / "bin/test_training_gpu", "#!/bin/sh\nexit 1\n")
        status, output = self.run_tests()
        self.assertEqual(status, 1, output)
        self.assertIn("test_image_gpu.0: FAILED (something was skipped)", output)
        self.assertIn("test_training_gpu.3: FAILED\n", output)

    def test_ages_are_the_shipped_models_where_the_bundle_has_both(self):
        write(self.bundle / "unet.safetensors", "", 0o644)
        write(self.bundle / "resnet34.safetensors", "", 0o644)
        status, output = self.run_tests()
        self.assertEqual(status, 0, output)
        calls = (self.folder / "calls").read_text()
        self.assertIn(f"--weights {self.bundle}/resnet34.safetensors --segmenter {self.bundle}/unet.safetensors", calls)
        self.assertNotIn("init", calls)
        status, output = self.run_tests(SHIFT="2")
        self.assertEqual(status, 1, output)
        self.assertIn("more than 0.25 months", output)

    def test_ages_are_those_of_random_weights_where_one_is_missing(self):
        write(self.bundle / "unet.safetensors", "", 0o644)
        status, output = self.run_tests()
        self.assertEqual(status, 0, output)
        calls = (self.folder / "calls").read_text()
        self.assertIn(f"--weights {self.folder}/out/models/resnet34.safetensors "
                      f"--segmenter {self.folder}/out/models/unet.safetensors", calls)
        self.assertEqual(calls.count("init "), 2)
        self.assertEqual(self.run_tests(SHIFT="11")[0], 1)

    def test_a_build_that_fails_ends_the_script_before_anything_old_is_run(self):
        tree = self.folder / "tree"
        for script in ("gpu_check.sh", "packages.sh"):
            write(tree / "tools" / script, (TOOLS / script).read_text())
        write(tree / "build/gpu_bundle/gpu_check.sh", "echo 'the old bundle runs'\n")
        write(self.stubs / "dpkg-query", "#!/bin/sh\nprintf 'install ok installed'\n")
        write(self.stubs / "nvcc", "#!/bin/sh\n")
        write(tree / "tools/cudnn_frontend.sh", "#!/bin/sh\n")
        write(self.stubs / "cmake", "#!/bin/sh\n[ \"$1\" != --build ]\n")
        # What would be reached only behind a failing build.
        write(self.stubs / "strip", "#!/bin/sh\necho 'old programs are bundled'\n")
        for program in ("boneage", *(f"tests/kernels/{name}" for name in TEST_PROGRAMS)):
            write(tree / "build/release" / program, PASSES)
        status, output = self.run_script(tree / "tools/gpu_check.sh")
        self.assertNotEqual(status, 0, output)
        self.assertNotIn("old", output)


if __name__ == "__main__":
    unittest.main()
