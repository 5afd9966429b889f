//! The structured report: Comprehensive 3D SR by TID 1500, with the algorithm's identification, the
//! finding, a probability for each class, and the image.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use medforge_runtime::classify::Abstain;

use crate::Result;
use crate::answered::Answered;
use crate::code::{self, Code, PRIVATE, code, private, reference, sequence, text, uid};

/// The report of an image as a Part 10 file.
pub fn file(answered: &Answered) -> Result<Vec<u8>> {
    let mut object = code::beginning(answered, uids::COMPREHENSIVE3_DSR_STORAGE, "sr");
    object.put_str(tags::MODALITY, VR::CS, "SR");
    object.put_str(tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    object.put_str(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    sequence(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, vec![]);
    sequence(&mut object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, vec![]);
    sequence(
        &mut object,
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        vec![evidence(answered)],
    );

    let mut root = container(None, ("126000", "DCM", "Imaging Measurement Report"));
    let mut template = InMemDicomObject::new_empty();
    template.put_str(tags::MAPPING_RESOURCE, VR::CS, "DCMR");
    template.put_str(tags::TEMPLATE_IDENTIFIER, VR::CS, "1500");
    sequence(&mut root, tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    let mut items = observer(answered);
    items.extend([library(answered), measurements(answered)]);
    sequence(&mut root, tags::CONTENT_SEQUENCE, items);
    for element in root {
        object.put(element);
    }
    code::part10(object)
}

/// The study of the image, with the image in it: what the report is about.
fn evidence(answered: &Answered) -> InMemDicomObject {
    let mut series = InMemDicomObject::new_empty();
    series.put_str(tags::SERIES_INSTANCE_UID, VR::UI, text(answered, tags::SERIES_INSTANCE_UID));
    sequence(&mut series, tags::REFERENCED_SOP_SEQUENCE, vec![reference(answered)]);
    let mut study = InMemDicomObject::new_empty();
    study.put_str(tags::STUDY_INSTANCE_UID, VR::UI, text(answered, tags::STUDY_INSTANCE_UID));
    sequence(&mut study, tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    study
}

/// The language, who reports (a device, by its identifiers), and the procedure.
fn observer(answered: &Answered) -> Vec<InMemDicomObject> {
    let found = &answered.found;
    let context = "HAS OBS CONTEXT";
    let language = ("121049", "DCM", "Language of Content Item and Descendants");
    let procedure = ("121058", "DCM", "Procedure reported");
    let maker = ("121014", "DCM", "Device Observer Manufacturer");
    let serial = ("121016", "DCM", "Device Observer Serial Number");
    vec![
        coded("HAS CONCEPT MOD", language, ("en", "RFC5646", "English")),
        coded(context, ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        identifier(context, ("121012", "DCM", "Device Observer UID"), &found.device_uid()),
        words(context, ("121013", "DCM", "Device Observer Name"), "MedForge"),
        words(context, maker, "The MedForge developers"),
        words(context, ("121015", "DCM", "Device Observer Model Name"), "MedForge"),
        words(context, serial, &found.composition[..32]),
        coded("HAS CONCEPT MOD", procedure, ("363679005", "SCT", "Imaging procedure")),
    ]
}

/// The image library, which holds the one image.
fn library(answered: &Answered) -> InMemDicomObject {
    let mut group = container(Some("CONTAINS"), ("126200", "DCM", "Image Library Group"));
    let mut image = item(Some("CONTAINS"), "IMAGE", None);
    sequence(&mut image, tags::REFERENCED_SOP_SEQUENCE, vec![reference(answered)]);
    sequence(&mut group, tags::CONTENT_SEQUENCE, vec![image]);
    let mut library = container(Some("CONTAINS"), ("111028", "DCM", "Image Library"));
    sequence(&mut library, tags::CONTENT_SEQUENCE, vec![group]);
    library
}

/// The finding, the algorithm that made it, and a probability for each class.
fn measurements(answered: &Answered) -> InMemDicomObject {
    let found = &answered.found;
    let (context, modifier) = ("HAS OBS CONTEXT", "HAS CONCEPT MOD");
    let image = text(answered, tags::SOP_INSTANCE_UID);
    let tracking = uid(&[&image, &found.device_uid(), "finding"]);
    let name = format!("MedForge {}", found.task);
    let mut items = vec![
        words(context, ("112039", "DCM", "Tracking Identifier"), &name),
        identifier(context, ("112040", "DCM", "Tracking Unique Identifier"), &tracking),
        coded("CONTAINS", ("121071", "DCM", "Finding"), finding(answered).borrow()),
        words(modifier, ("111001", "DCM", "Algorithm Name"), &name),
        words(modifier, ("111003", "DCM", "Algorithm Version"), &found.composition),
        words(modifier, ("111002", "DCM", "Algorithm Parameters"), &parameters(answered)),
    ];
    if found.abstains().is_none() {
        for (index, probability) in found.probabilities.iter().enumerate() {
            items.push(probability_of(answered, index, *probability));
        }
    }
    let mut group = container(Some("CONTAINS"), ("125007", "DCM", "Measurement Group"));
    sequence(&mut group, tags::CONTENT_SEQUENCE, items);
    let mut measurements = container(Some("CONTAINS"), ("126010", "DCM", "Imaging Measurements"));
    sequence(&mut measurements, tags::CONTENT_SEQUENCE, vec![group]);
    measurements
}

/// A class as a code: the bundle's, or a private one.
struct Class {
    value: String,
    scheme: String,
    meaning: String,
}

impl Class {
    fn borrow(&self) -> Code<'_> {
        (&self.value, &self.scheme, &self.meaning)
    }
}

/// The likeliest class. Where there should be no answer it says so, without probabilities, which a
/// viewer would show like any others.
fn finding(answered: &Answered) -> Class {
    let (value, meaning) = match answered.found.abstains() {
        None => return class(answered, answered.found.top().0),
        Some(Abstain::Unfamiliar) => {
            ("UNFAMILIAR", "No answer: the image is unlike those of the task")
        }
        Some(Abstain::Unsure) => ("UNSURE", "No answer: no class is probable enough"),
    };
    Class { value: value.into(), scheme: PRIVATE.into(), meaning: meaning.into() }
}

fn class(answered: &Answered, index: usize) -> Class {
    let found = &answered.found;
    match found.codes.get(index) {
        Some(code) => Class {
            value: code.value.clone(),
            scheme: code.scheme.clone(),
            meaning: code.meaning.clone(),
        },
        None => {
            let name = &found.classes[index];
            Class {
                value: private('C', &found.task, name),
                scheme: PRIVATE.into(),
                meaning: meaning(name),
            }
        }
    }
}

/// A code's meaning: at most 64 characters. A backslash would begin another value.
fn meaning(text: &str) -> String {
    text.chars().take(64).map(|c| if c == '\\' { '/' } else { c }).collect()
}

fn probability_of(answered: &Answered, index: usize, probability: f32) -> InMemDicomObject {
    let class = class(answered, index);
    let meaning = meaning(&format!("Probability of {}", class.meaning));
    let name =
        (&*private('P', &answered.found.task, &answered.found.classes[index]), PRIVATE, &*meaning);
    let mut number = item(Some("CONTAINS"), "NUM", Some(name));
    let mut value = InMemDicomObject::new_empty();
    value.put_str(tags::NUMERIC_VALUE, VR::DS, format!("{probability:.6}"));
    value.put(DataElement::new(
        tags::FLOATING_POINT_VALUE,
        VR::FD,
        PrimitiveValue::from(f64::from(probability)),
    ));
    sequence(
        &mut value,
        tags::MEASUREMENT_UNITS_CODE_SEQUENCE,
        vec![code(("1", "UCUM", "no units"))],
    );
    sequence(&mut number, tags::MEASURED_VALUE_SEQUENCE, vec![value]);
    let mut source =
        item(Some("INFERRED FROM"), "IMAGE", Some(("121112", "DCM", "Source of Measurement")));
    sequence(&mut source, tags::REFERENCED_SOP_SEQUENCE, vec![reference(answered)]);
    sequence(&mut number, tags::CONTENT_SEQUENCE, vec![source]);
    number
}

fn parameters(answered: &Answered) -> String {
    let found = &answered.found;
    let modules: Vec<_> =
        found.modules.iter().map(|module| format!("{} x {}", module.weight, module.id)).collect();
    let notes: String = answered.notes.iter().map(|note| format!("; {note}")).collect();
    format!(
        "bundle {}, signed by {}; modules {}{notes}",
        found.bundle,
        found.signers.join(", "),
        modules.join(", ")
    )
}

fn item(relationship: Option<&str>, kind: &str, name: Option<Code>) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    if let Some(relationship) = relationship {
        item.put_str(tags::RELATIONSHIP_TYPE, VR::CS, relationship);
    }
    item.put_str(tags::VALUE_TYPE, VR::CS, kind);
    if let Some(name) = name {
        sequence(&mut item, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name)]);
    }
    item
}

fn container(relationship: Option<&str>, name: Code) -> InMemDicomObject {
    let mut container = item(relationship, "CONTAINER", Some(name));
    container.put_str(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
    container
}

fn words(relationship: &str, name: Code, text: &str) -> InMemDicomObject {
    let mut item = item(Some(relationship), "TEXT", Some(name));
    item.put_str(tags::TEXT_VALUE, VR::UT, text);
    item
}

fn identifier(relationship: &str, name: Code, uid: &str) -> InMemDicomObject {
    let mut item = item(Some(relationship), "UIDREF", Some(name));
    item.put_str(tags::UID, VR::UI, uid);
    item
}

fn coded(relationship: &str, name: Code, value: Code) -> InMemDicomObject {
    let mut item = item(Some(relationship), "CODE", Some(name));
    sequence(&mut item, tags::CONCEPT_CODE_SEQUENCE, vec![code(value)]);
    item
}
