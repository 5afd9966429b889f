//! One contributor's module for one task, in memory.

use std::collections::BTreeMap;

use super::{Factors, Head, ModuleCard};

/// One contributor's module for one task: low-rank factors on a base's sites, and a head.
#[derive(Clone, Debug)]
pub struct Module {
    pub rank: usize,
    pub alpha: f64,
    /// By site (`blocks.3.attn.q`). Empty if only the head was trained.
    pub sites: BTreeMap<String, Factors>,
    pub head: Head,
    pub card: ModuleCard,
}

impl Module {
    /// The factor of B * A: alpha / rank.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The module without its calibration, for others to merge.
    pub fn uncalibrated(&self) -> Module {
        let (head, card) = (
            self.head.clone().uncalibrated(),
            ModuleCard { calibration: None, ..self.card.clone() },
        );
        Module { head, card, ..self.clone() }
    }

    /// `module.json` alone.
    pub fn card_file(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.card).expect("a card is plain data");
        bytes.push(b'\n');
        bytes
    }
}
