//! `signet icons`: lists the icon set, adds to it, writes it as files, as a sheet to print, or
//! onto a photo.

use std::fs;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use serde::Serialize;

use super::{CommandError, Context, Outcome, failed, icons_add, icons_sheet, icons_stamp, output};
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::detection::IconSet;

/// Side of exported pictures.
const EXPORT_PX: u32 = 1024;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Names and meanings of the icons
    List,
    /// Make an icon of a drawing of yours and find it from now on
    Add(icons_add::Add),
    /// Take away an icon that was added
    Remove(icons_add::Remove),
    /// Each icon's nearest neighbour: how well the set can be told apart
    Check,
    /// Write every icon as NAME.png (1024 px, transparent outside) and NAME.svg
    Export {
        /// Folder to write into; it is made when missing
        folder: PathBuf,
    },
    /// Write a PDF with cards and stickers to print and cut out
    Sheet(icons_sheet::Sheet),
    /// Draw icons onto a copy of a photo
    Stamp(icons_stamp::Stamp),
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    meaning: &'a str,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    if let Command::Remove(remove) = &args.command {
        // Also when the set cannot be used because of that very icon.
        return icons_add::remove(remove, context);
    }
    let home = Home::at(&context.home);
    let set = IconSet::of_home(&home.icons_dir()).map_err(failed)?;
    match &args.command {
        Command::Add(add) => return icons_add::add(add, context),
        Command::Remove(_) => {}
        Command::Check => return icons_add::check(&set, context),
        Command::List => list(&set, context),
        Command::Export { folder } => export(&set, folder, context)?,
        Command::Sheet(sheet) => icons_sheet::run(sheet, &set, context)?,
        Command::Stamp(stamp) => icons_stamp::run(stamp, &set, context)?,
    }
    Ok(Outcome::Done)
}

fn list(set: &IconSet, context: &Context) {
    let widest = set.icons().iter().map(|icon| icon.name().len()).max().unwrap_or(0);
    for icon in set.icons() {
        if context.json {
            output::json(&Listed { name: icon.name(), meaning: icon.meaning() });
        } else {
            output::line(format_args!("{:widest$}  {}", icon.name(), icon.meaning()));
        }
    }
}

fn export(set: &IconSet, folder: &Path, context: &Context) -> Result<(), CommandError> {
    let trouble = |path: &Path, error: &std::io::Error| {
        CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| trouble(folder, &error))?;
    for icon in set.icons() {
        let picture = icon.picture(EXPORT_PX).map_err(failed)?;
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&picture.rgba, EXPORT_PX, EXPORT_PX, ExtendedColorType::Rgba8)
            .map_err(failed)?;
        for (extension, bytes) in [("png", png.as_slice()), ("svg", icon.svg().as_bytes())] {
            let path = folder.join(format!("{}.{extension}", icon.name()));
            write_atomic(&path, bytes, Readers::Usual).map_err(|error| trouble(&path, &error))?;
        }
        if context.json {
            output::json(&Listed { name: icon.name(), meaning: icon.meaning() });
        }
    }
    if !context.json {
        output::line(format_args!(
            "wrote {} icons to {}, each as PNG and SVG",
            set.icons().len(),
            folder.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { home: PathBuf::new(), json: false, yes: false }
    }

    #[test]
    fn export_writes_each_icon_as_png_with_clear_corners_and_as_svg() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = IconSet::house().expect("the built-in icons");
        export(&set, &folder.path().join("new/icons"), &context()).expect("export");
        for icon in set.icons() {
            let path = folder.path().join("new/icons").join(icon.name());
            let png = fs::read(path.with_extension("png")).expect("a PNG");
            let picture = image::load_from_memory_with_format(&png, image::ImageFormat::Png)
                .expect("a picture")
                .into_rgba8();
            assert_eq!(picture.dimensions(), (EXPORT_PX, EXPORT_PX));
            assert_eq!(picture.get_pixel(0, 0).0[3], 0);
            assert_eq!(picture.get_pixel(512, 20).0, [255; 4]);
            assert_eq!(picture.get_pixel(512, 102).0, [0x14, 0x21, 0x3d, 255]);
            assert_eq!(fs::read_to_string(path.with_extension("svg")).expect("an SVG"), icon.svg());
        }
    }

    #[test]
    fn folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let set = IconSet::house().expect("the built-in icons");
        let error =
            export(&set, &file.path().join("icons"), &context()).expect_err("a file is no folder");
        assert!(error.to_string().contains("icons"), "{error}");
    }
}
