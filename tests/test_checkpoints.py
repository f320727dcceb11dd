"""A run that is kept survives a kill at any moment, a full disk and a broken file.

The process that is killed again and again is this module: `python -m` it.
"""

import errno
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet
from jaxnet import checkpoints
from jaxnet.checkpoints import load, lock, save
from jaxnet.jsonlines import append_line, keep_first, read_lines
from jaxnet.storage import StorageError
from tests.helpers import problem
from tests.kills import at_step, every_step, forked, kill_myself

ROOT = Path(__file__).parent.parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files(*numbers: int) -> list[str]:
    kinds = ("json", "safetensors")
    return [f"checkpoint-{number:08}.{kind}" for number in numbers for kind in kinds]


def numbered(number: int) -> dict[str, np.ndarray]:
    """Arrays of a few pages, by which a torn or mixed checkpoint would be seen."""
    return {"w": np.full((40, 50), number, np.float32), "n": np.asarray(number)}


def save_numbers(folder: Path, *numbers: int) -> None:
    for number in numbers:
        save(folder, numbered(number), {"number": number})


def loaded_number(folder: Path) -> int:
    """The number of the checkpoint that is found, after a look at every value."""
    arrays, manifest, _, _ = load(folder, numbered(0))
    number = manifest["number"]
    assert arrays["w"].shape == (40, 50) and arrays["w"].dtype == np.float32
    assert (arrays["w"] == number).all() and arrays["n"] == number
    return number


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert type(a) is type(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def newest(folder: Path) -> int:
    """The number of the newest checkpoint, or 0 before the first."""
    return loaded_number(folder) if [*folder.glob("*.json")] else 0


def go_on(folder: Path, epochs: int, report: int, happens) -> None:
    """Keep a run of so many more epochs in the folder; report each when it is kept."""
    with every_step(happens), lock(folder):
        done = newest(folder)
        assert keep_first(folder / "log", done) == list(range(1, done + 1))
        for number in range(done + 1, done + epochs + 1):
            append_line(folder / "log", number)
            save_numbers(folder, number)
            os.write(report, b"%d " % number)


def is_killed(folder: Path, epochs: int, happens, seconds=None) -> bool:
    """Whether a process that goes on was killed; what it left is looked through."""
    folder.mkdir(exist_ok=True)
    before = newest(folder)
    reading, writing = os.pipe()
    child = forked(lambda: go_on(folder, epochs, writing, happens))
    os.close(writing)
    with open(reading, "rb", buffering=0) as reports:
        said = b"%d " % before
        if seconds is not None:
            said += reports.read(100)  # waits for the first
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        last = int((said + reports.read()).split()[-1])
    assert status in (0, signal.SIGKILL), status
    found = newest(folder)
    assert found in (last, last + 1), (found, last)
    assert read_lines(folder / "log")[:found] == list(range(1, found + 1))
    return status == signal.SIGKILL


def kill_at_each_step(folder: Path) -> int:
    for k in count(1):
        kill = at_step(k, kill_myself)
        fresh = is_killed(folder / f"fresh-{k}", 3, kill)
        if not is_killed(folder / "same", 3, kill) and not fresh:
            return k - 1
    raise AssertionError


def kill_at_random_times(folder: Path, kills: int) -> int:
    draw = random.Random(0)
    for _ in range(kills):
        seconds = draw.uniform(0, 0.01)
        assert is_killed(folder, 10**6, lambda file, content: None, seconds)
    return newest(folder)


def kill_saver(folder: Path) -> None:
    steps = kill_at_each_step(folder)
    last = kill_at_random_times(folder / "random", 50)
    clean = []
    for place in ("same", "random"):
        assert not is_killed(folder / place, 2, lambda file, content: None)
        clean.append(names(folder / place))
    print(json.dumps({"steps": steps, "last": last, "names": clean}))


def test_a_run_survives_a_kill_at_any_moment(tmp_path):
    options = ["-W", "ignore::RuntimeWarning", "-m", "tests.test_checkpoints"]
    command = [sys.executable, *options, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    # An epoch is 3 steps of the log, and 6 for each of its checkpoint's two files.
    assert found["steps"] > 3 * (3 + 6 + 6)
    assert found["last"] >= 50
    for kept in found["names"]:
        assert len(kept) == 6 and kept[0] == ".lock" and kept[-1] == "log"


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, trouble):
    def refuse():
        raise OSError(trouble, "what the system says")

    save_numbers(tmp_path, 1, 2)
    for k in count(1):
        before = newest(tmp_path)
        try:
            with every_step(at_step(k, refuse)):
                save_numbers(tmp_path, before + 1)
        except StorageError as error:
            message = "expected to write here, got an error: what the system says."
            assert str(error) == f"{tmp_path}: {message}"
            assert newest(tmp_path) in (before, before + 1)
            save_numbers(tmp_path, newest(tmp_path) + 1)
            assert len(names(tmp_path)) == 4
        else:
            assert k > 10
            return


def test_a_disk_that_takes_a_part_of_a_file(tmp_path):
    save_numbers(tmp_path, 1, 2)
    append_line(tmp_path / "log", 1)
    before = names(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        with pytest.raises(StorageError, match="write here, got an error: File too"):
            save_numbers(tmp_path, 3)
        with pytest.raises(StorageError, match="write here, got an error: File too"):
            append_line(tmp_path / "log", "a" * 6000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert newest(tmp_path) == 2 and names(tmp_path) == before
    append_line(tmp_path / "log", 2)
    assert read_lines(tmp_path / "log") == [1, 2]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    save_numbers(tmp_path, 1, 2)
    (tmp_path / "file").touch()

    def uses(folder):
        yield lambda: save(folder, {}, {})
        yield lambda: append_line(folder / "log", 1)
        yield lambda: lock(folder).__enter__()

    for place in ("file", "file/below"):
        for use in uses(tmp_path / place):
            with pytest.raises(
                StorageError, match=f"{place}.*: expected to write here"
            ):
                use()

    def read_only(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", read_only)
        for use in uses(tmp_path):
            with pytest.raises(StorageError, match="an error: Read-only file system."):
                use()
    assert newest(tmp_path) == 2


def test_only_the_newest_two_are_kept(tmp_path):
    folder = tmp_path / "some" / "folder"
    for number in range(1, 12):
        save_numbers(folder, number)
        assert loaded_number(folder) == number
        assert names(folder) == files(*range(max(1, number - 1), number + 1))


# What is kept comes back as it was.

DTYPES = ["bool", "int8", "int32", "int64", "uint8", "uint32"]
DTYPES += ["float16", "float32", "float64", "float0"]
KEYS = ["threefry2x32", "rbg", "unsafe_rbg"]


def numpy_array(dtype, shape, seed):
    """An array of random bits: nan, infinities and the smallest numbers among them."""
    if dtype == "float0":
        return np.zeros(shape, jax.dtypes.float0)
    bits = np.random.default_rng(seed).integers(0, 256, (*shape, 8), np.uint8)
    if dtype == "bool":
        return bits[..., 0] > 99
    return bits.view(dtype)[..., 0]


def jax_array(dtype, shape, seed):
    with jax.enable_x64(True):
        return jnp.asarray(numpy_array(dtype, shape, seed))


def random_keys(impl, n, seed):
    key = jax.random.key(seed, impl=impl)
    return jax.random.split(key, n) if n else key


shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
seeds = st.integers(0, 2**31 - 1)
leaves = st.one_of(
    st.builds(numpy_array, st.sampled_from(DTYPES), shapes, seeds).map(np.asarray),
    st.builds(jax_array, st.sampled_from(DTYPES[:-1]), shapes, seeds),
    st.builds(random_keys, st.sampled_from(KEYS), st.integers(0, 3), seeds),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.none(),
    ),
    max_leaves=5,
)
words = st.text(max_size=5)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), numbers, words),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner),
    max_leaves=5,
)


@settings(max_examples=60)
@given(tree=st.lists(trees, max_size=2), manifest=st.dictionaries(words, values))
def test_a_round_trip_is_exact(tmp_path_factory, tree, manifest):
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    save(folder, tree, manifest)
    loaded = load(folder, tree)
    assert_same(loaded.arrays, tree)
    assert loaded.manifest == manifest and loaded.refused == ()
    assert loaded.versions == {"jaxnet": version("jaxnet"), "jax": jax.__version__}
    assert len(load(folder).arrays) == len(jax.tree.leaves(tree))


def test_a_kept_run_goes_on_bit_for_bit(tmp_path):
    params, x, y = problem([4, 3, 2])
    data, key = jaxnet.Dataset(x, y), jax.random.key(3)
    momentum = partial(optax.sgd, momentum=0.5)

    def after(state, epochs):
        for number in epochs:
            epoch_key = jax.random.fold_in(key, number)
            options = {"batch_size": 3, "eta": 0.5, "optimizer": momentum}
            state = jaxnet.epoch(epoch_key, state, data, **options)
        return state

    first = jaxnet.start(params, momentum)
    save(tmp_path, {"state": after(first, range(2)), "key": key}, {"epochs": 2})
    like = jax.eval_shape(lambda: {"state": first, "key": key})
    kept, manifest, _, _ = load(tmp_path, like)
    assert manifest == {"epochs": 2}
    assert_same(kept["key"], key)
    assert_same(after(kept["state"], range(2, 5)), after(first, range(5)))
    assert "['state'].params[0].w" in load(tmp_path).arrays


def test_numpy_arrays_come_back_to_be_written_to(tmp_path):
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save(tmp_path, [fortran, fortran.astype(">f8")], {})
    for array in load(tmp_path, [fortran, fortran]).arrays:
        np.testing.assert_array_equal(array, fortran)
        array += 1


def test_float64_is_not_rounded_where_x64_is_off(tmp_path):
    arrays = [jax_array("float64", (3,), 0)]
    save(tmp_path, arrays, {})
    assert_same(load(tmp_path, arrays).arrays, arrays)


@pytest.mark.parametrize("leaf", [3, 2.5, "text", 1j, np.ones(2, jnp.bfloat16)])
def test_what_is_no_array_it_can_keep_is_refused(tmp_path, leaf):
    with pytest.raises(ValueError, match=r"^Expected one of .*, got .* in \"\['a'\]\""):
        save(tmp_path, {"a": leaf}, {})
    assert not names(tmp_path)


NOT_JSON = {"nan": np.nan, "infinity": -np.inf, "NumPy": np.float32(1), "set": {1, 2}}
NOT_JSON["too long"] = 10**5000


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        save(tmp_path, {}, {"a": value})
    with pytest.raises((ValueError, TypeError)):
        append_line(tmp_path / "log", value)
    assert not names(tmp_path)


def test_the_manifest_says_what_is_there(tmp_path):
    save(tmp_path, {"w": jnp.ones((2, 3)), "key": jax.random.key(0)}, {"epoch": 7})
    manifest, data = (tmp_path / name for name in files(1))
    document = json.loads(manifest.read_text())
    assert document["format"] == "jaxnet checkpoint 1"
    assert document["arrays"] == {"['w']": "float32[2,3]", "['key']": "key<fry>[]"}
    assert document["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert document["manifest"] == {"epoch": 7}
    arrays = safetensors.numpy.load_file(data)
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {"['w']": (2, 3), "['key']": (2,)}


# What is not whole, or not of this run, is refused with a reason.


def test_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "checkpoint-00000001.safetensors").touch()
    (tmp_path / "checkpoint-old.json").touch()
    for place in ("", "nowhere", "file"):
        folder = tmp_path / place
        with pytest.raises(StorageError) as info:
            load(folder)
        message = "expected a folder with a checkpoint, got none."
        assert str(info.value) == f"{folder}: {message}"


def later_format(_) -> bytes:
    document = {"format": "jaxnet checkpoint 2"}
    check = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    return json.dumps(document | {"check": check}).encode()


DATA = "json: expected the arrays it was saved with, got others, or a part of them"
TEXT = "json: expected a manifest as it was saved, got b.*, cut or changed"
LATER = "json: expected 'jaxnet checkpoint 1', got 'jaxnet checkpoint 2', of a later"
TROUBLE = {
    "no arrays": (1, None, "expected a readable file, got an error: no such file"),
    "cut arrays": (1, lambda data: data[:-1], DATA),
    "empty arrays": (1, lambda data: b"", DATA),
    "longer arrays": (1, lambda data: data + b"\0", DATA),
    "a pickle": (1, lambda data: b"\x80\x02}q\0.", DATA),
    "another number": (1, lambda data: data[:-1] + bytes([data[-1] ^ 1]), DATA),
    "cut manifest": (0, lambda data: data[:-1], TEXT),
    "empty manifest": (0, lambda data: b"", TEXT),
    "zeros": (0, lambda data: bytes(len(data)), TEXT),
    "a foreign file": (0, lambda data: b'{"epochs": 30}', TEXT),
    "a list": (0, lambda data: b"[1, 2]", TEXT),
    "a number": (0, lambda data: b"3", TEXT),
    "not Unicode": (0, lambda data: b'{"\xff', TEXT),
    "deep": (0, lambda data: b"[" * 10**5, TEXT),
    "an endless integer": (0, lambda data: b"9" * 10**4, TEXT),
    "edited": (0, lambda data: data.replace(b'"number": ', b'"number": 1'), TEXT),
    "a later format": (0, later_format, LATER),
}


@pytest.mark.parametrize(("which", "change", "message"), TROUBLE.values(), ids=TROUBLE)
def test_a_bad_checkpoint_is_passed_over(tmp_path, which, change, message):
    def spoil(number):
        path = tmp_path / files(number)[which]
        content = path.read_bytes()
        path.unlink()
        if change:
            path.write_bytes(change(content))

    save_numbers(tmp_path, 1, 2)
    spoil(2)
    assert loaded_number(tmp_path) == 1
    (reason,) = load(tmp_path).refused
    assert re.search(message, reason) and len(reason.splitlines()) == 1
    spoil(1)
    with pytest.raises(StorageError, match=message) as info:
        load(tmp_path)
    text = str(info.value)
    assert text.startswith(f"{tmp_path}: expected a folder with a checkpoint, got ")
    assert len(text.splitlines()) == 1 and text.count("00000001.json: expected") == 1
    save_numbers(tmp_path, 3)
    assert loaded_number(tmp_path) == 3


@settings(max_examples=150)
@given(
    which=st.integers(0, 1),
    where=st.floats(0, 1),
    removed=st.integers(0, 3),
    inserted=st.binary(max_size=3),
)
def test_changed_bytes_are_seen(tmp_path_factory, which, where, removed, inserted):
    folder = tmp_path_factory.getbasetemp() / "changed"
    if not folder.exists():
        save_numbers(folder, 1, 2)
    path = folder / files(2)[which]
    content = path.read_bytes()
    start = int(where * len(content))
    changed = content[:start] + inserted + content[start + removed :]
    path.write_bytes(changed)
    try:
        number, refused = loaded_number(folder), load(folder).refused
        same = which == 0 and changed.split() == content.split() or changed == content
        assert (number, len(refused)) == ((2, 0) if same else (1, 1))
    finally:
        path.write_bytes(content)


def test_another_network_is_refused(tmp_path):
    params, _, _ = problem([4, 3, 2])
    save(tmp_path, jaxnet.start(params), {})
    wider, deeper = problem([4, 5, 2])[0], problem([4, 3, 2, 2])[0]
    rounded = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), params)
    for like, expected, came in (
        (jaxnet.start(wider), "float32[5,4] in '.params[0].w'", "float32[3,4]"),
        (jaxnet.start(deeper), "float32[2,2] in '.params[2].w'", "none"),
        (jaxnet.start(params[:1]), "none in '.params[1].w'", "float32[2,3]"),
        (jaxnet.start(rounded), "float16[3,4] in '.params[0].w'", "float32[3,4]"),
        (params, "float32[3,4] in '[0].w'", "none"),
        (jax.random.key(0), "key<fry>[] in ''", "none"),
    ):
        with pytest.raises(StorageError) as info:
            load(tmp_path, like)
        message = f"expected {expected} of this run, got {came}."
        assert str(info.value) == f"{tmp_path / files(1)[0]}: {message}"


def test_a_diverged_network_is_kept(tmp_path):
    params = [jaxnet.Layer(jnp.full((2, 3), jnp.nan), jnp.full(2, jnp.inf))]
    save(tmp_path, params, {"accuracy": None})
    assert_same(load(tmp_path, params).arrays, params)


@pytest.mark.parametrize("system", ["fcntl", "none"])
def test_one_at_a_time_has_the_lock(tmp_path, monkeypatch, system):
    if system == "none":
        monkeypatch.setattr(checkpoints, "fcntl", None)
    folder = tmp_path / "run"
    for _ in range(2):
        with lock(folder):
            with pytest.raises(StorageError, match="run/.lock: expected a folder that"):
                lock(folder).__enter__()
            with lock(tmp_path / "another"):
                save_numbers(folder, 1)
    with pytest.raises(OSError, match="^of the run$"), lock(folder):
        raise OSError("of the run")
    with lock(folder):
        assert newest(folder) == 1


def test_another_process_is_kept_out(tmp_path):
    program = f"""if True:
        from jaxnet.checkpoints import lock
        with lock({str(tmp_path)!r}):
            print("locked", flush=True)
            input()"""
    command, pipe = [sys.executable, "-c", program], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as other:
        assert other.stdout and other.stdout.readline() == b"locked\n"
        with pytest.raises(StorageError, match="got one in use. Wait for the other"):
            lock(tmp_path).__enter__()
        other.kill()
    with lock(tmp_path):
        pass


def test_lines_come_back(tmp_path):
    path = tmp_path / "log"
    assert read_lines(path) == []
    lines = [{"epoch": 0, "accuracy": 0.1 + 0.2}, None, [1, "\u2028\n\r"], -0.0, ""]
    for number, line in enumerate(lines):
        append_line(path, line)
        assert read_lines(path) == lines[: number + 1]
    assert path.read_bytes().count(b"\n") == len(lines)


@pytest.mark.parametrize("rest", [b"", b"3", b'{"epo', b"3\n4\n5", b"\xff"])
def test_a_run_goes_on_from_the_lines_of_its_checkpoint(tmp_path, rest):
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n" + rest)
    assert read_lines(path)[:2] == [1, 2]
    assert keep_first(path, 2) == [1, 2]
    assert path.read_bytes() == b"1\n2\n"
    append_line(path, 3)
    assert keep_first(path, 3) == [1, 2, 3]
    assert keep_first(path, 0) == [] == read_lines(path)


def test_lines_that_are_missing_or_broken_are_refused(tmp_path):
    path = tmp_path / "log"
    assert keep_first(path, 0) == []
    path.write_bytes(b"1\n2\n3")
    with pytest.raises(StorageError, match="log: expected 3 lines of the run, got 2"):
        keep_first(path, 3)
    assert path.read_bytes() == b"1\n2\n3"
    for broken in (b"{", b"\xff", b"", b"[" * 10**5):
        path.write_bytes(b"1\n" + broken + b"\n3\n")
        for use in (read_lines, lambda path: keep_first(path, 1)):
            with pytest.raises(
                StorageError, match="log: expected JSON on line 2, got b"
            ):
                use(path)


if __name__ == "__main__":
    kill_saver(Path(sys.argv[1]))
