"""The Python module against itself and the C library's refusals: module.py LIBRARY BUNDLE KEY IMAGE; run by tests/c_programs.rs."""
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "ffi" / "python"))
import medforge

library, bundle, key, image = sys.argv[1:]
medforge.load(library)
picture = pathlib.Path(image).read_bytes()


def refused(name, call):
    try:
        call()
    except medforge.Error as error:
        assert error.name == name and str(error).startswith(name), error
    else:
        raise AssertionError(f"{name} was not raised")


refused("TOO_COSTLY", lambda: medforge.Classifier(bundle, key, most_bytes=1000))
refused("TOO_COSTLY", lambda: medforge.Classifier(bundle, key, most_operations=1000))
report = medforge.verify(bundle, key)
assert report["manifest"]["name"] and len(report["id"]) == 64
with medforge.Classifier(bundle, key) as classifier:
    [found] = classifier.classify([picture])
    assert found["bundle"] == report["id"] and found["task"] == classifier.tasks[0]
    assert abs(sum(one["probability"] for one in found["classes"]) - 1) < 1e-5
    assert classifier.manifest(classifier.bundles[0])["name"] == report["manifest"]["name"]
    assert classifier.memory()["base"] > 0
    # Gray values of both widths, through the whole range: the same picture.
    gray = bytes(range(0, 240, 2))
    narrow = medforge.Values(gray, rows=10, columns=12, bits_allocated=8)
    wide = medforge.Values(b"".join(bytes([value, value]) for value in gray), rows=10, columns=12, bits_allocated=16)
    one, two = classifier.classify([narrow, wide])
    assert one["classes"] == two["classes"] and one["pixels_sha256"] != two["pixels_sha256"]
    try:
        import numpy
    except ImportError:
        pass
    else:
        array = numpy.frombuffer(gray, "u1").reshape(10, 12)
        assert classifier.classify([array])[0]["classes"] == one["classes"]
        assert classifier.classify([array.astype(">u2") * 257])[0]["classes"] == one["classes"]
    if hasattr(os, "fork"):
        child = os.fork()
        if child == 0:
            try:
                refused("OTHER_PROCESS", lambda: classifier.classify([picture]))
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    [seen] = classifier.classify([picture], explain=True)
    values = [value for row in seen["map"]["values"] for value in row]
    assert seen["classes"] == found["classes"] and len(values) == len(seen["map"]["values"]) ** 2
    assert abs(sum(values) - 1) < 1e-5 and min(values) >= 0 and seen["map"]["width"] > 0 and "map" not in found
    module = classifier.modules[0]
    frozen = classifier.classify([picture], selection=medforge.frozen())[0]
    half = classifier.classify([picture], selection=medforge.fusion({module: 0.5}), timeout=600)[0]
    assert frozen["modules"] == [] and half["modules"] == [{"id": module, "weight": 0.5}]
    assert len({found["device_uid"], frozen["device_uid"], half["device_uid"]}) == 3
    classifier.set_default(found["task"], medforge.frozen())
    assert classifier.classify([picture])[0]["classes"] == frozen["classes"]
    results = []
    threads = [threading.Thread(target=lambda: results.extend(classifier.classify([picture] * 3))) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(results) == 12 and all(one["classes"] == frozen["classes"] for one in results)
    refused("IMAGE", lambda: classifier.classify([b"no picture"]))
    refused("UNKNOWN_TASK", lambda: classifier.classify([picture], task="none"))
    refused("UNKNOWN_MODULE", lambda: classifier.classify([picture], selection=medforge.mixture({"none": 1})))
    refused("PIXELS", lambda: classifier.classify([medforge.Values(b"abc", rows=2, columns=2, bits_allocated=8)]))
    refused("UNCHANGED", lambda: classifier.add(bundle))
refused("NOT_AN_ARCHIVE", lambda: medforge.Classifier(key, key))
refused("IO", lambda: medforge.Classifier("nowhere", key))
try:
    classifier.tasks
except ValueError:
    pass
else:
    raise AssertionError("a closed classifier answered")
print("all good")
