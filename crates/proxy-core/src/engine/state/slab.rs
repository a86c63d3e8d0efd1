//! Places for things that come and go, each named by its index and its generation.
//!
//! A name that outlives its thing finds nothing: it can never reach whatever took the place afterwards. A place that
//! was given up rests until [`Slab::reuse`], because the driver may still have to close what was there.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// A place and which of its tenants is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) struct Place {
    index: u32,
    generation: NonZeroU32,
}

impl Place {
    /// The index alone: for tables beside the slab. Two things that live at the same time never share it.
    #[inline]
    pub(in crate::engine) fn index(self) -> usize {
        self.index as usize
    }

    /// Index and generation in one number of 63 bits, for callers that have room for nothing else.
    #[inline]
    pub(in crate::engine) fn number(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }
}

/// What names the things of one slab.
pub(in crate::engine) trait Key: Copy {
    fn new(place: Place) -> Self;
    fn place(self) -> Place;
}

#[derive(Debug)]
struct Tenant<T> {
    generation: NonZeroU32,
    thing: T,
}

/// Things of one kind, found by their key in constant time.
#[derive(Debug)]
pub(in crate::engine) struct Slab<K, T> {
    places: Vec<Option<Tenant<T>>>,
    free: Vec<u32>,
    /// Given up, and not for others before [`Slab::reuse`].
    resting: Vec<u32>,
    generation: NonZeroU32,
    live: usize,
    key: PhantomData<K>,
}

/// Generations are numbered in 31 bits, so that [`Place::number`] leaves the highest bit free.
const GENERATION_MAX: u32 = u32::MAX >> 1;

impl<K: Key, T> Slab<K, T> {
    /// An empty slab, with room for this many things without moving them.
    pub(in crate::engine) fn with_capacity(places: usize) -> Self {
        Slab {
            places: Vec::with_capacity(places),
            free: Vec::new(),
            resting: Vec::new(),
            generation: NonZeroU32::MIN,
            live: 0,
            key: PhantomData,
        }
    }

    /// Takes a thing in.
    pub(in crate::engine) fn insert(&mut self, thing: T) -> K {
        let generation = self.generation;
        let next = generation.get() % GENERATION_MAX + 1;
        self.generation = NonZeroU32::new(next).expect("it is at least 1");
        self.live += 1;
        let tenant = Some(Tenant { generation, thing });
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index as usize] = tenant;
                index
            }
            None => {
                self.places.push(tenant);
                u32::try_from(self.places.len() - 1).expect("far fewer places than 2^32")
            }
        };
        K::new(Place { index, generation })
    }

    /// Gives a thing back, if it is still here. Its place rests.
    pub(in crate::engine) fn remove(&mut self, key: K) -> Option<T> {
        let place = key.place();
        let tenant = self.places.get_mut(place.index())?;
        if tenant.as_ref()?.generation != place.generation {
            return None;
        }
        self.resting.push(place.index);
        self.live -= 1;
        tenant.take().map(|tenant| tenant.thing)
    }

    /// Places that rested are for others now.
    #[inline]
    pub(in crate::engine) fn reuse(&mut self) {
        if !self.resting.is_empty() {
            self.free.append(&mut self.resting);
        }
    }

    /// The thing, if it is still here.
    #[inline]
    pub(in crate::engine) fn get(&self, key: K) -> Option<&T> {
        let place = key.place();
        match self.places.get(place.index()) {
            Some(Some(tenant)) if tenant.generation == place.generation => Some(&tenant.thing),
            _ => None,
        }
    }

    /// The thing, if it is still here.
    #[inline]
    pub(in crate::engine) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let place = key.place();
        match self.places.get_mut(place.index()) {
            Some(Some(tenant)) if tenant.generation == place.generation => Some(&mut tenant.thing),
            _ => None,
        }
    }

    /// How many things are here.
    #[inline]
    pub(in crate::engine) fn len(&self) -> usize {
        self.live
    }

    /// Every thing with its key, by index.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        (0u32..).zip(&self.places).filter_map(|(index, tenant)| {
            let tenant = tenant.as_ref()?;
            Some((K::new(Place { index, generation: tenant.generation }), &tenant.thing))
        })
    }

    /// The keys of the things that `picks` says: for loops that change the slab.
    pub(in crate::engine) fn keys(&self, picks: impl Fn(&T) -> bool) -> Vec<K> {
        self.iter().filter(|(_, thing)| picks(thing)).map(|(key, _)| key).collect()
    }

    /// Asserts that each place that has no thing is in one list, once.
    pub(in crate::engine) fn check(&self) {
        let mut seen = vec![false; self.places.len()];
        for &index in self.free.iter().chain(&self.resting) {
            assert!(self.places[index as usize].is_none(), "place {index} is taken and free");
            assert!(!std::mem::replace(&mut seen[index as usize], true), "place {index} is free twice");
        }
        let taken = self.places.iter().filter(|tenant| tenant.is_some()).count();
        assert_eq!(taken, self.live, "things are counted wrongly");
        assert_eq!(taken + self.free.len() + self.resting.len(), self.places.len(), "a place is lost");
    }
}

impl<K: Key, T> Index<K> for Slab<K, T> {
    type Output = T;

    #[inline]
    fn index(&self, key: K) -> &T {
        self.get(key).expect("a key that is kept names a thing that is here")
    }
}

impl<K: Key, T> IndexMut<K> for Slab<K, T> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut T {
        self.get_mut(key).expect("a key that is kept names a thing that is here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Name(Place);

    impl Key for Name {
        fn new(place: Place) -> Self {
            Name(place)
        }

        fn place(self) -> Place {
            self.0
        }
    }

    #[test]
    fn a_name_outlives_its_thing_and_finds_nothing() {
        let mut slab: Slab<Name, &str> = Slab::with_capacity(0);
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let beside = slab.insert("beside");
        assert_ne!(beside.0.index(), first.0.index(), "a place rests until it may be reused");
        slab.reuse();
        let second = slab.insert("second");
        assert_eq!(second.0.index(), first.0.index());
        assert!(slab.get(first).is_none() && slab.get_mut(first).is_none() && slab.remove(first).is_none());
        assert_eq!(slab.get(second), Some(&"second"));
        assert_eq!(slab.len(), 2);
        slab.check();
    }

    #[test]
    fn generations_begin_again_before_their_numbers_overflow() {
        let mut slab: Slab<Name, ()> = Slab::with_capacity(0);
        slab.generation = NonZeroU32::new(GENERATION_MAX).unwrap();
        let last = slab.insert(());
        let first = slab.insert(());
        assert_eq!(last.0.number() >> 63, 0);
        assert_eq!(first.0.generation.get(), 1);
    }
}
