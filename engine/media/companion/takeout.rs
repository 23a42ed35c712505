//! Reads what Google Takeout says of a photo, or of the album that a folder is.
//!
//! In:  the bytes of a JSON file. Out: title, description, when it was taken.
//!
//! Any program may leave a JSON file in a folder, so it has to look like Google's. Where
//! it was taken and who is on it stand there too and are not read.

use serde::Deserialize;

use super::InspectError;
use super::bytes::tidy;
use crate::base::clock::Timestamp;
use crate::media::extras::Words;

/// What Google says of a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Takeout {
    /// The photo's name when Google got it, often that of its file.
    pub(super) title: String,
    pub(super) taken_at: Option<Timestamp>,
    pub(super) words: Words,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Photo {
    title: String,
    #[serde(default)]
    description: String,
    photo_taken_time: Option<Moment>,
    creation_time: Option<Moment>,
    #[serde(default)]
    favorited: bool,
}

#[derive(Deserialize)]
struct Moment {
    /// Seconds since 1970, as text.
    timestamp: String,
}

#[derive(Deserialize)]
struct AlbumFile {
    title: Option<String>,
    // Older exports have all of it one level deeper.
    #[serde(rename = "albumData")]
    album_data: Option<Titled>,
}

#[derive(Deserialize)]
struct Titled {
    title: Option<String>,
}

/// Reads what Google says of a photo.
pub(super) fn photo(bytes: &[u8]) -> Result<Takeout, InspectError> {
    let other = |_| InspectError::OtherContent { wanted: "what Google Takeout says of a photo" };
    let photo: Photo = serde_json::from_slice(bytes).map_err(other)?;
    let moment = photo.photo_taken_time.or(photo.creation_time);
    let Some(moment) = moment else {
        return Err(InspectError::OtherContent { wanted: "what Google Takeout says of a photo" });
    };
    let taken_at = moment.timestamp.parse().ok().and_then(|seconds: i64| seconds.checked_mul(1000));
    Ok(Takeout {
        title: photo.title,
        taken_at: taken_at.map(Timestamp),
        words: Words {
            description: tidy(&photo.description),
            // A star of Google's is the best there is.
            rating: photo.favorited.then_some(5),
            ..Words::default()
        },
    })
}

/// The title of the album, from the JSON that Google Takeout puts into its folder.
pub fn album_title(bytes: &[u8]) -> Option<String> {
    let album: AlbumFile = serde_json::from_slice(bytes).ok()?;
    let title = album.title.or_else(|| album.album_data.and_then(|album| album.title))?;
    tidy(&title)
}
