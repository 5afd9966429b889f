"""Orthanc classifies what it stores: a plugin for Orthanc's Python plugin, over libmedforge by ctypes.

orthanc.json:
    "PythonScript": "plugin.py", "MedForge": {"Library": "libmedforge.so", "Module": "ffi/python", "Bundle":
    "breast.medforge", "Trust": "k.pub", "Task": null, "Audit": "audit.jsonl"}

Each image that arrives is classified by threads of the plugin's own and gets a Comprehensive 3D SR (TID 1500)
in its study. Identifiers follow from image and device, so that an image that is looked at again gets no
second report. GET /medforge tells what is loaded; POST /medforge/bundle with {"Bundle": PATH} goes on with
another bundle. For a node that survives stops see ../node. Research software, no medical device.
"""

import hashlib
import json
import queue
import sys
import threading
import time

import orthanc

settings = json.loads(orthanc.GetConfiguration())["MedForge"]
sys.path.insert(0, settings["Module"])
import medforge  # noqa: E402

medforge.load(settings["Library"])
classifier = medforge.Classifier(settings["Bundle"], settings["Trust"])
waiting = queue.Queue()
audit = threading.Lock()

IMAGES_ONLY = "1.2.840.10008.5.1.4.1.1."
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"


def changed(change, level, identifier):
    if change == orthanc.ChangeType.NEW_INSTANCE:
        waiting.put(identifier)


def work():
    while True:
        identifier = waiting.get()
        try:
            classify(identifier)
        except Exception as error:
            orthanc.LogError(f"MedForge: {identifier}: {error}")


def classify(identifier):
    tags = json.loads(orthanc.RestApiGet(f"/instances/{identifier}/simplified-tags"))
    kind = tags.get("SOPClassUID", "")
    # Reports, key objects and presentation states are no images; nor is what this plugin made.
    if (
        not kind.startswith(IMAGES_ONLY)
        or kind.startswith((IMAGES_ONLY + "88.", IMAGES_ONLY + "11."))
        or tags.get("ManufacturerModelName") == "MedForge"
    ):
        return
    if int(tags.get("NumberOfFrames") or 1) > 1:
        # A report about one frame that does not name it would be about all of them (PS3.3 C.17.3).
        raise ValueError(
            f"it has {tags['NumberOfFrames']} frames, and an answer about one would be taken for all: send "
            f"single frames"
        )
    [found] = classifier.classify([orthanc.GetDicomForInstance(identifier)], task=settings.get("Task"))
    made = json.loads(
        orthanc.RestApiPost("/tools/create-dicom", json.dumps({"Tags": report(tags, found), "Force": True}))
    )
    found.update(
        image=tags["SOPInstanceUID"], report=made["ID"], time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    )
    with audit, open(settings["Audit"], "a") as lines:
        lines.write(json.dumps(found, sort_keys=True, separators=(",", ":")) + "\n")


def uid(*parts):
    """A unique identifier that follows from parts: a UUID of version 8 (RFC 9562) as a number (PS3.5, B.2)."""
    bits = int.from_bytes(hashlib.sha256(" ".join(parts).encode()).digest()[:16], "big")
    return f"2.25.{bits & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62}"


def code(value, scheme, meaning):
    return [{"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}]


def item(relationship, kind, name, **content):
    made = {"RelationshipType": relationship, "ValueType": kind}
    if name:
        made["ConceptNameCodeSequence"] = code(*name)
    return made | content


def container(name, items):
    return item("CONTAINS", "CONTAINER", name, ContinuityOfContent="SEPARATE", ContentSequence=items)


def private(kind, task, name):
    """A private code for a class of a task, 16 characters: the same in every bundle and report, and another
    for every other task or class."""
    return kind + hashlib.sha256(f"{task}\0{name}".encode()).hexdigest()[:15]


def concept(one, task):
    """A class as a code: the bundle's, or a private one."""
    known, meaning = one.get("code"), one["name"][:64].replace("\\", "/")
    return (
        (known["value"], known["scheme"], known["meaning"])
        if known
        else (private("C", task, one["name"]), "99MEDFORGE", meaning)
    )


def report(tags, found):
    image, device = tags["SOPInstanceUID"], found["device_uid"]
    reference = [{"ReferencedSOPClassUID": tags["SOPClassUID"], "ReferencedSOPInstanceUID": image}]
    abstains = found.get("abstain")
    top = max(range(len(found["classes"])), key=lambda index: found["classes"][index]["probability"])
    equipment = {
        "Manufacturer": "The MedForge developers",
        "ManufacturerModelName": "MedForge",
        "DeviceSerialNumber": found["composition"][:32],
        "SoftwareVersions": found["runtime"],
        "DeviceUID": device,
    }
    text = lambda relationship, name, value: item(relationship, "TEXT", name, TextValue=value)
    identifier = lambda relationship, name, value: item(relationship, "UIDREF", name, UID=value)
    coded = lambda relationship, name, value: item(relationship, "CODE", name, ConceptCodeSequence=code(*value))
    modules = ", ".join(f"{one['weight']} x {one['id']}" for one in found["modules"])
    group = [
        text("HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), f"MedForge {found['task']}"),
        identifier("HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), uid(image, device, "finding")),
        coded(
            "CONTAINS",
            ("121071", "DCM", "Finding"),
            (abstains.upper(), "99MEDFORGE", f"No answer: {abstains}")
            if abstains
            else concept(found["classes"][top], found["task"]),
        ),
        text("HAS CONCEPT MOD", ("111001", "DCM", "Algorithm Name"), f"MedForge {found['task']}"),
        text("HAS CONCEPT MOD", ("111003", "DCM", "Algorithm Version"), found["composition"]),
        text(
            "HAS CONCEPT MOD",
            ("111002", "DCM", "Algorithm Parameters"),
            f"bundle {found['bundle']}, signed by {', '.join(found['signers'])}; modules "
            f"{modules}{''.join('; ' + note for note in found.get('notes', []))}",
        ),
    ]
    for one in [] if abstains else found["classes"]:
        source = item(
            "INFERRED FROM", "IMAGE", ("121112", "DCM", "Source of Measurement"), ReferencedSOPSequence=reference
        )
        value = {
            "NumericValue": f"{one['probability']:.6f}",
            "MeasurementUnitsCodeSequence": code("1", "UCUM", "no units"),
        }
        name = (
            private("P", found["task"], one["name"]),
            "99MEDFORGE",
            f"Probability of {concept(one, found['task'])[2]}"[:64],
        )
        group.append(item("CONTAINS", "NUM", name, MeasuredValueSequence=[value], ContentSequence=[source]))
    library = container(
        ("126200", "DCM", "Image Library Group"), [item("CONTAINS", "IMAGE", None, ReferencedSOPSequence=reference)]
    )
    content = [
        coded(
            "HAS CONCEPT MOD",
            ("121049", "DCM", "Language of Content Item and Descendants"),
            ("en", "RFC5646", "English"),
        ),
        coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        identifier("HAS OBS CONTEXT", ("121012", "DCM", "Device Observer UID"), device),
        text("HAS OBS CONTEXT", ("121013", "DCM", "Device Observer Name"), "MedForge"),
        coded("HAS CONCEPT MOD", ("121058", "DCM", "Procedure reported"), ("363679005", "SCT", "Imaging procedure")),
        container(("111028", "DCM", "Image Library"), [library]),
        container(
            ("126010", "DCM", "Imaging Measurements"), [container(("125007", "DCM", "Measurement Group"), group)]
        ),
    ]
    taken = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "ReferringPhysicianName",
        "AccessionNumber",
    )
    series = [{"SeriesInstanceUID": tags["SeriesInstanceUID"], "ReferencedSOPSequence": reference}]
    return (
        {name: tags.get(name, "") for name in taken}
        | equipment
        | {
            "SpecificCharacterSet": "ISO_IR 192",
            "SOPClassUID": REPORT,
            "SOPInstanceUID": uid(image, device, "sr"),
            "SeriesInstanceUID": uid(tags["StudyInstanceUID"], device, "sr"),
            "Modality": "SR",
            "SeriesNumber": "9000",
            "InstanceNumber": "1",
            "SeriesDescription": "MedForge, research only",
            "ContentDate": time.strftime("%Y%m%d", time.gmtime()),
            "ContentTime": time.strftime("%H%M%S", time.gmtime()),
            "CompletionFlag": "COMPLETE",
            "VerificationFlag": "UNVERIFIED",
            "ReferencedPerformedProcedureStepSequence": [],
            "PerformedProcedureCodeSequence": [],
            "CurrentRequestedProcedureEvidenceSequence": [
                {"StudyInstanceUID": tags["StudyInstanceUID"], "ReferencedSeriesSequence": series}
            ],
            "ContributingEquipmentSequence": [
                equipment
                | {
                    "PurposeOfReferenceCodeSequence": code("109102", "DCM", "Processing Equipment"),
                    "ContributionDescription": "Classified the image",
                }
            ],
            "ValueType": "CONTAINER",
            "ConceptNameCodeSequence": code("126000", "DCM", "Imaging Measurement Report"),
            "ContinuityOfContent": "SEPARATE",
            "ContentTemplateSequence": [{"MappingResource": "DCMR", "TemplateIdentifier": "1500"}],
            "ContentSequence": content,
        }
    )


def loaded(output, uri, **request):
    if request["method"] != "GET":
        return output.SendMethodNotAllowed("GET")
    about = {
        "tasks": classifier.tasks,
        "modules": classifier.modules,
        "bundles": classifier.bundles,
        "waiting": waiting.qsize(),
        "memory": classifier.memory(),
    }
    output.AnswerBuffer(json.dumps(about), "application/json")


def replaced(output, uri, **request):
    if request["method"] != "POST":
        return output.SendMethodNotAllowed("POST")
    try:
        classifier.replace(json.loads(request["body"])["Bundle"])
        output.AnswerBuffer(json.dumps({"bundles": classifier.bundles}), "application/json")
    except medforge.Error as error:
        orthanc.LogError(f"MedForge: the bundle stays as it was: {error}")
        output.SendHttpStatusCode(409)


orthanc.RegisterOnChangeCallback(changed)
orthanc.RegisterRestCallback("/medforge", loaded)
orthanc.RegisterRestCallback("/medforge/bundle", replaced)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
