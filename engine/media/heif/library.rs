//! libheif's C interface, opened at run time. Besides shared memory the one
//! place in `media` with unsafe code.
//!
//! In:  the bytes of a HEIF file.
//! Out: safe handles on the file, its primary picture and the decoded pixels, each released
//! when it is dropped.
//!
//! Declared is what versions from 1.12 on share (`heif.h` of libheif, ABI 1). Handles borrow
//! what they were made from, so none can outlive it. The library is never closed.
//!
//! Decoding runs in the calling thread, but for what a codec starts for itself.

#![expect(unsafe_code, reason = "libheif offers a C interface only")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Where it is looked for, in this order.
#[cfg(target_os = "macos")]
const NAMES: [&str; 3] =
    ["libheif.1.dylib", "/opt/homebrew/lib/libheif.1.dylib", "/usr/local/lib/libheif.1.dylib"];
#[cfg(not(target_os = "macos"))]
const NAMES: [&str; 1] = ["libheif.so.1"];

/// Why libheif gave nothing.
#[derive(Debug)]
pub(super) enum Problem {
    /// The file is fine, this libheif cannot do it.
    Unsupported,
    /// It asks for more than it may.
    TooCostly(String),
    /// The bytes make no sense.
    Damaged(String),
}

/// What most functions return. `message` is a text of the library's own.
#[repr(C)]
struct Answer {
    code: c_int,
    subcode: c_int,
    message: *const c_char,
}

/// The beginning of `heif_color_profile_nclx`; the library allocates it whole.
#[repr(C)]
struct Codes {
    version: u8,
    primaries: c_int,
    transfer: c_int,
}

#[repr(C)]
struct RawContext {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawHandle {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawImage {
    _opaque: [u8; 0],
}

/// Declares the functions once, for the table and for opening it.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        struct Functions { $($field: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)* }

        impl Functions {
            fn find(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the types are those of `heif.h`, ABI 1, which the file's name
                    // promises; the functions stay valid because the library is never closed.
                    $($field: unsafe { *library.get($name)? },)*
                })
            }
        }
    };
}

functions! {
    version = b"heif_get_version": fn() -> *const c_char;
    context_alloc = b"heif_context_alloc": fn() -> *mut RawContext;
    context_free = b"heif_context_free": fn(*mut RawContext);
    set_size_limit = b"heif_context_set_maximum_image_size_limit": fn(*mut RawContext, c_int);
    read = b"heif_context_read_from_memory_without_copy": fn(*mut RawContext, *const c_void, usize, *const c_void) -> Answer;
    primary = b"heif_context_get_primary_image_handle": fn(*mut RawContext, *mut *mut RawHandle) -> Answer;
    handle_release = b"heif_image_handle_release": fn(*const RawHandle);
    handle_width = b"heif_image_handle_get_width": fn(*const RawHandle) -> c_int;
    handle_height = b"heif_image_handle_get_height": fn(*const RawHandle) -> c_int;
    handle_bits = b"heif_image_handle_get_luma_bits_per_pixel": fn(*const RawHandle) -> c_int;
    handle_has_alpha = b"heif_image_handle_has_alpha_channel": fn(*const RawHandle) -> c_int;
    profile_size = b"heif_image_handle_get_raw_color_profile_size": fn(*const RawHandle) -> usize;
    profile = b"heif_image_handle_get_raw_color_profile": fn(*const RawHandle, *mut c_void) -> Answer;
    codes = b"heif_image_handle_get_nclx_color_profile": fn(*const RawHandle, *mut *mut Codes) -> Answer;
    codes_free = b"heif_nclx_color_profile_free": fn(*mut Codes);
    metadata_ids = b"heif_image_handle_get_list_of_metadata_block_IDs": fn(*const RawHandle, *const c_char, *mut u32, c_int) -> c_int;
    metadata_size = b"heif_image_handle_get_metadata_size": fn(*const RawHandle, u32) -> usize;
    metadata = b"heif_image_handle_get_metadata": fn(*const RawHandle, u32, *mut c_void) -> Answer;
    decode = b"heif_decode_image": fn(*const RawHandle, *mut *mut RawImage, c_int, c_int, *const c_void) -> Answer;
    image_release = b"heif_image_release": fn(*const RawImage);
    image_width = b"heif_image_get_width": fn(*const RawImage, c_int) -> c_int;
    image_height = b"heif_image_get_height": fn(*const RawImage, c_int) -> c_int;
    image_plane = b"heif_image_get_plane_readonly": fn(*const RawImage, c_int, *mut c_int) -> *const u8;
}

const COLORSPACE_RGB: c_int = 1;
const CHROMA_RGB: c_int = 10;
const CHROMA_RGBA: c_int = 11;
const CHANNEL_INTERLEAVED: c_int = 10;
/// Larger EXIF blocks are ignored.
const EXIF_BYTES_MAX: usize = 4 * 1024 * 1024;

/// libheif, open.
pub(super) struct Library {
    functions: Functions,
    /// The side of a square of the most pixels that a picture may have.
    side_px_max: c_int,
    set_threads: Option<unsafe extern "C" fn(*mut RawContext, c_int)>,
}

impl Library {
    /// Opens and initialises it, or says why it cannot be used.
    pub(super) fn open(pixels_max: u64) -> Result<Self, String> {
        let mut why = String::new();
        for name in NAMES {
            // SAFETY: opening runs the library's initialisers; it is the system's own libheif,
            // whose initialisers register its codecs and nothing else.
            match unsafe { libloading::Library::new(name) } {
                Ok(library) => return Self::of(library, pixels_max),
                Err(_not_here) => why = format!("there is no `{name}`"),
            }
        }
        Err(why)
    }

    fn of(library: libloading::Library, pixels_max: u64) -> Result<Self, String> {
        // Never closed: its codecs may leave threads and handlers behind.
        let library = Box::leak(Box::new(library));
        let functions = Functions::find(library)
            .map_err(|error| format!("the one here is too old ({error})"))?;
        // SAFETY: as in `Functions::find`. Both came with 1.13; older ones do without.
        let (init, set_threads) = unsafe {
            (
                library.get::<unsafe extern "C" fn(*mut c_void) -> Answer>(b"heif_init"),
                library.get::<unsafe extern "C" fn(*mut RawContext, c_int)>(
                    b"heif_context_set_max_decoding_threads",
                ),
            )
        };
        if let Ok(init) = init {
            // SAFETY: no parameters means the default ones.
            unsafe { init(ptr::null_mut()) };
        }
        Ok(Self {
            functions,
            side_px_max: c_int::try_from(pixels_max.isqrt()).unwrap_or(c_int::MAX),
            set_threads: set_threads.ok().map(|symbol| *symbol),
        })
    }

    /// Such as `1.15.1`.
    pub(super) fn version(&self) -> String {
        // SAFETY: the library gives a text of its own that ends with a zero.
        unsafe { text((self.functions.version)()) }
    }

    /// Reads the structure of a file; pixels are not touched.
    pub(super) fn read<'a>(&'a self, bytes: &'a [u8]) -> Result<Context<'a>, Problem> {
        // SAFETY: takes nothing, gives null or a context that is ours to free.
        let raw = NonNull::new(unsafe { (self.functions.context_alloc)() })
            .ok_or_else(|| Problem::TooCostly("memory that is not there".to_owned()))?;
        let context = Context { library: self, raw, bytes: PhantomData };
        // SAFETY: `raw` is the context above. The bytes stay where they are for `'a`, which
        // the context and all that is made from it cannot outlive.
        let answer = unsafe {
            (self.functions.set_size_limit)(raw.as_ptr(), self.side_px_max);
            if let Some(set_threads) = self.set_threads {
                // 0: tiles are decoded in the calling thread.
                set_threads(raw.as_ptr(), 0);
            }
            (self.functions.read)(raw.as_ptr(), bytes.as_ptr().cast(), bytes.len(), ptr::null())
        };
        check(&answer)?;
        Ok(context)
    }
}

/// An open file.
pub(super) struct Context<'a> {
    library: &'a Library,
    raw: NonNull<RawContext>,
    bytes: PhantomData<&'a [u8]>,
}

impl Context<'_> {
    /// The picture that the file is about.
    pub(super) fn primary(&self) -> Result<Picture<'_>, Problem> {
        let mut raw = ptr::null_mut();
        // SAFETY: the context is alive; the handle that is written is ours to release.
        let answer = unsafe { (self.library.functions.primary)(self.raw.as_ptr(), &raw mut raw) };
        check(&answer)?;
        let raw = NonNull::new(raw).ok_or_else(no_picture)?;
        Ok(Picture { functions: &self.library.functions, raw })
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: freed once, here; handles borrow the context and are gone.
        unsafe { (self.library.functions.context_free)(self.raw.as_ptr()) };
    }
}

/// One picture of a file, not decoded yet.
pub(super) struct Picture<'a> {
    functions: &'a Functions,
    raw: NonNull<RawHandle>,
}

impl Picture<'_> {
    /// Width and height, upright.
    pub(super) fn size(&self) -> (u32, u32) {
        let raw = self.raw.as_ptr();
        // SAFETY: the handle is alive.
        let (width, height) =
            unsafe { ((self.functions.handle_width)(raw), (self.functions.handle_height)(raw)) };
        (side(width), side(height))
    }

    /// Bits a sample; 8 when it does not say.
    pub(super) fn bits(&self) -> u8 {
        // SAFETY: the handle is alive.
        u8::try_from(unsafe { (self.functions.handle_bits)(self.raw.as_ptr()) }).unwrap_or(8)
    }

    /// Decodes and turns upright; 8 bits a sample.
    pub(super) fn decode(&self) -> Result<Pixels<'_>, Problem> {
        // SAFETY: the handle is alive.
        let has_alpha = unsafe { (self.functions.handle_has_alpha)(self.raw.as_ptr()) } != 0;
        let (chroma, channels) = if has_alpha { (CHROMA_RGBA, 4) } else { (CHROMA_RGB, 3) };
        let mut raw = ptr::null_mut();
        // SAFETY: the handle is alive; no options means the default ones; the image that is
        // written is ours to release.
        let answer = unsafe {
            (self.functions.decode)(
                self.raw.as_ptr(),
                &raw mut raw,
                COLORSPACE_RGB,
                chroma,
                ptr::null(),
            )
        };
        check(&answer)?;
        let raw = NonNull::new(raw).ok_or_else(no_picture)?;
        let image = Image { functions: self.functions, raw };
        let mut stride = 0;
        // SAFETY: the image is alive.
        let (width, height, plane) = unsafe {
            (
                (self.functions.image_width)(raw.as_ptr(), CHANNEL_INTERLEAVED),
                (self.functions.image_height)(raw.as_ptr(), CHANNEL_INTERLEAVED),
                (self.functions.image_plane)(raw.as_ptr(), CHANNEL_INTERLEAVED, &raw mut stride),
            )
        };
        let (width_px, height_px) = (side(width), side(height));
        let row_bytes = width_px as usize * channels;
        let stride = usize::try_from(stride).unwrap_or(0);
        let plane = NonNull::new(plane.cast_mut()).ok_or_else(no_picture)?;
        if row_bytes == 0 || height_px == 0 || stride < row_bytes {
            return Err(no_picture());
        }
        Ok(Pixels { _image: image, plane, stride, width_px, height_px, channels })
    }

    /// The ICC profile, when there is one of at most `bytes_max`.
    pub(super) fn profile(&self, bytes_max: usize) -> Option<Vec<u8>> {
        // SAFETY: the handle is alive.
        let length = unsafe { (self.functions.profile_size)(self.raw.as_ptr()) };
        if !(1..=bytes_max).contains(&length) {
            return None;
        }
        let mut profile = vec![0_u8; length];
        // SAFETY: the handle is alive and `profile` has the length it asked for.
        let answer =
            unsafe { (self.functions.profile)(self.raw.as_ptr(), profile.as_mut_ptr().cast()) };
        (answer.code == 0).then_some(profile)
    }

    /// Primaries and transfer as ITU-T H.273 numbers them, when the file says.
    pub(super) fn codes(&self) -> Option<(u8, u8)> {
        let mut raw: *mut Codes = ptr::null_mut();
        // SAFETY: the handle is alive; what is written is null or ours to free.
        let answer = unsafe { (self.functions.codes)(self.raw.as_ptr(), &raw mut raw) };
        let found = NonNull::new(raw).filter(|_| answer.code == 0)?;
        // SAFETY: all versions of the structure begin with these fields.
        let codes = unsafe {
            let codes = found.as_ref();
            (codes.primaries, codes.transfer)
        };
        // SAFETY: freed once, not used any more.
        unsafe { (self.functions.codes_free)(found.as_ptr()) };
        Some((u8::try_from(codes.0).ok()?, u8::try_from(codes.1).ok()?))
    }

    /// The first EXIF block, with the four bytes that HEIF puts in front.
    pub(super) fn exif(&self) -> Option<Vec<u8>> {
        let mut id = 0;
        let raw = self.raw.as_ptr();
        // SAFETY: the handle is alive; there is room for the one number that is asked for.
        let count = unsafe { (self.functions.metadata_ids)(raw, c"Exif".as_ptr(), &raw mut id, 1) };
        if count < 1 {
            return None;
        }
        // SAFETY: the handle is alive and the number is one of its own.
        let length = unsafe { (self.functions.metadata_size)(raw, id) };
        if !(1..=EXIF_BYTES_MAX).contains(&length) {
            return None;
        }
        let mut block = vec![0_u8; length];
        // SAFETY: as above, and `block` has the length that was asked for.
        let answer = unsafe { (self.functions.metadata)(raw, id, block.as_mut_ptr().cast()) };
        (answer.code == 0).then_some(block)
    }
}

impl Drop for Picture<'_> {
    fn drop(&mut self) {
        // SAFETY: released once, here; pixels borrow the picture and are gone.
        unsafe { (self.functions.handle_release)(self.raw.as_ptr()) };
    }
}

/// A decoded image, to be released.
struct Image<'a> {
    functions: &'a Functions,
    raw: NonNull<RawImage>,
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // SAFETY: released once, here.
        unsafe { (self.functions.image_release)(self.raw.as_ptr()) };
    }
}

/// Decoded pixels: rows of red, green, blue, and opacity where there is any.
pub(super) struct Pixels<'a> {
    /// Owns what `plane` points to.
    _image: Image<'a>,
    plane: NonNull<u8>,
    stride: usize,
    width_px: u32,
    height_px: u32,
    channels: usize,
}

impl Pixels<'_> {
    /// Width and height, each at least 1.
    pub(super) const fn size(&self) -> (u32, u32) {
        (self.width_px, self.height_px)
    }

    /// 3, or 4 with opacity.
    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    /// All rows, top first.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let row_bytes = self.width_px as usize * self.channels;
        (0..self.height_px as usize).map(move |row| {
            // SAFETY: the plane has `height_px` rows of `stride` bytes, `decode` has made sure
            // that a row of pixels fits into one, and it lives as long as `self._image`.
            unsafe {
                std::slice::from_raw_parts(self.plane.as_ptr().add(row * self.stride), row_bytes)
            }
        })
    }
}

fn side(side_px: c_int) -> u32 {
    u32::try_from(side_px).unwrap_or(0)
}

fn no_picture() -> Problem {
    Problem::Damaged("it has no pixels".to_owned())
}

fn check(answer: &Answer) -> Result<(), Problem> {
    // `heif_error_code` and `heif_suberror_code` of `heif.h`.
    const UNSUPPORTED_FILE: c_int = 3;
    const UNSUPPORTED_FEATURE: c_int = 4;
    const OUT_OF_MEMORY: c_int = 6;
    const PLUGIN_LOADING: c_int = 11;
    const OVER_A_LIMIT: c_int = 1000;
    if answer.code == 0 {
        return Ok(());
    }
    // SAFETY: a failed call comes with a text of the library's own that ends with a zero.
    let what = unsafe { text(answer.message) };
    Err(match (answer.code, answer.subcode) {
        (OUT_OF_MEMORY, _) | (_, OVER_A_LIMIT) => Problem::TooCostly(what),
        (UNSUPPORTED_FILE | UNSUPPORTED_FEATURE | PLUGIN_LOADING, _) => Problem::Unsupported,
        _ => Problem::Damaged(what),
    })
}

/// A text of the library's own, on one line.
///
/// # Safety
/// `raw` is null or points to bytes that end with a zero and stay for the call.
unsafe fn text(raw: *const c_char) -> String {
    if raw.is_null() {
        return "it gave no reason".to_owned();
    }
    // SAFETY: as promised by the caller.
    let text = unsafe { CStr::from_ptr(raw) }.to_string_lossy();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
