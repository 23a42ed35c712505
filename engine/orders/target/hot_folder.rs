//! Folders that a lab's software watches: photos, and a file that says what to print of them.
//!
//! In:  a parcel. Out: folders as one lab's controller wants them ([`Spec::dialect`]), each handed
//! over by one rename, or by a sentinel file that is put there last.
//!
//! What differs from lab to lab is data (`hot_folder/dialects/`), which an owner can change in the
//! provider's file. Originals go as they are, byte for byte, and are checked against their digest
//! on the way.
//!
//! A folder cannot be asked much: some controllers rename it when they are done, some take it
//! away, and of some nothing is known. What is said of an order is what can be seen, and no more.

mod dialect;
mod layout;
mod template;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::dialect::{Dialect, Follow};
use super::handover::{Record, Tray};
use super::{Carries, Files, Progress, Search, Setback, Taken, Target};
use crate::base::clock::Timestamp;
use crate::orders::parcel::Parcel;
use crate::store::OrderState;

/// What a hot folder can carry.
pub const CARRIES: Carries = Carries {
    batches: true,
    bytes: true,
    crop: false,
    companions: false,
    address: false,
    contact: false,
    progress: true,
    cancels: false,
};

/// A folder that was not taken is looked at again after a quarter of its age, within these bounds.
const LOOK_AGAIN_S: (i64, i64) = (5, 3600);

/// What has to be known of a hot folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The folder that the lab's software watches; absolute.
    pub folder: PathBuf,
    /// How its folders are written: `dpof`, `noritsu`, `epson`, `fuji` or `names`.
    pub dialect: String,
    /// Where folders are put together, on the same filesystem; absent: `.signet` in `folder`. For
    /// software that would look into that too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<PathBuf>,
    /// A file or folder that is in `folder` when it is the right one, and not the empty place of a
    /// share that is not mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landmark: Option<String>,
    /// What of the dialect is otherwise at this lab.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub change: BTreeMap<String, serde_json::Value>,
}

impl Spec {
    /// Whether it makes sense; the folder itself may be missing today.
    ///
    /// # Errors
    /// In words, with the cure.
    pub fn check(&self) -> Result<(), String> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Dialect, String> {
        Tray::check(&self.folder, self.desk.as_deref())?;
        Dialect::read(&self.dialect, &self.change)
    }
}

/// A folder that a lab's software watches.
pub struct HotFolder {
    folder: PathBuf,
    tray: Tray,
    /// Or why there is none.
    dialect: Result<Dialect, String>,
}

impl HotFolder {
    /// The folder that `spec` describes.
    pub fn new(spec: &Spec) -> Self {
        Self {
            folder: spec.folder.clone(),
            tray: Tray::new(&spec.folder, spec.desk.as_deref(), spec.landmark.as_deref()),
            dialect: spec.read(),
        }
    }

    fn dialect(&self) -> Result<&Dialect, Setback> {
        self.dialect.as_ref().map_err(|why| {
            Setback::not_taken(format!("{why}: mend the provider's file and agree to it again"))
        })
    }

    fn taken(&self, parcel: &Parcel, record: &Record) -> Result<Taken, Setback> {
        let mut progress = self.progress(&parcel.parcel_key, record)?;
        let left_out = parcel.lines.iter().map(|line| line.members.len().saturating_sub(1));
        let left_out: usize = left_out.sum();
        if left_out > 0 {
            progress.note.push_str(&format!(
                "; a hot folder carries no companions, {left_out} stayed at home"
            ));
        }
        Ok(Taken { remote: parcel.parcel_key.clone(), progress })
    }

    /// What can be seen of folders that were handed over.
    fn progress(&self, key: &str, record: &Record) -> Result<Progress, Setback> {
        let dialect = self.dialect()?;
        let place = record.places.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let shown = self.folder.join(place);
        let shown = shown.display();
        if dialect.follow == Follow::Nothing {
            return Ok(over(format!("it lies in `{shown}`; this way tells nothing more")));
        }
        // What lies in another piece, a sentinel, shares its fate.
        let is_inside = |place: &Path| {
            record.places.iter().any(|other| place != other && place.starts_with(other))
        };
        let (mut waiting, mut finished, mut gone) = (0_usize, 0_usize, 0_usize);
        for top in record.places.iter().filter(|place| !is_inside(place)) {
            let mut pieces = record.places.iter().filter(|place| place.starts_with(top));
            if dialect.renamed_place(top).is_some_and(|place| self.tray.holds(&place)) {
                finished += 1;
            } else if pieces.all(|place| self.tray.holds(place)) {
                waiting += 1;
            } else {
                gone += 1;
            }
        }
        Ok(match (waiting, finished, gone) {
            (0, _, 0) => over("the lab's controller is done with it".into()),
            (0, ..) => over("the lab's controller took it; this way tells nothing more".into()),
            (_, 0, 0) => self.under_way(
                key,
                OrderState::Accepted,
                format!("`{shown}` waits for the lab's controller"),
            ),
            (waiting, ..) => {
                let note = format!("the lab's controller is at it, {waiting} of its folders wait");
                self.under_way(key, OrderState::Production, note)
            }
        })
    }

    fn under_way(&self, key: &str, state: OrderState, note: String) -> Progress {
        let (least, most) = LOOK_AGAIN_S;
        let wait_s = (self.tray.age_s(key, Timestamp::now()) / 4).clamp(least, most);
        Progress { state, note, look_again_s: Some(wait_s) }
    }
}

/// As far as this way can tell, it is over.
fn over(note: String) -> Progress {
    Progress { state: OrderState::Done, note, look_again_s: None }
}

impl Target for HotFolder {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let dialect = self.dialect()?;
        let pieces = || layout::pieces(dialect, parcel);
        let record = self.tray.hand_over(&parcel.parcel_key, pieces, files)?;
        self.taken(parcel, &record)
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        self.tray.ready().map_err(Setback::unknown)?;
        if let Some(record) = self.tray.settle(&parcel.parcel_key)? {
            return Ok(Search::Found(self.taken(parcel, &record)?));
        }
        // Without a record nothing of ours is there, unless somebody removed the record.
        let dialect = self.dialect()?;
        let pieces = layout::pieces(dialect, parcel)?;
        let record = Record { places: pieces.into_iter().map(|piece| piece.place).collect() };
        let lies_there = |place: &PathBuf| {
            let renamed = dialect.renamed_place(place);
            self.tray.holds(place) || renamed.is_some_and(|place| self.tray.holds(&place))
        };
        Ok(match record.places.iter().any(lies_there) {
            true => Search::Found(self.taken(parcel, &record)?),
            false => Search::SendAgain,
        })
    }

    fn follow(&self, parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        self.tray.ready().map_err(Setback::away)?;
        match self.tray.record(parcel_key)? {
            Some(record) => self.progress(parcel_key, &record),
            None => Ok(over("what was handed over is not on record any more; ask the lab".into())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
