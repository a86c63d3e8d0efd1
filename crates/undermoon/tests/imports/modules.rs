//! The modules of one crate, and which file defines what a path names.
//!
//! It knows names only as far as imports need them: what a macro makes, or a trait brings, it does not know.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// How many re-exports one name may pass through.
const REEXPORTS_MAX: usize = 16;

/// Which module of [`Modules`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ModuleId(usize);

/// A path as it stands in the source, without its generic arguments.
pub(crate) type Segments = Vec<String>;

/// One module: a file, or a block `mod name { … }` in one.
#[derive(Debug)]
pub(crate) struct Module {
    /// The file that holds it.
    pub(crate) file: PathBuf,
    /// The module around it; `None` for the crate's root.
    pub(crate) parent: Option<ModuleId>,
    /// The modules that it declares.
    pub(crate) children: HashMap<String, ModuleId>,
    /// The names of its own items.
    pub(crate) defined: HashSet<String>,
    /// Names that it imports or re-exports, each with the paths that they stand for.
    pub(crate) imported: HashMap<String, Vec<Segments>>,
    /// What it imports by `*`.
    pub(crate) globs: Vec<Segments>,
}

/// What a path names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Named {
    /// A module.
    Module(ModuleId),
    /// An item of that name, in that file.
    Item(PathBuf, String),
}

/// All modules of one crate, the root first.
#[derive(Default, Debug)]
pub(crate) struct Modules(Vec<Module>);

impl Modules {
    /// Adds an empty module, and declares it in its parent.
    pub(crate) fn add(&mut self, name: &str, file: PathBuf, parent: Option<ModuleId>) -> ModuleId {
        let id = ModuleId(self.0.len());
        self.0.push(Module {
            file,
            parent,
            children: HashMap::new(),
            defined: HashSet::new(),
            imported: HashMap::new(),
            globs: Vec::new(),
        });
        if let Some(parent) = parent {
            self.get_mut(parent).children.insert(name.to_owned(), id);
        }
        id
    }

    /// The module of that number.
    pub(crate) fn get(&self, id: ModuleId) -> &Module {
        &self.0[id.0]
    }

    /// The module of that number, to be filled.
    pub(crate) fn get_mut(&mut self, id: ModuleId) -> &mut Module {
        &mut self.0[id.0]
    }

    /// What `path` names where it stands in `from`; `None` for what is not of this crate.
    pub(crate) fn resolve(&self, from: ModuleId, path: &[String]) -> Option<Named> {
        self.resolve_within(from, path, REEXPORTS_MAX)
    }

    fn resolve_within(&self, from: ModuleId, path: &[String], reexports: usize) -> Option<Named> {
        let reexports = reexports.checked_sub(1)?;
        let mut at = from;
        // Whether `at` was reached by a segment: what is not found in it then still belongs to it.
        let mut entered = false;
        for segment in path {
            at = match segment.as_str() {
                "crate" => ModuleId(0),
                "self" => at,
                "super" => self.get(at).parent?,
                name => match self.lookup(at, name, reexports) {
                    Some(Named::Module(module)) => module,
                    Some(item) => return Some(item),
                    None if entered => return Some(Named::Item(self.get(at).file.clone(), name.to_owned())),
                    None => return None,
                },
            };
            entered = true;
        }
        Some(Named::Module(at))
    }

    /// What a single name means in a module: its own item, its own module, an import, then a glob.
    fn lookup(&self, within: ModuleId, name: &str, reexports: usize) -> Option<Named> {
        let module = self.get(within);
        if module.defined.contains(name) {
            return Some(Named::Item(module.file.clone(), name.to_owned()));
        }
        if let Some(child) = module.children.get(name) {
            return Some(Named::Module(*child));
        }
        if let Some(paths) = module.imported.get(name) {
            return paths.iter().find_map(|path| self.resolve_within(within, path, reexports));
        }
        module.globs.iter().find_map(|glob| match self.resolve_within(within, glob, reexports)? {
            Named::Module(module) => self.lookup(module, name, reexports.checked_sub(1)?),
            // The variants of an enum: the glob itself was counted.
            Named::Item(..) => None,
        })
    }
}
