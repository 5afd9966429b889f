//! What a card says about probabilities, task by task.

use medforge_runtime::bundle::manifest::{Calibration, Head};

use super::plain::plain;
use crate::lora::Module;

/// Whether the probabilities of a task can be believed, and when it gives no answer.
pub(super) fn sentence(head: &Head, modules: &[Module]) -> String {
    let task = plain(&head.task);
    match &head.calibration {
        None => {
            let card = modules.iter().map(|module| &module.card).find(|c| c.task == head.task);
            let why = card.and_then(|card| card.uncalibrated.as_deref());
            let why = why.map_or(String::new(), |why| format!(" ({})", plain(why)));
            format!(
                "\nProbabilities of {task} are not calibrated{why}, and nothing tells images that \
                 it does not know."
            )
        }
        Some(c) => calibrated(&task, c),
    }
}

fn calibrated(task: &str, c: &Calibration) -> String {
    let unsure = if c.least_probability > 0.0 {
        format!(", nor where no class has a probability of {}", c.least_probability)
    } else {
        String::new()
    };
    let how = if c.temperature == 1.0 {
        "are as the module gives them: no temperature was shown to help on held-out images"
            .to_owned()
    } else {
        format!("are calibrated at temperature {:.3}, fitted on held-out images", c.temperature)
    };
    format!(
        "\nProbabilities of {task} {how} (expected calibration error {:.3} on the {} held-out \
         images). No answer is given for images with an out-of-distribution score above \
         {:.3}{unsure}.",
        c.error, c.n, c.threshold
    )
}
