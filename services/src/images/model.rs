//! What `images` says over HTTP, shared with its client in `api`, and the names of pictures.

use serde::{Deserialize, Serialize};

/// Picture formats that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// Graphics Interchange Format.
    Gif,
    /// WebP.
    Webp,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp];

    /// The format's name, also the extension of stored files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// Media type for `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

/// Name of a stored picture: 128 random bits in the form of a UUID, a dot, the format.
///
/// This is the only form that ever becomes a storage path, so that no name can point anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageId {
    text: String,
    format: Format,
}

impl ImageId {
    /// A new name.
    pub fn random(format: Format) -> Self {
        let hex = format!("{:032x}", rand::random::<u128>());
        let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Self { text: format!("{}.{}", groups.join("-"), format.name()), format }
    }

    /// Reads a name; `None` for everything that [`ImageId::random`] cannot have made.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, extension) = text.split_once('.')?;
        let format = Format::ALL.into_iter().find(|format| format.name() == extension)?;
        let well_formed = id.len() == 36
            && id.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
            });
        well_formed.then(|| Self { text: text.to_owned(), format })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The picture's format.
    pub fn format(&self) -> Format {
        self.format
    }
}

/// A stored picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredImage {
    /// Name of the picture.
    pub id: String,
    /// Its format.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Size in bytes.
    pub bytes: u64,
    /// When it was stored, RFC 3339 in UTC.
    pub uploaded_at: String,
}

/// Answer of `GET /owners/{owner}/images`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageList {
    /// The pictures, newest first.
    pub images: Vec<StoredImage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for format in Format::ALL {
            let id = ImageId::random(format);
            assert_eq!(ImageId::parse(id.as_str()), Some(id.clone()));
            assert_eq!(id.format(), format);
        }
        assert_ne!(ImageId::random(Format::Png), ImageId::random(Format::Png));
        let good = "01234567-89ab-cdef-0123-456789abcdef.png";
        assert!(ImageId::parse(good).is_some());
        for bad in [
            "",
            ".",
            "..",
            "../../etc/passwd",
            "..%2f..%2fetc%2fpasswd",
            "01234567-89ab-cdef-0123-456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef.svg",
            "01234567-89ab-cdef-0123-456789abcdef.png.png",
            "01234567-89AB-cdef-0123-456789abcdef.png",
            "0123456789abcdef0123456789abcdef0123.png",
            "01234567-89ab-cdef-0123-456789abcdeé.png",
            "01234567-89ab-cdef-0123-456789abcde\0.png",
            "/1234567-89ab-cdef-0123-456789abcdef.png",
        ] {
            assert_eq!(ImageId::parse(bad), None, "{bad:?}");
        }
    }
}
