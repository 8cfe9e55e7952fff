import subprocess

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMMAND = "@COMPILER@ -O3 -fPIC -shared @FLAGS@"


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        line = [*COMMAND.split(), "loop.c", "-o", "libwork.so"]
        subprocess.check_call(line, cwd=self.root)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"]["libwork.so"] = "work/libwork.so"
