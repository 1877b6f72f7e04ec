//! Apps, models and their fields.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One installed app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDescriptor {
    /// Its label.
    pub label: String,
    /// Its dotted package.
    pub name: String,
    /// Its models in definition order, with the tables Django makes for many-to-many fields,
    /// proxies, and models that are swapped out.
    #[serde(default)]
    pub models: Vec<ModelDescriptor>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact of Django's")]
pub struct ModelDescriptor {
    /// `app.Model`.
    pub label: String,
    /// The table.
    pub db_table: String,
    /// Django makes and migrates the table.
    #[serde(default = "yes")]
    pub managed: bool,
    /// It has no table of its own; see `concrete`.
    #[serde(default)]
    pub proxy: bool,
    /// The model whose table it uses: itself unless it is a proxy.
    #[serde(default)]
    pub concrete: Option<String>,
    /// Django made it for a many-to-many field.
    #[serde(default)]
    pub auto_created: bool,
    /// The model that takes its place; it has no table then.
    #[serde(default)]
    pub swapped: Option<String>,
    /// Labels of the models it inherits tables from.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Names of the fields of its primary key.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// The alias it is read from by default.
    #[serde(default)]
    pub database: Option<String>,
    /// The alias it is written to by default.
    #[serde(default)]
    pub write_database: Option<String>,
    /// Every alias that may hold its table.
    #[serde(default)]
    pub databases: Vec<String>,
    /// It has `natural_key()`.
    #[serde(default)]
    pub natural_key: bool,
    /// Its default manager has `get_by_natural_key()`.
    #[serde(default)]
    pub natural_key_lookup: bool,
    /// Labels its natural key depends on, as Django writes them (`contenttypes.contenttype`).
    #[serde(default)]
    pub natural_key_dependencies: Vec<String>,
    /// Its own fields: those with columns in creation order, then many-to-many fields, then
    /// generic relations. Fields of parents are with the parents.
    #[serde(default)]
    pub fields: Vec<FieldDescriptor>,
}

impl ModelDescriptor {
    /// The app label.
    pub fn app(&self) -> &str {
        self.label.split('.').next().unwrap_or_default()
    }

    /// Whether a table of its own belongs to it.
    pub fn has_table(&self) -> bool {
        !self.proxy && self.swapped.is_none()
    }

    /// Fields that are columns of its table.
    pub fn columns(&self) -> impl Iterator<Item = (&FieldDescriptor, &str)> {
        self.fields.iter().filter_map(|field| Some((field, field.column.as_deref()?)))
    }

    /// Its file and image fields with their columns.
    pub fn file_columns(&self) -> impl Iterator<Item = (&FieldDescriptor, &str, &FileField)> {
        self.columns().filter_map(|(field, column)| Some((field, column, field.file.as_ref()?)))
    }
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact of Django's")]
pub struct FieldDescriptor {
    /// Its name.
    pub name: String,
    /// Its attribute: `author_id` of a field `author`.
    #[serde(default)]
    pub attname: Option<String>,
    /// Its column; `None` where it has none.
    #[serde(default)]
    pub column: Option<String>,
    /// Its dotted class.
    #[serde(default)]
    pub class: Option<String>,
    /// `get_internal_type()`, as in `CharField`.
    #[serde(default)]
    pub internal_type: Option<String>,
    /// Its column type by vendor, where a driver could tell.
    #[serde(default)]
    pub db_types: BTreeMap<String, String>,
    /// It may be NULL.
    #[serde(default)]
    pub null: bool,
    /// It is the primary key.
    #[serde(default)]
    pub pk: bool,
    /// It is unique by itself.
    #[serde(default)]
    pub unique: bool,
    /// Fixtures hold it.
    #[serde(default)]
    pub serialize: bool,
    /// The database computes it.
    #[serde(default)]
    pub generated: bool,
    /// Of text.
    #[serde(default)]
    pub max_length: Option<u64>,
    /// Of a decimal.
    #[serde(default)]
    pub max_digits: Option<u32>,
    /// Of a decimal.
    #[serde(default)]
    pub decimal_places: Option<u32>,
    /// What it refers to.
    #[serde(default)]
    pub relation: Option<Relation>,
    /// Where its files lie.
    #[serde(default)]
    pub file: Option<FileField>,
}

/// How a field refers to other rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RelationKind {
    /// `ForeignKey`
    #[serde(rename = "fk")]
    ForeignKey,
    /// `OneToOneField`
    #[serde(rename = "o2o")]
    OneToOne,
    /// `ManyToManyField`
    #[serde(rename = "m2m")]
    ManyToMany,
    /// `GenericForeignKey`
    #[serde(rename = "generic")]
    Generic,
    /// `GenericRelation`, the other side of a generic foreign key.
    #[serde(rename = "generic_relation")]
    GenericRelation,
    /// One that this engine does not know.
    #[serde(other, rename = "other")]
    Other,
}

/// What a field refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// How.
    pub kind: RelationKind,
    /// Label of the model; `None` for a generic foreign key.
    #[serde(default)]
    pub to: Option<String>,
    /// The field of that model it holds the value of.
    #[serde(default)]
    pub field: Option<String>,
    /// The column of that field.
    #[serde(default)]
    pub to_column: Option<String>,
    /// `CASCADE`, `PROTECT`, …
    #[serde(default)]
    pub on_delete: Option<String>,
    /// It joins a model to the parent it inherits from.
    #[serde(default)]
    pub parent_link: bool,
    /// The database enforces it.
    #[serde(default)]
    pub db_constraint: bool,
    /// Label of the model between, of a many-to-many field.
    #[serde(default)]
    pub through: Option<String>,
    /// Django made that model.
    #[serde(default)]
    pub through_auto_created: bool,
    /// Column of the model between that points here.
    #[serde(default)]
    pub column: Option<String>,
    /// Column of the model between that points there.
    #[serde(default)]
    pub reverse_column: Option<String>,
    /// Field with the content type, of a generic relation.
    #[serde(default)]
    pub content_type_field: Option<String>,
    /// Field with the object id, of a generic relation.
    #[serde(default)]
    pub object_id_field: Option<String>,
}

/// Where the files of a field lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileField {
    /// Alias of its storage; `None` for one that `STORAGES` does not name.
    #[serde(default)]
    pub storage: Option<String>,
    /// Dotted class of its storage; `None` where it cannot be built.
    #[serde(default)]
    pub backend: Option<String>,
    /// Its storage is a folder of this machine.
    #[serde(default)]
    pub local: bool,
    /// That folder, absolute.
    #[serde(default)]
    pub location: Option<PathBuf>,
    /// `upload_to` where it is a text.
    #[serde(default)]
    pub upload_to: Option<String>,
    /// It is an image field.
    #[serde(default)]
    pub image: bool,
}

fn yes() -> bool {
    true
}
