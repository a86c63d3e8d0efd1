//! Fields of a newer version in a document: read with it, and written back where they were.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

/// A field that this version does not know, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// From the root to the field itself.
    path: Vec<Step>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A field of an object.
    Field(String),
    /// An element of a list that had `of` elements. In a list of another length it may be another element.
    Element { place: usize, of: usize },
}

impl Kept {
    /// Whether it stands in the record of that name in that table of the document.
    pub(crate) fn is_in(&self, table: &str, record: &str) -> bool {
        let is = |step: Option<&Step>, name: &str| matches!(step, Some(Step::Field(field)) if field == name);
        is(self.path.first(), table) && is(self.path.get(1), record)
    }

    /// Puts it where it was; nothing where that is gone, or has a field of the name.
    fn put(&self, root: &mut Value) {
        let Some((Step::Field(name), parents)) = self.path.split_last() else { return };
        let parent = parents.iter().try_fold(root, |value, step| match step {
            Step::Field(name) => value.get_mut(name),
            Step::Element { place, of } => {
                value.as_array_mut().filter(|list| list.len() == *of).and_then(|list| list.get_mut(*place))
            }
        });
        if let Some(fields) = parent.and_then(Value::as_object_mut) {
            fields.entry(name).or_insert_with(|| self.value.clone());
        }
    }
}

/// Reads a whole document, and what in it this version does not know.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn from_slice_keeping<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<Kept>), String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut unknown = Vec::new();
    let mut note = |path: Path<'_>| unknown.push(names(&path));
    let value = serde_ignored::deserialize(&mut reader, &mut note).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    if unknown.is_empty() {
        return Ok((value, Vec::new()));
    }
    let root: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok((value, unknown.iter().filter_map(|names| find(&root, names)).collect()))
}

/// A document with what another version had put there.
///
/// # Errors
/// As `serde_json` has them.
pub(crate) fn to_value_with(part: &impl Serialize, kept: &[Kept]) -> serde_json::Result<Value> {
    let mut root = serde_json::to_value(part)?;
    kept.iter().for_each(|field| field.put(&mut root));
    Ok(root)
}

/// The names on a path. Steps into an optional or a wrapped value have none in JSON.
fn names(path: &Path<'_>) -> Vec<String> {
    let (parent, name) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(index.to_string())),
        Path::Map { parent, key } => (parent, Some(key.clone())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            (parent, None)
        }
    };
    let mut names = names(parent);
    names.extend(name);
    names
}

fn find(root: &Value, names: &[String]) -> Option<Kept> {
    let mut path = Vec::with_capacity(names.len());
    let mut value = root;
    for name in names {
        let (step, inner) = match value {
            Value::Array(list) => {
                let place: usize = name.parse().ok()?;
                (Step::Element { place, of: list.len() }, list.get(place)?)
            }
            other => (Step::Field(name.clone()), other.get(name)?),
        };
        path.push(step);
        value = inner;
    }
    Some(Kept { path, value: value.clone() })
}
