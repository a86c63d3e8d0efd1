//! A sorted table of which copies are cheap: a copy shares its rows with the original until one of them changes.
//!
//! Every change of the metadata is tried on a copy, and readers keep theirs for as long as they like; so the cost
//! of a copy must not be that of all the rows. What is paid is one pointer for each row when the first row of a
//! shared table changes, and a copy of the rows that do change.

use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted table of which copies are cheap.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    rows: Arc<BTreeMap<K, Arc<V>>>,
}

/// A row that differs between two tables: what it was before, and what it is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<'a, K, V> {
    /// The row's key.
    pub key: &'a K,
    /// None if the row is new.
    pub before: Option<&'a V>,
    /// None if the row is gone.
    pub after: Option<&'a V>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: Arc::new(BTreeMap::new()) }
    }
}

impl<K, V> Table<K, V> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, value)| (key, &**value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|value| &**value)
    }
}

impl<K: Ord, V> Table<K, V> {
    /// A value.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|value| &**value)
    }

    /// Whether there is a row with that key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }
}

impl<K: Ord, V: PartialEq> Table<K, V> {
    /// The rows that differ in `after`, in the order of their keys. Rows that both share are not looked into.
    #[must_use]
    pub fn differences<'a>(&'a self, after: &'a Self) -> Vec<Difference<'a, K, V>> {
        let mut found = Vec::new();
        if Arc::ptr_eq(&self.rows, &after.rows) {
            return found;
        }
        let (mut old, mut new) = (self.rows.iter().peekable(), after.rows.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return found,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((was, _)), Some((is, _))) => was.cmp(is),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            let is_same = matches!((before, after), (Some((_, was)), Some((_, is))) if same(was, is));
            let key = before.or(after).map(|(key, _)| key);
            if let Some(key) = key.filter(|_| !is_same) {
                let value = |row: Option<(&'a K, &'a Arc<V>)>| row.map(|(_, value)| &**value);
                found.push(Difference { key, before: value(before), after: value(after) });
            }
        }
    }
}

fn same<V: PartialEq>(one: &Arc<V>, other: &Arc<V>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// A value, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        // A row that is not there must not cost the copy of all.
        if !self.rows.contains_key(key) {
            return None;
        }
        Arc::make_mut(&mut self.rows).get_mut(key).map(Arc::make_mut)
    }

    /// A value, to be changed; it is made if it is not there.
    pub fn get_or_default(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        Arc::make_mut(Arc::make_mut(&mut self.rows).entry(key.clone()).or_default())
    }

    /// All values, to be changed. Each is copied if it is shared: to be used where most of them do change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        Arc::make_mut(&mut self.rows).values_mut().map(Arc::make_mut)
    }

    /// Adds a row, or replaces it; gives back what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        Arc::make_mut(&mut self.rows).insert(key, Arc::new(value)).map(Arc::unwrap_or_clone)
    }

    /// Takes a row out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        if !self.rows.contains_key(key) {
            return None;
        }
        Arc::make_mut(&mut self.rows).remove(key).map(Arc::unwrap_or_clone)
    }

    /// Keeps the rows of which `wanted` says so.
    pub fn retain(&mut self, mut wanted: impl FnMut(&K, &V) -> bool) {
        if self.iter().all(|(key, value)| wanted(key, value)) {
            return;
        }
        Arc::make_mut(&mut self.rows).retain(|key, value| wanted(key, value));
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let mut rows = self.rows.iter().zip(other.rows.iter());
        Arc::ptr_eq(&self.rows, &other.rows)
            || (self.len() == other.len() && rows.all(|((key, value), (k, v))| key == k && same(value, v)))
    }
}

impl<K: Ord, V: Eq> Eq for Table<K, V> {}

impl<K: Ord, V> Index<&K> for Table<K, V> {
    type Output = V;

    /// A value that is known to be there.
    fn index(&self, key: &K) -> &V {
        &self.rows[key]
    }
}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Box<dyn Iterator<Item = (&'a K, &'a V)> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        let rows = rows.into_iter().map(|(key, value)| (key, Arc::new(value)));
        Self { rows: Arc::new(rows.collect()) }
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Table<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, rows: I) {
        let rows = rows.into_iter().map(|(key, value)| (key, Arc::new(value)));
        Arc::make_mut(&mut self.rows).extend(rows);
    }
}

impl<K: Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<K, V>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Table;

    /// What is done to a table: key, value and kind.
    type Step = (u8, u8, u8);

    fn change(table: &mut Table<u8, u8>, model: &mut BTreeMap<u8, u8>, (kind, key, value): Step) {
        match kind % 6 {
            0 | 1 => assert_eq!(table.insert(key, value), model.insert(key, value)),
            2 => assert_eq!(table.remove(&key), model.remove(&key)),
            3 => {
                assert_eq!(
                    table.get_mut(&key).map(|held| *held = value),
                    model.get_mut(&key).map(|held| *held = value)
                );
            }
            4 => {
                table.retain(|held, _| held % 7 != key % 7);
                model.retain(|held, _| held % 7 != key % 7);
            }
            _ => {
                *table.get_or_default(&key) += value / 2;
                *model.entry(key).or_default() += value / 2;
            }
        }
    }

    proptest! {
        /// It is what a plain sorted table is, a copy stays as it was, and differences are those that there are.
        #[test]
        fn as_a_plain_table(
            first in proptest::collection::vec((any::<u8>(), 0u8..20, 0u8..8), 0..30),
            then in proptest::collection::vec((any::<u8>(), 0u8..20, 0u8..8), 0..10),
        ) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for step in first {
                change(&mut table, &mut model, step);
            }
            let (before, model_before) = (table.clone(), model.clone());
            for step in then {
                change(&mut table, &mut model, step);
            }
            for (table, model) in [(&table, &model), (&before, &model_before)] {
                prop_assert!(table.iter().eq(model.iter()));
                prop_assert_eq!(table.len(), model.len());
                let written = serde_json::to_string(table).unwrap();
                prop_assert_eq!(&written, &serde_json::to_string(model).unwrap());
                prop_assert_eq!(&serde_json::from_str::<Table<u8, u8>>(&written).unwrap(), table);
            }
            prop_assert_eq!(before == table, model_before == model);
            let mut followed = model_before.clone();
            for difference in before.differences(&table) {
                prop_assert!(difference.before != difference.after);
                prop_assert_eq!(difference.before, model_before.get(difference.key));
                match difference.after {
                    Some(value) => followed.insert(*difference.key, *value),
                    None => followed.remove(difference.key),
                };
            }
            prop_assert_eq!(followed, model);
        }
    }
}
