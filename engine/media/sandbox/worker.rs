//! What a decode worker does: closes its jail, then decodes one photo after the other.

use std::io;
use std::os::fd::AsFd;

use rustix::time::{ClockId, clock_gettime};

use super::jail;
use super::line::Line;
use super::memory::{PixelsToBe, SeenBytes};
use super::protocol::{Answer, Failure, Found, Layer, Posture, Request, write};
use crate::media::{DecodeError, DecodeSpec, Decoded};

/// The two pieces of memory that a worker shares with the agent.
struct Desk {
    photo: SeenBytes,
    pixels: PixelsToBe,
}

/// Works until the agent closes the line, which is standard input.
///
/// - `prepare`: loads from disk what decoding needs and says what is there; behind it the jail
///   closes
/// - `decode`: usually [`crate::media::decode`]
///
/// # Errors
/// When the line breaks, or the agent says what makes no sense.
pub fn serve(
    prepare: impl FnOnce() -> Vec<Layer>,
    decode: impl Fn(&[u8], DecodeSpec) -> Result<Decoded, DecodeError>,
) -> io::Result<()> {
    let process = jail::leave_home();
    let libraries = prepare();
    let mut line = Line::new(io::stdin().as_fd().try_clone_to_owned()?);
    let posture = Posture { libraries, ..jail::close(process) };
    line.send(&posture, &[])?;
    let mut desk = None;
    let mut descriptors = Vec::new();
    loop {
        let request: Request = loop {
            if let Some(request) = line.message().map_err(io::Error::other)? {
                break request;
            }
            if !line.wait(&mut descriptors)? {
                return Ok(());
            }
        };
        if let Ok([photo, pixels]) = <[_; 2]>::try_from(std::mem::take(&mut descriptors)) {
            let photo = SeenBytes::map(&photo)?;
            desk = Some(Desk { photo, pixels: PixelsToBe::map(&pixels)? });
        }
        let desk = desk.as_mut().ok_or_else(|| io::Error::other("no memory was shared"))?;
        line.send(&answer(&request, desk, &decode)?, &[])?;
    }
}

fn answer(
    request: &Request,
    desk: &mut Desk,
    decode: impl Fn(&[u8], DecodeSpec) -> Result<Decoded, DecodeError>,
) -> io::Result<Answer> {
    let photo = desk.photo.get(request.bytes_count);
    let photo = photo.ok_or_else(|| io::Error::other("the photo is longer than its memory"))?;
    jail::allow_one_photo(desk.photo.bytes_count());
    let before = clock_gettime(ClockId::ProcessCPUTime);
    let result = match decode(photo, request.spec) {
        Ok(decoded) => {
            let (found, frame) = Found::of(decoded);
            put(frame.rgb(), &mut desk.pixels).map(|()| found)
        }
        Err(error) => Err(error.into()),
    };
    let after = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(after.tv_sec - before.tv_sec).unwrap_or(0);
    let nanoseconds = seconds.saturating_mul(1_000_000_000);
    let processor_us = nanoseconds.saturating_add_signed(after.tv_nsec - before.tv_nsec) / 1000;
    let answer = Answer { result, processor_us };
    if write(&answer).is_some() {
        return Ok(answer);
    }
    let needs = Failure::TooCostly("more room for its metadata".into());
    Ok(Answer { result: Err(needs), processor_us })
}

fn put(rgb: &[u8], pixels: &mut PixelsToBe) -> Result<(), Failure> {
    let needs = || Failure::TooCostly(format!("{} MiB for its pixels alone", rgb.len() >> 20));
    pixels.put(rgb).then_some(()).ok_or_else(needs)
}
