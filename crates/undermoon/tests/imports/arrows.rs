//! Which file of a crate uses which: by an import, or by a path in the code or in a macro's arguments.

use crate::modules::{ModuleId, Modules, Named};
use crate::sources::{Sources, is_for_tests, leaves};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use syn::visit::{self, Visit};

/// The names for which one file needs another.
pub(crate) type Names = BTreeSet<String>;

/// From a file to each file that it uses.
pub(crate) type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, Names>>;

/// All arrows between the files of a crate.
pub(crate) fn arrows(sources: &Sources) -> Arrows {
    let mut arrows = Arrows::new();
    for body in &sources.bodies {
        let mut uses = Uses { modules: &sources.modules, module: body.module, arrows: &mut arrows };
        body.items.iter().for_each(|item| uses.visit_item(item));
    }
    arrows
}

struct Uses<'a> {
    modules: &'a Modules,
    module: ModuleId,
    arrows: &'a mut Arrows,
}

impl Uses<'_> {
    /// Notes the file that defines what `path` names. The name of a module alone is no arrow: what is used
    /// of it has a longer path.
    fn path(&mut self, path: &[String]) {
        let file = &self.modules.get(self.module).file;
        if let Some(Named::Item(target, name)) = self.modules.resolve(self.module, path)
            && target != *file
        {
            self.arrows.entry(file.clone()).or_default().entry(target).or_default().insert(name);
        }
    }

    /// The paths among tokens that nobody has parsed: `a::b::c`, but not what follows a dot.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.path(&std::mem::take(&mut path));
                    }
                    if !after_dot {
                        path.push(name.to_string());
                    }
                    (colons, after_dot) = (0, false);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    self.path(&std::mem::take(&mut path));
                    colons = 0;
                    after_dot = matches!(&other, TokenTree::Punct(mark) if mark.as_char() == '.');
                    if let TokenTree::Group(group) = other
                        && group.delimiter() != Delimiter::None
                    {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(&path);
    }
}

/// A visit of what may stand under `#[cfg(test)]` inside of an item.
macro_rules! unless_for_tests {
    ($($visit:ident($node:ty)),+ $(,)?) => {
        $(fn $visit(&mut self, node: &'ast $node) {
            if !is_for_tests(&node.attrs) {
                visit::$visit(self, node);
            }
        })+
    };
}

impl<'ast> Visit<'ast> for Uses<'_> {
    unless_for_tests! {
        visit_field(syn::Field),
        visit_impl_item_const(syn::ImplItemConst),
        visit_impl_item_fn(syn::ImplItemFn),
        visit_item_const(syn::ItemConst),
        visit_item_enum(syn::ItemEnum),
        visit_item_fn(syn::ItemFn),
        visit_item_impl(syn::ItemImpl),
        visit_item_static(syn::ItemStatic),
        visit_item_struct(syn::ItemStruct),
        visit_item_trait(syn::ItemTrait),
        visit_item_type(syn::ItemType),
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() && !is_for_tests(&item.attrs) {
            leaves(&item.tree).iter().for_each(|leaf| self.path(&leaf.path));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.path(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    /// `pub(in path)` says who may see an item, and uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}
