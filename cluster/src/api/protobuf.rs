//! Request bodies in Kubernetes' protobuf encoding, which `kubectl create` and others send without being asked.
//!
//! Answers are always JSON, which every client accepts. The messages below are those of `generated.proto` as far as the
//! `kubectl create` commands fill them; a field outside of them is refused by its number, never dropped.

mod messages;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use self::messages::message;
use super::status::ApiError;

/// Marks protobuf in Kubernetes' envelope.
const MAGIC: &[u8] = b"k8s\0";

/// How a field is encoded and what it becomes in JSON.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A string; empty means absent, as Go's encoder writes those too.
    Text,
    /// A number; 0 means absent.
    Number,
    /// A number behind a pointer: 0 is a value.
    Pointer,
    /// A boolean; false means absent.
    Flag,
    /// A boolean behind a pointer.
    FlagPointer,
    /// Bytes, base64 in JSON.
    Bytes,
    /// A message; an empty one means absent.
    Message(&'static Message),
    /// `map<string, string>`
    TextMap,
    /// `map<string, bytes>`
    BytesMap,
    /// `repeated string`
    Texts,
    /// `repeated` message
    Messages(&'static Message),
    /// Seconds and nanoseconds.
    Time,
    /// Number or name.
    IntOrString,
    /// A quantity: a message with its text.
    Quantity,
    /// Only set by the server: skipped, as it would be overwritten.
    Ignored,
}

/// Fields of a message: number, name, kind.
type Message = [(u64, &'static str, Kind)];

/// Decodes a body of the wanted kind to its JSON form, with `kind` and `apiVersion`.
pub fn decode(body: &[u8], wanted: &str) -> Result<Value, ApiError> {
    let broken =
        || ApiError::bad_request(format!("the protobuf body is not a {wanted}: it is cut off or malformed"));
    let envelope = body.strip_prefix(MAGIC).ok_or_else(ApiError::unsupported_body)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Fields(envelope) {
        match field.ok_or_else(broken)? {
            (1, Wire::Bytes(type_meta)) => {
                for field in Fields(type_meta) {
                    match field.ok_or_else(broken)? {
                        (1, Wire::Bytes(text)) => api_version = String::from_utf8_lossy(text).into_owned(),
                        (2, Wire::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let fields = message(&api_version, &kind).ok_or_else(|| ApiError::unsupported_protobuf(&kind))?;
    let mut object = match decode_message(raw, fields) {
        Ok(object) => object,
        Err(Refused::Malformed) => return Err(broken()),
        Err(Refused::Unknown(number)) => {
            return Err(ApiError::bad_request(format!(
                "the protobuf body has field number {number}, which this server does not decode in a {kind}: send JSON \
                 (kubectl create -f, kubectl apply)"
            )));
        }
    };
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

enum Refused {
    Malformed,
    Unknown(u64),
}

fn decode_message(bytes: &[u8], fields: &Message) -> Result<Map<String, Value>, Refused> {
    let mut object = Map::new();
    for field in Fields(bytes) {
        let (number, wire) = field.ok_or(Refused::Malformed)?;
        let Some((_, name, kind)) = fields.iter().find(|(known, _, _)| *known == number) else {
            // What Go writes for an absent value says nothing, whatever the field is.
            match wire {
                Wire::Number(0) | Wire::Bytes([]) => continue,
                _ => return Err(Refused::Unknown(number)),
            }
        };
        let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
        let value = match (kind, wire) {
            (Kind::Ignored, _) => continue,
            (Kind::Text, Wire::Bytes([])) | (Kind::Number | Kind::Flag, Wire::Number(0)) => continue,
            (Kind::Text, Wire::Bytes(bytes)) => text(bytes),
            (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
            (Kind::Number | Kind::Pointer, Wire::Number(number)) => {
                Value::Number(Number::from(number.cast_signed()))
            }
            (Kind::Flag | Kind::FlagPointer, Wire::Number(number)) => Value::Bool(number != 0),
            (Kind::Message(fields), Wire::Bytes(bytes)) => {
                let inner = decode_message(bytes, fields)?;
                if inner.is_empty() {
                    continue;
                }
                Value::Object(inner)
            }
            (Kind::Time, Wire::Bytes(bytes)) => match time(bytes)? {
                Some(time) => time,
                None => continue,
            },
            (Kind::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
            (Kind::Quantity, Wire::Bytes(bytes)) => {
                match decode_message(bytes, &[(1, "string", Kind::Text)])?.remove("string") {
                    Some(text) => text,
                    None => continue,
                }
            }
            (Kind::Texts, Wire::Bytes(bytes)) => {
                push(&mut object, name, text(bytes));
                continue;
            }
            (Kind::Messages(fields), Wire::Bytes(bytes)) => {
                push(&mut object, name, Value::Object(decode_message(bytes, fields)?));
                continue;
            }
            (Kind::TextMap | Kind::BytesMap, Wire::Bytes(bytes)) => {
                let kind = if matches!(kind, Kind::TextMap) { Kind::Text } else { Kind::Bytes };
                let entry = decode_message(bytes, &[(1, "key", Kind::Text), (2, "value", kind)])?;
                let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
                let value = entry.get("value").cloned().unwrap_or_else(|| "".into());
                if let Value::Object(map) = object.entry(*name).or_insert_with(|| Value::Object(Map::new())) {
                    map.insert(key, value);
                }
                continue;
            }
            _ => return Err(Refused::Malformed),
        };
        object.insert((*name).to_owned(), value);
    }
    Ok(object)
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        list.push(value);
    }
}

/// A time; none for Go's zero time, which is an empty message.
fn time(bytes: &[u8]) -> Result<Option<Value>, Refused> {
    let (mut seconds, mut any) = (0, false);
    for field in Fields(bytes) {
        if let (1, Wire::Number(number)) = field.ok_or(Refused::Malformed)? {
            seconds = number.cast_signed();
            any = number != 0;
        }
    }
    if !any {
        return Ok(None);
    }
    Timestamp::from_second(seconds).map(|time| Some(time.to_string().into())).map_err(|_| Refused::Malformed)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Refused> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for field in Fields(bytes) {
        match field.ok_or(Refused::Malformed)? {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// A value on the wire. Kubernetes' messages use no other forms.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Fields of a message in their order; `None` where the bytes are malformed, and then no more.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, wire))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(base64: &str) -> Result<Value, ApiError> {
        decode(&STANDARD.decode(base64).unwrap(), "object")
    }

    // The bodies were recorded from kubectl 1.32.
    #[test]
    fn what_kubectl_create_sends_is_decoded() {
        let deployment = decoded(
            "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EqsBChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQSfggBEgoKCAoDYXBwEgFkGmYKGgoAEgAaACIA\
             KgAyADgAQgBaCAoDYXBwEgFkEkgSKgoDa2l0Eg9sb2NhbGhvc3Qva2l0OjEqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCa\
             AQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA==",
        );
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"app": "d"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "kit", "image": "localhost/kit:1"}]}}},
        });
        assert_eq!(deployment.unwrap(), expected);

        let service = decoded(
            "azhzAAoNCgJ2MRIHU2VydmljZRJpCh8KA3N2YxIAGgAiACoAMgA4AEIAWgoKA2FwcBIDc3ZjEkIKGwoHODAtODA4MBIDVENQGFAiBwgAEJA/GgAoABIK\
             CgNhcHASA3N2YxoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA==",
        );
        let expected = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc", "labels": {"app": "svc"}},
            "spec": {"type": "ClusterIP", "selector": {"app": "svc"}, "ports": [
                {"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}]},
        });
        assert_eq!(service.unwrap(), expected);

        let secret = decoded("azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=");
        let expected =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Yg=="}});
        assert_eq!(secret.unwrap(), expected);

        let namespace = decoded("azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhsKEwoDcGJ4EgAaACIAKgAyADgAQgASABoCCgAaACIA");
        assert_eq!(
            namespace.unwrap(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pbx"}})
        );
    }

    #[test]
    fn autoscalers_and_disruption_budgets_are_decoded() {
        let target = json!({"kind": "Deployment", "name": "base", "apiVersion": "apps/v1"});
        let first = decoded(
            "azhzAAopCg5hdXRvc2NhbGluZy92MRIXSG9yaXpvbnRhbFBvZEF1dG9zY2FsZXISPgoRCgFoEgAaACIAKgAyADgAQgASIwobCgpEZXBsb3ltZW50EgRi\
             YXNlGgdhcHBzL3YxEAEYAyAyGgQYACAAGgAiAA==",
        );
        let expected = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50});
        assert_eq!(first.unwrap()["spec"], expected);

        let second = decoded(
            "azhzAAopCg5hdXRvc2NhbGluZy92MhIXSG9yaXpvbnRhbFBvZEF1dG9zY2FsZXISYAoRCgFoEgAaACIAKgAyADgAQgASRQobCgpEZXBsb3ltZW50EgRi\
             YXNlGgdhcHBzL3YxEAEYAyIiCghSZXNvdXJjZSIWCgNjcHUSDwoLVXRpbGl6YXRpb24gMhoEGAAgABoAIgA=",
        );
        let expected = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [{
            "type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]});
        assert_eq!(second.unwrap()["spec"], expected);

        let budget = decoded(
            "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNQoRCgFwEgAaACIAKgAyADgAQgASFAoGCAAQARoAEgoKCAoDYXBwEgFkGgoIABgA\
             IAAoADAAGgAiAA==",
        );
        let expected = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "d"}}});
        assert_eq!(budget.unwrap()["spec"], expected);
    }

    #[test]
    fn what_is_not_decoded_is_refused_by_name() {
        let quota =
            "azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRIkChEKAXESABoAIgAqADIAOABCABINCgsKBHBvZHMSAwoBORoAGgAiAA==";
        assert!(decoded(quota).unwrap_err().to_string().contains("ResourceQuota"));
        // Field 9 of a ConfigMap does not exist.
        let body = [MAGIC, b"\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x03\x4a\x01x"].concat();
        assert!(decode(&body, "ConfigMap").unwrap_err().to_string().contains("field number 9"));
        assert!(decode(b"k8s\0\x12\x7f", "ConfigMap").is_err());
    }
}
