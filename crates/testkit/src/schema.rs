//! JSON against the schemas of an OpenAPI document: with no field more or less than it gives.

use serde_json::Value;

/// What of a value does not fit a schema of this document.
///
/// # Errors
/// The first thing that does not.
///
/// # Panics
/// When the schema itself cannot be read.
pub fn misfit(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#')).ok_or(reference)?;
        return misfit(document, found, value);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let fits = choices.iter().any(|schema| misfit(document, schema, value).is_ok());
            return if fits { Ok(()) } else { Err(format!("{value} is none of {schema}")) };
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().try_for_each(|schema| misfit(document, schema, value));
    }
    if let Some(values) = schema["enum"].as_array() {
        return if values.contains(value) { Ok(()) } else { Err(format!("{value} is not in {schema}")) };
    }
    let is_of = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("a type that is not of JSON: {other}"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is_of(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind.as_str().expect("a text"))),
        // It says nothing.
        _ => true,
    };
    if !fits {
        return Err(format!("{value} is not of {schema}"));
    }
    match value {
        Value::Array(items) if !schema["items"].is_null() => {
            items.iter().try_for_each(|item| misfit(document, &schema["items"], item))
        }
        Value::Object(fields) => misfit_of_object(document, schema, fields),
        _ => Ok(()),
    }
}

fn misfit_of_object(
    document: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
) -> Result<(), String> {
    let Some(properties) = schema["properties"].as_object() else {
        let more = &schema["additionalProperties"];
        return if more.is_object() {
            fields.values().try_for_each(|value| misfit(document, more, value))
        } else {
            Ok(())
        };
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(required.as_str().expect("a text")) {
            return Err(format!("{required} is missing in {fields:?}"));
        }
    }
    for (name, value) in fields {
        let property = properties.get(name).ok_or(format!("{name} is not in the document: {fields:?}"))?;
        misfit(document, property, value).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    Ok(())
}
