"""Orthanc, as an archive that refuses some of what it is sent: while the file that the configuration names as Refuse is there, results in a study
whose identifier ends with 7 are answered 0xA900 (the data set does not match its class). For soak.py."""
import json
import os

import orthanc

REFUSE = json.loads(orthanc.GetConfiguration())["Refuse"]


def received(instance):
    study = json.loads(instance.GetInstanceSimplifiedJson()).get("StudyInstanceUID", "")
    return 0xa900 if study.endswith("7") and os.path.exists(REFUSE) else 0


orthanc.RegisterIncomingCStoreInstanceFilter(received)
