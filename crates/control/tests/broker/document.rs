//! The OpenAPI document against what is really answered: every GET, and every refusal, has the shape that the
//! document gives it, with no field more or less.

use serde_json::{Value, json};

use super::fixture::{TestBroker, embedded};

/// What does not fit a schema.
fn misfit(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
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
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind.as_str().unwrap())),
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
        if !fields.contains_key(required.as_str().unwrap()) {
            return Err(format!("{required} is missing in {fields:?}"));
        }
    }
    for (name, value) in fields {
        let property = properties.get(name).ok_or(format!("{name} is not in the document: {fields:?}"))?;
        misfit(document, property, value).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    Ok(())
}

/// A broker of which there is something to be told in every answer.
async fn full(folder: &tempfile::TempDir) -> TestBroker {
    let broker = TestBroker::start(&embedded(folder)).await;
    broker.register(8).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    broker.act("POST", "/api/v4/clusters/mydb/failover", json!({"shard": 0})).await;
    broker.act("POST", "/api/v3/clusters/meta/other", json!({"node_number": 4})).await;
    broker.act("PATCH", "/api/v3/clusters/nodes/other", json!({"node_number": 4})).await;
    broker.act("POST", "/api/v3/clusters/migrations/expand/other", Value::Null).await;
    broker.act("POST", "/api/v3/failures/127.0.3.8:5299/somebody", Value::Null).await;
    broker.act("POST", "/api/v3/proxies/failover/127.0.3.7:5299", Value::Null).await;
    broker
}

#[tokio::test]
async fn answers_have_the_shapes_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let broker = full(&folder).await;
    let document = broker.get("/api/openapi.json").await;
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let answers = &item["get"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        for (cluster, address) in
            [("mydb", "127.0.3.1:5299"), ("other", "127.0.3.8:5299"), ("none", "h:1"), ("?", "?")]
        {
            if item["get"].is_null() {
                continue;
            }
            let real = path.replace("{cluster}", cluster).replace("{address}", address).replace('?', "%3F");
            let (status, answer) = broker.call("GET", &real, Value::Null).await;
            let described = &answers[status.to_string()];
            assert!(!described.is_null(), "GET {real} answers {status}, which the document does not know");
            let schema = match status {
                200 => schema,
                _ => &described["content"]["application/json"]["schema"],
            };
            if schema.is_null() {
                continue;
            }
            misfit(&document, schema, &answer).unwrap_or_else(|wrong| panic!("GET {real}: {wrong}"));
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} answers were compared");
    // What does not fit is found.
    let cluster = &document["paths"]["/api/v3/clusters/meta/{cluster}"]["get"]["responses"]["200"];
    let schema = &cluster["content"]["application/json"]["schema"];
    let good = broker.get("/api/v3/clusters/meta/mydb").await;
    for (pointer, bad) in [
        ("/cluster/epoch", json!("1")),
        ("/cluster/nodes/0/slots/0/tag", json!("Other")),
        ("/cluster/nodes/0/repl", json!({})),
        ("/cluster/nodes/0/repl/more", json!(1)),
    ] {
        let mut spoilt = good.clone();
        match spoilt.pointer_mut(pointer) {
            Some(place) => *place = bad,
            None => spoilt["cluster"]["nodes"][0]["repl"]["more"] = bad,
        }
        assert!(misfit(&document, schema, &spoilt).is_err(), "{pointer} was not found");
    }
    broker.stop().await;
}
