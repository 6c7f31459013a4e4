//! Images: the file systems that Slipway installs. A recipe says what goes into one, [`build()`] makes it,
//! [`import()`] accepts one made elsewhere, and [`list`], [`Image::open`] and [`Image::verify`] are for code
//! that serves them.

mod build;
mod catalogue;
mod digest;
mod error;
mod import;
mod inspect;
mod recipe;
mod store;
mod superblock;

pub use build::{build, is_current};
pub use catalogue::{Image, Listing, list};
pub use error::{Error, Result};
pub use import::{ImportFields, import};
pub use recipe::RecipeFile;
