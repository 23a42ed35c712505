//! What travels with a photo, as far as the photo's own bytes say.
//!
//! Shapes only; `companion` fills them (`Extras::read`): parts of the file that are members
//! of their own, companions that it promises, what links it to files beside it.
//!
//! Knows nothing of disks: whether a promised companion is there is for others to find out.

use serde::{Deserialize, Serialize};

use crate::base::member::Member;

/// Keywords kept of one photo.
pub const KEYWORDS_MAX: usize = 200;

/// Characters kept of one keyword; IPTC ends at 64.
pub const KEYWORD_CHARS_MAX: usize = 100;

/// What a photo's bytes say of the data that travels with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Parts of the file itself that are members of their own, in file order.
    pub embedded: Vec<Embedded>,
    /// Companions that the file says exist, which may lie beside it.
    pub promised: Vec<Promise>,
    /// What a still and its clip share: Apple's content identifier (a UUID).
    pub content_id: Option<String>,
    /// What people wrote into it.
    #[serde(flatten)]
    pub words: Words,
}

/// What people wrote of a photo, in the file itself or in one beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// Keywords (IPTC and XMP), in their order, none twice.
    pub keywords: Vec<String>,
    /// Title or headline.
    pub title: Option<String>,
    /// Description or caption.
    pub description: Option<String>,
    /// Instructions that the photographer wrote for whoever handles the photo.
    pub instructions: Option<String>,
    /// Stars, 0 to 5; -1: rejected.
    pub rating: Option<i8>,
}

impl Words {
    /// Adds a keyword unless it is there, or there are [`KEYWORDS_MAX`] already. Of a longer
    /// one the first [`KEYWORD_CHARS_MAX`] characters are kept.
    pub fn add_keyword(&mut self, keyword: &str) {
        let keyword: String = keyword.chars().take(KEYWORD_CHARS_MAX).collect();
        if self.keywords.len() < KEYWORDS_MAX && !self.keywords.contains(&keyword) {
            self.keywords.push(keyword);
        }
    }

    /// Takes what is missing here from another place; keywords of both are kept.
    pub fn fill_from(&mut self, other: &Self) {
        for keyword in &other.keywords {
            self.add_keyword(keyword);
        }
        let fill = |mine: &mut Option<String>, theirs: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        };
        fill(&mut self.title, &other.title);
        fill(&mut self.description, &other.description);
        fill(&mut self.instructions, &other.instructions);
        self.rating = self.rating.or(other.rating);
    }
}

/// A part of the file that is a member of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedded {
    /// What it is.
    pub member: Member,
    /// Such as `video/mp4`.
    pub media_type: String,
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is; at least 1, and inside the file.
    pub bytes_count: u64,
    /// How it was found.
    pub evidence: Evidence,
}

/// A companion that the file says exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// What it is.
    pub member: Member,
    /// Name of the file beside the photo; absent when the file should hold it itself.
    pub name: Option<String>,
    /// What says so.
    pub evidence: Evidence,
}

/// How it is known that two things belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Same folder, same name but for the extension.
    Stem,
    /// Same number in a camera's folder.
    Number,
    /// The photo's Exif tag 0xA004 names the recording.
    SoundFile,
    /// The recording's `erel` chunk names the photo.
    RelatedImage,
    /// Apple's content identifier is the same in both.
    ContentId,
    /// The photo's XMP says so (motion photos, containers).
    Xmp,
    /// Samsung's trailer.
    Sef,
    /// A film begins behind the end of the picture.
    Ftyp,
    /// The multi-picture directory.
    Mpf,
    /// An atom of the file's own container, such as `mpvd`.
    Atom,
    /// The sidecar's name, or what it says in `photoshop:SidecarForExtension`.
    SidecarName,
    /// The name or title of Google's JSON.
    TakeoutName,
}
