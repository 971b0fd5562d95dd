//! The left side of a matrix product, in tiles.
//!
//! In: rows of groups. Out: tiles of [`TILE_ROWS`] rows by one group of columns: where a product
//! reads them from front to back, and where a depthwise convolution can write whole registers.

use super::Group;

/// Rows of a tile. 12 rows by two registers of AVX-512 are 24 sums, which leaves registers for
/// the operands; 12 divides the row counts of YAMNet's layers in a full batch.
pub(in crate::model) const TILE_ROWS: usize = 12;

/// Rows of a tile by a group of columns.
pub(super) type Tile = [Group; TILE_ROWS];

/// Two bfloat16 in each of 16 places, on a cache line of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(super) struct Pairs(pub(super) [u32; 16]);

/// Rows laid out for a product.
#[derive(Debug, Default)]
pub(in crate::model) struct TiledRows {
    /// `[rows / TILE_ROWS, groups]`, and perhaps more behind.
    tiles: Vec<Tile>,
    /// The same in bfloat16, two groups a tile; see [`narrow`](Self::narrow).
    narrow: Vec<[Pairs; TILE_ROWS]>,
    groups: usize,
    rows: usize,
}

impl TiledRows {
    /// Makes room for `rows` of `groups`, whose values are whatever was there before.
    pub(in crate::model) fn reset(&mut self, rows: usize, groups: usize) {
        (self.rows, self.groups) = (rows, groups);
        let tiles = self.tile_count();
        if self.tiles.len() < tiles {
            self.tiles.resize(tiles, [Group::ZERO; TILE_ROWS]);
        }
    }

    fn tile_count(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS) * self.groups
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The tiles, `[rows / TILE_ROWS, groups]`.
    pub(super) fn tiles(&self) -> &[Tile] {
        &self.tiles[..self.tile_count()]
    }

    /// [`tiles`](Self::tiles), to write.
    pub(super) fn tiles_mut(&mut self) -> &mut [Tile] {
        let count = self.tile_count();
        &mut self.tiles[..count]
    }

    /// The tiles and room for them in bfloat16, `[rows / TILE_ROWS, groups / 2]`.
    pub(super) fn narrow(&mut self) -> (&[Tile], &mut [[Pairs; TILE_ROWS]]) {
        let count = self.tile_count();
        let narrow = self.rows.div_ceil(TILE_ROWS) * self.groups.div_ceil(2);
        if self.narrow.len() < narrow {
            self.narrow.resize(narrow, [Pairs([0; 16]); TILE_ROWS]);
        }
        (&self.tiles[..count], &mut self.narrow[..narrow])
    }

    /// Fills in `rows`, `[rows, groups]`.
    pub(in crate::model) fn copy_from(&mut self, rows: &[Group], groups: usize) {
        self.copy_windows(rows, groups, groups);
    }

    /// Fills in windows of `groups` groups, each `step` groups further on: with rows of `step`
    /// groups, a row and those that follow it.
    pub(in crate::model) fn copy_windows(&mut self, rows: &[Group], groups: usize, step: usize) {
        let count = (rows.len() + step).saturating_sub(groups) / step;
        self.reset(count, groups);
        for (row, values) in rows.windows(groups).step_by(step).enumerate() {
            let tiles = &mut self.tiles[row / TILE_ROWS * groups..][..groups];
            for (tile, &group) in tiles.iter_mut().zip(values) {
                tile[row % TILE_ROWS] = group;
            }
        }
    }
}
