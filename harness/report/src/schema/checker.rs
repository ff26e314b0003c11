//! As much of JSON Schema 2020-12 as the published schemas use. A keyword that it does not know is an error, so that it never passes
//! what it did not check.

use serde_json::{Map, Value};

/// Says what is wrong with a value, and where.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    Checker { root: schema }.value(schema, value, "")
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at}: nothing is allowed here")),
            Value::Object(schema) => schema,
            other => return Err(format!("{at}: no schema: {other}")),
        };
        for (keyword, rule) in schema {
            self.keyword(keyword, rule, schema, value, at)?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "default" => Ok(()),
            "format" => match rule.as_str() {
                Some("date-time")
                    if value.as_str().is_some_and(|text| harness_event::Timestamp::parse(text).is_none()) =>
                {
                    wrong("no RFC 3339 time")
                }
                Some(
                    "date-time" | "double" | "int32" | "int64" | "uint" | "uint8" | "uint16" | "uint32"
                    | "uint64",
                ) => Ok(()),
                other => Err(format!("unknown format {other:?}")),
            },
            "$ref" => {
                let pointer =
                    rule.as_str().and_then(|text| text.strip_prefix('#')).ok_or("no local reference")?;
                let target = self.root.pointer(pointer).ok_or_else(|| format!("{rule} is not there"))?;
                self.value(target, value, at)
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if types.iter().any(|one| has_type(value, one.as_str().unwrap_or_default())) {
                    Ok(())
                } else {
                    wrong("wrong type")
                }
            }
            "const" if value == rule => Ok(()),
            "const" => wrong("another value is wanted"),
            "enum" if rule.as_array().is_some_and(|all| all.contains(value)) => Ok(()),
            "enum" => wrong("not one of the values"),
            "minimum" => {
                if value.as_f64() < rule.as_f64() && value.is_number() {
                    wrong("too small")
                } else {
                    Ok(())
                }
            }
            "maximum" => {
                if value.as_f64() > rule.as_f64() && value.is_number() {
                    wrong("too large")
                } else {
                    Ok(())
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|all| Some(all.len() as u64) < rule.as_u64()) {
                    wrong("too few")
                } else {
                    Ok(())
                }
            }
            "maxItems" => {
                if value.as_array().is_some_and(|all| Some(all.len() as u64) > rule.as_u64()) {
                    wrong("too many")
                } else {
                    Ok(())
                }
            }
            "required" => {
                let Some(object) = value.as_object() else { return Ok(()) };
                let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                match names.into_iter().find(|name| !object.contains_key(*name)) {
                    Some(name) => Err(format!("{at}: {name} is missing")),
                    None => Ok(()),
                }
            }
            "properties" => {
                let rules = rule.as_object().ok_or("properties")?;
                let known = rules.iter().filter_map(|(name, rule)| Some((name, rule, value.get(name)?)));
                known
                    .into_iter()
                    .try_for_each(|(name, rule, value)| self.value(rule, value, &format!("{at}/{name}")))
            }
            "additionalProperties" => {
                let known = |name: &str| schema.get("properties").is_some_and(|all| all.get(name).is_some());
                let others = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
                others
                    .into_iter()
                    .try_for_each(|(name, value)| self.value(rule, value, &format!("{at}/{name}")))
            }
            "items" => {
                let first = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                let items = value.as_array().into_iter().flatten().enumerate().skip(first);
                items
                    .into_iter()
                    .try_for_each(|(index, value)| self.value(rule, value, &format!("{at}/{index}")))
            }
            "prefixItems" => {
                let rules = rule.as_array().ok_or("prefixItems")?;
                let items = value.as_array().into_iter().flatten().zip(rules).enumerate();
                items
                    .into_iter()
                    .try_for_each(|(index, (value, rule))| self.value(rule, value, &format!("{at}/{index}")))
            }
            "oneOf" | "anyOf" => {
                let results: Vec<_> =
                    rule.as_array().into_iter().flatten().map(|rule| self.value(rule, value, at)).collect();
                let good = results.iter().filter(|result| result.is_ok()).count();
                match (good, keyword) {
                    (1, _) => Ok(()),
                    // The one that fits best says most.
                    (0, _) => {
                        let errors = results.into_iter().filter_map(Result::err);
                        let deepest = errors.max_by_key(|error| error.split(':').next().map(str::len));
                        Err(deepest.unwrap_or_else(|| format!("{at}: none fits: {value}")))
                    }
                    (_, "anyOf") => Ok(()),
                    (count, _) => Err(format!("{at}: {count} fit where one may: {value}")),
                }
            }
            "allOf" => rule.as_array().into_iter().flatten().try_for_each(|rule| self.value(rule, value, at)),
            other => Err(format!("unknown keyword {other:?}")),
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
