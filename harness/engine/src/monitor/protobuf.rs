//! The protobuf wire format, as far as remote read needs it (prompb `ReadRequest` and `ReadResponse`): two small messages, so
//! no code generator. Reading never panics and never allocates more than the input is long.

use harness_event::{LabelMatcher, Labels, MatchOp, Timestamp};

/// Bytes that are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends in the middle of a value.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A varint longer than 64 bits.
    #[error("a varint is longer than 64 bits")]
    Overlong,
    /// A field number of zero, or a wire type that is not in use.
    #[error("a field has an invalid key")]
    Key,
    /// A known field with another wire type than in the schema.
    #[error("a field has the wrong wire type")]
    WireType,
    /// No result for the query, which is something else than a result without series.
    #[error("the answer has no result for the query")]
    NoResult,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
}

/// One time series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawSeries {
    /// All labels, `__name__` too.
    pub labels: Labels,
    /// Samples as stored, stale markers included.
    pub samples: Vec<RawSample>,
}

/// One stored sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawSample {
    /// Time.
    pub at: Timestamp,
    /// Value. Compare stale markers by [`f64::to_bits`].
    pub value: f64,
}

/// The bits of Prometheus' stale marker; an ordinary NaN is 0x7ff8000000000001.
pub const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

impl RawSample {
    /// Is this the marker that a series ended?
    pub fn is_stale_marker(&self) -> bool {
        self.value.to_bits() == STALE_MARKER
    }
}

/// A `ReadRequest` with one query for samples.
pub fn read_request(from: Timestamp, to: Timestamp, matchers: &[LabelMatcher]) -> Vec<u8> {
    let mut query = Vec::new();
    put_varint_field(&mut query, 1, from.0 as u64);
    put_varint_field(&mut query, 2, to.0 as u64);
    for matcher in matchers {
        let kind = match matcher.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        };
        let mut message = Vec::new();
        put_varint_field(&mut message, 1, kind);
        put_bytes_field(&mut message, 2, matcher.name.as_bytes());
        put_bytes_field(&mut message, 3, matcher.value.as_bytes());
        put_bytes_field(&mut query, 3, &message);
    }
    let mut request = Vec::new();
    put_bytes_field(&mut request, 1, &query);
    request
}

/// The series of a `ReadResponse`, all of its results together.
///
/// # Errors
/// If the bytes are not such a message.
pub fn read_response(bytes: &[u8]) -> Result<Vec<RawSeries>, WireError> {
    let mut all = None;
    for result in messages(bytes, 1) {
        let all = all.get_or_insert_with(Vec::new);
        for series in messages(result?, 1) {
            all.push(read_series(series?)?);
        }
    }
    all.ok_or(WireError::NoResult)
}

fn read_series(bytes: &[u8]) -> Result<RawSeries, WireError> {
    let mut series = RawSeries::default();
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(label)) => {
                let (mut name, mut value) = (String::new(), String::new());
                for field in Fields(label) {
                    match field? {
                        (1, Value::Bytes(text)) => name = utf8(text)?,
                        (2, Value::Bytes(text)) => value = utf8(text)?,
                        (1 | 2, _) => return Err(WireError::WireType),
                        _ => {}
                    }
                }
                series.labels.insert(name, value);
            }
            (2, Value::Bytes(sample)) => {
                let (mut value, mut at) = (0.0, 0);
                for field in Fields(sample) {
                    match field? {
                        (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
                        (2, Value::Varint(ms)) => at = ms as i64,
                        (1 | 2, _) => return Err(WireError::WireType),
                        _ => {}
                    }
                }
                series.samples.push(RawSample { at: Timestamp(at), value });
            }
            (1 | 2, _) => return Err(WireError::WireType),
            _ => {}
        }
    }
    Ok(series)
}

fn utf8(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Utf8)
}

/// The length-delimited fields with this number.
fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields(bytes).filter_map(move |field| match field {
        Ok((found, Value::Bytes(message))) if found == number => Some(Ok(message)),
        Ok((found, _)) if found == number => Some(Err(WireError::WireType)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message, in order. Ends after the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next_field(&mut self) -> Result<(u64, Value<'a>), WireError> {
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 {
            return Err(WireError::Key);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| WireError::Truncated)?;
                Value::Fixed64(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            _ => return Err(WireError::Key),
        };
        Ok((number, value))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for (index, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for the one bit that is left.
            if index > 9 || (index == 9 && bits > 1) {
                return Err(WireError::Overlong);
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(WireError::Truncated)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_varint_field(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

fn put_bytes_field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Vectors of the protobuf encoding guide.
    #[test]
    fn varints_are_written_and_read() {
        for (value, bytes) in [
            (0_u64, &[0][..]),
            (1, &[1]),
            (150, &[0x96, 1]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(Fields(bytes).varint(), Ok(value));
        }
        assert_eq!(Fields(&[0xff; 11]).varint(), Err(WireError::Overlong));
        assert_eq!(Fields(&[0x80]).varint(), Err(WireError::Truncated));
    }

    #[test]
    fn a_request_has_the_bytes_of_the_schema() {
        let request = read_request(Timestamp(1), Timestamp(150), &[LabelMatcher::equal("a", "b")]);
        assert_eq!(
            request,
            [0x0a, 15, 0x08, 1, 0x10, 0x96, 1, 0x1a, 8, 0x08, 0, 0x12, 1, b'a', 0x1a, 1, b'b']
        );
    }

    fn response(series: &[RawSeries]) -> Vec<u8> {
        let mut result = Vec::new();
        for one in series {
            let mut message = Vec::new();
            for (name, value) in &one.labels {
                let mut label = Vec::new();
                put_bytes_field(&mut label, 1, name.as_bytes());
                put_bytes_field(&mut label, 2, value.as_bytes());
                put_bytes_field(&mut message, 1, &label);
            }
            for one in &one.samples {
                let mut sample = vec![1 << 3 | 1];
                sample.extend(one.value.to_bits().to_le_bytes());
                put_varint_field(&mut sample, 2, one.at.0 as u64);
                put_bytes_field(&mut message, 2, &sample);
            }
            put_bytes_field(&mut result, 1, &message);
        }
        let mut out = Vec::new();
        put_bytes_field(&mut out, 1, &result);
        out
    }

    #[test]
    fn stale_markers_survive_and_other_nans_are_none() {
        let sample = |at, bits| RawSample { at: Timestamp(at), value: f64::from_bits(bits) };
        let samples =
            vec![sample(-5, 1.0_f64.to_bits()), sample(7, STALE_MARKER), sample(8, 0x7ff8_0000_0000_0001)];
        let bytes = response(&[RawSeries { labels: Labels::from([("a".into(), "b".into())]), samples }]);
        let read = read_response(&bytes).unwrap();
        assert_eq!(read[0].labels["a"], "b");
        assert_eq!(
            read[0].samples.iter().map(|s| (s.at.0, s.is_stale_marker())).collect::<Vec<_>>(),
            [(-5, false), (7, true), (8, false)]
        );
    }

    #[test]
    fn a_wrong_wire_type_is_an_error() {
        assert_eq!(read_response(&[0x0a, 0]), Ok(vec![]), "no series");
        assert_eq!(read_response(&[]), Err(WireError::NoResult));
        assert_eq!(read_response(&[0x08, 1]), Err(WireError::WireType));
        assert_eq!(read_response(&[0x0b]), Err(WireError::Key), "groups are not in use");
        assert_eq!(read_response(&[0x02, 0]), Err(WireError::Key), "field number zero");
        assert_eq!(
            read_response(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(WireError::Truncated)
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = read_response(&bytes);
        }

        #[test]
        fn cut_messages_are_errors_or_shorter(cut in 0_usize..200) {
            let samples = (0..8).map(|at| RawSample { at: Timestamp(at * 1000), value: 1.0 }).collect();
            let whole = vec![RawSeries { labels: Labels::from([("alertname".into(), "A".into())]), samples }];
            let bytes = response(&whole);
            prop_assert_eq!(read_response(&bytes).unwrap(), whole);
            if cut > 0 && cut < bytes.len() {
                prop_assert!(read_response(&bytes[..cut]).is_err());
            }
        }
    }
}
