//! What is kept of a classification: one line of canonical JSON (RFC 8785) for an audit log, and a
//! unique identifier of what answered.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::result::{Abstain, Assessment, Classification};
use crate::Error;

impl Classification {
    /// The UID of bundle and composition as one device (DICOM PS3.5, B.2: `2.25.` and a UUID as a
    /// number): another bundle, other modules or other weights are another device.
    pub fn device_uid(&self) -> String {
        let digest =
            Sha256::digest(format!("medforge device {} {}", self.bundle, self.composition));
        // A UUID of version 8, whose other bits are ours (RFC 9562, 5.8).
        let bits = digest.iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
        format!("2.25.{bits}")
    }

    /// The classification as canonical JSON: what was found, by what, on whose word, in which
    /// pixels (`pixels_sha256`, in hex) and how fast, and `notes`: what was odd about the file that
    /// the pixels are from.
    ///
    /// # Errors
    /// [`Error::Device`] for numbers that JSON cannot hold, which a classification does not have.
    pub fn record(&self, pixels_sha256: &str, notes: &[String]) -> Result<String, Error> {
        let classes = self.classes.iter().zip(&self.probabilities).enumerate().map(
            |(index, (name, probability))| {
                let mut class = json!({ "name": name, "probability": f64::from(*probability) });
                if let Some(code) = self.codes.get(index) {
                    class["code"] = json!({ "scheme": code.scheme, "value": code.value,
                    "meaning": code.meaning });
                }
                class
            },
        );
        let mut record = json!({
            "task": self.task,
            "classes": classes.collect::<Vec<Value>>(),
            "bundle": &*self.bundle,
            "composition": &*self.composition,
            "device_uid": self.device_uid(),
            "modules": self.modules.iter().map(|part| json!({ "id": part.id,
                "weight": part.weight })).collect::<Vec<_>>(),
            "signers": &*self.signers,
            "runtime": env!("CARGO_PKG_VERSION"),
            "pixels_sha256": pixels_sha256,
            "preprocessing_us": self.times.preprocessing.as_micros() as u64,
            "base_us": self.times.base.as_micros() as u64,
        });
        if let Some(Assessment { score, threshold, abstain }) = self.assessment {
            record["ood"] = json!({ "score": score, "threshold": threshold });
            record["abstain"] = json!(abstain.map(Abstain::name));
        }
        if !notes.is_empty() {
            record["notes"] = json!(notes);
        }
        serde_json_canonicalizer::to_string(&record)
            .map_err(|error| Error::Device { what: error.to_string() })
    }
}
