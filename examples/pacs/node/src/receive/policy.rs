//! Who may send, and what is agreed on with them.

use std::net::IpAddr;

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceUserReason, AssociationRJSource, AssociationRQ,
    PresentationContextProposed, PresentationContextResult, PresentationContextResultReason,
    UserVariableItem,
};
use dicom_ul::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use ipnet::IpNet;
use medforge_runtime::dicom::SYNTAXES;

use super::wire::LONGEST;

/// The classes of images that are taken.
const CLASSES: [&str; 12] = [
    uids::CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::VL_MICROSCOPIC_IMAGE_STORAGE,
    uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
    uids::VL_ENDOSCOPIC_IMAGE_STORAGE,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::VERIFICATION,
];

/// The application context of DICOM (PS3.7, A.2.1).
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Explicit VR big-endian, which is retired.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Who may send.
pub struct Policy {
    /// The application entity title of this node.
    pub title: String,
    /// Titles that may call; all, if there are none.
    pub calling: Vec<String>,
    /// Addresses that may connect; all, if there are none.
    pub allow: Vec<IpNet>,
}

/// A presentation context that was agreed on.
#[derive(Clone)]
pub struct Context {
    pub id: u8,
    pub class: String,
    pub syntax: String,
}

impl Policy {
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|block| block.contains(&address))
    }

    /// The answer to an association's request: an agreement with its contexts, or a rejection.
    pub fn answer(
        &self,
        asked: AssociationRQ,
    ) -> Result<(AssociationAC, Vec<Context>), AssociationRJ> {
        use AssociationRJServiceUserReason as Reason;
        let user = |reason| rejection(AssociationRJSource::ServiceUser(reason));
        if asked.protocol_version & 1 == 0 {
            let reason = AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported;
            return Err(rejection(AssociationRJSource::ServiceProviderASCE(reason)));
        }
        if trimmed(&asked.application_context_name) != APPLICATION_CONTEXT {
            return Err(user(Reason::ApplicationContextNameNotSupported));
        }
        if trimmed(&asked.called_ae_title) != self.title {
            return Err(user(Reason::CalledAETitleNotRecognized));
        }
        let calling = trimmed(&asked.calling_ae_title);
        if !self.calling.is_empty() && !self.calling.iter().any(|title| title == calling) {
            return Err(user(Reason::CallingAETitleNotRecognized));
        }
        // Identifiers are odd, so that there are at most 128, and none stands twice (PS3.8,
        // 9.3.2.2).
        let mut seen = [false; 256];
        for context in &asked.presentation_contexts {
            if context.id % 2 == 0 || std::mem::replace(&mut seen[usize::from(context.id)], true) {
                return Err(user(Reason::NoReasonGiven));
            }
        }
        let results: Vec<_> = asked.presentation_contexts.iter().map(result).collect();
        let both = results.iter().zip(&asked.presentation_contexts);
        let agreed =
            both.filter(|(result, _)| result.reason == PresentationContextResultReason::Acceptance);
        let contexts = agreed.map(|(result, proposed)| Context {
            id: result.id,
            class: trimmed(&proposed.abstract_syntax).to_owned(),
            syntax: result.transfer_syntax.clone(),
        });
        let contexts = contexts.collect();
        let agreement = AssociationAC {
            protocol_version: 1,
            calling_ae_title: asked.calling_ae_title,
            called_ae_title: asked.called_ae_title,
            application_context_name: APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: results,
            user_variables: vec![
                UserVariableItem::MaxLength(LONGEST),
                UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
                UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
            ],
        };
        Ok((agreement, contexts))
    }
}

fn rejection(source: AssociationRJSource) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source }
}

/// Of the sender's transfer syntaxes the first that is read. What cannot be read is not agreed on,
/// so that the sender knows at once.
fn result(proposed: &PresentationContextProposed) -> PresentationContextResult {
    use PresentationContextResultReason as Reason;
    let read = |syntax: &&str| SYNTAXES.contains(syntax) && *syntax != BIG_ENDIAN;
    let syntax = proposed.transfer_syntaxes.iter().map(|syntax| trimmed(syntax)).find(read);
    let reason = match syntax {
        _ if !CLASSES.contains(&trimmed(&proposed.abstract_syntax)) => {
            Reason::AbstractSyntaxNotSupported
        }
        None => Reason::TransferSyntaxesNotSupported,
        Some(_) => Reason::Acceptance,
    };
    let syntax = syntax.unwrap_or(uids::IMPLICIT_VR_LITTLE_ENDIAN);
    PresentationContextResult { id: proposed.id, reason, transfer_syntax: syntax.to_owned() }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(['\0', ' '])
}
