//! Our columns, cells and settings in the SDK's types, and back.

use milvus::client::ConsistencyLevel;
use milvus::data::FieldColumn;
use milvus::index::IndexType;
use milvus::proto::schema::DataType;
use milvus::schema::FieldSchema;
use milvus::value::ValueVec;

use crate::milvus::address::{Consistency, IndexSpec};
use crate::milvus::columns::{COLUMNS, Columns, Kind, MOST_TEXT_BYTES, Partition, VECTOR, Values};

pub(super) fn names(partitions: &[Partition]) -> Vec<String> {
    partitions.iter().map(|partition| partition.name().to_owned()).collect()
}

pub(super) fn level(consistency: Consistency) -> ConsistencyLevel {
    match consistency {
        Consistency::Strong => ConsistencyLevel::Strong,
        Consistency::Bounded => ConsistencyLevel::Bounded,
        Consistency::Eventually => ConsistencyLevel::Eventually,
    }
}

pub(super) fn index_type(index: IndexSpec) -> IndexType {
    match index {
        IndexSpec::Hnsw { .. } => IndexType::HNSW,
        IndexSpec::Flat => IndexType::Flat,
        IndexSpec::IvfFlat(_) => IndexType::IvfFlat,
        IndexSpec::IvfSq8(_) => IndexType::IvfSQ8,
        IndexSpec::DiskAnn => IndexType::DiskANN,
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Long => DataType::Int64,
        Kind::Int => DataType::Int32,
        Kind::Double => DataType::Double,
        Kind::Float => DataType::Float,
        Kind::Text => DataType::VarChar,
        Kind::Json => DataType::Json,
        Kind::Vector => DataType::FloatVector,
    }
}

pub(super) fn field(name: &str, kind: Kind, dimension: i64) -> FieldSchema {
    FieldSchema {
        name: name.to_owned(),
        dtype: data_type(kind),
        dim: dimension,
        max_length: i32::try_from(MOST_TEXT_BYTES).unwrap_or(i32::MAX),
        ..FieldSchema::empty()
    }
}

/// Rows as they are sent.
pub(super) fn fields_of(mut rows: Columns) -> Vec<FieldColumn> {
    let count = rows.rows();
    let mut fields: Vec<FieldColumn> = COLUMNS
        .into_iter()
        .filter_map(|(name, kind)| {
            let value = match rows.take(name)? {
                Values::Longs(values) => ValueVec::Long(values),
                Values::Ints(values) => ValueVec::Int(values),
                Values::Doubles(values) => ValueVec::Double(values),
                Values::Floats(values) => ValueVec::Float(values),
                Values::Texts(values) => ValueVec::String(values),
                Values::Jsons(values) => ValueVec::Json(values),
            };
            Some(column(name, kind, value, 1))
        })
        .collect();
    let dimension = rows.vectors.len() / count.max(1);
    let vectors = ValueVec::Float(std::mem::take(&mut rows.vectors));
    fields.push(column(VECTOR, Kind::Vector, vectors, dimension));
    fields
}

fn column(name: &str, kind: Kind, value: ValueVec, dimension: usize) -> FieldColumn {
    FieldColumn {
        name: name.to_owned(),
        dtype: data_type(kind),
        value,
        dim: i64::try_from(dimension).unwrap_or(i64::MAX),
        max_length: 0,
        is_dynamic: false,
    }
}

/// Cells that were read; nothing of kinds that no column of ours has.
pub(super) fn values(values: ValueVec) -> Option<Values> {
    Some(match values {
        ValueVec::Long(values) => Values::Longs(values),
        ValueVec::Int(values) => Values::Ints(values),
        ValueVec::Double(values) => Values::Doubles(values),
        ValueVec::Float(values) => Values::Floats(values),
        ValueVec::String(values) => Values::Texts(values),
        ValueVec::Json(values) => Values::Jsons(values),
        _ => return None,
    })
}
