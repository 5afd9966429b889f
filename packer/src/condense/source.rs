//! What is condensed. Refused: a class of one image, images of one colour, and with a privacy
//! budget whatever would read patients a second time.

use crate::Error;
use crate::base::Vit;
use crate::data::{Images, Labels, Start};
use crate::lora::Module;

use super::privacy::{Budget, enough_groups};
use super::settings::{CondenseSettings, Target};

/// What is condensed.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub vit: &'a Vit,
    /// Class names, in the order of the images' labels.
    pub classes: &'a [String],
    pub images: &'a Images,
    pub module: Option<&'a Module>,
}

impl Source<'_> {
    /// Refuses what cannot be condensed or must not be read.
    pub(super) fn check(
        &self,
        settings: &CondenseSettings,
        budget: Option<Budget>,
    ) -> Result<(), Error> {
        self.check_classes()?;
        if settings.labels == Labels::Soft && self.module.is_none() {
            let what = "soft labels are a module's probabilities; name a module".into();
            return Err(Error::Condense { what });
        }
        match budget {
            Some(budget) => self.check_budget(settings, budget),
            None => Ok(()),
        }
    }

    fn check_classes(&self) -> Result<(), Error> {
        let images = self.images;
        let refuse = |what: String| Err(Error::Condense { what });
        for (class, name) in self.classes.iter().enumerate() {
            let of_class: Vec<usize> =
                (0..images.len()).filter(|&i| images.labels()[i] == class).collect();
            if of_class.len() < 2 {
                return refuse(format!(
                    "class {name} has {} image in the training part: its condensed image would be \
                     a copy of it; add images",
                    of_class.len()
                ));
            }
            let flat =
                |&i: &usize| images.pixels(i).chunks_exact(3).all(|p| p == &images.pixels(i)[..3]);
            if of_class.iter().all(flat) {
                return refuse(format!(
                    "every image of class {name} is of one colour; there is nothing to match"
                ));
            }
        }
        Ok(())
    }

    /// Patients are read once only, and there are enough of them.
    fn check_budget(&self, settings: &CondenseSettings, budget: Budget) -> Result<(), Error> {
        let images = self.images;
        let members = images.labels().iter().copied().zip(images.groups().iter().copied());
        enough_groups(members, self.classes, budget)?;
        let second = [
            (
                self.module.is_some(),
                "a module has seen the same patients and carries no accounting of its own; leave \
                 the module away",
            ),
            (
                settings.start == Start::Real,
                "a start from real images shows them; start from noise",
            ),
            (
                settings.target == Target::Cluster,
                "clusters are found by reading every image; take the classes as targets",
            ),
            (
                settings.ridge > 0.0,
                "the ridge classifier reads every image at each iteration; take a ridge of 0",
            ),
        ];
        match second.iter().find(|(asked, _)| *asked) {
            Some((_, why)) => Err(Error::Condense {
                what: format!("under a privacy budget patients are read once: {why}"),
            }),
            None => Ok(()),
        }
    }
}
