//! Coded concepts, identifiers, and what results take over from their image.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use medforge_runtime::bundle::sha256_hex;

use crate::Result;
use crate::answered::Answered;

/// Value, coding scheme, meaning.
pub type Code<'a> = (&'a str, &'a str, &'a str);

/// The scheme of codes that no table gave (PS3.3, 8.2: private ones begin with 99).
pub const PRIVATE: &str = "99MEDFORGE";

/// A private code, 16 characters, for a class of a task: `kind` and the first 15 hex digits of the
/// SHA-256 of task, NUL and class. It is the same in every bundle and report. Every other task or
/// class has another one, however alike their names begin.
pub fn private(kind: char, task: &str, class: &str) -> String {
    format!("{kind}{}", &sha256_hex(format!("{task}\0{class}").as_bytes())[..15])
}

/// The item of a code sequence.
pub fn code((value, scheme, meaning): Code) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    item.put_str(tags::CODE_VALUE, VR::SH, value);
    item.put_str(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme);
    item.put_str(tags::CODE_MEANING, VR::LO, meaning);
    item
}

/// A sequence of items.
pub fn sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// An unsigned number.
pub fn number(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// The text of an element of the image, empty where there is none.
pub fn text(answered: &Answered, tag: Tag) -> String {
    let element = answered.object.element(tag).ok();
    let text = element
        .and_then(|element| element.to_str().ok())
        .map(|text| text.trim_end_matches(['\0', ' ']).to_owned());
    text.unwrap_or_default()
}

/// A unique identifier that follows from `parts`: the same for the same ones.
pub fn uid(parts: &[&str]) -> String {
    let digest = sha256_hex(parts.join(" ").as_bytes());
    let bits = u128::from_str_radix(&digest[..32], 16).unwrap_or_default();
    // A UUID of version 8 (RFC 9562, 5.8) as a number (PS3.5, B.2).
    format!("2.25.{}", bits & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
}

/// Patient, study and equipment of a result of this kind. Its identifiers follow from image and
/// device.
pub fn beginning(answered: &Answered, class: &str, kind: &str) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let device = answered.found.device_uid();
    let (image, study) =
        (text(answered, tags::SOP_INSTANCE_UID), text(answered, tags::STUDY_INSTANCE_UID));
    object.put_str(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    let taken = [
        (tags::PATIENT_NAME, VR::PN),
        (tags::PATIENT_ID, VR::LO),
        (tags::PATIENT_BIRTH_DATE, VR::DA),
        (tags::PATIENT_SEX, VR::CS),
        (tags::STUDY_INSTANCE_UID, VR::UI),
        (tags::STUDY_DATE, VR::DA),
        (tags::STUDY_TIME, VR::TM),
        (tags::STUDY_ID, VR::SH),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
        (tags::ACCESSION_NUMBER, VR::SH),
    ];
    for (tag, vr) in taken {
        object.put_str(tag, vr, text(answered, tag));
    }
    object.put_str(tags::SOP_CLASS_UID, VR::UI, class);
    object.put_str(tags::SOP_INSTANCE_UID, VR::UI, uid(&[&image, &device, kind]));
    object.put_str(tags::SERIES_INSTANCE_UID, VR::UI, uid(&[&study, &device, kind]));
    object.put_str(tags::SERIES_NUMBER, VR::IS, "9000");
    object.put_str(tags::INSTANCE_NUMBER, VR::IS, "1");
    object.put_str(tags::SERIES_DESCRIPTION, VR::LO, "MedForge, research only");
    let now = jiff::Timestamp::now().strftime("%Y%m%d %H%M%S").to_string();
    let (date, time) = now.split_once(' ').unwrap_or_default();
    object.put_str(tags::CONTENT_DATE, VR::DA, date);
    object.put_str(tags::CONTENT_TIME, VR::TM, time);
    object.put_str(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0000");
    equipment(&mut object, answered);
    let mut contributing = InMemDicomObject::new_empty();
    equipment(&mut contributing, answered);
    sequence(
        &mut contributing,
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        vec![code(("109102", "DCM", "Processing Equipment"))],
    );
    contributing.put_str(tags::CONTRIBUTION_DESCRIPTION, VR::ST, "Classified the image");
    sequence(&mut object, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, vec![contributing]);
    object
}

/// The bundle and composition as a device.
fn equipment(object: &mut InMemDicomObject, answered: &Answered) {
    object.put_str(tags::MANUFACTURER, VR::LO, "The MedForge developers");
    object.put_str(tags::MANUFACTURER_MODEL_NAME, VR::LO, "MedForge");
    object.put_str(tags::DEVICE_SERIAL_NUMBER, VR::LO, &answered.found.composition[..32]);
    object.put_str(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
    object.put_str(tags::DEVICE_UID, VR::UI, answered.found.device_uid());
}

/// The image, as results refer to it.
pub fn reference(answered: &Answered) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    item.put_str(tags::REFERENCED_SOP_CLASS_UID, VR::UI, text(answered, tags::SOP_CLASS_UID));
    item.put_str(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, text(answered, tags::SOP_INSTANCE_UID));
    item
}

/// The object as a Part 10 file.
pub fn part10(object: InMemDicomObject) -> Result<Vec<u8>> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut file = Vec::new();
    object.with_meta(meta)?.write_all(&mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digits are `printf 'breast\0invasive ductal carcinoma' | sha256sum`.
    #[test]
    fn classes_whose_names_begin_alike_have_codes_of_their_own() {
        let invasive = private('C', "breast", "invasive ductal carcinoma");
        assert_eq!(invasive, "C609b120d6534540");
        let others = [
            private('C', "breast", "invasive ductal carcinoma in situ"),
            private('C', "lung", "invasive ductal carcinoma"),
            private('P', "breast", "invasive ductal carcinoma"),
        ];
        assert!(others.iter().all(|other| *other != invasive && other.len() == 16), "{others:?}");
    }
}
