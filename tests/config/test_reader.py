from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Optional

import pytest

from baseline_build import config
from baseline_build.config.model import Origin, Platform, Settings
from baseline_build.errors import ConfigError

X86 = Platform("x86_64", "cpython", "glibc")


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def resolve(
    folder: Path, given: Optional[Mapping[str, Any]] = None, environ: Optional[Mapping[str, str]] = None, **facts: str
) -> config.Resolved:
    platform = Platform(**{**X86.__dict__, **facts})
    return config.resolve(folder, given, environ or {}, platform)


def origin(resolved: config.Resolved, key: str) -> Origin:
    return next(one for one in resolved.origins if one.key == key)


def test_no_file_and_no_table_give_the_defaults(tmp_path: Path) -> None:
    assert resolve(tmp_path).settings == Settings()
    assert resolve(write(tmp_path, "[project]\nname = 'x'\n")).settings == Settings()


def test_environment_beats_options_beats_toml(tmp_path: Path) -> None:
    write(tmp_path, '[tool.baseline-build]\nenforce = "report"\nstrict = true\njobs = 3\n')
    resolved = resolve(tmp_path, {"enforce": "refuse", "jobs": "4"}, {"BASELINE_BUILD_ENFORCE": "filter"})
    assert (resolved.settings.enforce, resolved.settings.jobs, resolved.settings.strict) == ("filter", 4, True)
    assert origin(resolved, "enforce") == Origin("enforce", "environment", "BASELINE_BUILD_ENFORCE")
    assert origin(resolved, "jobs") == Origin("jobs", "-C", "-C jobs")
    assert origin(resolved, "strict") == Origin("strict", "pyproject.toml", "pyproject.toml:3")
    assert origin(resolved, "cache") == Origin("cache", "default", "")


def test_every_setting_has_one_origin_in_order(tmp_path: Path) -> None:
    resolved = resolve(tmp_path)
    assert [one.key for one in resolved.origins] == [key for key, _ in config.fields_with_values(resolved.settings)]


def test_one_level_names_its_machine(tmp_path: Path) -> None:
    write(tmp_path, '[tool.baseline-build]\nlevel = "armv8.1-a"\n')
    levels = resolve(tmp_path, {"level": "x86-64-v2"}).settings.level
    assert (levels.x86_64, levels.aarch64) == ("x86-64-v2", "armv8.1-a")
    assert levels.of("AMD64") == levels.of("x86-64") == "x86-64-v2"
    assert levels.of("arm64") == "armv8.1-a"
    assert levels.of("s390x") is None


def test_level_of_one_machine_from_option_and_environment(tmp_path: Path) -> None:
    resolved = resolve(tmp_path, {"level.x86_64": "x86-64-v3"}, {"BASELINE_BUILD_LEVEL_AARCH64": "armv8.1-a"})
    assert resolved.settings.level == config.Levels("x86-64-v3", "i686", "armv8.1-a")


def test_tables_become_dataclasses(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
[[tool.baseline-build.executables]]
name = "tool"
source = "src"
destination = "pkg/_bin"
[[tool.baseline-build.data]]
from = "a"
to = "b"
[[tool.baseline-build.kernels]]
sources = ["src/*_avx2.c"]
level = "x86-64-v3"
reason = "asked in dispatch.c"
""",
    )
    settings = resolve(tmp_path).settings
    assert settings.executables == (config.Executable("tool", "src", "pkg/_bin"),)
    assert settings.data == (config.Data("a", "b"),)
    assert settings.kernels == (config.Kernel(("src/*_avx2.c",), "x86-64-v3", "asked in dispatch.c"),)


def test_tables_from_the_environment_are_toml(tmp_path: Path) -> None:
    text = "[{file = '*.so', function = 'f', features = ['avx2'], reason = 'r'}]"
    settings = resolve(tmp_path, environ={"BASELINE_BUILD_WAIVERS": text}).settings
    assert settings.waivers == (config.Waiver("*.so", "f", ("avx2",), "r"),)


def test_lists_from_options(tmp_path: Path) -> None:
    once = resolve(tmp_path, {"cffi-modules": "a.py:x, b.py:y"}).settings
    twice = resolve(tmp_path, {"cffi-modules": ["a.py:x", "b.py:y"]}).settings
    assert once.cffi_modules == twice.cffi_modules == ("a.py:x", "b.py:y")


@pytest.mark.parametrize(("text", "value"), [("true", "auto"), ("off", False), ("manylinux_2_28_x86_64",) * 2])
def test_repair_from_text(tmp_path: Path, text: str, value: Any) -> None:
    assert resolve(tmp_path, {"repair": text}).settings.repair == value


def test_overrides_by_machine_implementation_and_libc(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
[tool.baseline-build]
strict = true
level = { x86_64 = "x86-64-v2" }
[[tool.baseline-build.overrides]]
if = { machine = "aarch64" }
strict = false
level = { aarch64 = "armv8.1-a" }
[[tool.baseline-build.overrides]]
if = { implementation = ["pypy"], libc = "musl" }
jobs = 1
""",
    )
    arm = resolve(tmp_path, machine="aarch64")
    assert (arm.settings.strict, arm.settings.level.aarch64, arm.settings.level.x86_64) == (
        False,
        "armv8.1-a",
        "x86-64-v2",
    )
    assert origin(arm, "strict").place == "pyproject.toml:7"
    assert resolve(tmp_path).settings.strict
    assert resolve(tmp_path, implementation="pypy").settings.jobs == 0
    assert resolve(tmp_path, implementation="pypy", libc="musl").settings.jobs == 1


def test_an_option_beats_a_matching_override(tmp_path: Path) -> None:
    write(tmp_path, '[[tool.baseline-build.overrides]]\nif = { machine = "x86_64" }\nstrict = true\n')
    assert not resolve(tmp_path, {"strict": "no"}).settings.strict


def test_the_target_decides_the_platform_of_overrides(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[[tool.baseline-build.overrides]]\nif = { machine = "aarch64", libc = "musl" }\nstrict = true\n',
    )
    resolved = config.resolve(tmp_path, {"target": "aarch64-linux-musl"}, {})
    assert resolved.settings.strict
    assert (resolved.platform.machine, resolved.platform.libc) == ("aarch64", "musl")


def test_all_problems_at_once_with_lines_and_nearest_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        """[tool.baseline-build]
levle = "x"
strict = "yes"
level = { x86_64 = "armv8-a" }

[[tool.baseline-build.executables]]
name = "a"
sorce = "b"
destination = "c"

[[tool.baseline-build.overrides]]
if = { machin = "x86_64" }
enforce = "refus"
""",
    )
    with pytest.raises(ConfigError) as caught:
        resolve(tmp_path, {"strikt": "1", "jobs": "x"}, {"BASELINE_BUILD_STRIC": "1"})
    assert caught.value.code == "BB200"
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        """BB200: 10 settings are wrong
  why: each by its place:
    BB201: pyproject.toml:2: there is no setting 'levle'
      fix: did you mean 'level'?
    BB202: pyproject.toml:3: strict must be a boolean, not the text 'yes'
      fix: write strict = true
    BB206: pyproject.toml:4: the level armv8-a is one of aarch64, not of x86_64
      fix: levels of x86_64: x86-64, x86-64-v2, x86-64-v3, x86-64-v4
    BB201: pyproject.toml:8: there is no key in executables[0] 'sorce'
      fix: did you mean 'source'?
    BB204: pyproject.toml:6: executables[0] lacks the key 'source'
      fix: add source = …: Folder with the sources, relative to the project; a pinned source is fetched first
    BB201: pyproject.toml:12: there is no key in overrides[0].if 'machin'
      fix: did you mean 'machine'?
    BB203: pyproject.toml:13: overrides[0].enforce = 'refus' is not a known value
      fix: did you mean 'refuse'?
    BB201: -C strikt: there is no setting 'strikt'
      fix: did you mean 'strict'?
    BB202: -C jobs: 'x' is not a whole number
      fix: jobs: Compilers that run at once; 0 means one for each CPU this process may use.
    BB201: BASELINE_BUILD_STRIC: there is no environment variable 'BASELINE_BUILD_STRIC'
      fix: did you mean 'BASELINE_BUILD_STRICT'?
  fix: mend all of them; each is found by its place above"""
    )


@pytest.mark.parametrize(
    ("toml", "code", "sentence"),
    [
        ("strict = 1", "BB202", "strict must be a boolean, not the whole number 1"),
        ("jobs = true", "BB202", "jobs must be a whole number, not the boolean True"),
        ("jobs = -1", "BB203", "jobs = -1 is below 0"),
        ('cffi-modules = "a.py:b"', "BB202", "cffi-modules must be a list of texts, not the text 'a.py:b'"),
        ('cffi-modules = ["a.py"]', "BB203", "cffi-modules: 'a.py' names no variable"),
        ("repair = 3", "BB202", "repair must be true, false or a text, not the whole number 3"),
        ('level = "x86-64-v9"', "BB201", "there is no level 'x86-64-v9'"),
        ('overrides = "x"', "BB202", "overrides must be a list of tables"),
        ("overrides = [{ strict = true }]", "BB204", "an override needs a condition"),
        ('waivers = [{ file = "a", function = "b", features = [] }]', "BB204", "waivers[0] lacks the key 'reason'"),
        ('backend = "mesonpy"\ncffi-modules = ["a.py:b"]', "BB207", "cannot be used together with backend"),
        ('kernels = [{ sources = ["a"], level = "avx2", reason = "r" }]', "BB201", "there is no level 'avx2'"),
    ],
)
def test_each_mistake(tmp_path: Path, toml: str, code: str, sentence: str) -> None:
    write(tmp_path, f"[tool.baseline-build]\n{toml}\n")
    with pytest.raises(ConfigError) as caught:
        resolve(tmp_path)
    assert caught.value.code == code
    assert sentence in caught.value.what
    assert caught.value.where is not None
    assert caught.value.where.startswith("pyproject.toml:")


def test_broken_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"BB205: pyproject\.toml"):
        resolve(write(tmp_path, "[tool\n"))


def test_unknown_option_of_a_wrapped_backend_passes_through(tmp_path: Path) -> None:
    write(tmp_path, '[tool.baseline-build]\nbackend = "mesonpy"\n')
    resolved = resolve(tmp_path, {"setup-args": ["-Da=1", "-Db=2"], "strict": "true", "flag": ""})
    assert resolved.passed_on == (("setup-args", ("-Da=1", "-Db=2")), ("flag", ""))
    assert resolved.settings.strict
    with pytest.raises(ConfigError, match="BB201"):
        resolve(tmp_path, {"baseline-build.strickt": "true"})


def test_options_of_setuptools_pass_through(tmp_path: Path) -> None:
    assert resolve(tmp_path, {"--build-option": "-v"}).passed_on == (("--build-option", "-v"),)


def test_an_empty_variable_counts_as_not_set_and_the_engine_is_no_setting(tmp_path: Path) -> None:
    environ = {"BASELINE_BUILD_STRICT": "", "BASELINE_BUILD_ENGINE": "python", "_BASELINE_BUILD_X": "1"}
    assert resolve(tmp_path, environ=environ).settings == Settings()


def test_lines_in_spite_of_multi_line_texts_and_arrays(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[project]\ndescription = """\n[tool.baseline-build]\nstrict = 1\n"""\n'
        '[tool."baseline-build"]\ncffi-modules = [\n  "a.py:b",\n  "c.py:d",\n]\nstrict = 1\n',
    )
    with pytest.raises(ConfigError, match=r"pyproject\.toml:11"):
        resolve(tmp_path)


def test_a_32_bit_interpreter_on_a_64_bit_kernel_builds_for_i686(monkeypatch: pytest.MonkeyPatch) -> None:
    from baseline_build.config import platforms

    monkeypatch.setattr(platforms.sys, "maxsize", 2**31 - 1)
    assert platforms.current("", {"_PYTHON_HOST_PLATFORM": "linux-x86_64"}).machine == "i686"
