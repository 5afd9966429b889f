"""MedForge from Python, over libmedforge by ctypes: no dependencies, numpy arrays welcome.

    import medforge
    with medforge.Classifier("breast.medforge", "k.pub") as classifier:
        [found] = classifier.classify([open("image.png", "rb").read()])
        print(found["classes"][0]["name"], found["classes"][0]["probability"])

Images are bytes of PNG, JPEG, TIFF or DICOM Part 10 files, numpy arrays ([rows, columns] or [rows, columns, 3], 8 or 16 bits), or Values with all that DICOM
says of stored values. A classifier may be used by several threads; calls release the interpreter's lock. What is refused raises Error with the
name of its class. A classifier belongs to its process: with multiprocessing, start workers by "spawn", or open it in the worker (OTHER_PROCESS otherwise). The library is looked for beside this file, then where the system looks; give another one to load(). Research software, no
medical device.
"""
import ctypes
import ctypes.util
import json
import os
import pathlib
import sys

__all__ = ["Classifier", "Error", "Values", "fusion", "mixture", "frozen", "routed", "load", "verify", "version"]

c_char_p, c_void_p, size_t = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
u8, u32, i32, u64, i64, f64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64, ctypes.c_int64, ctypes.c_double


class Error(Exception):
    """A call that failed: `name` is the class, such as WRONG_KEY, `code` its number."""

    def __init__(self, code):
        self.code = code
        self.name = _library().medforge_result_name(code).decode()
        super().__init__(f"{self.name}: {_library().medforge_last_error().decode()}")


class Values(ctypes.Structure):
    """Stored values and what they mean: medforge_image of medforge.h, whose fields are keywords here.

    Values(data, rows=512, columns=512, bits_allocated=16, bits_stored=12, rescale_slope=1, rescale_intercept=-1024, voi=1,
           window_center=40, window_width=400)
    """

    _fields_ = [
        ("struct_size", size_t), ("kind", u32), ("frame", u32), ("data", c_void_p), ("length", size_t), ("rows", u32), ("columns", u32),
        ("stride", size_t), ("photometric", u32), ("samples", u32), ("planar", u32), ("bits_allocated", u32), ("bits_stored", u32),
        ("high_bit", u32), ("is_signed", u32), ("big_endian", u32), ("rescale_slope", f64), ("rescale_intercept", f64),
        ("modality_lut", c_void_p), ("voi", u32), ("has_padding", u32), ("window_center", f64), ("window_width", f64),
        ("voi_lut", c_void_p), ("palette", c_void_p * 3), ("padding_first", i64), ("padding_last", i64)]

    def __init__(self, data, **fields):
        super().__init__(struct_size=ctypes.sizeof(Values), **fields)
        # Kept as long as the values point to it.
        self.kept = bytes(data) if not isinstance(data, bytes) else data
        self.data = ctypes.cast(ctypes.c_char_p(self.kept), c_void_p)
        self.length = len(self.kept)


class _Open(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("trust_path", c_char_p), ("state_path", c_char_p), ("now", c_char_p), ("trust_data", c_void_p),
                ("trust_length", size_t), ("threads", u32), ("spread_images", u32), ("int8", u32), ("most_bytes", u64), ("most_operations", u64)]


class _Source(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("path", c_char_p), ("data", c_void_p), ("length", size_t)]


class _Selection(ctypes.Structure):
    _fields_ = [("kind", u32), ("count", size_t), ("modules", ctypes.POINTER(c_char_p)), ("weights", ctypes.POINTER(f64))]


class _Options(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("task", c_char_p), ("selection", ctypes.POINTER(_Selection)), ("cancel", c_void_p), ("timeout_ms", u64)]


class _Classification(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("task", c_char_p), ("class_count", size_t), ("class_names", c_void_p), ("class_codes", c_void_p),
                ("probabilities", c_void_p), ("top", size_t), ("bundle_id", c_char_p), ("composition_id", c_char_p), ("device_uid", c_char_p),
                ("module_count", size_t), ("module_ids", c_void_p), ("module_weights", c_void_p), ("signer_count", size_t), ("signers", c_void_p),
                ("pixels_sha256", c_char_p), ("preprocessing_ns", u64), ("base_ns", u64), ("json", c_char_p),
                ("calibrated", ctypes.c_int32), ("abstain", u32), ("ood_score", f64), ("ood_threshold", f64),
                ("note_count", size_t), ("notes", c_void_p)]


class _Map(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("grid", size_t), ("values", ctypes.POINTER(ctypes.c_float)), ("left", f64), ("top", f64), ("width", f64),
                ("height", f64)]


class _Report(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("id", c_char_p), ("name", c_char_p), ("counter", u64), ("created", c_char_p), ("intended_use", c_char_p),
                ("task_count", size_t), ("module_count", size_t), ("signer_count", size_t), ("signers", c_void_p), ("json", c_char_p)]


class _Memory(ctypes.Structure):
    _fields_ = [("struct_size", size_t), ("base", size_t), ("modules", size_t), ("scratch", size_t)]


class Classifier:
    """Verifies the bundle in the file `bundle` against `trust` (public keys in PEM, or a trust file) and loads it.

    state: a file of what this device accepted before. now: the time, UTC ("2026-01-31T23:59:59Z"); none is looked at otherwise.
    threads: of the classifier's own; 0 runs calls on their callers' threads. int8: in eight bits, if the bundle was measured so.
    most_bytes, most_operations: memory, and multiply-adds for an image, that bundles may ask for; 0 for what medforge.h says.
    """

    def __init__(self, bundle, trust, *, state=None, now=None, threads=0, spread_images=False, int8=False, most_bytes=0,
                 most_operations=0):
        self._raw = c_void_p()
        self._options = _opening(trust, state, now, threads, spread_images, int8, most_bytes, most_operations)
        _check(_library().medforge_open_with(ctypes.byref(_source(bundle)), ctypes.byref(self._options), ctypes.byref(self._raw)))

    def classify(self, images, task=None, selection=None, timeout=None, explain=False):
        """A dict for each image: classes with probabilities and codes, bundle, composition, modules, signers, pixels_sha256, device_uid; of a
        calibrated task also ood (score and threshold) and abstain (None, "unfamiliar" or "unsure": then there should be no answer); of an odd file
        also notes, what was odd about it.

        selection: of fusion(), mixture(), routed(), frozen(); the task's default otherwise. timeout: seconds. explain: each dict also has a map, where
        in the image the answer comes from: rows of values that sum to 1, and the part of the image that they lie over.
        """
        values = [_values(image) for image in images]
        array = (Values * len(values))(*values)
        options = _Options(struct_size=ctypes.sizeof(_Options), task=_text(task), timeout_ms=max(1, round(timeout * 1000)) if timeout else 0)
        if selection is not None:
            options.selection = ctypes.pointer(selection)
        results = c_void_p()
        call = _library().medforge_explain if explain else _library().medforge_classify
        _check(call(self._open(), array, size_t(len(values)), ctypes.byref(options), ctypes.byref(results)))
        try:
            found = []
            for index in range(len(values)):
                one = _Classification(struct_size=ctypes.sizeof(_Classification))
                _check(_library().medforge_results_get(results, size_t(index), ctypes.byref(one)))
                found.append(json.loads(one.json))
                if explain:
                    found[-1]["map"] = _map(results, index)
            return found
        finally:
            _library().medforge_results_free(results)

    def add(self, bundle):
        """Adds the modules and tasks of a bundle with the same base, trusted as the first one was."""
        _check(_library().medforge_add(self._open(), ctypes.byref(_source(bundle)), ctypes.byref(self._options)))

    def replace(self, bundle):
        """Goes on with another bundle alone."""
        _check(_library().medforge_replace(self._open(), ctypes.byref(_source(bundle)), ctypes.byref(self._options)))

    def unload(self, bundle_id):
        """Lets go of a bundle."""
        _check(_library().medforge_unload(self._open(), _text(bundle_id)))

    def set_default(self, task, selection):
        """What `task` runs with where a call says nothing else."""
        _check(_library().medforge_set_default(self._open(), _text(task), ctypes.byref(selection)))

    @property
    def tasks(self):
        return self._names(_library().medforge_task_name)

    @property
    def modules(self):
        return self._names(_library().medforge_module_id)

    @property
    def bundles(self):
        return self._names(_library().medforge_bundle_id)

    def manifest(self, bundle_id):
        """Everything that a bundle's maker says of it."""
        text = c_char_p()
        _check(_library().medforge_manifest(self._open(), _text(bundle_id), ctypes.byref(text)))
        return json.loads(text.value)

    def memory(self):
        """Bytes by part."""
        memory = _Memory(struct_size=ctypes.sizeof(_Memory))
        _check(_library().medforge_memory_use(self._open(), ctypes.byref(memory)))
        return {"base": memory.base, "modules": memory.modules, "scratch": memory.scratch}

    def close(self):
        """Frees it; no thread may be using it."""
        raw, self._raw = self._raw, None
        if raw:
            _library().medforge_close(raw)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_raw", None):
            self.close()

    def _open(self):
        if not self._raw:
            raise ValueError("the classifier is closed")
        return self._raw

    def _names(self, function):
        names, name = [], c_char_p()
        out_of_range = 5
        while (code := function(self._open(), size_t(len(names)), ctypes.byref(name))) == 0:
            names.append(name.value.decode())
        return names if code == out_of_range else _check(code)


def frozen():
    """No module: the frozen base and the task's head."""
    return _Selection(kind=1)


def fusion(weights):
    """One network of the modules in a dict of id and weight."""
    return _selection(2, weights)


def mixture(weights):
    """A network for each module in a dict of id and weight; the weighted sum of their probabilities."""
    return _selection(3, weights)


def routed(weights):
    """As a mixture, weighted by what the image looks like."""
    return _selection(4, weights)


def verify(bundle, trust, *, state=None, now=None):
    """Verifies a bundle without loading it: a dict with id, signers and the manifest."""
    report = c_void_p()
    _check(_library().medforge_verify(ctypes.byref(_source(bundle)), ctypes.byref(_opening(trust, state, now)), ctypes.byref(report)))
    try:
        view = _Report(struct_size=ctypes.sizeof(_Report))
        _check(_library().medforge_report_get(report, ctypes.byref(view)))
        return json.loads(view.json)
    finally:
        _library().medforge_report_free(report)


def version():
    """The library's version."""
    return _library().medforge_version().decode()


def load(path):
    """Loads the library at `path`, before anything else is called."""
    global _loaded
    library = ctypes.CDLL(os.fspath(path))
    for name in ("medforge_result_name", "medforge_last_error", "medforge_version"):
        getattr(library, name).restype = c_char_p
    library.medforge_result_name.argtypes = [u32]
    for name in ("open_with", "classify", "explain", "results_get", "results_map", "add", "replace", "unload", "set_default", "task_name", "module_id", "bundle_id", "manifest",
                 "memory_use", "verify", "report_get"):
        getattr(library, f"medforge_{name}").restype = u32
    for name in ("close", "results_free", "report_free"):
        function = getattr(library, f"medforge_{name}")
        function.restype, function.argtypes = None, [c_void_p]
    _loaded = library
    return library


_loaded = None


def _library():
    if _loaded is not None:
        return _loaded
    name = {"darwin": "libmedforge.dylib", "win32": "medforge.dll"}.get(sys.platform, "libmedforge.so")
    beside = pathlib.Path(__file__).with_name(name)
    found = beside if beside.exists() else ctypes.util.find_library("medforge") or name
    return load(found)


def _check(code):
    if code != 0:
        raise Error(code)


def _map(results, index):
    one = _Map(struct_size=ctypes.sizeof(_Map))
    _check(_library().medforge_results_map(results, size_t(index), ctypes.byref(one)))
    rows = [one.values[row * one.grid:(row + 1) * one.grid] for row in range(one.grid)]
    return {"values": rows, "left": one.left, "top": one.top, "width": one.width, "height": one.height}


def _text(text):
    return None if text is None else os.fsencode(text)


def _source(bundle):
    return _Source(struct_size=ctypes.sizeof(_Source), path=_text(bundle))


def _opening(trust, state, now, threads=0, spread_images=False, int8=False, most_bytes=0, most_operations=0):
    return _Open(struct_size=ctypes.sizeof(_Open), trust_path=_text(trust), state_path=_text(state), now=_text(now), threads=threads,
                 spread_images=spread_images, int8=int8, most_bytes=most_bytes, most_operations=most_operations)


def _selection(kind, weights):
    ids = (c_char_p * len(weights))(*[_text(module) for module in weights])
    return _Selection(kind=kind, count=len(weights), modules=ids, weights=(f64 * len(weights))(*weights.values()))


def _values(image):
    if isinstance(image, Values):
        return image
    if isinstance(image, (bytes, bytearray, memoryview)):
        image = bytes(image)
        return Values(image, kind=2 if image[128:132] == b"DICM" else 1)
    array = image
    if array.dtype.itemsize > 2 or array.dtype.kind not in "ui" or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"an array of {array.dtype} with shape {array.shape} is no gray or RGB image of 8 or 16 bits")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return Values(little.tobytes(), rows=array.shape[0], columns=array.shape[1], photometric=2 if array.ndim == 3 else 0,
                  bits_allocated=8 * array.dtype.itemsize, is_signed=int(array.dtype.kind == "i"))
