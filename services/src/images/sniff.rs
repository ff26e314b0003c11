//! What kind of picture a file is, by its content alone. Names and declared types are claims of the client.

use imagesize::{ImageError, ImageType};

use super::model::Format;

/// Most bytes of the head of a file that are looked at. JPEGs can have large blocks of metadata before the
/// frame that tells their size.
pub const MAX_HEAD: usize = 256 * 1024;
/// Fewest bytes from which a format can be told.
const MIN_HEAD: usize = 12;
/// Largest width and height in pixels.
const MAX_SIDE: usize = 20_000;

/// A recognised picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its format.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// What the first bytes of a file tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A picture of known size.
    Picture(Picture),
    /// Could become one; more bytes are needed.
    NeedMore,
    /// No picture that is accepted, and why.
    No(&'static str),
}

/// Looks at the first bytes of a file. `complete`: there are no more.
pub fn sniff(head: &[u8], complete: bool) -> Sniffed {
    const UNKNOWN: Sniffed = Sniffed::No("The file is not a PNG, JPEG, GIF or WebP picture");
    const BROKEN: Sniffed = Sniffed::No("The picture's size cannot be read, the file seems to be damaged");
    if head.len() < MIN_HEAD {
        return if complete { UNKNOWN } else { Sniffed::NeedMore };
    }
    let format = match imagesize::image_type(head) {
        Ok(ImageType::Png) => Format::Png,
        Ok(ImageType::Jpeg) => Format::Jpeg,
        Ok(ImageType::Gif) => Format::Gif,
        Ok(ImageType::Webp) => Format::Webp,
        _ => return UNKNOWN,
    };
    match imagesize::blob_size(head) {
        Ok(size) if size.width == 0 || size.height == 0 => BROKEN,
        Ok(size) if size.width > MAX_SIDE || size.height > MAX_SIDE => {
            Sniffed::No("The picture is larger than 20000 pixels a side")
        }
        Ok(size) => {
            let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
            Sniffed::Picture(Picture { format, width: side(size.width), height: side(size.height) })
        }
        // The size comes later in the file.
        Err(ImageError::IoError(_)) if !complete && head.len() < MAX_HEAD => Sniffed::NeedMore,
        Err(_) => BROKEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a PNG of this size; its pixels are not looked at.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    /// A JPEG whose size follows `metadata` bytes of application data.
    fn jpeg(metadata: usize) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        let mut left = metadata;
        while left > 0 {
            let length = left.min(60_000);
            bytes.extend([0xff, 0xe1]);
            bytes.extend(((length + 2) as u16).to_be_bytes());
            bytes.extend(std::iter::repeat_n(0x11, length));
            left -= length;
        }
        bytes.extend([0xff, 0xc0, 0, 17, 8, 0, 30, 0, 40, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
        bytes
    }

    fn picture(format: Format, width: u32, height: u32) -> Sniffed {
        Sniffed::Picture(Picture { format, width, height })
    }

    #[test]
    fn pictures() {
        assert_eq!(sniff(&png(40, 30), true), picture(Format::Png, 40, 30));
        assert_eq!(sniff(&jpeg(0), true), picture(Format::Jpeg, 40, 30));
        assert_eq!(sniff(&jpeg(150_000), true), picture(Format::Jpeg, 40, 30));
        assert_eq!(sniff(b"GIF89a\x28\0\x1e\0\0\0\0", true), picture(Format::Gif, 40, 30));
        let webp = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x27\0\0\x1d\0\0";
        assert_eq!(sniff(webp, true), picture(Format::Webp, 40, 30));
    }

    #[test]
    fn heads_that_need_more() {
        assert_eq!(sniff(&png(40, 30)[..11], false), Sniffed::NeedMore);
        assert_eq!(sniff(&png(40, 30)[..18], false), Sniffed::NeedMore);
        assert_eq!(sniff(&jpeg(150_000)[..100_000], false), Sniffed::NeedMore);
    }

    #[test]
    fn not_pictures() {
        let no = |head: &[u8]| assert!(matches!(sniff(head, true), Sniffed::No(_)), "{head:?}");
        no(b"");
        no(b"just a text that is called cat.png");
        no(b"<svg xmlns='http://www.w3.org/2000/svg'/>");
        no(b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0");
        no(&png(0, 30));
        no(&png(40, 1 << 30));
        no(&png(40, 30)[..18]);
        no(&jpeg(150_000)[..100_000]);
        no(&[0xff; 64]);
    }

    #[test]
    fn metadata_without_end_is_given_up() {
        let endless = &jpeg(400_000)[..MAX_HEAD];
        assert!(matches!(sniff(endless, false), Sniffed::No(_)));
    }
}
