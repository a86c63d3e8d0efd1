//! Reads the files of one crate, from its root along every `mod`, into [`Modules`] and syntax trees.
//!
//! Unit tests are left out: they may look at whatever they test.

use crate::modules::{ModuleId, Modules, Segments};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// The items of one module, without its inline modules and tests.
pub(crate) struct Body {
    /// Whose they are.
    pub(crate) module: ModuleId,
    /// The items in their order.
    pub(crate) items: Vec<Item>,
}

/// One crate as it was read.
pub(crate) struct Sources {
    /// Its modules and their names.
    pub(crate) modules: Modules,
    /// What stands in them.
    pub(crate) bodies: Vec<Body>,
}

/// Reads a file by its path; `None` where there is none.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Sources {
    /// Reads the crate whose root file is `root`.
    ///
    /// # Errors
    /// When a file is missing or cannot be parsed.
    pub(crate) fn read(root: &Path, read: ReadFile<'_>) -> Result<Sources, String> {
        let mut sources = Sources { modules: Modules::default(), bodies: Vec::new() };
        let text = read(root).ok_or_else(|| format!("{} is missing", root.display()))?;
        let module = sources.modules.add("", root.to_owned(), None);
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        sources.file(module, &text, &folder, read)?;
        Ok(sources)
    }

    /// Takes in a file; the files of its modules are looked for in `folder`.
    fn file(
        &mut self,
        module: ModuleId,
        text: &str,
        folder: &Path,
        read: ReadFile<'_>,
    ) -> Result<(), String> {
        let file = self.modules.get(module).file.display().to_string();
        let parsed = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
        self.items(module, parsed.items, folder, read)
    }

    fn items(
        &mut self,
        module: ModuleId,
        items: Vec<Item>,
        folder: &Path,
        read: ReadFile<'_>,
    ) -> Result<(), String> {
        let mut kept = Vec::new();
        for item in items {
            match item {
                Item::Mod(inner) if is_for_tests(&inner.attrs) => {}
                Item::Mod(inner) => self.child(module, inner, folder, read)?,
                item => {
                    if let Some(name) = name_of(&item) {
                        self.modules.get_mut(module).defined.insert(name);
                    }
                    Imports { modules: &mut self.modules, module }.visit_item(&item);
                    kept.push(item);
                }
            }
        }
        self.bodies.push(Body { module, items: kept });
        Ok(())
    }

    fn child(
        &mut self,
        parent: ModuleId,
        declared: syn::ItemMod,
        folder: &Path,
        read: ReadFile<'_>,
    ) -> Result<(), String> {
        let name = declared.ident.to_string();
        let inner_folder = folder.join(&name);
        let parent_file = self.modules.get(parent).file.clone();
        if let Some((_, items)) = declared.content {
            let module = self.modules.add(&name, parent_file, Some(parent));
            return self.items(module, items, &inner_folder, read);
        }
        let candidates: [PathBuf; 2] = [folder.join(format!("{name}.rs")), inner_folder.join("mod.rs")];
        let found = candidates.into_iter().find_map(|path| read(&path).map(|text| (path, text)));
        let (path, text) =
            found.ok_or_else(|| format!("{}: no file for `mod {name}`", parent_file.display()))?;
        let module = self.modules.add(&name, path, Some(parent));
        self.file(module, &text, &inner_folder, read)
    }
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| {
                    let words = list.tokens.to_string();
                    words.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
                        && !words.contains("not")
                })
    })
}

/// The name that an item gives to its module.
fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// Notes what a module imports, in its functions too.
struct Imports<'m> {
    modules: &'m mut Modules,
    module: ModuleId,
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_some() || is_for_tests(&item.attrs) {
            return;
        }
        for leaf in leaves(&item.tree) {
            let module = self.modules.get_mut(self.module);
            match leaf.name {
                LeafName::Name(name) => module.imported.entry(name).or_default().push(leaf.path),
                LeafName::Glob => module.globs.push(leaf.path),
            }
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
}

/// One path of a `use`.
pub(crate) struct Leaf {
    /// The whole path.
    pub(crate) path: Segments,
    /// What it is called from then on.
    pub(crate) name: LeafName,
}

/// The end of a path in a `use`.
pub(crate) enum LeafName {
    /// A name; `_` where there is none.
    Name(String),
    /// `*`
    Glob,
}

/// The paths of a `use`, taken out of its groups.
pub(crate) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &UseTree, before: &mut Segments, found: &mut Vec<Leaf>) {
    // `a::{self}` names `a`; alone, `self` is where it stands.
    let path = |name: String, before: &Segments| {
        let own = name == "self" && !before.is_empty();
        before.iter().cloned().chain((!own).then_some(name)).collect::<Segments>()
    };
    match tree {
        UseTree::Path(inner) => {
            before.push(inner.ident.to_string());
            collect(&inner.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) => {
            let path = path(name.ident.to_string(), before);
            let name = path.last().cloned().unwrap_or_default();
            found.push(Leaf { path, name: LeafName::Name(name) });
        }
        UseTree::Rename(name) => {
            let path = path(name.ident.to_string(), before);
            found.push(Leaf { path, name: LeafName::Name(name.rename.to_string()) });
        }
        UseTree::Glob(_) => found.push(Leaf { path: before.clone(), name: LeafName::Glob }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, found)),
    }
}
