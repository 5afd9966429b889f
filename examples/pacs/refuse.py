"""Orthanc, as an archive that refuses some of what it is sent: while the file that the configuration names as
Refuse is there, results in a study whose identifier ends with 7 are answered 0xA900 (the data set does not
match its class). Each result that comes is a line in Refuse's neighbour .came: when, its identifier, and the
answer; Orthanc itself keeps one of however many come. For soak.py."""

import json
import os
import time

import orthanc

REFUSE = json.loads(orthanc.GetConfiguration())["Refuse"]


def received(instance):
    tags = json.loads(instance.GetInstanceSimplifiedJson())
    status = 0xA900 if tags.get("StudyInstanceUID", "").endswith("7") and os.path.exists(REFUSE) else 0
    with open(f"{REFUSE}.came", "a") as came:
        came.write(f"{time.time()} {tags.get('SOPInstanceUID')} {status}\n")
    return status


orthanc.RegisterIncomingCStoreInstanceFilter(received)
