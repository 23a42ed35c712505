//! What a file of a collection is, judged by its name alone.

use std::fmt;
use std::str::FromStr;

/// What a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A picture.
    Photo,
    /// Something that travels with a photo: a recording, a film, metadata.
    Companion,
    /// Orders that a camera or kiosk wrote beside the photos: DPOF.
    Marks,
}

impl FileKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Photo, Self::Companion, Self::Marks];

    /// The word that the index keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Companion => "companion",
            Self::Marks => "marks",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FileKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no kind of file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for kind in FileKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("film".parse::<FileKind>().is_err());
    }
}
